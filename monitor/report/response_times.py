"""How long incidents took: from onset to notice, from notice to containment and to the end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from monitor.domain import Action, ActionState, Incident, IncidentKind, Verb
from monitor.wording import duration


@dataclass(frozen=True, slots=True)
class Times:
    """`detect`: onset to opened, never negative. `acknowledge`, `contain`, `resolve`: opened to that moment, None where it has
    not come. Contained is a key that was disabled for this incident, the first time."""

    detect: timedelta
    acknowledge: timedelta | None
    contain: timedelta | None
    resolve: timedelta | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over incidents; None where no incident came so far."""

    n_incidents: int
    n_contained: int
    n_resolved: int
    detect: timedelta | None
    contain: timedelta | None
    resolve: timedelta | None


def of(incident: Incident, actions: Iterable[Action]) -> Times:
    """The times of one incident; `actions` may hold those of others."""
    disabled = [
        action.finished_at
        for action in actions
        if action.incident_id == incident.incident_id
        and action.verb is not Verb.RESTORE
        and action.state is ActionState.DONE
        and action.finished_at is not None
    ]
    opened = incident.opened_at
    return Times(
        detect=max(timedelta(0), opened - incident.onset_at),
        acknowledge=None if incident.acknowledged_at is None else incident.acknowledged_at - opened,
        contain=min(disabled) - opened if disabled else None,
        resolve=None if incident.resolved_at is None else incident.resolved_at - opened,
    )


def summary(incidents: Sequence[Incident], actions: Sequence[Action]) -> Summary:
    """Medians over incidents of keys: of a platform event or a source nobody has an onset."""
    times = [of(each, actions) for each in incidents if each.kind is IncidentKind.KEY]
    contained = [each.contain for each in times if each.contain is not None]
    resolved = [each.resolve for each in times if each.resolve is not None]
    return Summary(
        n_incidents=len(times),
        n_contained=len(contained),
        n_resolved=len(resolved),
        detect=_median([each.detect for each in times]),
        contain=_median(contained),
        resolve=_median(resolved),
    )


def lines(times: Times) -> tuple[str, ...]:
    """For people: what is known of one incident's times."""
    said = [f"noticed {duration(times.detect)} after it began"]
    for word, span in (("acknowledged", times.acknowledge), ("contained", times.contain), ("over", times.resolve)):
        if span is not None:
            said.append(f"{word} {duration(span)} after it was noticed")
    return tuple(said)


def summary_line(found: Summary) -> str:
    """For people: one line of a digest; empty where there was no incident."""
    if found.detect is None:
        return ""
    parts = [f"noticed {duration(found.detect)} after the onset"]
    if found.contain is not None:
        parts.append(f"contained {duration(found.contain)} later ({found.n_contained} of {found.n_incidents})")
    if found.resolve is not None:
        parts.append(f"over {duration(found.resolve)} later ({found.n_resolved} of {found.n_incidents})")
    return f"Incidents, in the median: {', '.join(parts)}"


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(span.total_seconds() for span in spans)) if spans else None
