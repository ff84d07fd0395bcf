"""revoke and restore against the demo world: journalled, read back, undone; no Slack needed."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

from build import an_action
from cli_build import a_live_key, settings_of, typed_name

from monitor.demo.fleet import Key
from monitor.demo.world import World
from monitor.domain import ActionState, Plan
from monitor.store.sqlite import open_store
from monitor.wiring import SystemClock


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


# -- delete, the ladder, proposals --------------------------------------------------------------------------------------


async def test_a_key_is_deleted_only_after_its_name_was_typed(run, world: World):
    key = a_live_key(world)
    for wrong in ("\n", "yes\n", "y\n", f"{typed_name(key)}x\n"):
        result = await asyncio.to_thread(run, "revoke", key.key_hash, "--delete", "--yes", text=wrong)
        assert result.exit_code == 1
        assert "nothing was deleted" in result.stderr
        assert world.key(key.key_hash) is not None

    result = await asyncio.to_thread(run, "revoke", key.key_hash, "--delete", text=f"{typed_name(key)}\n")

    assert result.exit_code == 0
    assert f"delete {key.key_hash[:12]}: done" in result.stdout
    assert world.key(key.key_hash) is None
    restored = await asyncio.to_thread(run, "restore", key.key_hash)
    assert "no longer exists at the issuer" in restored.stderr


async def test_restore_names_what_somebody_changed_since_and_overwrites_it_only_when_forced(run, world: World):
    key = a_live_key(world)
    before = settings_of(world, key)
    await asyncio.to_thread(run, "revoke", key.key_hash, "--yes")
    world.key_state(key.key_hash).limit_nusd = 5 * 10**9

    refused = await asyncio.to_thread(run, "restore", key.key_hash)
    forced = await asyncio.to_thread(run, "restore", key.key_hash, "--force")

    assert refused.exit_code == 1
    assert "limit_usd is 5.0 now" in refused.stderr and "--force" in refused.stderr
    assert forced.exit_code == 0
    assert settings_of(world, key) == before


def a_proposal(tmp_path: Path, key: Key, **changes: object) -> str:
    now = SystemClock().now()
    store = open_store(str(tmp_path / "state" / "monitor.db"))
    fields = {"state": ActionState.PROPOSED, "expires_at": now + timedelta(hours=1), "action_id": "ACT-00aa"} | changes
    store.ledger.commit((), Plan(now, actions=(an_action(key.key_hash, intended_at=now, **fields),)), ())
    store.maintenance.close()
    return "ACT-00aa"


async def test_a_proposal_is_listed_approved_by_a_listed_user_and_denied_by_one(run, world: World, tmp_path: Path):
    key = a_live_key(world)
    action = a_proposal(tmp_path, key)
    nobody = {"MONITOR__RESPONSE__APPROVE": "cli", "MONITOR__RESPONSE__APPROVERS": '["cli:ada"]', "SUDO_USER": "eve"}
    listed = nobody | {"SUDO_USER": "ada"}

    refused = await asyncio.to_thread(run, "approve", action, env=nobody)
    shown = await asyncio.to_thread(run, "approvals", env=listed)
    approved = await asyncio.to_thread(run, "approve", action, env=listed)
    waiting = json.loads((await asyncio.to_thread(run, "approvals", "--json", env=listed)).stdout)
    denied = await asyncio.to_thread(run, "deny", action, env=listed)

    assert refused.exit_code == 1 and "cli:eve may not decide" in refused.stderr
    assert action in shown.stdout and "approval until" in shown.stdout
    assert approved.exit_code == 0
    assert [(one["state"], one["decided_by"]) for one in waiting] == [("approved", "cli:ada")]
    assert denied.exit_code == 0
    assert not world.key_state(key.key_hash).is_disabled


async def test_explain_tells_which_policy_a_key_has_and_why(run, world: World, tmp_path: Path):
    key = a_live_key(world)
    config = tmp_path / "ladder.toml"
    config.write_text('[[policies]]\nname = "mine"\n[policies.disable]\nhold = "10m"\n', encoding="utf-8")

    plain = await asyncio.to_thread(run, "explain", key.key_hash)
    matched = await asyncio.to_thread(run, "--config", str(config), "explain", key.key_hash)

    assert "policy default: no policies are configured" in plain.stdout
    assert "policy policies[1] 'mine': every key" in matched.stdout
    assert "held for 10 min" in matched.stdout
