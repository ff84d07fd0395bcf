"""Between an intent and its effect people speak, and services start anew with other settings: their word stands."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import build
import pytest
from fake_keys import FakeKeys
from jobs_build import NOW, an_app, an_inventory

from monitor.domain import Action, ActionState, Plan, Verb
from monitor.jobs import act, desk
from monitor.jobs.app import App
from monitor.respond.cap import CapKey, ZeroLimit
from monitor.respond.disable import DisableKey

KEY = build.a_key(1, key_name="billing")
INCIDENT = build.an_incident(1, at=NOW)
ENFORCE = {"mode": "enforce"}

Word = Callable[[App], Awaitable[object]]


def an_app_with(state_dir: Path, keys: FakeKeys, **response: Any) -> App:
    """A service that is armed, knows the key, and has an open incident of it."""
    responders = {Verb.DISABLE: DisableKey(keys), Verb.CAP: CapKey(keys), Verb.ZERO: ZeroLimit(keys)}
    app = an_app(state_dir, control=keys, responders=responders, response=ENFORCE | response)
    app.store.keys.record(an_inventory(KEY))
    return app


def an_intent(app: App, **changes: Any) -> Action:
    action = build.an_action(1, incident_id=INCIDENT.incident_id, **({"intended_at": NOW} | changes))
    app.store.ledger.commit((), Plan(at=NOW, incidents=(INCIDENT,), actions=(action,)), ())
    return action


async def the_switch(app: App) -> None:
    app.kill_switch.touch()


async def resolved(app: App) -> None:
    await desk.resolve(app, INCIDENT.incident_id, by="cli:ada", why="our own load test")


async def false_alarm(app: App) -> None:
    await desk.resolve(app, INCIDENT.incident_id, by="cli:ada", is_false_alarm=True)


async def snoozed(app: App) -> None:
    await desk.silence(app, INCIDENT.incident_id, by="cli:ada", lasting=timedelta(hours=1))


async def silenced(app: App) -> None:
    conditions = {"key_name": "bill.*"}
    await desk.add_silence(app, by="cli:ada", lasting=timedelta(hours=1), comment="test", conditions=conditions)


WORDS = [
    pytest.param(the_switch, "the kill switch is on", id="kill switch"),
    pytest.param(resolved, r"was resolved by cli:ada \(our own load test\)", id="resolved"),
    pytest.param(false_alarm, r"was resolved by cli:ada \(false_alarm\)", id="false alarm"),
    pytest.param(snoozed, "silenced until", id="snoozed"),
    pytest.param(silenced, "SIL-.* by cli:ada until", id="silence"),
]


@pytest.mark.parametrize(("say", "said"), WORDS)
@pytest.mark.parametrize("after_a_kill", [False, True], ids=["same cycle", "next start"])
async def test_a_persons_word_between_intent_and_effect_leaves_the_key_alone(
    tmp_path: Path, say: Word, said: str, after_a_kill: bool
) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, keys)
    intent = an_intent(app)
    await say(app)

    (ended,) = await (act.resolve_open(app) if after_a_kill else act.carry_out(app, (intent,)))

    assert ended.state is ActionState.EXPIRED
    assert re.search(said, ended.detail)
    assert "nothing was touched" in ended.detail
    assert keys.keys[KEY.key_hash] == KEY
    assert app.store.ledger.actions() == (ended,)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({"mode": "observe"}, "response.mode is observe by now"),
        ({"mode": "dry-run"}, "response.mode is dry-run by now"),
        ({"protected_keys": ["billing"]}, "protected by now"),
        ({"protected_keys": [KEY.key_hash]}, "protected by now"),
        ({"quiet_hours": ["12:00-13:00"]}, "response.quiet_hours: 12:00-13:00"),
    ],
    ids=["observe", "dry run", "protected name", "protected hash", "quiet hours"],
)
async def test_a_restart_with_more_careful_settings_does_not_carry_out_what_the_old_ones_intended(
    tmp_path: Path, response: dict[str, Any], said: str
) -> None:
    # given: killed between intent and effect, armed
    keys = FakeKeys.holding(KEY)
    an_intent(an_app_with(tmp_path, keys))

    # when: it starts with other settings while the intent is still valid
    (ended,) = await act.resolve_open(an_app_with(tmp_path, keys, **response))

    # then
    assert ended.state is ActionState.EXPIRED
    assert said in ended.detail
    assert keys.keys[KEY.key_hash] == KEY


async def test_a_key_renamed_to_a_protected_name_after_the_intent_is_left_alone(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, keys, protected_keys=["^keep"])
    intent = an_intent(app)
    app.store.keys.record(an_inventory(build.a_key(1, key_name="keep-billing"), at=NOW + timedelta(seconds=30)))

    (ended,) = await act.carry_out(app, (intent,))

    assert ended.state is ActionState.EXPIRED
    assert not keys.calls


async def test_a_key_renamed_otherwise_is_acted_upon_by_its_hash(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, keys)
    intent = an_intent(app)
    app.store.keys.record(an_inventory(build.a_key(1, key_name="other"), at=NOW + timedelta(seconds=30)))

    (done,) = await act.carry_out(app, (intent,))

    assert done.state is ActionState.DONE
    assert keys.keys[KEY.key_hash].settings.is_disabled


@pytest.mark.parametrize(("say", "said"), WORDS)
async def test_what_was_done_before_that_word_is_found_done_and_told(tmp_path: Path, say: Word, said: str) -> None:
    keys = FakeKeys.holding(build.a_key(1, key_name="billing", settings=build.key_settings(is_disabled=True)))
    app = an_app_with(tmp_path, keys)
    an_intent(app)
    await say(app)

    (ended,) = await act.resolve_open(app)

    assert ended.state is ActionState.DONE
    assert said


async def test_limit_0_for_a_disabled_key_that_spends_does_not_ask_whether_its_incident_is_over(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, keys, protected_keys=["billing"])
    intent = an_intent(app, verb=Verb.ZERO)
    await resolved(app)

    (done,) = await act.carry_out(app, (intent,))

    assert done.state is ActionState.DONE
    assert keys.keys[KEY.key_hash].settings.limit_usd == 0.0


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(hours=1)], ids=["5 min", "1 h"])
@pytest.mark.parametrize("older_than", [timedelta(0), timedelta(minutes=2)], ids=["start", "cycle"])
async def test_an_intent_left_by_a_kill_is_taken_up_although_the_clock_was_set_back(
    tmp_path: Path, back: timedelta, older_than: timedelta
) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, keys)
    an_intent(app, intended_at=NOW + back)

    (done,) = await act.resolve_open(app, older_than=older_than)

    assert done.state is ActionState.DONE
    assert keys.keys[KEY.key_hash].settings.is_disabled
