"""A person has a key put back while something else is going on: a crash, a clock, another person, a store put back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import build
import pytest
from fake_keys import FakeKeys
from jobs_build import NOW, an_app, an_app_that_acts, an_inventory

from monitor.domain import NUSD, Action, ActionState, ApiKey, MessageKind, Plan, Verb
from monitor.errors import ActionFailed
from monitor.jobs import act, manual
from monitor.jobs.app import App
from monitor.respond.cap import CapKey
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

PRIOR = build.key_settings(limit_usd=50.0, limit_reset="daily")
KEY = build.a_key(1, settings=PRIOR)
OFF = build.a_key(1, settings=build.key_settings(limit_usd=50.0, limit_reset="daily", is_disabled=True))
MINUTE_S = 60


def an_app_with(state_dir: Path, keys: FakeKeys, **response: Any) -> App:
    responders = {Verb.DISABLE: DisableKey(keys), Verb.CAP: CapKey(keys), Verb.RESTORE: RestoreKey(keys)}
    app = an_app(state_dir, control=keys, responders=responders, response={"mode": "enforce"} | response)
    app.store.keys.record(an_inventory(KEY))
    return app


def an_intent(app: App, **changes: Any) -> Action:
    fields = {"intended_at": app.now(), "prior": PRIOR, "incident_id": None, **changes}
    action = build.an_action(1, **fields)
    app.store.ledger.commit((), Plan(at=app.now(), actions=(action,)), ())
    return action


async def restored(app: App, key: ApiKey = KEY, **changes: Any) -> Action:
    return await manual.restore(app, key, requested_by="cli:bob", **changes)


async def test_a_disable_that_a_crash_left_without_outcome_is_undone_while_the_service_is_down(tmp_path: Path) -> None:
    # given: killed between the effect and its outcome, and not started again
    keys = FakeKeys.holding(OFF)
    app = an_app_with(tmp_path, keys)
    left = an_intent(app)
    app.clock.pass_time(5 * MINUTE_S)

    # when
    done = await restored(app)

    # then: exactly as it was, and people are told of both
    assert (done.state, keys.keys[KEY.key_hash]) == (ActionState.DONE, KEY)
    states = {each.action_id: each.state for each in app.store.ledger.actions()}
    assert states == {left.action_id: ActionState.DONE, done.action_id: ActionState.DONE}
    assert [entry.message.kind for entry in app.store.outbox.entries()] == [MessageKind.ACTION] * 2


async def test_a_disable_that_a_crash_kept_from_happening_is_dropped_by_a_restore(tmp_path: Path) -> None:
    # given: capped, and killed before the disable that was to follow
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, keys)
    await act.carry_out(app, (an_intent(app, action_id="ACT-1", verb=Verb.CAP, limit_usd=20.0),))
    an_intent(app, action_id="ACT-2")
    app.clock.pass_time(5 * MINUTE_S)

    # when: a person wants the key as it was, before the service starts again
    await restored(app)
    await act.resolve_open(app)

    # then: the restart does not disable it after all
    assert keys.keys[KEY.key_hash] == KEY
    assert [each.state for each in app.store.ledger.actions() if each.action_id == "ACT-2"] == [ActionState.EXPIRED]


@pytest.mark.parametrize("found", [KEY, OFF], ids=["before its effect", "after its effect"])
async def test_a_key_that_is_being_disabled_at_this_moment_is_not_restored_under_the_hand(
    tmp_path: Path, found: ApiKey
) -> None:
    keys = FakeKeys.holding(found)
    app = an_app_with(tmp_path, keys)
    left = an_intent(app)
    app.clock.pass_time(30)

    with pytest.raises(ActionFailed, match=f"{left.action_id}.*is under way: look again") as failure:
        await restored(app)

    assert not failure.value.permanent
    assert keys.keys[KEY.key_hash] == found
    assert app.store.ledger.actions() == (left,)


async def test_a_key_that_a_person_disabled_at_the_same_moment_is_not_switched_on_by_a_restore(tmp_path: Path) -> None:
    # given: judged as enabled; a person was faster by a second
    keys = FakeKeys.holding(OFF)
    app = an_app_with(tmp_path, keys)
    (done,) = await act.carry_out(app, (an_intent(app),))
    assert (done.state, done.detail) == (ActionState.DONE, "was disabled already")

    # then: it was theirs to disable
    with pytest.raises(ActionFailed, match="was disabled before this monitor touched it"):
        await restored(app)
    assert keys.keys[KEY.key_hash] == OFF


async def test_a_limit_that_a_person_lowered_between_plan_and_effect_stays_after_the_restore(tmp_path: Path) -> None:
    lowered = build.a_key(1, settings=build.key_settings(limit_usd=5.0, limit_reset="daily"))
    keys = FakeKeys.holding(lowered)
    app = an_app_with(tmp_path, keys)
    await act.carry_out(app, (an_intent(app),))
    app.clock.pass_time(MINUTE_S)

    await restored(app)

    assert keys.keys[KEY.key_hash] == lowered


async def test_a_key_disabled_beside_our_cap_is_not_switched_on_by_the_restore_of_the_cap(tmp_path: Path) -> None:
    # given: capped, its owner disables it in the same minute
    keys = FakeKeys.holding(OFF)
    app = an_app_with(tmp_path, keys)
    await act.carry_out(app, (an_intent(app, verb=Verb.CAP, limit_usd=20.0),))
    app.clock.pass_time(MINUTE_S)

    # when
    await restored(app)

    # then: the limit is back, the key as its owner left it
    assert keys.keys[KEY.key_hash] == OFF


async def test_a_revoke_after_the_clock_was_set_back_can_be_undone(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_that_acts(tmp_path, KEY, keys)
    await manual.revoke(app, KEY, requested_by="cli:ada")
    app.clock.pass_time(MINUTE_S)
    await restored(app)

    # when: the clock goes back an hour, and the key is revoked again
    app.clock.pass_time(-60 * MINUTE_S)
    await manual.revoke(app, KEY, requested_by="cli:ada")
    app.clock.pass_time(MINUTE_S)

    # then
    assert keys.keys[KEY.key_hash] == OFF
    await restored(app)
    assert keys.keys[KEY.key_hash] == KEY


@pytest.mark.parametrize("midnight", ["limit used up before", "new day"])
async def test_a_cap_is_undone_exactly_across_the_reset_of_the_limit_at_midnight(tmp_path: Path, midnight: str) -> None:
    # given: a daily limit, capped a minute before midnight UTC
    keys = FakeKeys.holding(build.a_key(1, settings=PRIOR, usage_daily_nusd=19 * NUSD, limit_remaining_usd=31.0))
    before = keys.keys[KEY.key_hash]
    app = an_app_with(tmp_path, keys)
    app.clock.pass_time((NOW.replace(hour=23, minute=59) - NOW).total_seconds())
    await act.carry_out(app, (an_intent(app, verb=Verb.CAP, limit_usd=20.0),))

    # when: the day is over, the issuer's counters begin anew
    if midnight == "new day":
        keys.keys[KEY.key_hash] = build.a_key(
            1, settings=keys.keys[KEY.key_hash].settings, usage_daily_nusd=0, limit_remaining_usd=20.0
        )
    app.clock.pass_time(2 * MINUTE_S)
    await restored(app)

    # then
    assert keys.keys[KEY.key_hash].settings == before.settings


async def test_after_an_older_store_was_put_back_nothing_is_restored_that_it_does_not_know(tmp_path: Path) -> None:
    # given: a backup of before the disable is the store now
    keys = FakeKeys.holding(OFF)
    app = an_app_with(tmp_path, keys)

    # then: it says what it knows, and invents no settings
    with pytest.raises(ActionFailed, match="was never disabled by this monitor"):
        await restored(app)
    assert keys.keys[KEY.key_hash] == OFF


async def test_after_an_older_store_was_put_back_its_open_intent_is_not_done_a_second_time(tmp_path: Path) -> None:
    # given: a backup taken between intent and outcome; since then the key was disabled, and put back by a person
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, keys)
    an_intent(app)
    app.clock.pass_time(60 * MINUTE_S)

    # when: that backup is the store now
    (ended,) = await act.resolve_open(app)

    # then
    assert ended.state is ActionState.EXPIRED
    assert keys.keys[KEY.key_hash] == KEY
    assert timedelta(0) < ended.expires_at - ended.intended_at < timedelta(hours=1)
