"""What belongs together, how an incident grows, when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_cause, a_context, a_finding, a_hash, a_key, a_quality, after, settings_with

from monitor.decide import decide
from monitor.decide.incidents import fingerprint
from monitor.domain import IncidentState, MessageKind, Quality, Rung, Severity

SETTINGS = settings_with()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def opened(finding=None, **context):
    """A context with one open incident, and the incident."""
    before = a_context(a_key(), **context)
    plan = decide([finding or a_finding()], before, SETTINGS, NOW)
    return after(before, plan), plan.incidents[0]


def known_until(context, at, **changes):
    return replace(context, quality={a_hash(1): a_quality(at, **changes)})


def test_a_finding_opens_an_incident_with_its_evidence():
    finding = a_finding()
    _, incident = opened(finding)

    assert incident.state is IncidentState.OPEN
    assert (incident.step, incident.severity, incident.rung) == (1, finding.severity, finding.rung)
    assert (incident.opened_at, incident.onset_at, incident.last_seen_at) == (NOW, finding.onset_at, finding.at)
    assert (incident.causes, incident.detectors, incident.quality) == (finding.causes, ("forest",), finding.quality)
    assert (incident.per_hour_nusd, incident.expected_per_hour_nusd) == (40 * 10**9, 10**9)


def test_the_same_decision_made_again_gets_the_same_ids():
    _, first = opened()
    _, again = opened()
    assert first.incident_id == again.incident_id


def test_another_day_is_another_incident():
    later = NOW + timedelta(days=1)
    plan = decide([a_finding(at=later)], a_context(a_key()), SETTINGS, later)
    assert plan.incidents[0].incident_id != opened()[1].incident_id


def test_all_signs_of_unusual_use_of_one_key_are_one_incident():
    context, incident = opened()
    by_rule = a_finding(at=NOW + MINUTE, detector="rules", p_value=None, score=3.0, causes=(a_cause("FR"),))
    (grown,) = decide([by_rule], context, SETTINGS, NOW + MINUTE).incidents

    assert grown.incident_id == incident.incident_id
    assert grown.detectors == ("forest", "rules")
    assert grown.score == 0.8


def test_keys_that_share_a_name_have_incidents_of_their_own():
    context = a_context(a_key(1, key_name="prod"), a_key(2, key_name="prod"))
    plan = decide([a_finding(1), a_finding(2)], context, SETTINGS, NOW)
    assert {incident.key_hash for incident in plan.incidents} == {a_hash(1), a_hash(2)}


def test_a_value_called_limit_is_not_taken_for_the_limit_rule():
    by_model_named_limit = a_finding(detector="rules", p_value=None, causes=(a_cause("limit"),))
    assert fingerprint(by_model_named_limit) == fingerprint(a_finding())


@pytest.mark.parametrize(
    ("severity", "rung", "step"),
    [
        (Severity.NOTICE, Rung.NOTIFY, 1),
        (Severity.WARNING, Rung.NOTIFY, 2),
        (Severity.NOTICE, Rung.DISABLE, 2),
        (Severity.CRITICAL, Rung.DISABLE, 2),
    ],
)
def test_a_step_is_a_higher_severity_or_rung(severity, rung, step):
    context, _ = opened(a_finding(severity=Severity.NOTICE, rung=Rung.NOTIFY))
    finding = a_finding(at=NOW + MINUTE, severity=severity, rung=rung)
    plan = decide([finding], context, SETTINGS, NOW + MINUTE)

    assert plan.incidents[0].step == step
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT] * (step - 1)


def test_severity_rung_score_and_causes_do_not_fall_while_it_is_open():
    context, incident = opened()
    weak = a_finding(
        at=NOW + MINUTE,
        severity=Severity.NOTICE,
        rung=Rung.NOTIFY,
        score=0.2,
        p_value=0.01,
        causes=(a_cause("tiny"),),
        usd_per_hour=1.0,
    )
    (grown,) = decide([weak], context, SETTINGS, NOW + MINUTE).incidents

    assert (grown.severity, grown.rung, grown.step) == (incident.severity, incident.rung, incident.step)
    assert (grown.score, grown.p_value, grown.causes) == (incident.score, incident.p_value, incident.causes)
    assert grown.per_hour_nusd == 10**9  # what it spends now is told as it is


def test_a_late_finding_does_not_turn_the_clock_back():
    context, incident = opened()
    late = a_finding(at=NOW - HOUR, onset_at=NOW - 2 * HOUR, usd_per_hour=3.0)
    (grown,) = decide([late], context, SETTINGS, NOW + MINUTE).incidents

    assert grown.last_seen_at == incident.last_seen_at
    assert grown.per_hour_nusd == incident.per_hour_nusd
    assert grown.onset_at == NOW - 2 * HOUR


def test_an_incident_is_resolved_after_known_silence():
    context, incident = opened()
    later = NOW + 6 * HOUR
    plan = decide([], known_until(context, later), SETTINGS, later)

    (resolved,) = plan.incidents
    assert resolved.incident_id == incident.incident_id
    assert (resolved.state, resolved.resolved_at) == (IncidentState.RESOLVED, later)
    assert resolved.resolution == "nothing unusual for 6 h"
    assert [notice.kind for notice in plan.notices] == [MessageKind.RESOLVED]
    assert decide([], after(known_until(context, later), plan), SETTINGS, later + MINUTE).notices == ()


def test_an_incident_stays_open_until_then():
    context, _ = opened()
    almost = NOW + 6 * HOUR - MINUTE
    assert decide([], known_until(context, almost), SETTINGS, almost).incidents == ()


@pytest.mark.parametrize(
    "quality",
    [
        {},
        {a_hash(1): a_quality(NOW + 6 * HOUR, state=Quality.UNKNOWN)},
        {a_hash(1): a_quality(complete_until=None)},
        {a_hash(1): a_quality(NOW + 5 * HOUR)},
    ],
    ids=["nothing said", "unknown", "nothing complete", "complete only for a while"],
)
def test_an_incident_is_not_resolved_by_missing_data(quality):
    context, _ = opened()
    later = NOW + 6 * HOUR
    assert decide([], replace(context, quality=quality), SETTINGS, later).incidents == ()


def test_an_acknowledged_incident_goes_on_and_is_resolved_like_any_other():
    context, incident = opened()
    acknowledged = replace(context, incidents=(replace(incident, state=IncidentState.ACKNOWLEDGED),))
    (grown,) = decide([a_finding(at=NOW + MINUTE)], acknowledged, SETTINGS, NOW + MINUTE).incidents
    assert (grown.incident_id, grown.state) == (incident.incident_id, IncidentState.ACKNOWLEDGED)

    later = NOW + 6 * HOUR
    (resolved,) = decide([], known_until(acknowledged, later), SETTINGS, later).incidents
    assert resolved.state is IncidentState.RESOLVED


def test_an_incident_of_a_key_that_is_gone_is_closed_with_a_note():
    context, _ = opened()
    (closed,) = decide([], replace(context, vanished=frozenset({a_hash(1)})), SETTINGS, NOW + MINUTE).incidents
    assert closed.resolution == "the key no longer exists at the issuer"


def test_a_key_missing_from_a_listing_is_not_taken_for_gone():
    context, _ = opened()
    assert decide([], replace(context, keys={}, quality={}), SETTINGS, NOW + MINUTE).incidents == ()
