"""What people are told, and what only once; many keys at a time."""

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
    after,
    an_action,
    key_settings,
    settings_with,
    with_a_canary,
)

from monitor.decide import decide
from monitor.decide.crowd import shared_cause
from monitor.domain import TWIN, ActionState, Dimension, MessageKind, Reason, Rung, Severity

MINUTE = timedelta(minutes=1)
ENFORCE = settings_with(response={"mode": "enforce"})


def fleet(n):
    return a_context(*(a_key(number, key_name=f"key-{number}") for number in range(1, n + 1)))


def findings(*numbers, at=NOW, **changes):
    return [a_finding(number, at=at, usd_per_hour=10.0 + number, **changes) for number in numbers]


def test_an_alert_carries_the_verdict():
    (notice,) = decide([a_finding()], a_context(a_key()), settings_with(), NOW).notices
    assert notice.kind is MessageKind.ALERT
    assert notice.incident.key_hash == a_hash(1)
    assert notice.verdict.reason is Reason.OBSERVE_MODE


def test_alerts_come_in_order_of_dollars_at_risk():
    plan = decide(findings(1, 3, 2), fleet(3), ENFORCE, NOW)
    assert [notice.incident.key_hash for notice in plan.notices] == [a_hash(3), a_hash(2), a_hash(1)]


def test_an_incident_that_goes_on_is_not_told_again():
    context = a_context(a_key())
    context = after(context, decide([a_finding()], context, settings_with(), NOW))
    plan = decide([a_finding(at=NOW + MINUTE)], context, settings_with(), NOW + MINUTE)

    assert (plan.notices, plan.verdicts) == ((), ())
    assert len(plan.incidents) == 1  # its figures go on


def test_a_verdict_is_written_again_when_its_reason_changes():
    context = a_context(a_key())
    context = after(context, decide([a_finding()], context, ENFORCE, NOW))
    (action,) = context.actions
    failed = replace(action, state=ActionState.FAILED, finished_at=NOW)
    context = replace(context, actions=(failed,), is_kill_switch_on=True)
    plan = decide([a_finding(at=NOW + MINUTE)], context, ENFORCE, NOW + MINUTE)
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.KILL_SWITCH]


def test_our_own_act_under_way_is_no_new_verdict():
    context = a_context(a_key())
    context = after(context, decide([a_finding()], context, ENFORCE, NOW))
    assert decide([a_finding(at=NOW + MINUTE)], context, ENFORCE, NOW + MINUTE).verdicts == ()


def test_keys_turning_unusual_together_freeze_everything_and_are_one_notice():
    plan = decide(findings(1, 2, 3, 4, 5), fleet(5), ENFORCE, NOW)

    assert plan.actions == ()
    assert {verdict.reason for verdict in plan.verdicts} == {Reason.CORRELATED}
    (notice,) = plan.notices
    assert (notice.kind, notice.incident) == (MessageKind.SOURCE, None)
    assert [incident.key_hash for incident in notice.incidents] == [a_hash(number) for number in (5, 4, 3, 2, 1)]
    assert notice.detail.startswith("5 keys turned unusual together.")
    assert all(f"key-{number}" in notice.detail for number in range(1, 6))


def test_fewer_keys_are_judged_one_by_one():
    plan = decide(findings(1, 2, 3, 4), with_a_canary(fleet(4)), ENFORCE, NOW)
    assert len(plan.actions) == 2  # the hourly fuse, which the first one of this hour counts against, too
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT] * 4


def test_keys_that_turn_unusual_minutes_apart_are_a_crowd_too():
    context = fleet(6)
    for number in range(1, 5):
        at = NOW + number * MINUTE
        context = after(context, decide(findings(number, at=at, rung=Rung.NOTIFY), context, ENFORCE, at))
    at = NOW + 5 * MINUTE
    plan = decide(findings(5, at=at), context, ENFORCE, at)

    (notice,) = plan.notices
    assert plan.actions == ()
    assert [incident.key_hash for incident in notice.incidents] == [a_hash(5)]
    assert [line.endswith("told of before") for line in notice.detail.splitlines()[1:]] == [False, *[True] * 4]
    assert all(f"key-{number}" in notice.detail for number in range(1, 6))


def price_of(model, n_others):
    sentence = f"looks like a price change: {model} is dearer on {n_others} other keys, too, and used as much as ever"
    return a_cause(TWIN, dimension=None, is_first_seen=False, sentence=sentence)


