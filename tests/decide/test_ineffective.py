"""A disable that was confirmed and does not stop the spending (D5), and keys that people switch on again (D6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_context, a_finding, a_hash, a_key, after, an_action, an_incident, key_settings, settings_with

from monitor.decide import decide
from monitor.domain import NUSD, ActionState, MessageKind, Reason, Verb

ENFORCE = settings_with(response={"mode": "enforce"})
OFF = a_key(settings=key_settings(is_disabled=True, limit_usd=80.0, limit_reset="monthly"))
MINUTE = timedelta(minutes=1)


def done(verb=Verb.DISABLE, *, minutes_ago=20, **changes):
    at = NOW - minutes_ago * MINUTE
    fields = {"intended_at": at, "finished_at": at, "state": ActionState.DONE, "action_id": f"ACT-{verb}"} | changes
    return an_action(1, verb=verb, **fields)


def after_disable(*further, key=OFF, usd=1.0, **changes):
    actions = (done(), *further)
    fields = {
        "actions": actions,
        "incidents": (an_incident(),),
        "grown_nusd": {"ACT-disable": round(usd * NUSD)},
    }
    return a_context(key, **(fields | changes))


def judged(context, settings=ENFORCE, now=NOW):
    return decide([], context, settings, now)


def test_d5_a_confirmed_disable_without_effect_escalates_to_limit_0():
    plan = judged(after_disable())
    (action,) = plan.intents
    assert (action.verb, action.reason, action.prior) == (Verb.ZERO, Reason.STILL_SPENDING, OFF.settings)
    assert action.incident_id == an_incident().incident_id
    (verdict,) = plan.verdicts
    assert (verdict.is_act, verdict.reason) == (True, Reason.STILL_SPENDING)
    assert "$1.00" in verdict.detail


def test_d5_a_key_that_stands_still_or_bills_a_late_cent_is_not_escalated():
    assert judged(after_disable(usd=0.009)).actions == ()
    assert judged(after_disable(grown_nusd={})).actions == ()


def test_d5_the_escalation_is_decided_once():
    context = after_disable()
    plan = judged(context)
    again = judged(after(context, plan))
    assert (again.actions, again.verdicts, again.notices) == ((), (), ())


def test_d5_limit_0_that_helps_is_the_end_of_it():
    plan = judged(after_disable(done(Verb.ZERO, minutes_ago=15)))
    assert (plan.actions, plan.notices) == ((), ())


def test_d5_limit_0_that_does_not_help_either_is_the_loudest_message_and_said_once():
    grown = {"ACT-disable": 5 * NUSD, "ACT-zero": NUSD}
    context = after_disable(done(Verb.ZERO, minutes_ago=15), grown_nusd=grown)
    plan = judged(context)
    assert plan.actions == ()
    (notice,) = plan.notices
    assert notice.kind is MessageKind.ACTION_FAILED
    assert "its limit is 0 as well" in notice.detail.lower()
    assert judged(after(context, plan)).notices == ()


@pytest.mark.parametrize(
    ("settings", "changes", "reason"),
    [
        (settings_with(), {}, Reason.OBSERVE_MODE),
        (settings_with(response={"mode": "dry-run"}), {}, Reason.OBSERVE_MODE),
        (ENFORCE, {"is_enforcing": False}, Reason.OBSERVE_MODE),
        (ENFORCE, {"is_kill_switch_on": True}, Reason.KILL_SWITCH),
        (settings_with(response={"mode": "enforce", "quiet_hours": ["11:00-13:00"]}), {}, Reason.QUIET_HOURS),
    ],
    ids=["observe", "dry run", "not armed", "kill switch", "quiet hours"],
)
def test_d5_where_nothing_automatic_may_happen_people_are_called(settings, changes, reason):
    plan = judged(after_disable(**changes), settings)
    assert plan.actions == ()
    assert [verdict.reason for verdict in plan.verdicts] == [reason]
    assert [notice.kind for notice in plan.notices] == [MessageKind.ACTION_FAILED]


def test_d5_a_failed_escalation_is_tried_again_after_a_while():
    def failed(minutes_ago):
        return done(Verb.ZERO, minutes_ago=minutes_ago, state=ActionState.FAILED)

    assert judged(after_disable(failed(9))).actions == ()
    assert [action.verb for action in judged(after_disable(failed(10))).actions] == [Verb.ZERO]


def test_d6_a_key_that_a_person_switched_on_again_is_not_escalated():
    assert judged(after_disable(key=a_key())).actions == ()


# -- D6: people who switch keys on again --------------------------------------------------------------------------------


def switched_on(times, *, hours_ago=30):
    return a_context(
        a_key(),
        reenabled_at={a_hash(1): NOW - timedelta(hours=hours_ago)} if hours_ago < 24 else {},
        n_reenabled={a_hash(1): times},
    )


def test_d6_a_person_who_switches_a_key_on_again_is_not_fought_within_the_cooldown():
    (verdict,) = decide([a_finding()], switched_on(1, hours_ago=2), ENFORCE, NOW).verdicts
    assert verdict.reason is Reason.COOLDOWN


def test_d6_after_the_cooldown_the_first_time_is_forgiven_and_the_second_is_not():
    assert len(decide([a_finding()], switched_on(1), ENFORCE, NOW).intents) == 1
    plan = decide([a_finding()], switched_on(2), ENFORCE, NOW)
    assert plan.actions == ()
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.REENABLED]
    assert "response.max_reenables" in plan.verdicts[0].detail
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT]


def test_d6_people_are_told_once_when_an_open_incident_becomes_theirs():
    context = replace(switched_on(1, hours_ago=2))
    context = after(context, decide([a_finding()], context, ENFORCE, NOW))
    later = NOW + MINUTE
    context = replace(context, reenabled_at={}, n_reenabled={a_hash(1): 3})
    plan = decide([a_finding(at=later)], context, ENFORCE, later)
    (notice,) = plan.notices
    assert "people switched it on again before" in notice.detail
    assert decide([a_finding(at=later)], after(context, plan), ENFORCE, later).notices == ()


def test_d7_a_key_deleted_at_the_issuer_counts_as_contained_and_closes_its_incident():
    gone = a_hash(1)
    context = a_context(actions=(done(),), incidents=(an_incident(),), vanished=frozenset({gone}), grown_nusd={})
    plan = judged(context)
    assert plan.actions == ()
    assert [incident.resolution for incident in plan.incidents] == ["the key no longer exists at the issuer"]
    assert [notice.kind for notice in plan.notices] == [MessageKind.RESOLVED]
