"""Many keys turning unusual together: a platform event, a price change or our own fault, not so many thefts.

Such an *event* is one matter for people, whatever the number of keys: told in one thread with the cause they share, and
nothing automatic happens to any key while it gathers, but to one that is beside an event with an ordinary cause (`beside.py`). Where the
keys share no cause, a leak of many keys looks the same: that, too, is for people to decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.decide import beside
from monitor.decide.incidents import Change
from monitor.domain import TWIN, Cause, Incident, Reason, Rung, Verdict, short_id
from monitor.wording import MAX_NAME, one_line, shorten

EVENT = "EVT"
"""How the id of an event begins."""

TOGETHER = timedelta(minutes=30)
"""Keys that turn unusual within this time of each other count as one event."""

SHARED = 0.6
"""Share of an event's keys that must have a cause in common for it to be called theirs."""

_EVENT, _KIND, _NEW, _DEARER, _NOTHING = range(5)
"""How telling a cause is that keys have in common."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """`members`: ids of incidents that belong to such an event, now or earlier; they stay with people for life.
    `is_on`: an event is under way at this moment, so that nothing automatic happens to any key but those of `beside`: ids of
    incidents that an explained event has nothing to do with. `n_keys`: its size. `is_explained`: it has an ordinary cause.
    `events`: the same incidents as they stand now, parted into events, each in order of time."""

    members: frozenset[str]
    is_on: bool
    n_keys: int
    events: tuple[tuple[Incident, ...], ...] = ()
    beside: frozenset[str] = frozenset()
    is_explained: bool = False

    def event_of(self, incident: Incident) -> tuple[Incident, ...]:
        """The incidents of the same event, this one included; none for one that belongs to no event."""
        same = (each for each in self.events if any(one.incident_id == incident.incident_id for one in each))
        return next(same, ())


def event_id(event: Sequence[Incident]) -> str:
    """What an event is called, as long as its first incident is remembered."""
    return short_id(EVENT, event[0].incident_id)


def gathered(
    changes: Sequence[Change],
    incidents: Iterable[Incident],
    verdicts: Iterable[Verdict],
    *,
    n_together: int,
    now: datetime,
) -> Crowd:
    """The crowd among `incidents` (the stored ones), as changed by `changes`.

    Counted are keys, each once, whose incident was opened within `TOGETHER` of the others, and in the pass at hand also
    those whose incident grew a step; not counted are those beside an explained event. An incident held back as correlated stays so
    until it is over; reopened, it is judged anew."""
    after = {incident.incident_id: incident for incident in incidents}
    after.update((change.incident.incident_id, change.incident) for change in changes)
    everybody = sorted((i for i in after.values() if is_telling(i)), key=lambda i: (i.noticed_at, i.incident_id))
    grown = {change.incident.incident_id for change in changes if change.has_grown}
    stay = {verdict.incident_id for verdict in verdicts if _is_still_so(verdict, after.get(verdict.incident_id))}
    apart = beside.found(
        everybody,
        changes,
        now_together={i.incident_id for i in everybody if i.incident_id in grown or _is_fresh(i, now)},
        stays=stay,
        n_together=n_together,
        within=TOGETHER,
    )
    telling = [incident for incident in everybody if incident.incident_id not in apart]
    members = _opened_together(telling, n_together) | stay
    current = [incident for incident in telling if incident.incident_id in grown or _is_fresh(incident, now)]
    n_keys = len({incident.key_hash for incident in current})
    if n_keys >= n_together:
        members |= {incident.incident_id for incident in current}
    events = _events([incident for incident in telling if incident.incident_id in members])
    return Crowd(
        members=frozenset(members),
        is_on=n_keys >= n_together,
        n_keys=n_keys,
        events=events,
        beside=apart,
        is_explained=beside.is_explained(current, {each.incident_id: each.causes for each in current}),
    )


def _is_fresh(incident: Incident, now: datetime) -> bool:
    return now - TOGETHER < incident.noticed_at <= now


def _is_still_so(verdict: Verdict, incident: Incident | None) -> bool:
    is_of_spell = incident is None or incident.reopened_at is None or verdict.at >= incident.reopened_at
    return verdict.reason is Reason.CORRELATED and is_of_spell


def shared_cause(event: Sequence[Incident]) -> str:
    """What most keys of an event have in common, in words; empty where most have nothing in common.

    A likeness to one ordinary event counts before one to the same kind of event, that before a value new to each of them, and
    that before dearer requests."""
    return _shared(event)[1]


def looks_ordinary(event: Sequence[Incident]) -> bool:
    """Whether what most of its keys have in common is a likeness to an ordinary event; a value new to each of them is none."""
    return _shared(event)[0] <= _KIND


def _shared(event: Sequence[Incident]) -> tuple[int, str]:
    """How telling it is (less is more), and `shared_cause`."""
    keys_of: dict[tuple[int, str], set[str]] = {}
    for incident in event:
        for told in (told for cause in incident.causes for told in _told_of(cause)):
            keys_of.setdefault(told, set()).add(incident.key_hash)
    n_keys = len({incident.key_hash for incident in event})
    common = [told for told, keys in keys_of.items() if n_keys > 1 and len(keys) >= SHARED * n_keys]
    if not common:
        return _NOTHING, ""
    best = min(common, key=lambda told: (told[0], -len(keys_of[told]), told[1]))
    return best[0], f"{len(keys_of[best])} of {n_keys}: {best[1]}"


def _told_of(cause: Cause) -> list[tuple[int, str]]:
    """What a cause says that other keys may have in common, and how telling that is (less is more)."""
    if cause.dimension is not None:
        value = shorten(one_line(cause.value), MAX_NAME) or "(none)"
        return [(_NEW, f"{cause.dimension.name.lower()} {value}, new to each of them")] if cause.is_first_seen else []
    if cause.value == TWIN:
        said = one_line(cause.sentence)
        return [(_EVENT, said), (_KIND, said.partition(":")[0])]
    return [(_DEARER, "each request costs a multiple of the usual")] if cause.value == "price" else []


def _events(ordered: Sequence[Incident]) -> tuple[tuple[Incident, ...], ...]:
    """Incidents in order of opening, parted where nothing was opened for as long as makes a crowd."""
    events: list[list[Incident]] = []
    for incident in ordered:
        if events and incident.noticed_at - events[-1][-1].noticed_at < TOGETHER:
            events[-1].append(incident)
        else:
            events.append([incident])
    return tuple(tuple(event) for event in events)


def is_telling(incident: Incident) -> bool:
    """Whether it says that a key *turned unusual*. Plain rules that only notify do not: that several limits are nearly
    used on the same day is the calendar."""
    return incident.p_value is not None or incident.rung > Rung.NOTIFY


def _opened_together(ordered: Sequence[Incident], n_together: int) -> set[str]:
    """Ids of all incidents inside any window of length `TOGETHER` in which at least that many keys opened one."""
    members: set[str] = set()
    n_of_key: Counter[str] = Counter()
    first = n_marked = 0
    for last, incident in enumerate(ordered):
        n_of_key[incident.key_hash] += 1
        while incident.noticed_at - ordered[first].noticed_at >= TOGETHER:
            left = ordered[first].key_hash
            n_of_key[left] -= 1
            if n_of_key[left] == 0:
                del n_of_key[left]
            first += 1
        if len(n_of_key) >= n_together:
            members.update(each.incident_id for each in ordered[max(first, n_marked) : last + 1])
            n_marked = last + 1
    return members