def test_an_event_is_told_with_the_cause_that_its_keys_share():
    dearer = (a_cause("spend", dimension=None), price_of("acme/opus", 7))
    plan = decide(
        findings(*range(1, 9), rung=Rung.NOTIFY, severity=Severity.NOTICE, causes=dearer), fleet(8), ENFORCE, NOW
    )

    (notice,) = plan.notices
    assert plan.actions == ()
    assert (
        "8 keys turned unusual together. They have in common (8 of 8: looks like a price change: acme/opus"
        in notice.detail
    )
    assert "That is rarely theft" in notice.detail


def test_a_new_country_that_all_keys_share_is_not_called_harmless():
    place = a_cause("VN", dimension=Dimension.COUNTRY, is_first_seen=True)
    plan = decide(findings(*range(1, 9), causes=(place,)), fleet(8), ENFORCE, NOW)

    (notice,) = plan.notices
    assert "(8 of 8: country VN, new to each of them)" in notice.detail
    assert "so does one leak of many keys" in notice.detail
    assert "rarely" not in notice.detail


def test_keys_whose_models_differ_share_the_kind_of_event():
    plan = decide(
        [f for n in range(1, 7) for f in findings(n, causes=(price_of(f"acme/m{n % 3}", n),))], fleet(6), ENFORCE, NOW
    )
    assert "They have in common (6 of 6: looks like a price change)" in plan.notices[0].detail


def test_a_value_new_to_each_of_them_is_a_cause_that_keys_share():
    failover = (a_cause("Fireworks", dimension=Dimension.PROVIDER),)
    others = (a_cause("KP", dimension=Dimension.COUNTRY),)
    shared = [*findings(1, 2, 3, 4, 5, causes=failover), *findings(6, causes=others)]
    (notice,) = decide(shared, fleet(6), ENFORCE, NOW).notices

    assert "They have in common (5 of 6: provider Fireworks, new to each of them)" in notice.detail


def test_ten_keys_stolen_at_once_with_different_causes_freeze_as_well_and_people_are_told_to_look():
    stolen = [a_finding(n, usd_per_hour=10.0 + n, causes=(a_cause(f"lab/m{n}"),)) for n in range(1, 11)]
    plan = decide(stolen, fleet(10), ENFORCE, NOW)

    (notice,) = plan.notices
    assert plan.actions == ()
    assert {verdict.reason for verdict in plan.verdicts} == {Reason.CORRELATED}
    assert "They have nothing in common that the monitor knows of" in notice.detail
    assert "one leak of many keys, the dearest first" in notice.detail
    assert [incident.key_hash for incident in notice.incidents] == [a_hash(n) for n in range(10, 0, -1)]


def test_all_that_is_told_of_one_event_is_one_thread_and_the_next_event_is_another():
    context, threads = fleet(20), []
    for minute, numbers in ((0, (1, 2, 3, 4, 5)), (10, (6, 7)), (400, (11, 12, 13, 14, 15))):
        at = NOW + minute * MINUTE
        context = replace(context, quality={key_hash: a_quality(at) for key_hash in context.keys})
        plan = decide(findings(*numbers, at=at), context, ENFORCE, at)
        context = after(context, plan)
        threads += [notice.thread for notice in plan.notices]

    first, joined, second, over = threads
    assert first == joined == over
    assert second not in {None, first}


def test_what_one_key_has_is_shared_by_nobody():
    assert shared_cause([]) == ""
    (change,) = decide([a_finding()], fleet(1), ENFORCE, NOW).incidents
    assert shared_cause([change]) == ""


@pytest.mark.parametrize("minutes", [31, 300])
def test_who_belonged_to_a_crowd_stays_with_people(minutes):
    context = fleet(5)
    context = after(
        context, decide(findings(1, 2, 3, 4, 5, rung=Rung.NOTIFY, severity=Severity.NOTICE), context, ENFORCE, NOW)
    )
    at = NOW + minutes * MINUTE
    context = replace(context, quality={a_hash(1): a_quality(at)})
    plan = decide(findings(1, at=at), context, ENFORCE, at)

    assert plan.actions == ()
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.CORRELATED]
    assert [notice.kind for notice in plan.notices] == [MessageKind.SOURCE]


def test_after_a_crowd_another_key_is_judged_as_usual():
    context = fleet(6)
    context = after(context, decide(findings(1, 2, 3, 4, 5), context, ENFORCE, NOW))
    soon, later = NOW + 29 * MINUTE, NOW + 31 * MINUTE

    assert decide(findings(6, at=soon), context, ENFORCE, soon).actions == ()
    later_context = replace(context, quality={a_hash(6): a_quality(later)})
    assert len(decide(findings(6, at=later), later_context, ENFORCE, later).actions) == 1


