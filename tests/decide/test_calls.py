"""Who is not heard of is called for again, in a wider circle, but not more often than asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_context, a_finding, a_hash, a_key, a_quality, after, an_incident, settings_with

from monitor.decide import decide
from monitor.domain import IncidentKind, IncidentState, MessageKind, Severity

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SETTINGS = settings_with(incidents={"escalate_to": "#on-call"})


def calls(incident, *, minutes, settings=SETTINGS, step=5):
    """(minute, n-th call) of every escalation in that time, the key known to be quiet."""
    context, found = a_context(a_key(), incidents=(incident,)), []
    for minute in range(0, minutes + 1, step):
        now = NOW + minute * MINUTE
        plan = decide([], replace(context, quality={a_hash(1): a_quality(now)}), settings, now)
        context = after(context, plan)
        found += [(minute, each.incident.n_escalations) for each in plan.notices if each.kind is MessageKind.ESCALATION]
    return found


def told(severity, **changes):
    return an_incident(severity=severity, told_at=NOW, last_seen_at=NOW + 40 * HOUR, **changes)


def test_a_critical_incident_is_called_for_after_a_quarter_of_an_hour_and_again_every_four():
    assert calls(told(Severity.CRITICAL), minutes=520) == [(15, 1), (255, 2), (495, 3)]


def test_a_warning_has_four_hours_and_a_notice_for_ever():
    assert calls(told(Severity.WARNING), minutes=300) == [(240, 1)]
    assert calls(told(Severity.NOTICE), minutes=24 * 60, step=30) == []


@pytest.mark.parametrize("state", [IncidentState.ACKNOWLEDGED, IncidentState.SILENCED, IncidentState.RESOLVED])
def test_what_somebody_took_is_not_called_for(state):
    taken = told(Severity.CRITICAL, state=state, silenced_until=NOW + 48 * HOUR, resolved_at=NOW)
    assert calls(taken, minutes=600) == []


def test_without_a_channel_nobody_is_called():
    assert calls(told(Severity.CRITICAL), minutes=600, settings=settings_with()) == []


def test_what_was_never_told_is_not_called_for():
    assert calls(replace(told(Severity.CRITICAL), told_at=None), minutes=600) == []


def test_the_time_begins_anew_when_an_incident_comes_back():
    back = told(Severity.CRITICAL, escalated_at=NOW - HOUR, n_escalations=3, told_step=1)
    context = a_context(a_key(), incidents=(replace(back, state=IncidentState.RESOLVED, resolved_at=NOW),))
    at = NOW + 2 * HOUR
    incident = replace(context.incidents[0], fingerprint=f"{a_hash(1)}:use", last_seen_at=NOW)
    plan = decide([a_finding(at=at)], replace(context, incidents=(incident,)), SETTINGS, at)
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT]
    assert plan.incidents[0].n_escalations == 0


def test_an_event_of_many_keys_is_called_for_once_and_not_key_by_key():
    keys = [a_key(number) for number in range(1, 7)]
    context = a_context(*keys)
    context = after(context, decide([a_finding(n) for n in range(1, 7)], context, SETTINGS, NOW))
    later = NOW + 20 * MINUTE
    plan = decide([], context, SETTINGS, later)
    assert [each.incident.kind for each in plan.notices] == [IncidentKind.PLATFORM]


def test_an_event_names_its_keys_and_they_name_it_and_it_ends_with_the_last():
    keys = [a_key(number) for number in range(1, 7)]
    context = a_context(*keys)
    context = after(context, decide([a_finding(n) for n in range(1, 7)], context, SETTINGS, NOW))
    event = next(each for each in context.incidents if each.kind is IncidentKind.PLATFORM)
    members = [each for each in context.incidents if each.kind is IncidentKind.KEY]
    assert set(event.members) == {each.incident_id for each in members}
    assert {each.part_of for each in members} == {event.incident_id}

    later = NOW + 7 * HOUR
    quiet = replace(context, quality={key.key_hash: a_quality(later) for key in keys})
    context = after(context, decide([], quiet, settings_with(), later))
    assert {each.state for each in context.incidents} == {IncidentState.RESOLVED}


def test_a_key_that_joins_later_belongs_to_the_same_event():
    keys = [a_key(number) for number in range(1, 9)]
    context = a_context(*keys)
    context = after(context, decide([a_finding(n) for n in range(1, 7)], context, SETTINGS, NOW))
    at = NOW + 5 * MINUTE
    context = after(context, decide([a_finding(8, at=at)], context, SETTINGS, at))
    (event,) = (each for each in context.incidents if each.kind is IncidentKind.PLATFORM)
    assert len(event.members) == 7 and event.step == 7
