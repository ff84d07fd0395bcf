"""The fuses of one cycle, of the share of spend, of quiet hours; and one key before the others."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from build import (
    NOW,
    a_context,
    a_finding,
    a_hash,
    a_key,
    after,
    an_action,
    settings_with,
    with_a_canary,
)

from monitor.config import Settings
from monitor.decide import decide, guardrails
from monitor.domain import NUSD, ActionState, MessageKind, QuietHours, Reason, Verb
from monitor.notify import slack_blocks
from monitor.notify.message import compose

MINUTE = timedelta(minutes=1)


def enforce(**response):
    return settings_with(response={"mode": "enforce", "correlated_keys": 500, **response})


def reasons(plan):
    return {verdict.key_hash: verdict.reason for verdict in plan.verdicts}


def thieves(n, *, at=NOW):
    return [a_finding(number, at=at, usd_per_hour=10.0 + number) for number in range(1, n + 1)]


def fleet(n, **changes):
    return a_context(*[a_key(number, key_name=f"team-{number}") for number in range(1, n + 1)], **changes)


def test_a_cycle_disables_only_so_many_keys():
    plan = decide(thieves(3), with_a_canary(fleet(3)), enforce(max_per_run=1), NOW)
    assert [action.key_hash for action in plan.intents] == [a_hash(3)]
    assert reasons(plan)[a_hash(1)] is Reason.FUSE_RUN


# -- share of spend -----------------------------------------------------------------------------------------------------


def disabled_today(number, **changes):
    at = changes.pop("at", NOW - timedelta(hours=5))
    return an_action(number, intended_at=at, **({"finished_at": at, "state": ActionState.DONE} | changes))


@pytest.mark.parametrize(
    ("other_usd", "expected"), [(40, Reason.CROSSED_THRESHOLD), (41, Reason.FUSE_SPEND)], ids=["half", "over half"]
)
def test_the_keys_of_a_day_are_together_no_more_than_their_share_of_the_normal_spend(other_usd, expected):
    context = fleet(
        1,
        actions=(disabled_today(900),),
        usual_day_nusd={a_hash(1): 10 * NUSD, a_hash(900): other_usd * NUSD},
        fleet_day_nusd=100 * NUSD,
    )
    assert reasons(decide(thieves(1), context, enforce(), NOW))[a_hash(1)] is expected


def test_one_key_may_always_be_disabled_however_much_of_the_spend_it_is():
    context = fleet(1, usual_day_nusd={a_hash(1): 90 * NUSD}, fleet_day_nusd=100 * NUSD)
    assert reasons(decide(thieves(1), context, enforce(), NOW))[a_hash(1)] is Reason.CROSSED_THRESHOLD


def test_a_key_without_history_counts_as_an_average_one():
    context = fleet(
        1,
        actions=(disabled_today(900),),
        usual_day_nusd={a_hash(900): 49 * NUSD},
        fleet_day_nusd=100 * NUSD,
        n_live_keys=50,
    )
    settings = enforce(max_share_of_keys=1.0)
    assert reasons(decide(thieves(1), context, settings, NOW))[a_hash(1)] is Reason.FUSE_SPEND


# -- quiet hours --------------------------------------------------------------------------------------------------------


BERLIN_NIGHT = {"quiet_hours": ["22:00-06:00"], "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("hour", "expected"),
    [(20, Reason.CROSSED_THRESHOLD), (21, Reason.QUIET_HOURS), (4, Reason.QUIET_HOURS), (5, Reason.CROSSED_THRESHOLD)],
)
def test_in_quiet_hours_nothing_automatic_happens_and_people_are_called(hour, expected):
    at = datetime(2026, 11, 23, hour, 0, tzinfo=UTC)  # an hour later in Berlin
    context = a_context(a_key(), quality={})
    plan = decide([a_finding(at=at)], context, enforce(**BERLIN_NIGHT), at)
    assert reasons(plan)[a_hash(1)] is expected
    assert bool(plan.intents) is (expected is Reason.CROSSED_THRESHOLD)
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT]


@pytest.mark.parametrize(
    ("text", "day", "quiet_utc"),
    [
        ("22:00-06:00", (3, 29), [21, 22, 23, 0, 1, 2, 3]),  # the night of seven hours, that of nine
        ("22:00-06:00", (10, 25), [20, 21, 22, 23, 0, 1, 2, 3, 4]),
        ("02:00-03:00", (3, 29), []),  # an hour that does not come, one that comes twice
        ("02:00-03:00", (10, 25), [0, 1]),
    ],
    ids=["short night", "long night", "hour left out", "hour twice"],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall_also_when_it_is_changed(text, day, quiet_utc):
    response = enforce(quiet_hours=[text], timezone="Europe/Berlin").response
    noon = datetime(2026, *day, 12, 0, tzinfo=UTC) - timedelta(days=1)
    hours = [noon + timedelta(hours=hour) for hour in range(24)]
    assert [at.hour for at in hours if guardrails.quiet_now(response, at) is not None] == quiet_utc


def test_a_key_told_of_before_the_quiet_hours_is_told_of_once_more_in_them():
    settings = enforce(quiet_hours=["12:01-13:00"], approve="cli", approvers=["cli:ada"])
    context = after(a_context(a_key()), decide(thieves(1), a_context(a_key()), settings, NOW))
    plans = []
    for minute in (1, 2):
        plans.append(decide(thieves(1, at=NOW + minute * MINUTE), context, settings, NOW + minute * MINUTE))
        context = after(context, plans[-1])
    (notice,) = plans[0].notices
    assert "in quiet hours nothing automatic happens" in notice.detail
    assert "team" not in notice.detail and a_hash(1)[:12] in notice.detail
    assert plans[1].notices == ()


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-06:00", ["mon 23:59", "tue 00:00", "tue 05:59"], ["mon 21:59", "tue 06:00"]),
        ("sat-sun 00:00-24:00", ["sat 00:00", "sun 23:59"], ["fri 23:59", "mon 00:00"]),
        ("fri 18:00-08:00", ["fri 18:00", "sat 07:59"], ["fri 17:59", "sat 08:00", "thu 19:00", "fri 07:00"]),
        ("sun-mon 09:00-10:00", ["sun 09:30", "mon 09:30"], ["tue 09:30", "sat 09:30"]),
    ],
)
def test_hours_cover_what_they_say(text, inside, outside):
    hours = QuietHours.parse(text)
    days = dict(zip("mon tue wed thu fri sat sun".split(), range(23, 30), strict=True))  # noqa: SIM905

    def moment(said):
        day, clock = said.split()
        hour, minute = clock.split(":")
        return datetime(2026, 11, days[day], int(hour), int(minute), tzinfo=UTC)

    assert all(hours.covers(moment(said)) for said in inside)
    assert not any(hours.covers(moment(said)) for said in outside)


@pytest.mark.parametrize(
    "text", ["", "22-6", "25:00-06:00", "22:60-23:00", "fun 22:00-06:00", "mon-fri", "22:00 - 06:00"]
)
def test_hours_that_are_none_are_refused_with_an_example(text):
    with pytest.raises(ValueError, match="22:00-06:00"):
        Settings.model_validate({"response": {"quiet_hours": [text]}})


# -- the canary ---------------------------------------------------------------------------------------------------------


def test_of_several_keys_the_dearest_goes_first_and_the_others_wait_for_it():
    plan = decide(thieves(3), fleet(3), enforce(), NOW)
    assert [action.key_hash for action in plan.intents] == [a_hash(3)]
    assert [reasons(plan)[a_hash(number)] for number in (1, 2)] == [Reason.CANARY] * 2


def test_the_others_follow_once_the_first_was_seen_to_take_effect_and_not_before():
    first = disabled_today(3, at=NOW - MINUTE)
    waiting = fleet(2, actions=(first,))
    assert set(reasons(decide(thieves(2), waiting, enforce(), NOW)).values()) == {Reason.CANARY}

    proven = fleet(2, actions=(first,), proven=frozenset({first.action_id}))
    assert len(decide(thieves(2), proven, enforce(), NOW).intents) == 2


def test_a_failed_first_disable_does_not_keep_the_next_key_waiting():
    failed = disabled_today(3, at=NOW - MINUTE, state=ActionState.FAILED)
    assert len(decide(thieves(2), fleet(2, actions=(failed,)), enforce(), NOW).intents) == 1


def test_a_canary_of_an_hour_ago_proves_nothing_any_more():
    at = NOW - timedelta(minutes=61)
    old = disabled_today(3, at=at)
    plan = decide(thieves(2), fleet(2, actions=(old,), proven=frozenset({old.action_id})), enforce(), NOW)
    assert len(plan.intents) == 1


class Waiting:
    """Stolen keys watched minute by minute; every disable is done at once, and none is ever seen to take effect."""

    def __init__(self, n, settings=None):
        self.settings, self.context, self.at, self.told = settings or enforce(), fleet(n), NOW, []

    def minutes(self, n, *, stolen):
        for _ in range(n):
            plan = decide(thieves(stolen, at=self.at), self.context, self.settings, self.at)
            self.told += [(self.at, notice) for notice in plan.notices]
            context = after(self.context, plan)
            done = {a.action_id: replace(a, state=ActionState.DONE, finished_at=self.at) for a in plan.intents}
            actions = tuple(done.get(action.action_id, action) for action in context.actions)
            self.context = replace(context, actions=actions)
            self.at += MINUTE
        return plan

    def named(self):
        """(minutes since the first disable, the keys named) of each message of keys that wait for people."""
        return [
            (round((at - NOW) / MINUTE), {each.key_hash for each in notice.incidents})
            for at, notice in self.told
            if "was not seen to take effect" in notice.detail
        ]


def test_keys_that_wait_in_vain_for_the_first_are_all_named_in_one_message_once():
    service = Waiting(9)
    service.minutes(10, stolen=9)
    assert service.named() == []

    plan = service.minutes(1, stolen=9)

    assert set(reasons(plan).values()) >= {Reason.CANARY_UNPROVEN}
    ((minute, keys),) = service.named()
    assert minute == 10 and keys == {a_hash(number) for number in range(1, 9)}
    text = words(service.told[-1][1])
    assert "8 wait for people: the disable of key 000000000000" in text and "response.escalate_after" in text
    assert all(f"team-{number}" in text for number in range(1, 9))
    service.minutes(45, stolen=9)
    assert len(service.named()) == 1
    assert len([action for action in service.context.actions if action.state is ActionState.DONE]) == 1


def test_a_key_that_joins_those_that_wait_in_vain_is_not_lost():
    service = Waiting(9, enforce(max_share_of_keys=1.0))
    service.context = replace(service.context, actions=(disabled_today(99, at=NOW - 11 * MINUTE),))
    service.minutes(2, stolen=3)
    service.minutes(2, stolen=4)
    alerted = [notice.incident.key_hash for _, notice in service.told if notice.kind is MessageKind.ALERT]
    assert sorted(alerted) == [a_hash(number) for number in (1, 2, 3, 4)]
    assert {notice.verdict.reason for _, notice in service.told if notice.verdict} == {Reason.CANARY_UNPROVEN}


def test_a_first_disable_that_is_proven_late_lets_the_others_follow():
    service = Waiting(3)
    service.minutes(12, stolen=3)
    (first,) = service.context.actions
    service.context = replace(service.context, proven=frozenset({first.action_id}))
    assert len(service.minutes(1, stolen=3).intents) == 2


# -- D4: a hundred abused keys at once ----------------------------------------------------------------------------------


def words(notice):
    message = compose(notice, None, channel="#a", owner="", workspace_name=None, now=NOW, data_as_of=None)
    text, blocks, _ = slack_blocks.render(message)
    return text + str(blocks)


def test_d4_a_hundred_abused_keys_blow_the_fuse_and_the_rest_is_queued_for_people_in_one_message_naming_all():
    # given: a hundred truly abused keys at once, in a fleet of a thousand
    context, settings = fleet(100), enforce()
    disabled, told = [], []

    # when: the service lives through half an hour of it, every disable taking effect
    for minute in range(30):
        at = NOW + minute * MINUTE
        plan = decide(thieves(100, at=at), context, settings, at)
        disabled += [action.key_hash for action in plan.intents]
        told += plan.notices
        context = after(context, plan)
        done = tuple(
            an_action(
                action.key_hash,
                action_id=action.action_id,
                intended_at=action.intended_at,
                finished_at=at,
                state=ActionState.DONE,
            )
            for action in plan.intents
        )
        others = tuple(each for each in context.actions if each.state is not ActionState.INTENDED)
        off = {a.key_hash for a in (*others, *done) if a.verb is Verb.DISABLE}
        keys = {
            name: a_key(name, key_name=key.key_name, settings=replace(key.settings, is_disabled=name in off))
            for name, key in context.keys.items()
        }
        proven = frozenset(each.action_id for each in others)
        context = replace(context, actions=(*others, *done), keys=keys, proven=proven)

    # then: three an hour, the dearest; the other 97 are in one message by name, and no key was lost
    assert disabled == [a_hash(100), a_hash(99), a_hash(98)]
    (queue,) = [notice for notice in told if "a fuse allows no further automatic action" in notice.detail]
    assert len(queue.incidents) == 97
    shown = words(queue)
    assert all(re.search(rf"\bteam-{number}\b", shown) for number in range(1, 98))
    assert len(told) <= 4


@pytest.mark.parametrize(
    "name", ["team-&<>&<>-{}", "\N{PILE OF POO}" * 40 + "-{}", "x" * 200 + "-{}"], ids=["escaped", "emoji", "long"]
)
def test_no_key_is_lost_from_a_list_of_a_hundred_whatever_their_names(name):
    hashes = [f"{number:04x}{'a' * 60}" for number in range(1, 101)]
    context = a_context(*[a_key(each, key_name=name.format(each[:4])) for each in hashes])
    (notice,) = decide(
        [a_finding(each) for each in hashes], context, settings_with(response={"mode": "enforce"}), NOW
    ).notices
    shown = words(notice)
    assert all(each[:12] in shown for each in hashes)
    assert "and" not in notice.detail.splitlines()[-1].split()[:1]
