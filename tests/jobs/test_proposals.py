"""Approve and Deny in Slack: for listed people, once, about the very proposal that was asked about; and edited as things move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from build import a_finding, an_action
from hypothesis import given
from hypothesis import strategies as st
from slack_build import (
    ANN,
    BOB,
    EVE,
    KEY,
    NOW,
    alert,
    an_app_on_slack,
    an_open_incident,
    later,
    listened,
    question,
    settled,
)

from monitor import daemon
from monitor.decide import decide
from monitor.demo import faults
from monitor.demo.faults import Fault
from monitor.demo.slack import FakeSlack
from monitor.domain import Action, ActionState, MessageKind, Notice, Plan, Verb, version_of
from monitor.jobs import act, approvals, context, proposals
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.notify import asking
from monitor.store.base import Outcome

INCIDENT = an_open_incident()
APPROVING = {"mode": "enforce", "approve": "slack", "approvers": [f"slack:{ANN}", "cli:ada"]}
ACTION = "ACT-5b0e1c77aa"


def proposed(**changes: Any) -> Action:
    fields: dict[str, Any] = {"action_id": ACTION, "incident_id": INCIDENT.incident_id, "state": ActionState.PROPOSED}
    return an_action(KEY.key_hash, intended_at=NOW, **(fields | {"expires_at": NOW + timedelta(hours=4)} | changes))


@asynccontextmanager
async def asked(state_dir: Path, **sections: Any) -> AsyncIterator[tuple[App, FakeSlack]]:
    """An alert, below it a proposal with its buttons, and the daemon listening."""
    sections = {"response": APPROVING} | sections
    async with an_app_on_slack(state_dir, **sections) as (app, slack):
        await alert(app, INCIDENT)
        action = proposed()
        notice = Notice(MessageKind.PROPOSAL, NOW, incident=INCIDENT, action=action)
        app.store.ledger.commit((), Plan(NOW, actions=(action,)), act.compose(app, (notice,), NOW))
        await deliver(app)
        async with listened(app, slack):
            yield app, slack


async def said(slack: FakeSlack, n: int = 1) -> str:
    async with asyncio.timeout(5):
        while len(slack.conversations.whispers) < n:
            await asyncio.sleep(0.005)
    return slack.conversations.whispers[n - 1]["text"]


def action_of(app: App) -> Action:
    (action,) = app.store.ledger.actions()
    return action


async def test_a_proposal_is_asked_in_the_alerts_thread_with_two_buttons_that_confirm(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        first, second = slack.messages()
        assert second.thread_ts == first.ts
        assert "Approve? disable search-prod" in str(second.blocks)
        (buttons,) = [block["elements"] for block in second.blocks if block["type"] == "actions"]
        assert [button["action_id"] for button in buttons] == ["approve", "deny"]
        assert all("confirm" in button and ACTION in button["value"] for button in buttons)


async def test_a_listed_person_approves_nothing_is_done_yet_and_the_message_says_so(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(question(slack), "approve", user=ANN)
        (press,) = await settled(app, 1)

        assert press.outcome is Outcome.DONE
        action = action_of(app)
        assert (action.state, action.decided_by) == (ActionState.APPROVED, f"slack:{ANN}")
        assert app.control.calls == []
        decided = [row for row in app.store.audit.rows() if row.kind == "decided"]
        assert [(row.by, row.subject) for row in decided] == [(f"slack:{ANN}", ACTION)]
        assert "judges the evidence again" in await said(slack)
        async with asyncio.timeout(5):
            while not question(slack).edits:
                await asyncio.sleep(0.005)
        text = str(question(slack).blocks)
        assert f"Approved by slack:{ANN}" in text and "'action_id'" not in text


async def test_a_listed_person_denies_and_the_message_says_who(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(question(slack), "deny", user=ANN)
        await settled(app, 1)
        await proposals.refresh(app)

        assert (action_of(app).state, action_of(app).decided_by) == (ActionState.DENIED, f"slack:{ANN}")
        assert f"Denied by slack:{ANN}" in str(question(slack).blocks)


@pytest.mark.parametrize("choice", ["approve", "deny"])
async def test_who_may_press_other_buttons_but_is_no_approver_decides_nothing(tmp_path: Path, choice: str) -> None:
    async with asked(tmp_path, slack={"allowed_users": [ANN, BOB]}) as (app, slack):
        await slack.socket.press(question(slack), choice, user=BOB)
        (press,) = await settled(app, 1)

        assert (press.outcome, action_of(app).state) == (Outcome.REFUSED, ActionState.PROPOSED)
        assert "response.approvers does not name you" in await said(slack)


async def test_an_approver_needs_no_place_among_the_allowed_users(tmp_path: Path) -> None:
    async with asked(tmp_path, slack={"allowed_users": []}) as (app, slack):
        assert "'action_id': 'disable'" not in str(slack.messages()[0].blocks)
        await slack.socket.press(question(slack), "approve", user=ANN)
        assert (await settled(app, 1))[0].outcome is Outcome.DONE


async def test_two_answers_at_once_are_one_and_the_other_is_told(tmp_path: Path) -> None:
    response = APPROVING | {"approvers": [f"slack:{ANN}", f"slack:{BOB}"]}
    async with asked(tmp_path, response=response) as (app, slack):
        message = question(slack)
        await asyncio.gather(
            slack.socket.press(message, "approve", user=ANN), slack.socket.press(message, "approve", user=BOB)
        )
        found = await settled(app, 2)

        assert [press.outcome for press in found].count(Outcome.DONE) == 1
        assert [row.kind for row in app.store.audit.rows()].count("decided") == 1


async def test_an_answer_after_the_time_is_over_says_so(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        later(app, 241)
        await slack.socket.press(question(slack), "approve", user=ANN)
        (press,) = await settled(app, 1)

        assert (press.outcome, action_of(app).state) == (Outcome.EXPIRED, ActionState.PROPOSED)
        assert f"{ACTION} does not wait any more, it is expired" in await said(slack)


async def test_an_answer_to_what_was_decided_elsewhere_says_by_whom(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        message = replace(question(slack))
        await approvals.deny(app, ACTION, by="cli:ada")
        await slack.socket.press(message, "approve", user=ANN)
        await settled(app, 1)

        assert action_of(app).decided_by == "cli:ada"
        assert "it is denied by cli:ada" in await said(slack)


@pytest.mark.parametrize("what", ["version", "key", "incident", "action"])
async def test_a_button_about_anything_but_this_very_proposal_does_nothing(tmp_path: Path, what: str) -> None:
    async with asked(tmp_path) as (app, slack):
        message = question(slack)
        for block in message.blocks:
            for element in block.get("elements", []):
                if "value" in element:
                    incident, step, key, action, version = element["value"].split("|")
                    parts = {"incident": incident, "step": step, "key": key, "action": action, "version": version}
                    parts[what] = {"version": "0" * 8, "key": "f" * 12, "incident": "INC-other", "action": "ACT-no"}[
                        what
                    ]
                    element["value"] = "|".join(parts.values())

        await slack.socket.press(message, "approve", user=ANN)
        (press,) = await settled(app, 1)

        stale = Outcome.EXPIRED if what in {"version", "action"} else Outcome.REFUSED
        assert (press.outcome, action_of(app).state) == (stale, ActionState.PROPOSED)
        assert "Nothing was done" in await said(slack)


async def test_a_step_of_the_incident_since_does_not_make_the_answer_stale(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        app.store.ledger.commit((), Plan(app.now(), incidents=(replace(INCIDENT, step=2),)), ())
        await slack.socket.press(question(slack), "approve", user=ANN)
        assert (await settled(app, 1))[0].outcome is Outcome.DONE


@pytest.mark.parametrize("approve", ["cli", "off"])
async def test_where_slack_is_not_the_place_to_approve_a_press_does_nothing(tmp_path: Path, approve: str) -> None:
    async with asked(tmp_path) as (app, slack):
        response = app.settings.response.model_copy(update={"approve": approve})
        app.settings = app.settings.model_copy(update={"response": response})
        await slack.socket.press(question(slack), "approve", user=ANN)
        assert (await settled(app, 1))[0].outcome is Outcome.REFUSED
        assert action_of(app).state is ActionState.PROPOSED


@pytest.mark.parametrize(
    ("state", "said_of_it"),
    [
        (ActionState.EXPIRED, "nobody approved it within response.approve_within"),
        (ActionState.DONE, "was disabled at"),
        (ActionState.FAILED, "was NOT disabled"),
    ],
)
async def test_what_became_of_it_takes_the_place_of_the_question_once(
    tmp_path: Path, state: ActionState, said_of_it: str
) -> None:
    async with asked(tmp_path) as (app, slack):
        detail = "nobody approved it within response.approve_within" if state is ActionState.EXPIRED else "read back"
        if state is not ActionState.EXPIRED:
            await approvals.approve(app, ACTION, by="cli:ada")
            intent = replace(proposed(), state=ActionState.INTENDED, decided_by="cli:ada")
            app.store.ledger.commit((), Plan(app.now(), actions=(intent,)), ())
        ended = replace(proposed(), state=state, finished_at=app.now(), detail=detail)
        app.store.ledger.finish(replace(ended, decided_by="" if state is ActionState.EXPIRED else "cli:ada"), ())

        assert await proposals.refresh(app) == 1
        n_calls = len(slack.requests)
        assert await proposals.refresh(app) == 0

        text = str(question(slack).blocks)
        assert said_of_it in text and "'action_id'" not in text
        assert len(slack.requests) == n_calls


async def test_a_slack_that_is_down_is_tried_again_later(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await approvals.deny(app, ACTION, by="cli:ada")
        slack.faults.append(Fault(faults.status(503), path="/chat.update", times=1))

        assert [await proposals.refresh(app), await proposals.refresh(app)] == [0, 0]
        later(app, 2)
        assert await proposals.refresh(app) == 1

        assert "Denied by cli:ada" in str(question(slack).blocks)


async def test_a_finding_becomes_one_question_and_its_yes_an_act(tmp_path: Path) -> None:
    # given: the decision stage itself proposes
    async with an_app_on_slack(tmp_path, response=APPROVING | {"max_share_of_keys": 1.0}) as (app, slack):
        finding = a_finding(KEY.key_hash, at=app.now())
        plan = decide((finding,), context.gather(app, app.now(), is_healthy=True), app.settings, app.now())
        assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT, MessageKind.PROPOSAL]
        app.store.ledger.commit((finding,), plan, act.compose(app, plan.notices, app.now()))
        await deliver(app)
        assert "Approve? disable search-prod" in str(question(slack).blocks)

        # when
        async with daemon.listening(app):
            await slack.socket.connected()
            await slack.socket.press(question(slack), "approve", user=ANN)
            await settled(app, 1)
        later(app, 1)
        again = a_finding(KEY.key_hash, at=app.now())
        plan = decide((again,), context.gather(app, app.now(), is_healthy=True), app.settings, app.now())

        # then
        (intent,) = plan.intents
        assert (intent.verb, intent.decided_by) == (Verb.DISABLE, f"slack:{ANN}")


async def test_a_stranger_hears_no_more_than_that_they_may_not(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await slack.socket.press(question(slack), "approve", user=EVE)
        await settled(app, 1)
        assert ANN not in await said(slack)


@given(st.integers(1, 10**6), st.floats(0, 1e6), st.sampled_from([Verb.CAP, Verb.DISABLE]))
def test_what_a_button_carries_comes_back_whole_and_fits(step: int, limit_usd: float, verb: Verb) -> None:
    action = proposed(verb=verb, limit_usd=limit_usd)
    ask = asking.ask_to_approve(action, replace(INCIDENT, incident_id="INC-1f0c9a2b7d", step=step))
    text = asking.written(ask)
    assert len(text) <= 75
    for choice in ask.choices:
        answer = asking.read(choice.value, text)
        assert answer is not None
        assert (answer.action_id, answer.version, answer.step) == (ACTION, version_of(action), step)
    assert asking.read("disable", text) is None and asking.read("approve", "INC-1|1|abc") is None


@pytest.mark.parametrize(
    "change", [{"limit_usd": 9.0}, {"verb": Verb.CAP}, {"intended_at": NOW + timedelta(minutes=1)}]
)
def test_another_question_is_another_version(change: dict[str, Any]) -> None:
    assert version_of(replace(proposed(), **change)) != version_of(proposed())
    assert version_of(replace(proposed(), state=ActionState.APPROVED, decided_by="x")) == version_of(proposed())
