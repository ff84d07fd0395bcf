"""An incident that comes back is the same one, does not flap, and hears what people said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_context, a_finding, a_hash, a_key, a_quality, after, an_incident, settings_with

from monitor.decide import decide, life
from monitor.decide.incidents import fingerprint
from monitor.domain import IncidentState, MessageKind, Rung, Severity

SETTINGS = settings_with()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def known_until(context, at):
    return replace(context, quality={a_hash(1): a_quality(at)})


def passing(context, findings, at, settings=SETTINGS):
    """(context after it, plan) of one pass in which everything is known."""
    context = known_until(context, at)
    plan = decide(findings, context, settings, at)
    return after(context, plan), plan


def resolved_after_a_theft(settings=SETTINGS):
    """A theft at NOW, and its incident resolved after six quiet hours; (context, when)."""
    context, _ = passing(a_context(a_key()), [a_finding()], NOW, settings)
    at = NOW + 6 * HOUR
    context, plan = passing(context, [], at, settings)
    assert [each.state for each in plan.incidents] == [IncidentState.RESOLVED]
    return context, at


def by_person(**changes):
    """The incident of a theft at NOW that a person resolved ten minutes later."""
    cause = a_finding()
    return an_incident(
        fingerprint=fingerprint(cause),
        state=IncidentState.RESOLVED,
        resolved_at=NOW + 10 * MINUTE,
        resolved_by="cli:ada",
        resolution="rotated",
        per_hour_nusd=cause.spend.per_hour_nusd,
        **changes,
    )


def test_a_cause_that_returns_reopens_its_incident_and_is_told():
    context, over_at = resolved_after_a_theft()
    at = over_at + 2 * HOUR
    context, plan = passing(context, [a_finding(at=at)], at)

    (incident,) = plan.incidents
    assert incident.incident_id == context.incidents[0].incident_id
    assert (incident.state, incident.step, incident.resolved_at) == (IncidentState.OPEN, 2, None)
    assert [(spell.onset_at, spell.resolved_at) for spell in incident.spells] == [(NOW - 20 * MINUTE, over_at)]
    assert incident.opened_at == NOW and incident.reopened_at == at
    assert [(notice.kind, notice.incident.step) for notice in plan.notices] == [(MessageKind.ALERT, 2)]


def test_a_reopened_incident_begins_anew_in_severity_and_adds_up_its_dollars():
    context, over_at = resolved_after_a_theft()
    at = over_at + 2 * HOUR
    mild = a_finding(at=at, severity=Severity.NOTICE, rung=Rung.NOTIFY, usd_per_hour=5.0)
    spent_before = context.incidents[0].spent_nusd
    _, plan = passing(context, [mild], at)
    (incident,) = plan.incidents
    assert (incident.severity, incident.rung) == (Severity.NOTICE, Rung.NOTIFY)
    assert incident.spent_nusd > spent_before


def test_a_cause_that_returns_late_is_a_new_incident():
    context, over_at = resolved_after_a_theft()
    at = over_at + SETTINGS.incidents.reopen_within
    _, plan = passing(context, [a_finding(at=at)], at)
    assert plan.incidents[0].incident_id != context.incidents[0].incident_id


def test_reopening_can_be_turned_off():
    settings = settings_with(incidents={"reopen_within": "0s"})
    context, over_at = resolved_after_a_theft(settings)
    _, plan = passing(context, [a_finding(at=over_at + MINUTE)], over_at + MINUTE, settings)
    assert plan.incidents[0].incident_id != context.incidents[0].incident_id


def test_what_comes_and_goes_every_seven_hours_is_soon_one_long_incident():
    context, told = a_context(a_key()), []
    for number in range(12):  # every seven hours, just after `resolve_after`
        at = NOW + number * 7 * HOUR
        for findings, when in (([a_finding(at=at)], at), ([], at + 7 * HOUR - MINUTE)):
            context, plan = passing(context, findings, when)
            told += [notice.kind for notice in plan.notices]
    assert len(context.incidents) == 1
    assert told == [MessageKind.ALERT, MessageKind.RESOLVED, MessageKind.ALERT]


@pytest.mark.parametrize(("n_spells", "hours"), [(0, 6), (1, 12), (2, 24), (3, 48), (20, 48)])
def test_the_quiet_asked_for_doubles_with_each_return_up_to_two_days(n_spells, hours):
    incident = replace(an_incident(), spells=n_spells * (life.Spell(NOW, NOW, NOW),))
    assert life.quiet_needed(incident, SETTINGS) == hours * HOUR


def test_what_a_person_resolved_is_not_opened_again_by_the_same_hour():
    context = a_context(a_key(), incidents=(by_person(),))
    at = NOW + 12 * MINUTE
    _, plan = passing(context, [a_finding(at=at)], at)
    assert (plan.incidents, plan.notices, plan.actions) == ((), (), ())


@pytest.mark.parametrize(
    "changes",
    [{"usd_per_hour": 100.0}, {"severity": Severity.CRITICAL, "usd_per_hour": 40.0}],
    ids=["dearer", "severer"],
)
def test_what_gets_worse_after_a_person_resolved_it_is_opened_again(changes):
    context = a_context(a_key(), incidents=(by_person(severity=Severity.WARNING),))
    at = NOW + 12 * MINUTE
    _, plan = passing(context, [a_finding(at=at, **changes)], at)
    assert [each.state for each in plan.incidents] == [IncidentState.OPEN]


def test_what_goes_on_an_hour_after_a_person_resolved_it_is_opened_again():
    context = a_context(a_key(), incidents=(by_person(),))
    at = NOW + 10 * MINUTE + life.SETTLING
    _, plan = passing(context, [a_finding(at=at)], at)
    (incident,) = plan.incidents
    assert incident.incident_id == by_person().incident_id and incident.state is IncidentState.OPEN


def test_a_false_alarm_is_not_reopened_but_asked_about_anew():
    closed = replace(by_person(), resolution="false_alarm")
    at = NOW + 3 * HOUR
    _, plan = passing(a_context(a_key(), incidents=(closed,)), [a_finding(at=at)], at)
    assert plan.incidents[0].incident_id != closed.incident_id


def test_an_incident_whose_silence_ended_is_told_again_and_only_once():
    silent = an_incident(state=IncidentState.SILENCED, silenced_until=NOW + HOUR, acknowledged_at=None)
    context = a_context(a_key(), incidents=(silent,))
    context, during = passing(context, [], NOW + 59 * MINUTE)
    context, ended = passing(context, [], NOW + HOUR)
    context, later = passing(context, [], NOW + HOUR + MINUTE)
    assert (during.notices, later.notices) == ((), ())
    assert [(notice.kind, notice.incident.step) for notice in ended.notices] == [(MessageKind.ALERT, 2)]
    assert context.incidents[0].state is IncidentState.OPEN


def test_after_a_silence_an_acknowledged_incident_is_acknowledged_again():
    silent = an_incident(state=IncidentState.SILENCED, silenced_until=NOW, acknowledged_at=NOW - HOUR)
    _, plan = passing(a_context(a_key(), incidents=(silent,)), [], NOW)
    assert plan.incidents[0].state is IncidentState.ACKNOWLEDGED


def test_a_silenced_incident_that_went_quiet_is_over_without_a_word():
    silent = an_incident(state=IncidentState.SILENCED, silenced_until=NOW + 48 * HOUR)
    _, plan = passing(a_context(a_key(), incidents=(silent,)), [], NOW + 7 * HOUR)
    assert [each.state for each in plan.incidents] == [IncidentState.RESOLVED]
    assert plan.notices == ()
