"""A policy says how far the response to some keys may go; it only ever lowers what the evidence supports."""

from __future__ import annotations

from datetime import timedelta

import pytest
from build import NOW, a_context, a_finding, a_hash, a_key, a_spend, after, an_action, key_settings, settings_with
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.config import Policy
from monitor.decide import caps, decide, ladder
from monitor.domain import NUSD, ActionState, MessageKind, Reason, Rung, Verb, used_nusd

MINUTE = timedelta(minutes=1)


def enforce(*policies, **response):
    return settings_with(response={"mode": "enforce", **response}, policies=list(policies))


def policy(name="web", **fields):
    return {"name": name, **fields}


CAPPING = policy(cap={"enabled": True}, disable={"enabled": False})


# -- which policy a key has ---------------------------------------------------------------------------------------------


def matched(*policies, key=None, owner="", workspaces=None):
    key = key or a_key(key_name="search-prod", workspace_id="ws-1")
    made = [Policy.model_validate(each) for each in policies]
    return ladder.matched(key, owner=owner, workspaces=workspaces or {"ws-1": "Research"}, policies=made)


@pytest.mark.parametrize(
    ("conditions", "is_match"),
    [
        ({"key_name": "^search-"}, True),
        ({"key_name": "^web-"}, False),
        ({"workspace": "Research"}, True),
        ({"workspace": "ws-1"}, True),
        ({"workspace": "Web"}, False),
        ({"owner": "Search team"}, True),
        ({"owner": "Web team"}, False),
        ({"workspace": "Research", "owner": "Web team"}, False),
    ],
)
def test_all_conditions_of_a_policy_must_hold(conditions, is_match):
    found = matched(policy(**conditions), owner="Search team")
    assert (found.policy.name == "web") is is_match
    assert found.why.startswith("policies[1] 'web'") is is_match


def test_the_first_policy_that_matches_wins_and_is_told_with_its_conditions():
    found = matched(policy("a", key_name="^nothing"), policy("b", key_name="prod$"), policy("c"))
    assert found.why == "policies[2] 'b': key_name 'prod$'"


def test_without_a_match_the_default_policy_tells_everything_and_caps_nothing():
    found = matched()
    assert (found.policy, found.why) == (ladder.DEFAULT, "default: no policies are configured")
    rungs = ladder.described(found.policy)
    assert rungs == (
        "notify: whatever the evidence supports",
        "cap: off",
        "disable: whatever the evidence supports",
    )


# -- what each rung asks for --------------------------------------------------------------------------------------------


def verdict_of(settings, *findings, key=None, context=None):
    plan = decide(list(findings) or [a_finding()], context or a_context(key or a_key()), settings, NOW)
    (verdict,) = plan.verdicts
    return plan, verdict


@pytest.mark.parametrize(
    ("rule", "is_reached"),
    [
        ({"usd_per_hour": 39.0}, True),  # 40 an hour, one of it usual
        ({"usd_per_hour": 39.01}, False),
        ({"usd_at_risk": 312.0}, True),  # for eight hours
        ({"usd_at_risk": 312.01}, False),
        ({"sustained_for": "1m"}, False),  # it is seen for the first time, whenever it began
        ({"enabled": False}, False),
    ],
    ids=str,
)
def test_a_disable_asks_for_what_its_policy_says(rule, is_reached):
    plan, verdict = verdict_of(enforce(policy(disable=rule)))
    assert bool(plan.intents) is is_reached
    if not is_reached:
        assert verdict.reason is Reason.POLICY
        assert "policy 'web': disable" in verdict.detail
        assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT]


def test_a_policy_that_does_not_match_changes_nothing():
    plan, verdict = verdict_of(enforce(policy(key_name="^other", disable={"enabled": False})))
    assert [action.verb for action in plan.intents] == [Verb.DISABLE]
    assert verdict.reason is Reason.CROSSED_THRESHOLD


def test_a_hard_rule_needs_no_dollars_but_cannot_disable_where_policy_forbids_it():
    rule = a_finding(detector="rules", p_value=None, usd_per_hour=0.01)
    dear = policy(disable={"usd_per_hour": 1000.0, "sustained_for": "9d"})
    assert verdict_of(enforce(dear), rule)[1].reason is Reason.HARD_RULE
    assert verdict_of(enforce(policy(disable={"enabled": False})), rule)[0].intents == ()


def test_evidence_for_a_disable_caps_where_policy_stops_at_a_cap():
    plan, verdict = verdict_of(enforce(CAPPING))
    (action,) = plan.intents
    assert (action.verb, verdict.rung, verdict.is_act) == (Verb.CAP, Rung.CAP, True)


