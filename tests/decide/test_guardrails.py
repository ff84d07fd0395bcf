"""Every reason for not acting, in the order in which it is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import (
    NOW,
    a_cause,
    a_context,
    a_finding,
    a_hash,
    a_key,
    a_quality,
    a_spend,
    an_action,
    key_settings,
    settings_with,
    with_a_canary,
)

from monitor.decide import Context, decide
from monitor.domain import NUSD, ActionState, IncidentState, Quality, Reason, Rung, Verb

ENFORCE = settings_with(response={"mode": "enforce"})


def reasons(context, findings=None, settings=ENFORCE, now=NOW):
    plan = decide(findings or [a_finding()], context, settings, now)
    assert all(
        verdict.is_act == (verdict.reason in {Reason.CROSSED_THRESHOLD, Reason.HARD_RULE}) for verdict in plan.verdicts
    )
    assert len(plan.actions) == sum(verdict.is_act for verdict in plan.verdicts)
    return [verdict.reason for verdict in plan.verdicts]


def test_a_clear_theft_in_enforce_mode_is_an_intent_with_the_prior_settings():
    key = a_key(settings=key_settings(limit_usd=25.0, limit_reset="monthly"))
    plan = decide([a_finding()], a_context(key), ENFORCE, NOW)

    (action,) = plan.actions
    assert action.verb is Verb.DISABLE
    assert action.key_hash == key.key_hash
    assert action.state is ActionState.INTENDED
    assert action.requested_by == "monitor"
    assert action.reason is Reason.CROSSED_THRESHOLD
    assert action.prior == key.settings
    assert action.intended_at == NOW
    assert action.expires_at == NOW + timedelta(minutes=10)
    assert action.incident_id == plan.incidents[0].incident_id
    assert [(verdict.is_act, verdict.reason) for verdict in plan.verdicts] == [(True, Reason.CROSSED_THRESHOLD)]


def test_observe_mode_never_acts():
    assert reasons(a_context(a_key()), settings=settings_with()) == [Reason.OBSERVE_MODE]


def test_enforce_mode_does_not_act_while_nothing_is_armed():
    assert reasons(a_context(a_key(), is_enforcing=False)) == [Reason.OBSERVE_MODE]


def test_dry_run_says_what_would_be_done_and_does_nothing():
    plan = decide([a_finding()], a_context(a_key()), settings_with(response={"mode": "dry-run"}), NOW)

    assert plan.actions == ()
    assert plan.verdicts[0].reason is Reason.DRY_RUN
    assert plan.verdicts[0].rung is Rung.DISABLE
    assert plan.verdicts[0].detail.startswith("would be disabled")


def test_dry_run_names_the_fuse_that_would_have_refused():
    context = a_context(a_key(), is_kill_switch_on=True)
    assert reasons(context, settings=settings_with(response={"mode": "dry-run"})) == [Reason.KILL_SWITCH]


def test_the_kill_switch_stops_everything_automatic():
    assert reasons(a_context(a_key(), is_kill_switch_on=True)) == [Reason.KILL_SWITCH]


@pytest.mark.parametrize("pattern", ["^search-", "prod$", a_hash(1)], ids=["name", "end of name", "full hash"])
def test_a_protected_key_is_never_disabled(pattern):
    protected = settings_with(response={"mode": "enforce", "protected_keys": [pattern]})
    assert reasons(a_context(a_key()), settings=protected) == [Reason.PROTECTED_KEY]


def test_a_pattern_that_occurs_in_a_hash_by_chance_protects_nothing():
    protected = settings_with(response={"mode": "enforce", "protected_keys": ["00"]})
    assert reasons(a_context(a_key()), settings=protected) == [Reason.CROSSED_THRESHOLD]


def test_a_disabled_key_is_left_alone():
    context = a_context(a_key(settings=key_settings(is_disabled=True)))
    assert reasons(context) == [Reason.ALREADY_DISABLED]


@pytest.mark.parametrize(
    "context", [a_context(), a_context(a_key(), vanished=frozenset({a_hash(1)}))], ids=["unlisted", "confirmed"]
)
def test_a_key_that_is_not_in_the_inventory_is_not_acted_upon(context):
    assert reasons(context) == [Reason.KEY_GONE]


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("requested_by", ["monitor", "cli:ada"])
def test_an_action_without_outcome_blocks_another_on_the_same_key(verb, requested_by):
    pending = an_action(intended_at=NOW - timedelta(minutes=1), verb=verb, requested_by=requested_by)
    assert reasons(a_context(a_key(), actions=(pending,))) == [Reason.ACTION_PENDING]


def test_an_expired_intent_is_judged_anew():
    expired = an_action(intended_at=NOW - timedelta(minutes=20), state=ActionState.EXPIRED)
    assert reasons(a_context(a_key(), actions=(expired,))) == [Reason.CROSSED_THRESHOLD]


@pytest.mark.parametrize(
    ("n_failures", "waits"), [(1, 10), (2, 20), (3, 40), (40, 360)], ids=["first", "second", "third", "long after"]
)
def test_a_failed_disable_is_tried_again_after_a_wait_that_doubles(n_failures, waits):
    last_at = NOW - timedelta(minutes=waits)
    failed = tuple(
        an_action(
            intended_at=last_at - timedelta(hours=n), finished_at=last_at - timedelta(hours=n), state=ActionState.FAILED
        )
        for n in range(n_failures)
    )
    too_soon = replace(failed[0], finished_at=last_at + timedelta(seconds=1))

    assert reasons(a_context(a_key(), actions=failed)) == [Reason.CROSSED_THRESHOLD]
    assert reasons(a_context(a_key(), actions=(too_soon, *failed[1:]))) == [Reason.ACTION_PENDING]


def test_a_restored_key_is_not_disabled_again_within_the_cooldown():
    restored = an_action(
        intended_at=NOW - timedelta(hours=23),
        finished_at=NOW - timedelta(hours=23),
        verb=Verb.RESTORE,
        requested_by="cli:ada",
        state=ActionState.DONE,
    )
    assert reasons(a_context(a_key(), actions=(restored,))) == [Reason.COOLDOWN]


def test_after_the_cooldown_a_restored_key_can_be_disabled():
    long_ago = NOW - timedelta(hours=25)
    restored = an_action(intended_at=long_ago, finished_at=long_ago, verb=Verb.RESTORE, state=ActionState.DONE)
    assert reasons(a_context(a_key(), actions=(restored,))) == [Reason.CROSSED_THRESHOLD]


def test_a_key_that_a_person_switched_on_again_is_not_fought_over():
    context = a_context(a_key(), reenabled_at={a_hash(1): NOW - timedelta(hours=1)})
    assert reasons(context) == [Reason.COOLDOWN]


def test_a_key_we_disabled_that_is_on_again_is_not_fought_over():
    hour_ago = NOW - timedelta(hours=1)
    disabled = an_action(intended_at=hour_ago, finished_at=hour_ago, state=ActionState.DONE)
    assert reasons(a_context(a_key(), actions=(disabled,))) == [Reason.COOLDOWN]


def test_what_a_person_judged_a_false_alarm_is_not_acted_upon():
    (incident,) = decide(
        [a_finding(at=NOW - timedelta(hours=2))], a_context(a_key()), ENFORCE, NOW - timedelta(hours=2)
    ).incidents
    closed = replace(
        incident, state=IncidentState.RESOLVED, resolved_at=NOW - timedelta(hours=1), resolution="false_alarm"
    )
    assert reasons(a_context(a_key(), incidents=(closed,))) == [Reason.FALSE_ALARM]


OLD = NOW - timedelta(minutes=31)


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (a_quality(OLD, as_of=NOW), Reason.STALE_DATA),
        (a_quality(NOW, as_of=OLD), Reason.STALE_DATA),
        (a_quality(complete_until=None), Reason.STALE_DATA),
        (a_quality(state=Quality.UNKNOWN), Reason.STALE_DATA),
        (a_quality(state=Quality.PARTIAL, notes=("truncated",)), Reason.PARTIAL_DATA),
        (a_quality(is_ambiguous=True), Reason.AMBIGUOUS_DATA),
    ],
    ids=["old buckets", "old cache", "nothing complete", "unknown", "truncated", "shared name"],
)
@pytest.mark.parametrize("where", ["finding", "context"])
def test_nothing_automatic_happens_on_ill_known_data(quality, reason, where):
    context, finding = a_context(a_key()), a_finding()
    if where == "finding":
        finding = replace(finding, quality=quality)
    else:
        context = replace(context, quality={a_hash(1): quality})

    assert reasons(context, [finding]) == [reason]


def test_nothing_automatic_happens_while_the_source_does_not_answer():
    assert reasons(a_context(a_key(), source_is_healthy=False)) == [Reason.STALE_DATA]


def test_nothing_automatic_happens_on_old_evidence():
    assert reasons(a_context(a_key()), [a_finding(at=OLD, quality=a_quality())]) == [Reason.STALE_DATA]


def test_evidence_for_less_than_a_disable_only_notifies():
    assert reasons(a_context(a_key()), [a_finding(rung=Rung.NOTIFY)]) == [Reason.BELOW_THRESHOLD]


@pytest.mark.parametrize(("usd_per_hour", "reason"), [(1.99, Reason.BELOW_THRESHOLD), (2.0, Reason.CROSSED_THRESHOLD)])
def test_small_money_is_never_worth_a_disable(usd_per_hour, reason):
    # the floor is 2 USD an hour unusual; this key usually spends one
    assert reasons(a_context(a_key()), [a_finding(usd_per_hour=usd_per_hour)]) == [reason]


def test_dollars_on_new_values_count_as_unusual_inside_the_ordinary_volume():
    spend = a_spend(10.0, expected=10.0, novel_per_hour_nusd=5 * NUSD)
    assert reasons(a_context(a_key()), [a_finding(spend=spend)]) == [Reason.CROSSED_THRESHOLD]


@pytest.mark.parametrize(
    ("key", "quality"),
    [
        (a_key(created_at=NOW - timedelta(hours=3)), a_quality()),
        (a_key(), a_quality(notes=("Young key: 3 h of usage",))),
    ],
    ids=["created today", "little history"],
)
def test_a_young_key_is_never_disabled_by_the_model_alone(key, quality):
    assert reasons(a_context(key), [a_finding(quality=quality)]) == [Reason.BELOW_THRESHOLD]


def test_a_hard_rule_disables_a_young_key_and_small_spend():
    rule = a_finding(detector="rules", p_value=None, score=3.0, usd_per_hour=0.01)
    assert reasons(a_context(a_key(created_at=NOW - timedelta(hours=3))), [rule]) == [Reason.HARD_RULE]


def test_a_limit_nearly_used_is_an_incident_of_its_own():
    about_limit = a_finding(
        detector="rules", p_value=None, rung=Rung.NOTIFY, causes=(a_cause("limit", dimension=None),)
    )
    plan = decide([about_limit, a_finding()], a_context(a_key()), ENFORCE, NOW)
    assert len(plan.incidents) == 2
    assert len(plan.actions) == 1


def shadow(**changes):
    return a_finding(is_shadow=True, **changes)


def test_a_shadow_finding_is_recorded_and_neither_pages_nor_acts():
    plan = decide([shadow()], a_context(a_key()), ENFORCE, NOW)

    assert (plan.incidents, plan.actions, plan.notices) == ((), (), ())
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.SHADOW_DETECTOR]


def test_a_shadow_finding_does_not_strengthen_another():
    plan = decide([shadow(), a_finding(rung=Rung.NOTIFY, score=0.1)], a_context(a_key()), ENFORCE, NOW)
    assert plan.actions == ()
    assert plan.incidents[0].rung is Rung.NOTIFY
    assert plan.incidents[0].score == 0.1


def thieves(n):
    keys = [a_key(number) for number in range(1, n + 1)]
    return a_context(*keys), [a_finding(number, usd_per_hour=10.0 + number) for number in range(1, n + 1)]


def enforce(**response):
    return settings_with(response={"mode": "enforce", "correlated_keys": 50, **response})


def test_over_the_hourly_fuse_the_dearest_keys_are_disabled_and_people_get_the_rest():
    context, findings = thieves(5)
    plan = decide(findings, with_a_canary(context), enforce(max_per_hour=3), NOW)

    assert [action.key_hash for action in plan.actions] == [a_hash(5), a_hash(4)]
    refused = {verdict.key_hash for verdict in plan.verdicts if verdict.reason is Reason.FUSE_HOUR}
    assert refused == {a_hash(1), a_hash(2), a_hash(3)}
    told = {notice.incident.key_hash for notice in plan.notices if notice.verdict.reason is Reason.FUSE_HOUR}
    assert told == refused


def journalled(n, *, hours_ago, **changes):
    at = NOW - timedelta(hours=hours_ago)
    done = {"finished_at": at, "state": ActionState.DONE} | changes
    return tuple(an_action(900 + number, intended_at=at, **done) for number in range(n))


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (journalled(3, hours_ago=0.9), Reason.FUSE_HOUR),
        (journalled(3, hours_ago=1.0), Reason.CROSSED_THRESHOLD),
        (journalled(3, hours_ago=-0.5), Reason.FUSE_HOUR),
        (journalled(3, hours_ago=0.5, state=ActionState.FAILED), Reason.FUSE_HOUR),
        (journalled(3, hours_ago=0.5, state=ActionState.INTENDED), Reason.FUSE_HOUR),
        (journalled(3, hours_ago=0.5, state=ActionState.EXPIRED), Reason.CROSSED_THRESHOLD),
        (journalled(3, hours_ago=0.5, requested_by="cli:ada"), Reason.CROSSED_THRESHOLD),
        (journalled(10, hours_ago=23), Reason.FUSE_DAY),
        (journalled(10, hours_ago=24), Reason.CROSSED_THRESHOLD),
    ],
    ids=["hour", "hour over", "clock set back", "failed", "intended", "expired", "by people", "day", "day over"],
)
def test_fuses_count_the_journal(actions, expected):
    assert reasons(a_context(a_key(), actions=actions)) == [expected]


def test_the_share_of_live_keys_bounds_disables_of_a_day():
    context = a_context(a_key(), n_live_keys=40, actions=journalled(2, hours_ago=5))
    assert reasons(context) == [Reason.FUSE_SHARE]


def test_in_a_small_fleet_one_key_may_always_be_disabled():
    assert reasons(a_context(a_key(), n_live_keys=3)) == [Reason.CROSSED_THRESHOLD]


def test_a_fuse_of_zero_forbids_everything():
    assert reasons(a_context(a_key()), settings=enforce(max_per_hour=0)) == [Reason.FUSE_HOUR]


def test_the_first_refusal_in_the_fixed_order_is_the_verdict():
    everything_wrong = Context(is_kill_switch_on=True, source_is_healthy=False)
    assert reasons(everything_wrong, settings=settings_with()) == [Reason.OBSERVE_MODE]
    assert reasons(replace(everything_wrong, is_enforcing=True)) == [Reason.KILL_SWITCH]


def test_one_key_is_disabled_once_however_many_incidents_it_has():
    about_limit = a_finding(detector="rules", p_value=None, causes=(a_cause("limit", dimension=None),))
    plan = decide([about_limit, a_finding()], a_context(a_key()), ENFORCE, NOW)
    assert len(plan.actions) == 1
    assert {verdict.reason for verdict in plan.verdicts} >= {Reason.ACTION_PENDING}
