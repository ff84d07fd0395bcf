"""S8: a button does what it says once, for who is allowed, about what it was asked about; in doubt nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from build import a_key
from fake_keys import FakeKeys
from slack_build import ANN, BOB, EVE, KEY, alert, an_app_on_slack, an_open_incident, later, settled

from monitor import daemon
from monitor.demo.slack import FakeSlack
from monitor.domain import ActionState, AuditKind, Choice, IncidentState, MessageKind, Plan
from monitor.errors import Unavailable
from monitor.jobs import buttons
from monitor.jobs.answers import AppDesk, Desk
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.notify import asking
from monitor.notify.pressed import Pressed, read_presses
from monitor.store.base import Outcome, Press

INCIDENT = an_open_incident()


@asynccontextmanager
async def asked(state_dir: Path, **sections: Any) -> AsyncIterator[tuple[App, FakeSlack]]:
    """An alert with buttons in Slack, and the daemon listening."""
    async with an_app_on_slack(state_dir, **sections) as (app, slack):
        await alert(app, INCIDENT)
        async with daemon.listening(app):
            await slack.socket.connected()
            yield app, slack


async def whispers(slack: FakeSlack, n: int = 1) -> list[str]:
    """Waits until so many were heard."""
    async with asyncio.timeout(5):
        while len(slack.conversations.whispers) < n:
            await asyncio.sleep(0.005)
    return [each["text"] for each in slack.conversations.whispers]


def is_disabled(app: App) -> bool:
    assert isinstance(app.control, FakeKeys)
    return app.control.keys[KEY.key_hash].settings.is_disabled


async def test_disable_and_restore_from_slack_are_journalled_read_back_and_told_in_the_thread(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(slack.messages()[0], "disable", user=ANN)
        (press,) = await settled(app, 1)

        assert is_disabled(app)
        assert (press.outcome, press.by, press.choice) == (Outcome.DONE, f"slack:{ANN} ({ANN.lower()})", "disable")
        (action,) = app.store.ledger.actions()
        assert (action.state, action.incident_id) == (ActionState.DONE, INCIDENT.incident_id)
        assert action.requested_by == press.by
        await deliver(app)
        told = [message for message in slack.messages() if "Key disabled" in str(message.blocks)]
        assert [message.thread_ts for message in told] == [slack.messages()[0].ts]
        assert "Done: key disabled." in await whispers(slack)

        later(app, 1)
        await slack.socket.press(told[0], "restore", user=ANN)
        await settled(app, 2)
        assert not is_disabled(app)


async def test_an_acknowledgement_is_shown_in_the_alert_with_who_gave_it(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(slack.messages()[0], "acknowledge", user=ANN)
        await settled(app, 1)
        async with asyncio.timeout(5):
            while not slack.messages()[0].edits:
                await asyncio.sleep(0.005)

        (incident,) = app.store.ledger.incidents()
        assert incident.state is IncidentState.ACKNOWLEDGED
        assert f"acknowledged (slack:{ANN}" in str(slack.messages()[0].blocks)
        assert "'action_id': 'acknowledge'" not in str(slack.messages()[0].blocks)


async def test_a_strangers_press_does_nothing_and_is_written_down(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(slack.messages()[0], "disable", user=EVE)
        (press,) = await settled(app, 1)

        assert not is_disabled(app) and app.store.ledger.actions() == ()
        assert (press.outcome, press.by) == (Outcome.REFUSED, f"slack:{EVE} ({EVE.lower()})")
        assert "not allowed" in (await whispers(slack))[0]
        assert slack.conversations.whispers[0]["user"] == EVE


async def test_a_button_pressed_twice_acts_once_and_says_who_was_first(tmp_path: Path) -> None:
    async with asked(tmp_path, slack={"allowed_users": [ANN, BOB]}) as (app, slack):
        message = slack.messages()[0]
        await asyncio.gather(
            slack.socket.press(message, "disable", user=ANN), slack.socket.press(message, "disable", user=BOB)
        )
        found = await settled(app, 2)

        assert [press.outcome for press in found].count(Outcome.DONE) == 1
        assert len(app.store.ledger.actions()) == 1
        assert any("nothing was done twice" in text for text in await whispers(slack, 2))


async def test_the_same_press_told_again_after_a_reconnect_does_nothing(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        payload = await slack.socket.press(slack.messages()[0], "disable", user=ANN)
        await settled(app, 1)
        later(app, 1)
        await slack.socket.drop()
        await slack.socket.connected(2)
        await slack.socket.tell(payload)
        await slack.socket.press(slack.messages()[0], "disable", user=EVE)  # told after it, so the repeat was seen
        await settled(app, 2)

        assert len(app.store.ledger.actions()) == 1
        assert [press.outcome for press in app.store.cards.presses()] == [Outcome.DONE, Outcome.REFUSED]
        assert sum("Done" in text for text in await whispers(slack, 2)) == 1


async def test_a_button_of_an_earlier_step_is_stale(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        grown = replace(INCIDENT, step=2)
        app.store.ledger.commit((), Plan(app.now(), incidents=(grown,)), ())

        await slack.socket.press(slack.messages()[0], "disable", user=ANN)
        (press,) = await settled(app, 1)

        assert press.outcome is Outcome.EXPIRED and not is_disabled(app)
        assert "has moved on since: it is at step 2, this was step 1" in (await whispers(slack))[0]


async def test_a_button_of_an_incident_that_is_gone_is_stale(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        message = slack.messages()[0]
        for block in message.blocks:
            for element in block.get("elements", []):
                if "value" in element:
                    element["value"] = element["value"].replace(INCIDENT.incident_id, "INC-gone")

        await slack.socket.press(message, "disable", user=ANN)
        (press,) = await settled(app, 1)

        assert press.outcome is Outcome.EXPIRED and not is_disabled(app)


async def press_of(slack: FakeSlack, choice: str, user: str, value: str | None = None) -> Pressed:
    payload = {
        "type": "block_actions",
        "user": {"id": user},
        "channel": {"id": slack.messages()[0].channel},
        "message": {"ts": slack.messages()[0].ts},
        "actions": [
            {
                "type": "button",
                "action_id": choice,
                "action_ts": "9.9",
                "value": value or f"{INCIDENT.incident_id}|1|{KEY.key_hash[:12]}",
            }
        ],
    }
    (found,) = read_presses(payload)
    return found


@pytest.mark.parametrize(
    "value", ["x", "INC-1|1", "INC-0001|one|0000", "INC-0001|1|", "INC-0001|1|ffffffffffff", "INC-0001|1|0|3600"]
)
async def test_a_value_that_no_button_of_ours_carries_does_nothing(tmp_path: Path, value: str) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)

        press = await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", ANN, value))

        assert press.outcome is Outcome.REFUSED and not is_disabled(app)


async def test_a_member_of_an_allowed_group_may_and_one_who_left_may_not(tmp_path: Path) -> None:
    sections = {"slack": {"allowed_users": [], "allowed_groups": ["S0ONCALL"]}}
    async with an_app_on_slack(tmp_path, **sections) as (app, slack):
        slack.conversations.groups["S0ONCALL"] = [BOB]
        await alert(app, INCIDENT)
        assert (await buttons.pressed(app, AppDesk(app), await press_of(slack, "acknowledge", BOB))).outcome is (
            Outcome.DONE
        )

        slack.conversations.groups["S0ONCALL"] = []
        later(app, 1)
        press = await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", BOB))

        assert press.outcome is Outcome.REFUSED and not is_disabled(app)


async def test_a_group_that_cannot_be_asked_is_a_no(tmp_path: Path) -> None:
    sections = {"slack": {"allowed_users": [], "allowed_groups": ["S0ONCALL"]}}
    async with an_app_on_slack(tmp_path, **sections) as (app, slack):
        slack.conversations.scopes = tuple(each for each in slack.conversations.scopes if each != "usergroups:read")
        slack.conversations.groups["S0ONCALL"] = [BOB]
        await alert(app, INCIDENT)

        press = await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", BOB))

        assert press.outcome is Outcome.REFUSED and not is_disabled(app)


async def test_a_disable_that_fails_is_said_and_can_be_pressed_again(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        control = app.control
        assert isinstance(control, FakeKeys)
        from fake_keys import Fault

        control.faults = {0: Fault(Unavailable("503"))}
        await slack.socket.press(slack.messages()[0], "disable", user=ANN)
        (press,) = await settled(app, 1)
        assert press.outcome is Outcome.FAILED and "did not work" in (await whispers(slack))[0]

        later(app, 1)
        await slack.socket.press(slack.messages()[0], "disable", user=ANN)
        await settled(app, 2)
        assert is_disabled(app)


async def test_a_press_cut_off_by_a_kill_can_be_repeated_after_a_while(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        cut = Press("old", INCIDENT.incident_id, 1, "disable", f"slack:{ANN}", app.now())
        assert app.store.cards.take(cut, stale_before=app.now() - buttons.CUT_OFF) is None

        at_once = await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", ANN))
        assert at_once.press_id == "old" and not is_disabled(app)
        later(app, 3)
        again = replace(await press_of(slack, "disable", ANN), press_id="again")
        await buttons.pressed(app, AppDesk(app), again)

        assert is_disabled(app)


@pytest.mark.parametrize(
    ("choice", "is_over"), [(Choice.EXPECTED, True), (Choice.PLANNED, False), (Choice.ABUSE, False)]
)
async def test_what_people_say_of_a_key_is_written_down_as_feedback_and_shown(
    tmp_path: Path, choice: Choice, is_over: bool
) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(slack.messages()[0], choice.value, user=ANN, option=1)
        (press,) = await settled(app, 1)

        (said,) = app.store.feedback.said()
        assert (said.opinion.value, said.key_hash, said.said_by) == (choice.value, KEY.key_hash, press.by)
        assert choice is not Choice.PLANNED or said.until == app.now() + timedelta(hours=24)
        (incident,) = app.store.ledger.incidents()
        assert (incident.state is IncidentState.RESOLVED) is is_over
        assert press.detail.startswith(f"said to be {choice.value}, which counts until ")
        assert not is_disabled(app)


async def test_an_incident_that_is_over_takes_no_opinion_any_more(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        over = replace(INCIDENT, state=IncidentState.RESOLVED, resolved_at=app.now())
        app.store.ledger.commit((), Plan(app.now(), incidents=(over,)), ())

        await slack.socket.press(slack.messages()[0], "expected", user=ANN)
        (press,) = await settled(app, 1)

        assert press.outcome is Outcome.EXPIRED and app.store.feedback.said() == ()


async def test_a_snooze_is_a_silence_until_then(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(slack.messages()[0], "snooze", user=ANN, option=1)
        (press,) = await settled(app, 1)

        (incident,) = app.store.ledger.incidents()
        assert (incident.state, incident.silenced_until) == (IncidentState.SILENCED, app.now() + timedelta(hours=4))
        assert press.outcome is Outcome.DONE and press.detail.startswith("snoozed until ")


class NotesAll:
    """A desk that can do everything, and remembers what."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, int, object]] = []

    def __getattr__(self, name: str) -> Any:
        async def act(incident_id: str, *, by: str, expected_step: int, until: object = None) -> str:
            self.done.append((name, incident_id, expected_step, until))
            return name

        return act


