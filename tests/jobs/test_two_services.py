"""Two services on one store: only the last one that started acts; people always may."""

from __future__ import annotations

from pathlib import Path

import build
from build import an_action
from fake_keys import FakeKeys
from jobs_build import NOW, an_app, an_inventory

from monitor.domain import ActionState, Plan, Verb
from monitor.jobs import act, manual, terms
from monitor.jobs.app import App
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

KEY = build.a_key(1)


def a_service(state_dir: Path, keys: FakeKeys) -> App:
    responders = {Verb.DISABLE: DisableKey(keys), Verb.RESTORE: RestoreKey(keys)}
    app = an_app(state_dir, control=keys, responders=responders, response={"mode": "enforce"})
    app.store.keys.record(an_inventory(KEY))
    terms.begin(app, app.now())
    return app


async def the_act_of(app: App, number: int) -> ActionState:
    """An automatic disable decided and carried out by this service."""
    action = an_action(1, action_id=f"ACT-{number}", intended_at=NOW)
    app.store.ledger.commit((), Plan(at=NOW, actions=(action,)), ())
    (finished,) = await act.carry_out(app, (action,))
    return finished.state


async def test_a_service_that_was_paused_while_another_took_over_acts_no_more(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    paused = a_service(tmp_path, keys)
    a_service(tmp_path, keys)  # started meanwhile; `paused` wakes up and goes on where it was

    assert await the_act_of(paused, 1) is ActionState.EXPIRED
    assert not keys.keys[KEY.key_hash].settings.is_disabled


async def test_the_one_that_took_over_acts(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    a_service(tmp_path, keys)
    second = a_service(tmp_path, keys)

    assert await the_act_of(second, 1) is ActionState.DONE
    assert keys.keys[KEY.key_hash].settings.is_disabled


async def test_of_two_that_decide_the_same_only_one_touches_the_key(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    first, second = a_service(tmp_path, keys), a_service(tmp_path, keys)
    states = [await the_act_of(first, 1), await the_act_of(second, 2)]
    assert states == [ActionState.EXPIRED, ActionState.DONE]


async def test_a_person_revokes_whoever_acts_by_itself(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = a_service(tmp_path, keys)
    a_service(tmp_path, keys)
    done = await manual.revoke(app, KEY, requested_by="cli:ada")
    assert done.state is ActionState.DONE