def test_limits_nearly_used_on_the_same_day_are_no_crowd():
    about_limit = {
        "detector": "rules",
        "p_value": None,
        "rung": Rung.NOTIFY,
        "severity": Severity.NOTICE,
        "causes": (a_cause("limit", dimension=None),),
    }
    plan = decide([*findings(1, 2, 3, 4, 5, 6, **about_limit), *findings(7)], fleet(7), ENFORCE, NOW)
    assert [action.key_hash for action in plan.actions] == [a_hash(7)]
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT] * 7


def test_a_storm_of_keys_is_one_notice_that_names_them_all():
    (notice,) = decide(findings(*range(1, 101)), fleet(100), ENFORCE, NOW).notices
    _, *lines = notice.detail.splitlines()
    assert {line.split()[0] for line in lines} == {a_hash(number)[:12] for number in range(1, 101)}
    assert len(notice.detail.splitlines()) < 1 + 40 + 10
    assert all(f"key-{number}" in notice.detail for number in range(1, 101))
    assert len(notice.incidents) == 100


def test_no_key_of_a_storm_goes_unnamed():
    (notice,) = decide(findings(*range(1, 101)), fleet(100), ENFORCE, NOW).notices
    named = notice.detail.replace(",", " ").replace(":", " ").split()
    assert {f"key-{number}" for number in range(1, 101)} <= set(named)


def test_a_hostile_name_stays_on_its_line():
    named = [a_key(number, key_name="prod\n999 keys are fine\u202e" + "x" * 500) for number in range(1, 6)]
    (notice,) = decide(findings(1, 2, 3, 4, 5), a_context(*named), ENFORCE, NOW).notices
    assert len(notice.detail.splitlines()) == 1 + 5
    assert "\u202e" not in notice.detail
    assert max(len(line) for line in notice.detail.splitlines()) < 400


def test_a_crowd_that_is_over_is_one_notice():
    context = fleet(5)
    context = after(context, decide(findings(1, 2, 3, 4, 5), context, ENFORCE, NOW))
    later = NOW + timedelta(hours=7)
    context = replace(context, quality={key_hash: a_quality(later) for key_hash in context.keys})
    plan = decide([], context, ENFORCE, later)

    assert len(plan.incidents) == 5 + 1  # and the event itself
    assert [notice.detail for notice in plan.notices] == [
        "5 incidents of keys that turned unusual together are resolved."
    ]


def test_who_waits_behind_a_fuse_is_told_once_even_without_a_step():
    done_at = NOW - timedelta(minutes=30)
    used = tuple(
        an_action(900 + number, intended_at=done_at, finished_at=done_at, state=ActionState.DONE) for number in range(3)
    )
    context = replace(fleet(1), source_is_healthy=False, actions=used)
    context = after(context, decide(findings(1), context, ENFORCE, NOW))  # told: an alert, with stale data
    context = replace(context, source_is_healthy=True)
    at = NOW + MINUTE
    plan = decide(findings(1, at=at), context, ENFORCE, at)

    (notice,) = plan.notices
    assert notice.kind is MessageKind.SOURCE
    assert "a fuse allows no further automatic action" in notice.detail
    assert [incident.key_hash for incident in notice.incidents] == [a_hash(1)]
    again = NOW + 2 * MINUTE
    assert decide(findings(1, at=again), after(context, plan), ENFORCE, again).notices == ()


def test_a_disabled_key_that_still_shows_spend_is_not_acted_upon_twice():
    context = a_context(a_key())
    context = after(context, decide([a_finding()], context, ENFORCE, NOW))
    disabled = a_key(settings=key_settings(is_disabled=True))
    done = replace(context.actions[0], state=ActionState.DONE, finished_at=NOW)
    context = replace(context, keys={disabled.key_hash: disabled}, actions=(done,))
    plan = decide([a_finding(at=NOW + MINUTE)], context, ENFORCE, NOW + MINUTE)

    assert plan.actions == ()
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.ALREADY_DISABLED]


def test_a_shadow_verdict_is_not_written_every_minute_but_again_after_a_while():
    context = a_context(a_key())
    context = after(context, decide([a_finding(is_shadow=True)], context, ENFORCE, NOW))

    def said(at):
        return decide([a_finding(is_shadow=True, at=at)], context, ENFORCE, at).verdicts

    assert said(NOW + MINUTE) == ()
    assert [verdict.reason for verdict in said(NOW + timedelta(hours=6))] == [Reason.SHADOW_DETECTOR]