@pytest.mark.parametrize("choice", [each for each in Choice if each not in asking.ABOUT_A_PROPOSAL])
async def test_each_button_calls_its_method_of_the_desk_with_incident_step_and_time(
    tmp_path: Path, choice: Choice
) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        desk = NotesAll()
        span = "|14400" if choice in {Choice.SNOOZE, Choice.PLANNED} else ""
        value = f"{INCIDENT.incident_id}|1|{KEY.key_hash[:12]}{span}"

        as_desk: Desk = desk
        await buttons.pressed(app, as_desk, await press_of(slack, choice.value, ANN, value))

        name = "ack" if choice is Choice.ACKNOWLEDGE else choice.value
        until = app.now() + timedelta(hours=4) if span else None
        assert desk.done == [(name, INCIDENT.incident_id, 1, until)]


@pytest.mark.parametrize("more", [{"allowed_users": []}, {"app_token": None}], ids=["nobody", "no token"])
async def test_without_a_token_or_anybody_allowed_there_are_no_buttons(tmp_path: Path, more: dict[str, Any]) -> None:
    async with an_app_on_slack(tmp_path, slack=more) as (app, slack):
        await alert(app, INCIDENT)

        async with daemon.listening(app):
            await asyncio.sleep(0)
            assert app.settings.slack.app_token is not None or slack.socket.opened == []
        assert "actions" not in {block["type"] for block in slack.messages()[0].blocks}


