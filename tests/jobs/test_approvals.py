"""Yes and no to a proposal: durable, for listed people, once, and never an act by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from build import a_key, an_action
from fake_keys import FakeKeys
from jobs_build import NOW, an_app, an_inventory

from monitor.domain import Action, ActionState, Plan, Verb
from monitor.errors import ActionFailed
from monitor.jobs import act, approvals
from monitor.jobs.app import App
from monitor.respond.cap import CapKey
from monitor.respond.disable import DisableKey

KEY = a_key(1)
APPROVING = {"mode": "enforce", "approve": "cli", "approvers": ["cli:ada", "slack:U1"]}


def proposed(**changes: object) -> Action:
    fields = {"action_id": "ACT-1", "state": ActionState.PROPOSED, "expires_at": NOW + timedelta(hours=4)}
    return an_action(1, intended_at=NOW, **(fields | changes))


def an_app_with(state_dir: Path, *actions: Action, keys: FakeKeys | None = None) -> App:
    keys = keys or FakeKeys.holding(KEY)
    responders = {Verb.DISABLE: DisableKey(keys), Verb.CAP: CapKey(keys)}
    app = an_app(state_dir, control=keys, responders=responders, response=APPROVING)
    app.store.keys.record(an_inventory(KEY))
    app.store.ledger.commit((), Plan(at=NOW, actions=actions), ())
    return app


async def test_a_listed_person_approves_and_nothing_is_done_yet(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_with(tmp_path, proposed(), keys=keys)

    said = await approvals.approve(app, "ACT-1", by="slack:U1")

    assert (said.state, said.decided_by) == (ActionState.APPROVED, "slack:U1")
    assert said.expires_at == app.now() + timedelta(minutes=10)
    assert app.store.ledger.actions() == (said,)
    assert keys.calls == []
    assert await approvals.approve(app, "ACT-1", by="cli:ada") == said


@pytest.mark.parametrize("by", ["cli:eve", "slack:U2", "", "cli:Ada"])
@pytest.mark.parametrize("say", [approvals.approve, approvals.deny])
async def test_who_is_not_on_the_list_decides_nothing(tmp_path: Path, say, by: str) -> None:
    app = an_app_with(tmp_path, proposed())
    with pytest.raises(ActionFailed, match=r"may not decide.*cli:ada, slack:U1"):
        await say(app, "ACT-1", by=by)
    assert [action.state for action in app.store.ledger.actions()] == [ActionState.PROPOSED]


async def test_anybody_may_object_to_what_is_only_held(tmp_path: Path) -> None:
    app = an_app_with(tmp_path, proposed(not_before=NOW + timedelta(minutes=5)))
    said = await approvals.deny(app, "ACT-1", by="cli:owner")
    assert (said.state, said.decided_by) == (ActionState.DENIED, "cli:owner")


async def test_only_a_listed_person_shortens_a_hold(tmp_path: Path) -> None:
    app = an_app_with(tmp_path, proposed(not_before=NOW + timedelta(minutes=5)))
    with pytest.raises(ActionFailed, match="may not decide"):
        await approvals.approve(app, "ACT-1", by="cli:owner")


async def test_an_answer_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    app = an_app_with(tmp_path, proposed())
    app.clock.pass_time(4 * 3600)
    with pytest.raises(ActionFailed, match="it is expired"):
        await approvals.approve(app, "ACT-1", by="cli:ada")
    assert approvals.pending(app.store, app.now()) == ()


@pytest.mark.parametrize("state", [ActionState.DENIED, ActionState.INTENDED, ActionState.DONE, ActionState.EXPIRED])
async def test_what_does_not_wait_any_more_cannot_be_approved(tmp_path: Path, state: ActionState) -> None:
    app = an_app_with(tmp_path, proposed(), proposed(state=state))
    with pytest.raises(ActionFailed, match=f"it is {state}"):
        await approvals.approve(app, "ACT-1", by="cli:ada")


async def test_an_unknown_action_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match="no action ACT-9; `openrouter-monitor approvals`"):
        await approvals.approve(an_app_with(tmp_path), "ACT-9", by="cli:ada")


async def test_a_no_at_the_very_moment_of_the_act_still_counts(tmp_path: Path) -> None:
    # given: the hold is over, the intent is journalled, and somebody objects before it is carried out
    keys = FakeKeys.holding(KEY)
    held = proposed(not_before=NOW)
    app = an_app_with(tmp_path, held, keys=keys)
    intent = proposed(not_before=NOW, state=ActionState.INTENDED, expires_at=NOW + timedelta(minutes=10))
    denied = proposed(not_before=NOW, state=ActionState.DENIED, finished_at=NOW, decided_by="cli:owner")
    app.store.ledger.commit((), Plan(at=NOW, actions=(intent, denied)), ())

    assert await act.carry_out(app, (intent,)) == ()
    assert keys.calls == []


async def test_l4_a_proposal_survives_a_kill_and_is_not_carried_out_by_the_restart(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    approved = proposed(state=ActionState.APPROVED, decided_by="cli:ada")
    app = an_app_with(tmp_path, proposed(), approved, keys=keys)

    assert await act.resolve_open(app) == ()

    assert keys.calls == []
    assert approvals.pending(app.store, app.now()) == (approved,)


@pytest.mark.parametrize(("minutes", "state"), [(1, ActionState.DONE), (11, ActionState.EXPIRED)])
async def test_l4_a_cap_left_by_a_kill_is_taken_up_again_or_judged_anew_by_age(
    tmp_path: Path, minutes: int, state: ActionState
) -> None:
    keys = FakeKeys.holding(KEY)
    left = proposed(state=ActionState.INTENDED, verb=Verb.CAP, limit_usd=150.0, expires_at=NOW + timedelta(minutes=10))
    app = an_app_with(tmp_path, left, keys=keys)
    app.clock.pass_time(60 * minutes)

    (ended,) = await act.resolve_open(app)

    assert ended.state is state
    assert keys.keys[KEY.key_hash].settings.limit_usd == (150.0 if state is ActionState.DONE else None)