def test_evidence_for_a_cap_that_policy_does_not_allow_stays_an_alert():
    plan, verdict = verdict_of(settings_with(response={"mode": "enforce"}), a_finding(rung=Rung.CAP))
    assert plan.actions == ()
    assert (verdict.rung, verdict.reason) == (Rung.CAP, Reason.BELOW_THRESHOLD)
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT]


def test_a_young_key_is_capped_at_most_whatever_its_policy():
    young = a_key(created_at=NOW - timedelta(hours=3))
    plan, _ = verdict_of(enforce(policy(cap={"enabled": True})), key=young)
    assert [action.verb for action in plan.intents] == [Verb.CAP]


@given(
    rung=st.sampled_from(Rung),
    can_cap=st.booleans(),
    can_disable=st.booleans(),
    usd=st.floats(0, 100),
    floor=st.floats(0, 100),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_policy_never_goes_further_than_the_evidence(rung, can_cap, can_disable, usd, floor):
    made = policy(cap={"enabled": can_cap, "usd_per_hour": floor}, disable={"enabled": can_disable})
    plan = decide([a_finding(rung=rung, usd_per_hour=usd)], a_context(a_key()), enforce(made), NOW)
    allowed = {Verb.CAP} if rung is Rung.CAP else {Verb.CAP, Verb.DISABLE} if rung is Rung.DISABLE else set()
    assert {action.verb for action in plan.intents} <= allowed


def test_people_are_told_only_once_the_policy_wants_it_and_then_exactly_once():
    settings = enforce(policy(notify={"usd_per_hour": 10.0}, disable={"enabled": False}))
    context = a_context(a_key())
    told = []
    for minute, usd in enumerate([5.0, 5.0, 30.0, 30.0, 5.0]):
        at = NOW + minute * MINUTE
        plan = decide([a_finding(at=at, usd_per_hour=usd)], context, settings, at)
        context = after(context, plan)
        told.append([notice.kind for notice in plan.notices])
    assert told == [[], [], [MessageKind.ALERT], [], []]
    assert [verdict.reason for verdict in context.verdicts][:2] == [Reason.BELOW_NOTICE, Reason.POLICY]


def test_a_key_that_is_acted_upon_is_told_of_whatever_its_policy():
    plan, _ = verdict_of(enforce(policy(notify={"enabled": False})))
    assert len(plan.intents) == 1
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT]


# -- how far a cap goes -------------------------------------------------------------------------------------------------


MONTHLY = key_settings(limit_usd=500.0, limit_reset="monthly")


def cap_of(key, *, usual_day=24.0, expected=0.0, **response):
    settings = enforce(**response).response
    usual = None if usual_day is None else round(usual_day * NUSD)
    return caps.limit_for(key, settings, usual_day_nusd=usual, expected_per_hour_nusd=round(expected * NUSD))


@pytest.mark.parametrize(
    ("reset", "used"), [(None, 100.0), ("daily", 1.0), ("weekly", 7.0), ("monthly", 30.0)], ids=str
)
def test_a_cap_leaves_some_hours_of_normal_spend_beyond_the_use_of_the_reset_period(reset, used):
    key = a_key(settings=key_settings(limit_reset=reset))
    assert cap_of(key) == used + 8.0  # a dollar an hour
    assert cap_of(key, cap_hours=2.0) == used + 2.0


def test_what_the_issuer_says_is_left_of_a_limit_counts_if_that_is_more_use():
    key = a_key(settings=MONTHLY, limit_remaining_usd=400.0)  # the counter of the month says 30
    assert cap_of(key) == 100.0 + 8.0


def test_bring_your_own_key_usage_counts_where_it_counts_against_the_limit():
    own = a_key(byok_usage_nusd=5 * NUSD, settings=key_settings(include_byok_in_limit=True))
    assert used_nusd(own) == 105 * NUSD
    assert used_nusd(a_key(byok_usage_nusd=5 * NUSD)) == 100 * NUSD


def test_a_key_without_history_keeps_the_least_a_cap_leaves():
    assert cap_of(a_key(), usual_day=None) == 101.0
    assert cap_of(a_key(), usual_day=None, expected=2.0) == 116.0


def test_a_cap_is_not_made_where_nobody_knows_what_was_used():
    key = a_key(usage_nusd=None)
    assert cap_of(key) is None
    assert verdict_of(enforce(CAPPING), key=key)[1].reason is Reason.STALE_DATA


