"""Deny in Slack, on what is only held: for listed people, once, about the step they saw, and exact in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from build import a_finding, settings_with
from slack_build import ANN, BOB, EVE, KEY, an_app_on_slack, later, listened, question

from monitor.decide import decide
from monitor.demo.slack import FakeSlack
from monitor.domain import Action, ActionState, Finding, MessageKind, Plan, Reason
from monitor.jobs import act, approvals, context, proposals
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.store.base import Outcome, Press

HOLDING = {"name": "web", "disable": {"hold": "10m"}}
ARMED = {"mode": "enforce", "max_share_of_keys": 1.0}


def judged(app: App) -> Plan:
    """One pass in which the key is as unusual as before, written down with its messages."""
    finding: Finding = a_finding(KEY.key_hash, at=app.now())
    plan = decide((finding,), context.gather(app, app.now(), is_healthy=True), app.settings, app.now())
    app.store.ledger.commit((finding,), plan, act.compose(app, plan.notices, app.now()))
    return plan


@asynccontextmanager
async def held(state_dir: Path, **sections: Any) -> AsyncIterator[tuple[App, FakeSlack]]:
    """A theft was found, its disable is held, and the daemon listens to Slack."""
    sections = {"response": ARMED, "policies": [HOLDING]} | sections
    async with an_app_on_slack(state_dir, **sections) as (app, slack):
        judged(app)
        await deliver(app)
        async with listened(app, slack):
            yield app, slack


def offered(message: Any) -> list[str]:
    return [each["action_id"] for block in message.blocks if block["type"] == "actions" for each in block["elements"]]


def action_of(app: App) -> Action:
    (action,) = app.store.ledger.actions()
    return action


async def pressed(app: App, slack: FakeSlack, message: Any, choice: str = "deny", *, user: str = ANN) -> Press:
    """Somebody presses; what was written down of it."""
    n_before = len(app.store.cards.presses())
    await slack.socket.press(message, choice, user=user)
    async with asyncio.timeout(5):
        while True:
            ended = [each for each in app.store.cards.presses() if each.outcome is not Outcome.TAKEN]
            if len(ended) > n_before:
                return max(ended, key=lambda each: each.at)
            await asyncio.sleep(0.005)


async def test_what_is_held_is_a_message_of_its_own_with_deny_and_nothing_to_approve(tmp_path: Path) -> None:
    async with held(tmp_path) as (_, slack):
        alert, asked = slack.messages()
        assert asked.thread_ts == alert.ts
        assert offered(asked) == ["deny"]
        text = str(asked.blocks)
        assert "On hold: disable search-prod" in text and "Deny it if this is no theft" in text


@pytest.mark.parametrize(
    "sections",
    [
        {"policies": []},
        {"slack": {"app_token": None}},
        {"slack": {"allowed_users": []}},
        {"response": ARMED | {"approve": "cli", "approvers": ["cli:ada"]}},
    ],
    ids=["nothing is held", "nobody listens", "nobody may press", "people approve elsewhere"],
)
def test_without_anybody_to_answer_the_alert_alone_says_how_to_object(sections: dict[str, Any]) -> None:
    base: dict[str, Any] = {"response": ARMED, "policies": [HOLDING]}
    slack = {"enabled": True, "default_channel": "#alerts", "app_token": "token", "allowed_users": [ANN]}
    assert settings_with(slack=slack, **base).takes_objections
    changed = base | sections | {"slack": slack | sections.get("slack", {})}
    assert not settings_with(**changed).takes_objections


async def test_a_listed_persons_no_is_in_the_journal_exactly_and_the_hold_ends_with_nothing_done(
    tmp_path: Path,
) -> None:
    async with held(tmp_path) as (app, slack):
        before = action_of(app)
        later(app, 3)

        press = await pressed(app, slack, question(slack))

        assert press.outcome is Outcome.DONE
        by = f"slack:{ANN}"
        assert action_of(app) == replace(
            before, state=ActionState.DENIED, decided_by=by, finished_at=app.now(), detail=f"denied by {by}"
        )
        decided = [row for row in app.store.audit.rows() if row.kind == "decided"]
        assert [(row.by, row.subject, row.incident_id) for row in decided] == [
            (by, before.action_id, before.incident_id)
        ]
        assert app.store.audit.verify().is_ok
        later(app, 8)  # the hold would be over
        plan = judged(app)
        assert plan.actions == () and [verdict.reason for verdict in plan.verdicts] == [Reason.DENIED]
        assert app.control.calls == []
        await proposals.refresh(app)
        assert f"Denied by {by}" in str(question(slack).blocks) and offered(question(slack)) == []


async def test_without_a_no_it_is_done_after_the_hold_and_the_message_says_so(tmp_path: Path) -> None:
    async with held(tmp_path) as (app, slack):
        later(app, 11)
        await act.carry_out(app, judged(app).actions)
        await proposals.refresh(app)

        assert action_of(app).state is ActionState.DONE
        text = str(question(slack).blocks)
        assert "The hold is over and nobody objected" in text and "was disabled at" in text
        assert offered(question(slack)) == []


@pytest.mark.parametrize(
    ("sections", "user", "outcome"),
    [
        ({}, EVE, Outcome.REFUSED),
        ({"response": ARMED | {"approvers": [f"slack:{BOB}"]}}, BOB, Outcome.DONE),
        ({"routes": [{"key_name": "^search", "channel": BOB}]}, BOB, Outcome.DONE),
        ({"routes": [{"key_name": "^other", "channel": BOB}]}, BOB, Outcome.REFUSED),
    ],
    ids=["stranger", "approver", "whom the key's route names", "whom another key's route names"],
)
async def test_who_may_say_no(tmp_path: Path, sections: dict[str, Any], user: str, outcome: Outcome) -> None:
    async with held(tmp_path, **sections) as (app, slack):
        message = next(each for each in slack.messages() if offered(each) == ["deny"])
        press = await pressed(app, slack, message, user=user)

        assert press.outcome is outcome
        expected = ActionState.DENIED if outcome is Outcome.DONE else ActionState.PROPOSED
        assert action_of(app).state is expected
        kinds = [row.kind for row in app.store.audit.rows() if row.by.startswith(f"slack:{user}")]
        assert kinds


async def test_a_no_is_bound_to_the_step_that_was_seen_and_the_message_follows_the_step(tmp_path: Path) -> None:
    async with held(tmp_path) as (app, slack):
        seen = replace(question(slack), blocks=list(question(slack).blocks))
        (incident,) = app.store.ledger.incidents()
        app.store.ledger.commit((), Plan(app.now(), incidents=(replace(incident, step=incident.step + 1),)), ())

        stale = await pressed(app, slack, seen)
        assert (stale.outcome, action_of(app).state) == (Outcome.EXPIRED, ActionState.PROPOSED)

        assert await proposals.refresh(app) == 1
        later(app, 0.1)
        fresh = await pressed(app, slack, question(slack))
        assert (fresh.outcome, action_of(app).state) == (Outcome.DONE, ActionState.DENIED)


async def test_of_two_noes_one_counts_and_the_other_hears_who_was_first(tmp_path: Path) -> None:
    async with held(tmp_path, slack={"allowed_users": [ANN, BOB]}) as (app, slack):
        message = replace(question(slack), blocks=list(question(slack).blocks))
        await pressed(app, slack, message)
        later(app, 0.1)
        second = await pressed(app, slack, message, user=BOB)

        assert second.outcome is Outcome.EXPIRED and f"denied by slack:{ANN}" in second.detail
        assert [row.kind for row in app.store.audit.rows()].count("decided") == 1


async def test_a_no_after_the_act_was_done_changes_nothing_and_says_so(tmp_path: Path) -> None:
    async with held(tmp_path) as (app, slack):
        message = replace(question(slack), blocks=list(question(slack).blocks))
        later(app, 11)
        await act.carry_out(app, judged(app).actions)

        press = await pressed(app, slack, message)

        assert press.outcome is Outcome.EXPIRED and "it is done" in press.detail
        assert action_of(app).state is ActionState.DONE


async def test_nobody_approves_what_is_only_held_from_slack(tmp_path: Path) -> None:
    async with held(tmp_path, response=ARMED | {"approvers": [f"slack:{ANN}"]}) as (app, slack):
        message = question(slack)
        for block in message.blocks:
            for element in block.get("elements", []):
                element["action_id"] = "approve" if element.get("action_id") == "deny" else element.get("action_id")

        press = await pressed(app, slack, message, "approve")

        assert (press.outcome, action_of(app).state) == (Outcome.REFUSED, ActionState.PROPOSED)


async def test_the_command_line_and_slack_are_one_answer(tmp_path: Path) -> None:
    async with held(tmp_path) as (app, slack):
        await approvals.deny(app, action_of(app).action_id, by="cli:owner")
        await proposals.refresh(app)

        assert "Denied by cli:owner" in str(question(slack).blocks)
        kinds = [entry.message.kind for entry in app.store.outbox.entries()]
        assert kinds.count(MessageKind.PROPOSAL) == 1


async def test_the_operators_copy_of_what_went_to_the_owner_moves_with_it(tmp_path: Path) -> None:
    routes = [{"key_name": "^search", "channel": BOB}]
    async with held(tmp_path, routes=routes) as (app, slack):
        asked = [each for each in slack.messages() if offered(each) == ["deny"]]
        assert len({each.channel for each in asked}) == 2

        await pressed(app, slack, asked[0], user=BOB)
        await proposals.refresh(app)

        assert all("Denied by" in str(each.blocks) and offered(each) == [] for each in asked)
