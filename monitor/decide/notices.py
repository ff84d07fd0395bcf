"""What people are told, and what they are told only once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from monitor.decide import fuses, listing, muting
from monitor.decide.context import Context
from monitor.decide.crowd import Crowd, event_id, is_telling, looks_ordinary, shared_cause
from monitor.decide.incidents import Change
from monitor.decide.proposals import UNAPPROVED
from monitor.domain import (
    Action,
    ActionState,
    Incident,
    IncidentKind,
    MessageKind,
    Notice,
    Reason,
    Verdict,
)

GROWN: Final = "Keys of an event that concerned many keys together have grown; a person decides about each."

THEIRS: Final = fuses.BLOWN | {Reason.QUIET_HOURS, Reason.REENABLED, Reason.CANARY_UNPROVEN}
"""Reasons by which something that would have been done is left to people: each incident is told of that once."""

_TOGETHER: Final = fuses.BLOWN | {Reason.QUIET_HOURS, Reason.CANARY, Reason.CANARY_UNPROVEN}
"""Reasons by which keys wait together: more than `GATHERED` of them are told of in one message."""

GATHERED: Final = 5


def told(
    changes: Sequence[Change],
    resolved: Sequence[Incident],
    verdicts: Sequence[Verdict],
    actions: Sequence[Action],
    context: Context,
    now: datetime,
    *,
    crowd: Crowd,
    current: Mapping[str, Incident],
    is_asked_in_place: bool = False,
) -> tuple[tuple[Notice, ...], dict[str, Incident]]:
    """Notices of this pass, and all incidents (`current`, by id) with what is told now marked as told.

    `is_asked_in_place`: people answer proposals where they read of them, so that each is a message of its own.

    One notice for each incident and step, except that a crowd of keys, keys waiting behind a blown fuse, keys explained by a
    source incident, and a crowd that is over are one notice each. What the policy of a key does not
    want told stays untold. What is silenced stays untold, and is told when the silence
    ends and it is not over. Outcomes of actions are told after they are known, elsewhere."""
    by_incident = {verdict.incident_id: verdict for verdict in (*context.verdicts, *verdicts)}
    untold = [each for each in current.values() if _is_untold(each) and muting.silenced_by(each, context, now) is None]
    explained = {each.incident_id: source for each in untold if (source := muting.explained_by(each, current.values()))}
    untold = [each for each in untold if not _is_below(each, by_incident)]
    grown = [_as_told(each, now) for each in untold if each.incident_id not in explained]
    after = dict(current) | {each.incident_id: each for each in grown}
    together = [each for each in grown if _is_of_crowd(each, crowd)]
    apart = [each for each in grown if not _is_of_crowd(each, crowd)]
    gathered = [each for each in apart if _reason(each, by_incident) in _TOGETHER]
    if len(gathered) <= GATHERED:
        gathered = []
    told_now = {each.incident_id for each in grown}
    waiting = _waiting(changes, by_incident, context, already_told=told_now)
    notices = [_crowd_notice(together, context, crowd, now)] if together else []
    notices += [
        Notice(kind=MessageKind.ALERT, at=now, incident=each, verdict=by_incident.get(each.incident_id))
        for each in by_dollars(each for each in apart if each not in gathered)
    ]
    notices += _waiting_notices([*gathered, *waiting], by_incident, context, now)
    alerted = told_now
    if is_asked_in_place:
        notices += _questions(actions, context, changes, now)
        alerted = told_now | {action.incident_id or "" for action in actions}
    notices += _proposal_notices(actions, context, changes, by_incident, now, alerted=alerted)
    heard = [each for each in resolved if each.told_step and muting.silenced_by(each, context, now) is None]
    notices += _endings(heard, crowd, now)
    for source in {each.incident_id: each for each in explained.values()}.values():
        theirs = [each for each in untold if explained.get(each.incident_id) == source]
        notices += _explained_notice(source, theirs, context, now)
        after |= _joined(source, theirs)
    return tuple(notices), after


def _reason(incident: Incident, verdicts: Mapping[str, Verdict]) -> Reason | None:
    verdict = verdicts.get(incident.incident_id)
    return verdict.reason if verdict else None


def _is_below(incident: Incident, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether the policy of its key asks for more before people are told."""
    return _reason(incident, verdicts) is Reason.BELOW_NOTICE


def _is_untold(incident: Incident) -> bool:
    return incident.kind is IncidentKind.KEY and incident.is_alive and incident.step > incident.told_step


def _as_told(incident: Incident, now: datetime) -> Incident:
    return replace(incident, told_step=incident.step, told_at=incident.told_at or now)


def _endings(resolved: Sequence[Incident], crowd: Crowd, now: datetime) -> list[Notice]:
    over = [each for each in resolved if each.incident_id in crowd.members]
    notices: list[Notice] = []
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
    """Incidents that are left to people now, not told by an alert of this pass, and never told of such a reason before."""
    before = {verdict.incident_id for verdict in context.verdicts if verdict.reason in THEIRS}
    return [
        change.incident
        for change in changes
        if _reason(change.incident, verdicts) in THEIRS and change.incident.incident_id not in already_told | before
    ]


