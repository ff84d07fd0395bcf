"""How long incidents took: from onset to notice, from notice to containment and to the end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Final

from monitor.domain import Action, ActionState, Incident, IncidentKind, Verb
from monitor.wording import count, duration


@dataclass(frozen=True, slots=True)
class Times:
    """`detect`: onset to opened, never negative. `acknowledge`, `contain`, `resolve`: opened to that moment, None where it has
    not come. Contained is a key that was disabled for this incident, the first time."""

    detect: timedelta
    acknowledge: timedelta | None
    contain: timedelta | None
    resolve: timedelta | None


@dataclass(frozen=True, slots=True)
class Taken:
    """One kind of time over incidents: how many of them came so far, their median and the longest; None where none did."""

    n: int = 0
    median: timedelta | None = None
    longest: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Over incidents. `contain`: its key was disabled, or capped."""

    n_incidents: int = 0
    detect: Taken = Taken()
    acknowledge: Taken = Taken()
    contain: Taken = Taken()
    resolve: Taken = Taken()

    @property
    def named(self) -> tuple[tuple[str, Taken], ...]:
        """Each time by the name people know it by, in the order in which they pass."""
        return (
            ("Time to detect", self.detect),
            ("Time to acknowledge", self.acknowledge),
            ("Time to disable or cap", self.contain),
            ("Time to resolve", self.resolve),
        )


NONE: Final = "no incidents this week: nothing to measure"


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
    """Over incidents of keys: of a platform event or a source nobody has an onset."""
    times = [of(each, actions) for each in incidents if each.kind is IncidentKind.KEY]
    return Summary(
        n_incidents=len(times),
        detect=_taken(each.detect for each in times),
        acknowledge=_taken(each.acknowledge for each in times),
        contain=_taken(each.contain for each in times),
        resolve=_taken(each.resolve for each in times),
    )


def lines(times: Times) -> tuple[str, ...]:
    """For people: what is known of one incident's times."""
    said = [f"noticed {duration(times.detect)} after it began"]
    for word, span in (("acknowledged", times.acknowledge), ("contained", times.contain), ("over", times.resolve)):
        if span is not None:
            said.append(f"{word} {duration(span)} after it was noticed")
    return tuple(said)


def rows(found: Summary) -> tuple[tuple[str, str], ...]:
    """For people: each time with its median and of how many incidents it is, or that there were none; in one
    line at the end what has not come for any."""
    if not found.n_incidents:
        return (("Response times", NONE),)
    known = [
        (called, _said(taken, taken.median, found.n_incidents))
        for called, taken in found.named
        if taken.median is not None
    ]
    missing = not_yet(found)
    return (*known, ("Not yet", missing)) if missing else tuple(known)


def not_yet(found: Summary) -> str:
    """For people: what has not come for any incident; empty where nothing is missing."""
    words = zip(("noticed", "acknowledged", "disabled or capped", "over"), found.named, strict=True)
    missing = [f"none {word}" for word, (_, taken) in words if taken.median is None]
    return f"{', '.join(missing)} (of {count(found.n_incidents, 'incident')})" if missing and found.n_incidents else ""


def short_line(found: Summary) -> str:
    """For people: those that are known, in one line."""
    if not found.n_incidents:
        return NONE
    said = [
        f"{word} {duration(taken.median)}"
        for word, (_, taken) in zip(("detect", "acknowledge", "disable or cap", "resolve"), found.named, strict=True)
        if taken.median is not None
    ]
    if not said:
        return f"none known yet ({count(found.n_incidents, 'incident')})"
    return f"{', '.join(said)} ({'median' if len(said) == 1 else 'medians'} of {count(found.n_incidents, 'incident')})"


def _said(taken: Taken, middle: timedelta, n_incidents: int) -> str:
    of_how_many = f"{taken.n:,} of {count(n_incidents, 'incident')}"
    if taken.n == 1 or taken.longest is None:
        return f"{duration(middle)} ({of_how_many})"
    return f"{duration(middle)} in the median, {duration(taken.longest)} at most ({of_how_many})"


def _taken(spans: Iterable[timedelta | None]) -> Taken:
    known = [each.total_seconds() for each in spans if each is not None]
    if not known:
        return Taken()
    return Taken(len(known), timedelta(seconds=median(known)), timedelta(seconds=max(known)))
