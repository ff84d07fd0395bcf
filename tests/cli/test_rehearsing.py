"""`rehearse` against the demo world: asked for by its name, exact in the end, and refused where anything is in doubt."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from build import a_key
from cli_build import NOW, settings_of, typed_name
from rehearsal_build import watched

from monitor.config import Settings
from monitor.demo.counters import DAILY, LIFETIME
from monitor.demo.fleet import Key
from monitor.demo.world import World
from monitor.store.sqlite import open_store
from monitor.wiring import only_rehearsal

SETTINGS = """
[slack]
enabled = false

[[detection.rules]]
name = "ceiling"
max_usd_per_hour = 30.0
disable = true
"""


@pytest.fixture
def canary(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Key:
    """A live key without a limit whose usage is known, and nothing."""
    shown = world.shown_counters(NOW)
    idle = shown.credits[DAILY] + shown.byok[DAILY] == 0
    free = (key for key in world.fleet.keys if key.limit_nusd is None and not key.is_disabled)
    key = next(key for key in free if idle[key.no])
    lifetime = int(shown.credits[LIFETIME][key.no] + shown.byok[LIFETIME][key.no])
    store = open_store(str(tmp_path / "state" / "monitor.db"))
    watched(store, NOW, key=a_key(key.key_hash, usage_nusd=lifetime, created_at=NOW - timedelta(days=90)))
    store.maintenance.close()
    path = tmp_path / "rehearsal.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    monkeypatch.setenv("OPENROUTER_MONITOR_CONFIG", str(path))
    return key


async def test_a_rehearsal_is_told_step_by_step_and_the_key_is_as_it_was(run, world: World, canary: Key):
    before = settings_of(world, canary)

    result = await asyncio.to_thread(run, "rehearse", canary.key_hash, "--yes")

    assert result.exit_code == 0, result.output
    told = [line.split()[:2] for line in result.stdout.splitlines() if line.startswith(("ok", "FAIL"))]
    assert told == [["ok", name] for name in ("read", "detect", "alert", "disable", "restore")]
    assert "SIMULATED" in result.stdout and "Rehearsal, no theft" in result.output
    assert "NOTE  response.mode is observe" in result.stdout
    assert settings_of(world, canary) == before
    actions = json.loads((await asyncio.to_thread(run, "explain", canary.key_hash, "--json")).stdout)["actions"]
    assert [(each["verb"], each["state"], each["reason"]) for each in actions] == [
        ("disable", "done", "rehearsal"),
        ("restore", "done", "rehearsal"),
    ]
    status = json.loads((await asyncio.to_thread(run, "status", "--json")).stdout)
    assert status["rehearsal"]["ok"] and "ok; read" in status["rehearsal"]["last"]
    listed = (await asyncio.to_thread(run, "audit", "list")).stdout
    assert listed.count("rehearsal") >= 7


async def test_a_rehearsal_wants_the_keys_name_typed(run, world: World, canary: Key):
    for wrong in ("\n", "yes\n", f"{typed_name(canary)}x\n"):
        result = await asyncio.to_thread(run, "rehearse", canary.key_hash, text=wrong)
        assert result.exit_code == 1 and "nothing was touched" in result.stderr
    assert "will really be DISABLED for some seconds" in result.stderr

    result = await asyncio.to_thread(run, "rehearse", canary.key_hash, "--json", text=f"{typed_name(canary)}\n")

    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["ok"], document["may_still_be_disabled"]) == (True, False)
    assert document["simulated_detection_s"] == 1_800
    assert [step["name"] for step in document["steps"]] == ["read", "detect", "alert", "disable", "restore"]


async def test_a_dry_run_shows_the_plan_and_touches_nothing(run, world: World, canary: Key):
    before = settings_of(world, canary)
    result = await asyncio.to_thread(run, "rehearse", canary.key_hash, "--dry-run")
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("ok")] == ["read", "detect"]
    assert sum(line.startswith("plan  would") for line in result.stdout.splitlines()) == 4
    assert settings_of(world, canary) == before
    assert json.loads((await asyncio.to_thread(run, "explain", canary.key_hash, "--json")).stdout)["actions"] == []


async def test_a_key_that_is_not_named_exactly_is_not_rehearsed_on(run, world: World, canary: Key):
    name, twins = next(iter(world.fleet.names_shared().items()))
    result = await asyncio.to_thread(run, "rehearse", name, "--yes")
    assert result.exit_code == 1 and f"{len(twins)} keys match" in result.stderr


async def test_a_refused_rehearsal_says_why_and_ends_with_status_1(run, world: World, canary: Key):
    protected = {"MONITOR__RESPONSE__PROTECTED_KEYS": f'["{canary.key_hash}"]'}
    result = await asyncio.to_thread(run, "rehearse", canary.key_hash, "--yes", env=protected)
    assert result.exit_code == 1
    assert "protected by response.protected_keys" in result.stderr and "nothing was touched" in result.stderr


async def test_two_rehearsals_at_once_are_refused(run, world: World, canary: Key, tmp_path: Path):
    settings = Settings.model_validate({"store": {"state_dir": tmp_path / "state"}})
    with only_rehearsal(settings):
        result = await asyncio.to_thread(run, "rehearse", canary.key_hash, "--yes")
    assert result.exit_code == 1 and "another rehearsal is under way" in result.stderr
    assert not world.key_state(canary.key_hash).is_disabled
