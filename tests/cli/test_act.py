"""revoke and restore against the demo world: journalled, read back, undone; no Slack needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from build import a_key

from monitor.demo.clock import ManualClock
from monitor.demo.fleet import Key
from monitor.demo.server import FakeOpenRouter
from monitor.demo.world import World
from monitor.domain import Inventory
from monitor.store.sqlite import open_store

NOW = datetime(2026, 6, 15, 10, 7, tzinfo=UTC)
MANAGEMENT_KEY = "management-key-of-a-test"


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """An account on loopback, and a store that knows its keys."""
    clock = ManualClock(NOW)
    made = World.build(seed=7, n_keys=20, n_workspaces=1, founded_at=NOW)
    store = open_store(str(tmp_path / "state" / "monitor.db"))
    store.keys.record(Inventory(NOW, tuple(stored(key) for key in made.fleet.keys), ()))
    store.maintenance.close()
    async with FakeOpenRouter(made, clock=clock, management_key=MANAGEMENT_KEY) as api:
        monkeypatch.setenv("MONITOR__OPENROUTER__BASE_URL", api.base_url)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", MANAGEMENT_KEY)
        yield made


def stored(key: Key):
    return a_key(key.key_hash, key_name=key.name, created_at=NOW - timedelta(days=40))


def a_live_key(world: World) -> Key:
    """With a limit, so that there is something to put back."""
    live = (key for key in world.fleet.keys if not key.is_disabled)
    return next(key for key in live if key.limit_nusd is not None and key.limit_reset == "monthly")


def settings_of(world: World, key: Key) -> tuple[bool, int | None, str | None, bool]:
    now = world.key_state(key.key_hash)
    return now.is_disabled, now.limit_nusd, now.limit_reset, now.include_byok_in_limit


async def test_a_key_revoked_by_hand_is_disabled_and_restored_exactly(run, world: World):
    # given
    key = a_live_key(world)
    before = settings_of(world, key)

    # when
    revoked = await asyncio.to_thread(run, "revoke", key.key_hash, "--yes")
    while_off = world.key_state(key.key_hash).is_disabled
    restored = await asyncio.to_thread(run, "restore", key.key_hash, "--json")

    # then
    assert (revoked.exit_code, restored.exit_code) == (0, 0)
    assert f"disable {key.key_hash[:12]}: done" in revoked.stdout
    assert while_off
    assert settings_of(world, key) == before
    assert before == (False, key.limit_nusd, "monthly", False)
    action = json.loads(restored.stdout)
    assert (action["verb"], action["state"], action["reason"]) == ("restore", "done", "requested")
    assert action["requested_by"].startswith("cli:")
    actions = json.loads((await asyncio.to_thread(run, "explain", key.key_hash, "--json")).stdout)["actions"]
    assert [each["verb"] for each in actions] == ["disable", "restore"]


async def test_revoke_asks_first_and_no_means_nothing_happens(run, world: World):
    key = a_live_key(world)
    result = await asyncio.to_thread(run, "revoke", key.key_hash, text="n\n")
    assert result.exit_code == 1
    assert key.key_hash[:12] in result.stdout
    assert not world.key_state(key.key_hash).is_disabled


async def test_an_ambiguous_name_is_never_acted_on(run, world: World):
    name, twins = next(iter(world.fleet.names_shared().items()))
    before = [settings_of(world, each) for each in twins]
    result = await asyncio.to_thread(run, "revoke", name, "--yes")
    assert result.exit_code == 1
    assert f"{len(twins)} keys match" in result.stderr
    assert [settings_of(world, each) for each in twins] == before


async def test_restore_of_a_key_that_was_never_disabled_here_says_so(run, world: World):
    result = await asyncio.to_thread(run, "restore", a_live_key(world).key_hash)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


async def test_check_of_a_working_account_is_all_ok(run, world: World, tmp_path: Path):
    # the world stands still in June 2026: only the clock and the skew differ from ours
    result = await asyncio.to_thread(run, "check", "--json", env={"MONITOR__SLACK__ENABLED": "false"})
    found = {one["what"]: one["ok"] for one in json.loads(result.stdout)}
    assert found.pop("clock") is False
    assert found and all(found.values())


async def test_an_inference_key_is_told_from_a_management_key(run, world: World):
    result = await asyncio.to_thread(run, "check", env={"OPENROUTER_MANAGEMENT_KEY": "some-other-key"})
    assert result.exit_code == 1
    assert "FAIL  management key" in result.stdout
    assert "some-other-key" not in result.output
