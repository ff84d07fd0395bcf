"""A theft beside an event of many keys: which keys are no part of it, so that they may still be acted upon.

Narrow on purpose. An event is *explained* where every key of it looks like a benign twin, and most of them like the same one that other
keys bear witness to. A key is *beside* it where a detector flags it, it looks like no twin, most of its dollars went to models or places
that are new to it, and nobody else near it has any of these. One key that is neither, or too many beside it, and nothing is explained:
then everything waits for people, as it does in any other event."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from monitor.decide.incidents import Change
from monitor.domain import TWIN, Cause, Dimension, Finding, Incident, Twin

WITNESSED: Final = frozenset({Twin.FAILOVER, Twin.PRICE, Twin.COMMON})
"""Twins that other keys bear witness to."""

MOST: Final = 0.6
"""Share of an event's keys that must look like the same one of these twins."""

FEW: Final = 0.2
"""Share of all keys that may be beside the event: two events at once are too unclear."""

OWN: Final = 0.8
"""Share of the last hour's dollars that went to new models, or to new countries, on a key that is beside the event."""

Value = tuple[Dimension, str]
Causes = Mapping[str, Sequence[Cause]]


def found(
    telling: Sequence[Incident],
    changes: Sequence[Change],
    *,
    now_together: Collection[str],
    stays: Collection[str],
    n_together: int,
    within: timedelta,
) -> frozenset[str]:
    """Ids of the incidents of keys that are beside the explained event around them.

    `telling`: in order of noticing. `now_together`: ids of those that make the crowd of this pass. `stays`: ids of those
    that were held back before: they stay with people."""
    findings = {change.incident.incident_id: change.findings for change in changes}
    causes = {each.incident_id: _causes(each, findings.get(each.incident_id, ())) for each in telling}
    able = [each for each in telling if each.incident_id not in stays and is_able(each, causes[each.incident_id])]
    if not able:
        return frozenset()
    times = [each.noticed_at for each in telling]
    names = {each.incident_id for each in able}
    beside: set[str] = set()
    for one in able:
        near = _near(one.noticed_at, telling, times, within)
        if one.incident_id in findings:
            seen = {each.incident_id for each in near}
            near += [each for each in telling if each.incident_id in now_together and each.incident_id not in seen]
        if is_explained_without(near, names, causes, n_together=n_together):
            beside.add(one.incident_id)
    return frozenset(beside)


def is_able(incident: Incident, causes: Sequence[Cause]) -> bool:
    """Whether its own evidence could set it apart from an event, whatever the event is."""
    if incident.p_value is None or incident.part_of is not None or any(_twin(each) for each in causes):
        return False
    shares: dict[Value, float] = {}
    for cause in causes:
        if cause.is_first_seen and cause.dimension is not None:
            value = cause.dimension, cause.value
            shares[value] = max(shares.get(value, 0.0), cause.share)
    return any(
        sum(share for (dimension, _), share in shares.items() if dimension is wanted) >= OWN
        for wanted in (Dimension.MODEL, Dimension.COUNTRY)
    )


def is_explained_without(near: Sequence[Incident], able: Collection[str], causes: Causes, *, n_together: int) -> bool:
    """Whether these are an explained event, but for few keys that are beside it."""
    apart = [each for each in near if each.incident_id in able]
    event = [each for each in near if each.incident_id not in able]
    keys, its_keys = {each.key_hash for each in apart}, {each.key_hash for each in event}
    if len(keys) >= n_together or len(keys) > FEW * len(keys | its_keys) or keys & its_keys or len(keys) < len(apart):
        return False
    if not is_explained(event, causes):
        return False
    new = Counter(value for each in near for value in _new(causes[each.incident_id]))
    theirs = {value for each in event for value in _models(causes[each.incident_id])}
    mine = [value for each in apart for value in _new(causes[each.incident_id])]
    return all(new[value] == 1 and value not in theirs for value in mine)


def is_explained(event: Sequence[Incident], causes: Causes) -> bool:
    """Whether every key of it looks like a twin, and most like the same witnessed one, with a new value in common where that twin
    has one."""
    twins: dict[str, Twin | None] = {}
    for incident in event:
        known = [twin for each in causes[incident.incident_id] if (twin := _twin(each)) is not None]
        if not known:
            return False
        twins[incident.key_hash] = known[0]
    kinds = Counter(twin for twin in twins.values() if twin in WITNESSED)
    if not kinds:
        return False
    kind, n = kinds.most_common(1)[0]
    if n < MOST * len(twins):
        return False
    shared = [set(_new(causes[each.incident_id])) for each in event if twins[each.key_hash] is kind]
    return kind is Twin.PRICE or bool(set.intersection(*shared))


def _causes(incident: Incident, findings: Sequence[Finding]) -> tuple[Cause, ...]:
    return (*incident.causes, *(cause for each in findings for cause in each.causes))


def _twin(cause: Cause) -> Twin | None:
    return cause.twin if cause.dimension is None and cause.value == TWIN else None


def _new(causes: Sequence[Cause]) -> set[Value]:
    return {(each.dimension, each.value) for each in causes if each.is_first_seen and each.dimension is not None}


def _models(causes: Sequence[Cause]) -> set[Value]:
    """What may have become dearer: a theft on the very model is not told apart from that."""
    return {(each.dimension, each.value) for each in causes if each.dimension is Dimension.MODEL}


def _near(at: datetime, ordered: Sequence[Incident], times: Sequence[datetime], within: timedelta) -> list[Incident]:
    return list(ordered[bisect_right(times, at - within) : bisect_left(times, at + within)])
