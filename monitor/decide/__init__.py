"""Findings -> incidents -> verdicts, behind fuses. Pure: values and `now` in, a `Plan` out.

incidents.py   what belongs together, how an incident grows, when it is over
life.py        when an incident comes back, when its silence ends, why it does not flap
money.py       dollars unusual an hour, spent since onset, at risk
ladder.py      which policy a key has, and how far that lets the response go
policy.py      what the evidence asks for, lowered by the policy
sustained.py   how long a rung's conditions have held without a break
crowd.py       many keys turning unusual together
beside.py      a theft beside such an event, where that has an ordinary cause
platform.py    such an event as an incident of its own
guardrails.py  the checks: why a wanted act is not done
fuses.py       how many keys may be acted upon, and one before the others
caps.py        how far a limit is lowered
proposals.py   acts that people must approve, or may object to
verdicts.py    who passes; the enumerated why of everything else
ineffective.py a disable without effect
muting.py      whose notices are held back, and by what
notices.py     what people are told, once
calls.py       whom to call when nobody acknowledges
sources.py     the health of the source as incidents of its own
groups.py      incidents by owner, model or platform event, for people
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from monitor.config import Settings
from monitor.decide import (
    calls,
    crowd,
    incidents,
    ineffective,
    life,
    muting,
    notices,
    platform,
    policy,
    sustained,
    verdicts,
)
from monitor.decide.context import Context
from monitor.decide.crowd import Crowd
from monitor.decide.guardrails import AUTOMATIC
from monitor.domain import Finding, Incident, IncidentKind, MessageKind, Notice, Plan

__all__ = ["AUTOMATIC", "Context", "decide"]


def decide(findings: Sequence[Finding], context: Context, settings: Settings, now: datetime) -> Plan:
    """What should be done about these findings at `now`; nothing in the plan has happened yet.

    The order of findings does not matter, and deciding again on a context that holds this plan adds nothing. A verdict
    is in the plan only when it differs from the last one of its incident. Fewer facts in `context` mean less action."""
    before = {incident.incident_id: incident for incident in context.incidents}
    context = replace(context, incidents=life.woken(context.incidents, now))
    shadow = [finding for finding in findings if finding.is_shadow]
    live = [finding for finding in findings if not finding.is_shadow]
    changes, resolved = incidents.taken_in(live, context, settings, now)
    changes = sustained.noted(changes, context, settings, now)
    together = crowd.gathered(
        changes, context.incidents, context.verdicts, n_together=settings.response.correlated_keys, now=now
    )
    wishes = [policy.wished(change, context, settings, now) for change in changes]
    judged, actions = verdicts.judged(wishes, context, settings, now, crowd=together)
    further, effects, failures = ineffective.escalated(context, settings, now)
    moved = (*(each.incident for each in changes), *resolved, *sustained.broken(changes, resolved, context))
    changed = {incident.incident_id: incident for incident in moved}
    current = changed | {each.incident_id: each for each in context.incidents if each.incident_id not in changed}
    current = _with_events(together, current, now)
    told, current = notices.told(
        changes,
        resolved,
        judged,
        actions,
        context,
        now,
        crowd=together,
        current=current,
        is_asked_in_place=settings.response.approve == "slack" or settings.takes_objections,
    )
    escalations, current = _escalations(current, context, settings, now)
    return Plan(
        at=now,
        incidents=tuple(each for name, each in sorted(current.items()) if before.get(name) != each),
        actions=(*actions, *further),
        notices=(*failures, *told, *escalations),
        verdicts=(
            *verdicts.unsaid((*judged, *verdicts.shadow_verdicts(shadow, now)), context.verdicts, settings),
            *effects,
        ),
    )


def _with_events(together: Crowd, current: Mapping[str, Incident], now: datetime) -> dict[str, Incident]:
    """All incidents, with those of platform events as they stand now; each key's incident names the event it belongs to."""
    after = dict(current)
    for event in platform.events(together, current, now):
        after[event.incident_id] = event
        for member in event.members:
            if member in after and event.is_alive and after[member].part_of != event.incident_id:
                after[member] = replace(after[member], part_of=event.incident_id)
    return after


def _escalations(
    current: Mapping[str, Incident], context: Context, settings: Settings, now: datetime
) -> tuple[tuple[Notice, ...], dict[str, Incident]]:
    """Calls for a wider audience; a key of a platform event is not called for beside the event itself."""
    heads = (
        each
        for each in current.values()
        if not _is_led(each, current) and muting.silenced_by(each, context, now) is None
    )
    due = calls.called(heads, settings, now)
    escalations = tuple(Notice(MessageKind.ESCALATION, now, incident=each) for each in notices.by_dollars(due))
    return escalations, dict(current) | {each.incident_id: each for each in due}


def _is_led(incident: Incident, current: Mapping[str, Incident]) -> bool:
    leader = current.get(incident.part_of or "")
    return leader is not None and leader.is_alive and leader.kind is IncidentKind.PLATFORM
