"""Many keys turning unusual together: a platform event, a price change or our own fault, not so many thefts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.decide.incidents import Change
from monitor.domain import Incident, Reason, Rung, Verdict

TOGETHER = timedelta(minutes=30)
"""Keys that turn unusual within this time of each other count as one event."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """`members`: ids of incidents that belong to such an event, now or earlier; they stay with people for life.
    `is_on`: an event is under way at this moment, so that nothing automatic happens to any key. `n_keys`: its size."""

    members: frozenset[str]
    is_on: bool
    n_keys: int


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
    those whose incident grew a step. An incident held back as correlated before stays so."""
    after = {incident.incident_id: incident for incident in incidents}
    after.update((change.incident.incident_id, change.incident) for change in changes)
    telling = sorted((i for i in after.values() if is_telling(i)), key=lambda i: (i.opened_at, i.incident_id))
    members = _opened_together(telling, n_together)
    fresh = [incident for incident in telling if now - TOGETHER < incident.opened_at <= now]
    stepped = [change.incident for change in changes if change.has_grown and is_telling(change.incident)]
    n_keys = len({incident.key_hash for incident in (*fresh, *stepped)})
    if n_keys >= n_together:
        members |= {incident.incident_id for incident in (*fresh, *stepped)}
    members |= {verdict.incident_id for verdict in verdicts if verdict.reason is Reason.CORRELATED}
    return Crowd(members=frozenset(members), is_on=n_keys >= n_together, n_keys=n_keys)


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
        while incident.opened_at - ordered[first].opened_at >= TOGETHER:
            left = ordered[first].key_hash
            n_of_key[left] -= 1
            if n_of_key[left] == 0:
                del n_of_key[left]
            first += 1
        if len(n_of_key) >= n_together:
            members.update(each.incident_id for each in ordered[max(first, n_marked) : last + 1])
            n_marked = last + 1
    return members
