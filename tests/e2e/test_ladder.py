"""The ladder against the demo world: approval, a canary, and a disable that does not stop the spending."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from store_build import fill_the_disk
from whole import Whole, whole

from monitor.config import Settings
from monitor.demo.counters import DAILY
from monitor.demo.fleet import Key
from monitor.domain import ActionState, Verb
from monitor.errors import StoreError
from monitor.jobs import approvals, manual

pytestmark = pytest.mark.slow

ARMED = {"MONITOR__RESPONSE__MODE": "enforce", "MONITOR__SCHEDULE__USAGE_EVERY": "60s"}


def rule(*keys: Key) -> str:
    names = "|".join(re.escape(key.name) for key in keys)
    return json.dumps(
        [{"name": "never", "key_name": f"^({names})$", "max_usd_per_hour": 0.0, "disable": True, "severity": "notice"}]
    )


def busiest(it: Whole) -> list[Key]:
    """Live keys with a name of their own, the busiest first."""
    shown = it.world.shown_counters(it.clock.now())
    names = [key.name for key in it.world.fleet.keys]
    live = [key for key in it.world.fleet.keys if not key.is_disabled and names.count(key.name) == 1]
    return sorted(live, key=lambda key: -int(shown.credits[DAILY][key.no]))


async def stored(it: Whole, key: Key):
    listed = it.app.store.keys.keys()
    return next(each for each in listed if each.key_hash == key.key_hash)


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


async def test_an_approved_act_is_done_by_the_service_and_a_denied_one_is_not(tmp_path: Path) -> None:
    approving = {"MONITOR__RESPONSE__APPROVE": "cli", "MONITOR__RESPONSE__APPROVERS": '["cli:ada"]'}
    async with whole(tmp_path, n_keys=12, **ARMED, **approving) as it:
        # given: two keys break a rule that disables, and people must approve
        await it.tick(2)
        first, second = busiest(it)[:2]
        it.app.pipeline.settings = it.app.settings = with_rule(it, first, second)
        await it.tick(8)
        waiting = {action.key_hash: action for action in approvals.pending(it.app.store, it.app.now())}
        assert first.key_hash in waiting
        assert not it.world.key_state(first.key_hash).is_disabled

        # when
        await approvals.approve(it.app, waiting[first.key_hash].action_id, by="cli:ada")
        if second.key_hash in waiting:
            await approvals.deny(it.app, waiting[second.key_hash].action_id, by="cli:ada")
        await it.tick(3)

        # then
        assert it.world.key_state(first.key_hash).is_disabled
        assert not it.world.key_state(second.key_hash).is_disabled
        (done,) = it.app.store.ledger.actions(states={ActionState.DONE})
        assert (done.key_hash, done.decided_by, done.requested_by) == (first.key_hash, "cli:ada", "monitor")


async def test_d4_of_many_keys_one_is_disabled_first_and_no_more_than_the_fuse_allows_follow(tmp_path: Path) -> None:
    wide = {"MAX_SHARE_OF_KEYS": "1.0", "MAX_SHARE_OF_SPEND": "1.0", "CORRELATED_KEYS": "500"}
    async with whole(tmp_path, n_keys=40, **ARMED, **{f"MONITOR__RESPONSE__{k}": v for k, v in wide.items()}) as it:
        # given: every key that spends breaks a rule that disables
        await it.tick(2)
        before = {key.key_hash for key in it.world.fleet.keys if key.is_disabled}
        it.app.pipeline.settings = it.app.settings = with_rule(it, *it.world.fleet.keys)

        # when
        n_disabled = []
        for _ in range(8):
            await it.tick()
            n_disabled.append(sum(key.is_disabled and key.key_hash not in before for key in it.world.fleet.keys))

        # then: the second waits until the first stood still between two inventories; the fourth is for people
        assert n_disabled[0] == 1
        assert n_disabled.count(1) >= 2
        assert n_disabled[-1] == 3
        shown = [str(message.blocks) for message in it.slack.messages("#alerts")]
        assert any("fuse allows no further automatic action" in each for each in shown)


async def test_on_a_full_disk_the_reserve_is_given_up_and_a_stolen_key_is_still_disabled(tmp_path: Path) -> None:
    async with whole(tmp_path, n_keys=12, **ARMED) as it:
        # given: a reserve, a key that breaks a rule which disables, and then no room on the disk
        await it.tick(2)
        assert it.app.store.maintenance.hold_reserve()
        key = busiest(it)[0]
        it.app.pipeline.settings = it.app.settings = with_rule(it, key)
        fill_the_disk(it.app.store)

        # when
        n_failed = 0
        for _ in range(4):
            try:
                await it.tick()
            except StoreError:
                n_failed += 1

        # then: at most one cycle was lost, the key is out of service, journalled, and people know of both
        assert n_failed <= 1
        assert it.world.key_state(key.key_hash).is_disabled
        assert [each.state for each in it.app.store.ledger.actions(key_hash=key.key_hash)] == [ActionState.DONE]
        texts = " ".join(message.text for message in it.slack.messages("#alerts"))
        assert "the disk of the store is full" in texts and key.name in texts


def with_rule(it: Whole, *keys: Key):
    rules = Settings.model_validate({"detection": {"rules": json.loads(rule(*keys))}}).detection.rules
    return it.settings.model_copy(update={"detection": it.settings.detection.model_copy(update={"rules": rules})})
