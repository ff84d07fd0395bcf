"""What people are told, and what they are told only once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from monitor.decide import muting
from monitor.decide.context import Context
from monitor.decide.crowd import Crowd, event_id, is_telling, shared_cause
from monitor.decide.incidents import Change
from monitor.domain import NUSD, Incident, IncidentKind, MessageKind, Notice, Reason, Verdict
from monitor.wording import MAX_NAME, one_line, shorten

FUSES: Final = frozenset({Reason.FUSE_HOUR, Reason.FUSE_DAY, Reason.FUSE_SHARE})

GROWN: Final = "Keys of an event that concerned many keys together have grown; a person decides about each."

_LISTED = 40
"""Keys told of with their figures in one notice; all others are named, `_A_LINE` to a line: no key is only counted."""

_A_LINE = 8


def told(
    changes: Sequence[Change],
    resolved: Sequence[Incident],
    verdicts: Sequence[Verdict],
    context: Context,
    now: datetime,
    *,
    crowd: Crowd,
    current: Mapping[str, Incident],
) -> tuple[tuple[Notice, ...], dict[str, Incident]]:
    """Notices of this pass, and all incidents (`current`, by id) with what is told now marked as told.

    One notice for each incident and step, except that a crowd of keys, keys waiting behind a blown fuse, keys explained by a
    source incident, and a crowd that is over are one notice each. What is silenced stays untold, and is told when the silence
    ends and it is not over. Outcomes of actions are told after they are known, elsewhere."""
    by_incident = {verdict.incident_id: verdict for verdict in (*context.verdicts, *verdicts)}
    untold = [each for each in current.values() if _is_untold(each) and muting.silenced_by(each, context, now) is None]
    explained = {each.incident_id: source for each in untold if (source := muting.explained_by(each, current.values()))}
    grown = [_as_told(each, now) for each in untold if each.incident_id not in explained]
    after = dict(current) | {each.incident_id: each for each in grown}
    together = [each for each in grown if _is_of_crowd(each, crowd)]
    apart = [each for each in grown if not _is_of_crowd(each, crowd)]
    notices = [
        Notice(kind=MessageKind.ALERT, at=now, incident=each, verdict=by_incident.get(each.incident_id))
        for each in by_dollars(apart)
    ]
    if together:
        notices.insert(0, _crowd_notice(together, context, crowd, now))
    waiting = _waiting(changes, by_incident, context, already_told={i.incident_id for i in grown})
    if waiting:
        notices.append(_fuse_notice(waiting, context, now))
    heard = [each for each in resolved if each.told_step and muting.silenced_by(each, context, now) is None]
    notices += _endings(heard, crowd, now)
    for source in {each.incident_id: each for each in explained.values()}.values():
        theirs = [each for each in untold if explained.get(each.incident_id) == source]
        notices += _explained_notice(source, theirs, context, now)
        after |= _joined(source, theirs)
    return tuple(notices), after


def _is_untold(incident: Incident) -> bool:
    return incident.kind is IncidentKind.KEY and incident.is_alive and incident.step > incident.told_step


def _as_told(incident: Incident, now: datetime) -> Incident:
    return replace(incident, told_step=incident.step, told_at=incident.told_at or now)


def _endings(resolved: Sequence[Incident], crowd: Crowd, now: datetime) -> list[Notice]:
    notices = []
    over = [each for each in resolved if each.incident_id in crowd.members]
    if over:
        text = f"{len(over)} incidents of keys that turned unusual together are resolved."
        thread = _thread(over, crowd)
        notices.append(Notice(MessageKind.SOURCE, now, detail=text, incidents=by_dollars(over), thread=thread))
    apart = [each for each in resolved if each.incident_id not in crowd.members]
    return notices + [Notice(kind=MessageKind.RESOLVED, at=now, incident=each) for each in apart]


def _explained_notice(source: Incident, theirs: Sequence[Incident], context: Context, now: datetime) -> list[Notice]:
    """Keys that look unusual on data in doubt: one notice in the thread of that trouble, for those not yet named there."""
    fresh = [each for each in theirs if each.incident_id not in source.members]
    if not fresh:
        return []
    head = (
        f"{len(fresh)} keys look unusual on data that is in doubt ({source.incident_id}). Each is told by itself if it is still"
        " unusual once the data is sound."
    )
    return [_listing(head, fresh, context, now, thread=source.incident_id)]


def _joined(source: Incident, theirs: Sequence[Incident]) -> dict[str, Incident]:
    """The source incident naming them, and they it."""
    members = (*source.members, *(each.incident_id for each in theirs if each.incident_id not in source.members))
    named = {each.incident_id: replace(each, part_of=source.incident_id) for each in theirs}
    return {source.incident_id: replace(source, members=members)} | named


def _is_of_crowd(incident: Incident, crowd: Crowd) -> bool:
    return incident.incident_id in crowd.members and is_telling(incident)


def _waiting(
    changes: Iterable[Change], verdicts: Mapping[str, Verdict], context: Context, *, already_told: set[str]
) -> list[Incident]:
    """Incidents that a fuse holds back now, not told by an alert of this pass, and never told of a fuse before."""
    before = {verdict.incident_id for verdict in context.verdicts if verdict.reason in FUSES}
    return [
        change.incident
        for change in changes
        if (verdict := verdicts.get(change.incident.incident_id)) is not None
        and verdict.reason in FUSES
        and change.incident.incident_id not in already_told | before
    ]


def _crowd_notice(incidents: Sequence[Incident], context: Context, crowd: Crowd, now: datetime) -> Notice:
    """One notice for all keys that joined an event in this pass or grew in it; it names those told of before, too."""
    newest = max(incidents, key=lambda each: (each.opened_at, each.incident_id))
    event = crowd.event_of(newest)
    told = {each.incident_id for each in incidents}
    before = [each for each in event if each.incident_id not in told and each.is_alive]
    n_keys = max(crowd.n_keys, len({each.key_hash for each in (*event, *incidents)}))
    head = _crowd_head(n_keys, shared_cause(event)) if crowd.is_on else GROWN
    return _listing(head, incidents, context, now, before=before, thread=_thread([newest], crowd))


def _crowd_head(n_keys: int, cause: str) -> str:
    frozen = "No key is disabled automatically meanwhile; `openrouter-monitor revoke KEY` disables one by hand."
    if cause:
        return f"{n_keys} keys turned unusual together. They have in common ({cause}). That is rarely theft. {frozen}"
    return (
        f"{n_keys} keys turned unusual together. They have nothing in common that the monitor knows of: look for a"
        " release, a fault of the monitor, or one leak of many keys, the dearest first. " + frozen
    )


def _thread(incidents: Sequence[Incident], crowd: Crowd) -> str | None:
    """The thread of the event that the first of these belongs to."""
    if incidents[0].part_of is not None:
        return incidents[0].part_of
    event = crowd.event_of(incidents[0])
    return event_id(event) if event else None


def _fuse_notice(incidents: Sequence[Incident], context: Context, now: datetime) -> Notice:
    head = (
        f"{len(incidents)} more would have been disabled, but a fuse allows no further automatic action now."
        " Disable by hand what is abused: `openrouter-monitor revoke KEY`."
    )
    return _listing(head, incidents, context, now)


def _listing(
    head: str,
    incidents: Sequence[Incident],
    context: Context,
    now: datetime,
    *,
    before: Sequence[Incident] = (),
    thread: str | None = None,
) -> Notice:
    """`before`: further incidents of the same matter, named but told of already."""
    ordered = by_dollars(incidents)
    lines = [_line(each, context) for each in ordered]
    lines += [f"{_line(each, context)}, told of before" for each in by_dollars(before)]
    if len(lines) > _LISTED:
        names = [_name(each, context) for each in (*ordered, *by_dollars(before))[_LISTED:]]
        lines[_LISTED:] = [f"further: {', '.join(names[at : at + _A_LINE])}" for at in range(0, len(names), _A_LINE)]
    return Notice(kind=MessageKind.SOURCE, at=now, detail="\n".join([head, *lines]), incidents=ordered, thread=thread)


def _name(incident: Incident, context: Context) -> str:
    key = context.keys.get(incident.key_hash)
    return f"{incident.key_hash[:8]} {shorten(one_line(key.key_name), MAX_NAME // 3) if key else '(unknown)'}"


def _line(incident: Incident, context: Context) -> str:
    key = context.keys.get(incident.key_hash)
    name = shorten(one_line(key.key_name), MAX_NAME) if key else "(not in the inventory)"
    per_hour, at_risk = incident.per_hour_nusd / NUSD, incident.at_risk_nusd / NUSD
    return f"{incident.key_hash[:12]} {name}: {per_hour:,.2f} USD/h, {at_risk:,.2f} USD at risk, {incident.incident_id}"


def by_dollars(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Most dollars at risk first."""
    return tuple(sorted(incidents, key=lambda each: (-each.at_risk_nusd, -each.per_hour_nusd, each.incident_id)))
