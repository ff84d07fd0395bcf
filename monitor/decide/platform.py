"""An event of many keys as an incident of its own: one thing to acknowledge, with every key that belongs to it.

Its keys keep their own incidents, which name it (`part_of`); it names them (`members`), so that none is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from monitor.decide.crowd import Crowd, event_id, shared_cause
from monitor.domain import Cause, Incident, IncidentKind, IncidentState, Rung

OVER = "every incident of it is over"


def events(crowd: Crowd, current: Mapping[str, Incident], now: datetime) -> tuple[Incident, ...]:
    """The platform incidents as they should stand, given all incidents after this pass by id."""
    known = [each for each in current.values() if each.kind is IncidentKind.PLATFORM]
    made = tuple(_event(event, known_as(event, known), current, now) for event in crowd.events)
    seen = {each.incident_id for each in made}
    rest = (each for each in known if each.is_alive and each.incident_id not in seen)
    return (*made, *(_followed(each, current, now) for each in rest))


def known_as(event: Sequence[Incident], known: Sequence[Incident]) -> Incident | None:
    """The incident this event has already: an event is called after its first key, which is forgotten one day."""
    ids = {incident.incident_id for incident in event}
    alive = [each for each in known if each.is_alive and ids & set(each.members)]
    return next(iter(alive), None) or next((each for each in known if each.incident_id == event_id(event)), None)


def _event(
    event: Sequence[Incident], before: Incident | None, current: Mapping[str, Incident], now: datetime
) -> Incident:
    worst = max(event, key=lambda each: (each.severity, each.at_risk_nusd, each.incident_id))
    ids = tuple(incident.incident_id for incident in event)
    members = ids if before is None else (*before.members, *(each for each in ids if each not in before.members))
    parts = [current[each] for each in members if each in current]
    cause = shared_cause(event)
    fresh = Incident(
        incident_id=event_id(event),
        fingerprint=f"platform:{event_id(event)}",
        key_hash="",
        state=IncidentState.OPEN,
        severity=worst.severity,
        step=len(members),
        opened_at=event[-1].noticed_at,
        onset_at=min(each.onset_at for each in event),
        last_seen_at=max(each.last_seen_at for each in event),
        spent_nusd=sum(each.spent_nusd for each in parts),
        per_hour_nusd=sum(each.per_hour_nusd for each in parts if each.is_alive),
        expected_per_hour_nusd=sum(each.expected_per_hour_nusd for each in parts if each.is_alive),
        at_risk_nusd=sum(each.at_risk_nusd for each in parts if each.is_alive),
        score=0.0,
        p_value=None,
        rung=Rung.NOTIFY,
        detectors=("crowd",),
        causes=(_cause(cause, sum(each.spent_nusd for each in parts)),) if cause else (),
        quality=worst.quality,
        kind=IncidentKind.PLATFORM,
        told_step=len(members),
        told_at=now,
        members=members,
    )
    if before is None:
        return _followed(fresh, current, now)
    has_joined = len(members) > len(before.members)
    if has_joined and not before.is_alive:
        before = replace(before, state=IncidentState.OPEN, resolved_at=None, resolution=None, reopened_at=now)
    grown = replace(
        before,
        severity=max(before.severity, fresh.severity),
        step=max(before.step, fresh.step),
        told_step=max(before.step, fresh.step),
        onset_at=min(before.onset_at, fresh.onset_at),
        last_seen_at=max(before.last_seen_at, fresh.last_seen_at),
        spent_nusd=max(before.spent_nusd, fresh.spent_nusd),
        per_hour_nusd=fresh.per_hour_nusd,
        expected_per_hour_nusd=fresh.expected_per_hour_nusd,
        at_risk_nusd=fresh.at_risk_nusd,
        causes=fresh.causes or before.causes,
        members=members,
    )
    return _followed(grown, current, now)


def _followed(event: Incident, current: Mapping[str, Incident], now: datetime) -> Incident:
    """Alive while one of its incidents is; over with the last of them, or when a person says so."""
    is_live = any(current[each].is_alive for each in event.members if each in current)
    if is_live and not event.is_alive and event.resolution == OVER:
        return replace(event, state=IncidentState.OPEN, resolved_at=None, resolution=None, reopened_at=now)
    if is_live or not event.is_alive:
        return event
    return replace(event, state=IncidentState.RESOLVED, resolved_at=now, resolution=OVER)


def _cause(sentence: str, cost_nusd: int) -> Cause:
    return Cause(
        dimension=None,
        value="shared",
        cost_nusd=cost_nusd,
        share=1.0,
        is_first_seen=False,
        usual_nusd=0,
        sentence=sentence,
    )