async def test_what_changes_a_key_is_confirmed_first(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)

        (actions,) = [block for block in slack.messages()[0].blocks if block["type"] == "actions"]
        confirmed = {each["action_id"] for each in actions["elements"] if "confirm" in each}
        assert confirmed == {"abuse", "disable"}


async def test_a_disabled_key_offers_restore_instead_of_disable(tmp_path: Path) -> None:
    off = a_key(1, settings=replace(KEY.settings, is_disabled=True))
    async with an_app_on_slack(tmp_path, keys=(off,)) as (app, slack):
        await alert(app, INCIDENT)

        said = str(slack.messages()[0].blocks)
        assert "'action_id': 'restore'" in said and "'action_id': 'disable'" not in said


async def test_the_message_of_an_action_in_the_crowd_of_kinds_asks_only_what_fits(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(slack.messages()[0], "disable", user=ANN)
        await settled(app, 1)
        kinds = {entry.message.kind: entry.message.ask for entry in app.store.outbox.entries()}
        ask = kinds[MessageKind.ACTION]
        assert ask is not None and ask.choices == (Choice.RESTORE,)


def trail(app: App) -> list[tuple[str, str, str, str, str]]:
    """(who, which incident, choice, step, outcome) of each press in the audit trail."""
    return [
        (row.by, row.incident_id, *(json.loads(row.detail)[name] for name in ("choice", "step", "outcome")))
        for row in app.store.audit.rows(kind=AuditKind.PRESSED)
    ]


async def test_a_press_that_acts_is_in_the_audit_trail_before_and_after(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)

        await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", ANN))

        mine = (f"slack:{ANN}", INCIDENT.incident_id, "disable", "1")
        assert trail(app) == [(*mine, "taken"), (*mine, "done")]
        assert app.store.audit.rows(kind=AuditKind.PRESSED)[-1].why == "key disabled"
        assert app.store.audit.verify().is_ok


async def test_a_refused_press_is_in_the_audit_trail_with_the_reason(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)

        await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", EVE))
        await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", ANN, "no button of ours"))

        assert trail(app) == [
            (f"slack:{EVE}", INCIDENT.incident_id, "disable", "1", "refused"),
            (f"slack:{ANN}", "", "disable", "0", "refused"),
        ]
        stranger, unknown = app.store.audit.rows(kind=AuditKind.PRESSED)
        assert "not allowed" in stranger.why and "not one of this version" in unknown.why


async def test_a_duplicate_press_is_in_the_audit_trail_with_who_was_first(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path, slack={"allowed_users": [ANN, BOB]}) as (app, slack):
        await alert(app, INCIDENT)
        first, second = await press_of(slack, "disable", ANN), await press_of(slack, "disable", BOB)

        for press in (first, second, first):  # Slack tells of the first one again
            await buttons.pressed(app, AppDesk(app), press)

        assert [row[-1] for row in trail(app)] == ["taken", "done", "duplicate"]
        last = app.store.audit.rows(kind=AuditKind.PRESSED)[-1]
        assert last.by == f"slack:{BOB}" and f"by slack:{ANN}" in last.why


async def test_an_expired_press_is_in_the_audit_trail_with_both_versions(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        app.store.ledger.commit((), Plan(app.now(), incidents=(replace(INCIDENT, step=2),)), ())

        await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", ANN))

        assert trail(app) == [(f"slack:{ANN}", INCIDENT.incident_id, "disable", "1", "expired")]
        assert "at step 2, this was step 1" in app.store.audit.rows(kind=AuditKind.PRESSED)[0].why


async def test_a_failed_press_is_in_the_audit_trail(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        control = app.control
        assert isinstance(control, FakeKeys)
        from fake_keys import Fault

        control.faults = {0: Fault(Unavailable("503"))}
        await buttons.pressed(app, AppDesk(app), await press_of(slack, "disable", ANN))

        assert [row[-1] for row in trail(app)] == ["taken", "failed"]