def _waiting_notices(
    incidents: Sequence[Incident], verdicts: Mapping[str, Verdict], context: Context, now: datetime
) -> list[Notice]:
    """One notice for all keys that wait for the same kind of reason."""
    groups: dict[str, list[Incident]] = {}
    for incident in incidents:
        groups.setdefault(_HEADS[_reason(incident, verdicts) or Reason.FUSE_HOUR], []).append(incident)
    details = {each.incident_id: verdict.detail for each in incidents if (verdict := verdicts.get(each.incident_id))}
    return [
        _listing(head.format(n=len(group), why=details.get(group[0].incident_id, "")), group, context, now)
        for head, group in sorted(groups.items())
    ]


_BY_HAND: Final = "Disable by hand what is abused: `openrouter-monitor revoke KEY`."
_FUSE_HEAD: Final = (
    f"{{n}} more would have been disabled, but a fuse allows no further automatic action now. {_BY_HAND}"
)
_HEADS: Final[Mapping[Reason, str]] = {
    **dict.fromkeys(fuses.BLOWN, _FUSE_HEAD),
    Reason.QUIET_HOURS: f"{{n}} would have been acted upon, but in quiet hours nothing automatic happens. {_BY_HAND}",
    Reason.REENABLED: f"{{n}} would have been disabled, but people switched it on again before. {_BY_HAND}",
    Reason.CANARY_UNPROVEN: f"{{n}} wait for people: {{why}}. What may not help is not done to more keys by itself. {_BY_HAND}",
    Reason.CANARY: "{n} more are to be disabled once the first disable was seen to take effect, as far as the fuses allow.",
}


def _questions(actions: Iterable[Action], context: Context, changes: Iterable[Change], now: datetime) -> list[Notice]:
    """A message of its own for each new proposal."""
    incidents = {each.incident_id: each for each in context.incidents}
    incidents |= {change.incident.incident_id: change.incident for change in changes}
    asked = (action for action in actions if action.state is ActionState.PROPOSED)
    return [
        Notice(MessageKind.PROPOSAL, now, incident=incidents.get(each.incident_id or ""), action=each) for each in asked
    ]


def _proposal_notices(
    actions: Iterable[Action],
    context: Context,
    changes: Iterable[Change],
    verdicts: Mapping[str, Verdict],
    now: datetime,
    *,
    alerted: set[str],
) -> list[Notice]:
    """Of proposals: those made for an incident that no alert of this pass tells of, and those that are over."""
    incidents = {each.incident_id: each for each in context.incidents}
    incidents |= {change.incident.incident_id: change.incident for change in changes}
    notices = []
    for action in actions:
        incident = incidents.get(action.incident_id or "")
        if action.state is ActionState.PROPOSED and action.incident_id not in alerted and incident is not None:
            verdict = verdicts.get(incident.incident_id)
            head = f"{action.action_id} is proposed: {verdict.detail if verdict else action.verb.value}"
            notices.append(_listing(head, [incident], context, now, thread=incident.incident_id))
        elif action.state is ActionState.EXPIRED and action.detail == UNAPPROVED:
            notices.append(
                Notice(MessageKind.ACTION_FAILED, now, incident=incident, action=action, detail=action.detail)
            )
        elif action.state is ActionState.EXPIRED:
            text = f"{action.action_id} ({action.verb}) was dropped: {action.detail}."
            thread = incident.incident_id if incident else None
            shown = (incident,) if incident else ()
            notices.append(Notice(MessageKind.SOURCE, now, detail=text, incidents=shown, thread=thread))
    return notices


def _crowd_notice(incidents: Sequence[Incident], context: Context, crowd: Crowd, now: datetime) -> Notice:
    """One notice for all keys that joined an event in this pass or grew in it; it names those told of before, too."""
    newest = max(incidents, key=lambda each: (each.opened_at, each.incident_id))
    event = crowd.event_of(newest)
    told = {each.incident_id for each in incidents}
    before = [each for each in event if each.incident_id not in told and each.is_alive]
    n_keys = max(crowd.n_keys, len({each.key_hash for each in (*event, *incidents)}))
    head = crowd_head(n_keys, event, is_explained=crowd.is_explained) if crowd.is_on else GROWN
    return _listing(head, incidents, context, now, before=before, thread=_thread([newest], crowd))


def crowd_head(n_keys: int, event: Sequence[Incident], *, is_explained: bool) -> str:
    """What is told of many keys at once; `event`: their incidents, for what they have in common."""
    cause = shared_cause(event)
    frozen = "No key is disabled automatically meanwhile; `openrouter-monitor revoke KEY` disables one by hand."
    if is_explained:
        frozen = (
            "None of them, nor any key like them, is disabled automatically meanwhile; only a key whose own evidence has nothing to"
            " do with this still may be. `openrouter-monitor revoke KEY` disables one by hand."
        )
    if cause:
        likely = "A change on your side looks like this, and so does one leak of many keys."
        if looks_ordinary(event):
            likely = "That is rarely theft."
        return f"{n_keys} keys turned unusual together. They have in common ({cause}). {likely} {frozen}"
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


def _listing(
    head: str,
    incidents: Sequence[Incident],
    context: Context,
    now: datetime,
    *,
    before: Sequence[Incident] = (),
    thread: str | None = None,
) -> Notice:
    """A notice that names every key, however many. `before`: further incidents of the same matter, told of already."""
    ordered = by_dollars(incidents)
    lines = listing.lines(ordered, by_dollars(before), context.keys)
    return Notice(kind=MessageKind.SOURCE, at=now, detail="\n".join([head, *lines]), incidents=ordered, thread=thread)


def by_dollars(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Most dollars at risk first."""
    return tuple(sorted(incidents, key=lambda each: (-each.at_risk_nusd, -each.per_hour_nusd, each.incident_id)))
