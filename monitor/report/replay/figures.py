"""The figures of a replay: one source for the command's text, the record by which the service is armed, and the HTML report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from monitor.domain import ApiKey, Incident, Severity, Verb, Verdict
from monitor.wording import count, duration, moment, money, name

CAP: Final = "cap"
WEEK: Final = timedelta(days=7)


class Stop(Protocol):
    """A key taken out of service, or bounded, at `at` for an incident. `spent_nusd`: the incident's until then."""

    @property
    def at(self) -> datetime: ...  # noqa: D102 - told of above

    @property
    def incident_id(self) -> str: ...  # noqa: D102 - as above

    @property
    def verb(self) -> Verb: ...  # noqa: D102 - as above

    @property
    def spent_nusd(self) -> int: ...  # noqa: D102 - as above


@dataclass(frozen=True, slots=True)
class Span:
    """What was replayed: [history_since, since) only taught, on [since, until) was decided. `gaps`: what is not known of it."""

    history_since: datetime
    since: datetime
    until: datetime
    gaps: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One incident of the replay. `reason` and `detail`: why nothing, or not more, was done (of the verdicts on the most that
    was asked for, the last); empty where the key was disabled. `stopped_nusd`: spent above the usual after the key was
    capped or disabled."""

    incident_id: str
    key_hash: str
    key_name: str
    owner: str
    opened_at: datetime
    last_seen_at: datetime
    severity: Severity
    cause: str
    spent_nusd: int
    capped_at: datetime | None
    disabled_at: datetime | None
    stopped_nusd: int
    reason: str
    detail: str

    def __str__(self) -> str:
        """One line. Text from outside is made harmless."""
        said = (
            f"{self.opened_at:%Y-%m-%d %H:%M} {self.severity.name.lower():8} {self.key_hash[:10]} {name(self.key_name)}"
        )
        done = [f"capped {self.capped_at:%d %H:%M}"] if self.capped_at else []
        done += [f"disabled {self.disabled_at:%d %H:%M}"] if self.disabled_at else []
        done += [f"{money(self.stopped_nusd)} stopped"] if done else []
        done += (
            [f"not disabled: {self.reason}{f' ({name(self.detail)})' if self.detail else ''}"] if self.reason else []
        )
        return f"{said}: {'; '.join([name(self.cause, fallback='no cause named'), *done])}"


@dataclass(frozen=True, slots=True)
class Summary:
    """The replay in figures. Money in nano-dollars. `cases`: oldest first. `not_acted`: incidents by why nothing, or not
    more, was done. `owners`: whose keys were alerted on; a key without an owner counts as one by itself."""

    history_since: datetime
    since: datetime
    until: datetime
    n_keys: int
    detector: str
    cases: tuple[Case, ...]
    n_alerted_keys: int
    n_capped_keys: int
    n_disabled_keys: int
    alerts_per_week: float
    max_false_alerts_per_week: float
    spent_nusd: int
    stopped_nusd: int
    owners: tuple[str, ...]
    not_acted: Mapping[str, int]
    gaps: tuple[tuple[datetime, datetime], ...]

    @property
    def unknown(self) -> timedelta:
        """How much of the time decided on is not known."""
        cut = (max(timedelta(0), until - max(since, self.since)) for since, until in self.gaps)
        return sum(cut, timedelta(0))

    def __str__(self) -> str:
        """A line an incident, oldest first, then the sums."""
        return "\n".join([*(str(case) for case in self.cases), *self._sums()])

    def _sums(self) -> list[str]:
        refused = ", ".join(f"{reason} {n}" for reason, n in self.not_acted.items())
        lines = [
            (
                "decided on",
                f"{moment(self.since)} to {moment(self.until)}, {count(self.n_keys, 'key')}; {self._taught()}",
            ),
            ("detector", self.detector),
            ("alerted", f"{count(len(self.cases), 'incident')} on {count(self.n_alerted_keys, 'key')}, {self._rate()}"),
            ("capped", count(self.n_capped_keys, "key")),
            ("disabled", f"{count(self.n_disabled_keys, 'key')}; {self._stopped()}"),
            ("owners", f"{len(self.owners):,} would have been disturbed"),
        ]
        lines += [("not acted", refused)] if refused else []
        lines += [("not known", self._gaps())] if self.gaps else []
        return [f"{what:12}{text}" for what, text in lines]

    def _taught(self) -> str:
        taught = self.since - self.history_since
        return f"{duration(taught)} before that only taught" if taught else "nothing was taught before"

    def _rate(self) -> str:
        return (
            f"{self.alerts_per_week:.1f} a week if none was a theft; "
            f"the budget is {self.max_false_alerts_per_week:g} false ones a week"
        )

    def _stopped(self) -> str:
        return f"{money(self.stopped_nusd)} of {money(self.spent_nusd)} spent above the usual would have been stopped"

    def _gaps(self) -> str:
        since, until = max(self.gaps, key=lambda gap: gap[1] - gap[0])
        in_all = sum((until - since for since, until in self.gaps), timedelta(0))
        longest = f"the longest {moment(since)} to {moment(until)}"
        return f"{duration(in_all)} in {count(len(self.gaps), 'gap')}, {longest}; nothing is judged there"


def summarize(
    incidents: Iterable[Incident],
    verdicts: Iterable[Verdict],
    stops: Iterable[Stop],
    *,
    keys: Sequence[ApiKey],
    owners: Mapping[str, str],
    span: Span,
    max_false_alerts_per_week: float,
    detector: str,
) -> Summary:
    """The figures of what a replay found. `owners`: by key_hash; where it has none, whoever made the key owns it.
    `detector`: what it was, in words."""
    known = {key.key_hash: key for key in keys}
    strongest = {verdict.incident_id: verdict for verdict in sorted(verdicts, key=lambda each: (each.rung, each.at))}
    first = _first_stops(stops)
    cases = tuple(
        _case(incident, known.get(incident.key_hash), owners, stops=first, verdict=strongest.get(incident.incident_id))
        for incident in sorted(incidents, key=lambda each: (each.opened_at, each.incident_id))
    )
    length = max(span.until - span.since, timedelta(seconds=1))
    refused = Counter(case.reason for case in cases if case.reason)
    return Summary(
        history_since=span.history_since,
        since=span.since,
        until=span.until,
        n_keys=len(keys),
        detector=detector,
        cases=cases,
        n_alerted_keys=len({case.key_hash for case in cases}),
        n_capped_keys=len({case.key_hash for case in cases if case.capped_at}),
        n_disabled_keys=len({case.key_hash for case in cases if case.disabled_at}),
        alerts_per_week=len(cases) * (WEEK / length),
        max_false_alerts_per_week=max_false_alerts_per_week,
        spent_nusd=sum(case.spent_nusd for case in cases),
        stopped_nusd=sum(case.stopped_nusd for case in cases),
        owners=tuple(sorted({case.owner or case.key_hash for case in cases})),
        not_acted=dict(refused.most_common()),
        gaps=span.gaps,
    )


def _first_stops(stops: Iterable[Stop]) -> Mapping[tuple[str, str], Stop]:
    """The first cap and the first disable of each incident."""
    latest_first = sorted(stops, key=lambda stop: stop.at, reverse=True)
    return {(stop.incident_id, stop.verb.value): stop for stop in latest_first}


def _case(
    incident: Incident,
    key: ApiKey | None,
    owners: Mapping[str, str],
    *,
    stops: Mapping[tuple[str, str], Stop],
    verdict: Verdict | None,
) -> Case:
    capped = stops.get((incident.incident_id, CAP))
    disabled = stops.get((incident.incident_id, Verb.DISABLE.value))
    first = min((stop for stop in (capped, disabled) if stop), key=lambda stop: stop.at, default=None)
    is_left = disabled is None and verdict is not None
    return Case(
        incident_id=incident.incident_id,
        key_hash=incident.key_hash,
        key_name=key.key_name if key else "",
        owner=owners.get(incident.key_hash) or ((key.creator_user_id or key.workspace_id or "") if key else ""),
        opened_at=incident.opened_at,
        last_seen_at=incident.last_seen_at,
        severity=incident.severity,
        cause=incident.causes[0].sentence if incident.causes else "",
        spent_nusd=incident.spent_nusd,
        capped_at=capped.at if capped else None,
        disabled_at=disabled.at if disabled else None,
        stopped_nusd=incident.spent_nusd - first.spent_nusd if first else 0,
        reason=verdict.reason.value if is_left and verdict else "",
        detail=verdict.detail if is_left and verdict else "",
    )
