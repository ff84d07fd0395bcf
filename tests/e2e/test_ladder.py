"""The ladder against the demo world: approval, a canary, and a disable that does not stop the spending."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from whole import Whole, whole

from monitor.demo.fleet import Key
from monitor.domain import ActionState, Verb
from monitor.jobs import manual

pytestmark = pytest.mark.slow

ARMED = {"MONITOR__RESPONSE__MODE": "enforce", "MONITOR__SCHEDULE__USAGE_EVERY": "60s"}


def rule(*keys: Key) -> str:
    names = "|".join(key.name for key in keys)
    return json.dumps([{"name": "never", "key_name": f"^({names})$", "max_usd_per_hour": 0.0, "disable": True}])


def busiest(it: Whole) -> list[Key]:
    """Live keys with a name of their own, the busiest first."""
    shown = it.world.shown_counters(it.clock.now())
    names = [key.name for key in it.world.fleet.keys]
    live = [key for key in it.world.fleet.keys if not key.is_disabled and names.count(key.name) == 1]
    spent = shown.credits[0] if shown.credits.ndim == 2 else shown.credits
    return sorted(live, key=lambda key: -int(spent[key.no]))


async def stored(it: Whole, key: Key):
    return next(each for each in it.app.store.keys.keys() if each.key_hash == key.key_hash)


async def test_d5_a_disable_without_effect_ends_in_limit_0_and_a_restore_undoes_both(tmp_path: Path) -> None:
    async with whole(tmp_path, n_keys=12, **ARMED) as it:
        # given: a person disables a key, and the issuer goes on serving it
        await it.tick(2)
        key = busiest(it)[0]
        before = (key.is_disabled, key.limit_nusd, key.limit_reset, key.include_byok_in_limit)
        it.world.disable_delay_s = 10 * 3600
        await manual.revoke(it.app, await stored(it, key), requested_by="cli:ada")

        # when: the counter grows beyond the grace
        await it.tick(25)

        # then: the limit is 0, journalled and told; and one restore puts everything back
        done = [(a.verb, a.state) for a in it.app.store.ledger.actions(key_hash=key.key_hash)]
        assert done == [(Verb.DISABLE, ActionState.DONE), (Verb.ZERO, ActionState.DONE)]
        assert it.world.key_state(key.key_hash).limit_nusd == 0
        assert any("limited to $0" in message.text for message in it.slack.messages("#alerts"))
        await manual.restore(it.app, await stored(it, key), requested_by="cli:ada")
        now = it.world.key_state(key.key_hash)
        assert (now.is_disabled, now.limit_nusd, now.limit_reset, now.include_byok_in_limit) == before