def test_a_cap_never_raises_a_limit():
    key = a_key(settings=key_settings(limit_usd=101.0))
    plan, verdict = verdict_of(enforce(CAPPING), key=key)
    assert plan.actions == ()
    assert verdict.reason is Reason.ALREADY_CAPPED


@given(
    used=st.integers(0, 10**15),
    usual=st.none() | st.integers(0, 10**13),
    expected=st.integers(0, 10**12),
    hours=st.floats(0.1, 1000),
    least=st.floats(0, 100),
)
@hypothesis_settings(max_examples=200, deadline=None)
def test_a_cap_is_never_below_what_was_used(used, usual, expected, hours, least):
    response = enforce(cap_hours=hours, cap_min_usd=least).response
    key = a_key(usage_nusd=used)
    limit = caps.limit_for(key, response, usual_day_nusd=usual, expected_per_hour_nusd=expected)
    assert limit * NUSD >= used * (1 - 1e-12)
    assert round(limit * 100) / 100 == limit


def test_an_intent_to_cap_says_to_what_and_remembers_what_was():
    key = a_key(settings=MONTHLY)
    plan, _ = verdict_of(enforce(CAPPING), a_finding(spend=a_spend(40.0, expected=2.0)), key=key)
    (action,) = plan.intents
    assert (action.limit_usd, action.prior) == (46.0, MONTHLY)


def test_a_capped_key_may_still_be_disabled_and_a_cap_is_not_repeated():
    at = NOW - timedelta(minutes=20)
    capped = a_key(settings=key_settings(limit_usd=105.0))
    done = an_action(intended_at=at, finished_at=at, state=ActionState.DONE, verb=Verb.CAP, limit_usd=105.0)
    context = a_context(capped, actions=(done,))
    assert [a.verb for a in verdict_of(enforce(policy(cap={"enabled": True})), context=context)[0].intents] == [
        Verb.DISABLE
    ]
    assert verdict_of(enforce(CAPPING), context=context)[1].reason is Reason.ALREADY_CAPPED


@pytest.mark.parametrize(
    ("reset", "hours_ago", "limit_usd", "n_caps"),
    [
        ("daily", 13, 510.0, 1),  # since midnight the thief may use 510 dollars once more
        ("daily", 1, 510.0, 0),
        ("monthly", 13, 510.0, 0),
        (None, 13, 510.0, 0),
        ("daily", 13, 900.0, 0),  # somebody has raised it
    ],
    ids=["after midnight", "same day", "same month", "no reset", "raised since"],
)
def test_a_cap_is_made_anew_once_the_limit_was_reset_since(reset, hours_ago, limit_usd, n_caps):
    at = NOW - timedelta(hours=hours_ago)
    capped = a_key(
        settings=key_settings(limit_usd=limit_usd, limit_reset=reset),
        usage_daily_nusd=20 * NUSD,
        usage_monthly_nusd=20 * NUSD,
        usage_nusd=20 * NUSD,
        limit_remaining_usd=limit_usd - 20.0,
    )
    done = an_action(intended_at=at, finished_at=at, state=ActionState.DONE, verb=Verb.CAP, limit_usd=510.0)

    plan, verdict = verdict_of(enforce(CAPPING), context=a_context(capped, actions=(done,)))

    assert len(plan.intents) == n_caps
    assert all(each.limit_usd < 100.0 for each in plan.intents)
    assert n_caps or verdict.reason is Reason.COOLDOWN


def test_a_key_whose_cap_somebody_lifted_is_not_fought_over():
    at = NOW - timedelta(minutes=20)
    done = an_action(intended_at=at, finished_at=at, state=ActionState.DONE, verb=Verb.CAP, limit_usd=105.0)
    context = a_context(a_key(settings=key_settings(limit_usd=500.0)), actions=(done,))
    for settings in (enforce(CAPPING), enforce(policy(cap={"enabled": True}))):
        assert verdict_of(settings, context=context)[1].reason is Reason.COOLDOWN


def test_caps_and_disables_have_fuses_of_their_own():
    at = NOW - timedelta(minutes=20)
    disabled = tuple(
        an_action(900 + number, intended_at=at, finished_at=at, state=ActionState.DONE) for number in range(3)
    )
    context = a_context(a_key(), actions=disabled)
    assert verdict_of(enforce(), context=context)[1].reason is Reason.FUSE_HOUR
    assert [a.verb for a in verdict_of(enforce(CAPPING), context=context)[0].intents] == [Verb.CAP]
    assert a_hash(1) not in {each.key_hash for each in disabled}
