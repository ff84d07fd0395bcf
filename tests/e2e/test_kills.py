"""Killed at random moments, again and again, while keys are stolen: nothing is lost, doubled or invented."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import forked
import msgspec
import pytest
from whole import BOT_TOKEN, MANAGEMENT_KEY, TWO_WEEKS, Whole, taught, whole

from monitor import wiring
from monitor.demo import attacks, server
from monitor.demo.attacks import Theft
from monitor.demo.fleet import Key
from monitor.demo.server import FakeOpenRouter
from monitor.demo.slack import FakeSlack
from monitor.demo.world import World
from monitor.domain import ActionState, Verb
from monitor.store.base import Delivery

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]

N_KILLS = int(os.environ.get("MONITOR_TEST_KILLS", "12"))
SEED = int(os.environ.get("MONITOR_TEST_SEED", "20261123"))
N_THEFTS = 4
N_KEYS = 80

OVERRIDES = TWO_WEEKS | {
    "MONITOR__RESPONSE__MODE": "enforce",
    "MONITOR__RESPONSE__ARMED_WITHOUT_REPLAY": "true",
    "MONITOR__RESPONSE__MAX_PER_HOUR": "50",  # the fuses are not what is tested here
    "MONITOR__RESPONSE__MAX_PER_DAY": "50",
    "MONITOR__RESPONSE__MAX_SHARE_OF_KEYS": "1.0",
    "MONITOR__RESPONSE__CORRELATED_KEYS": "50",
    "MONITOR__SCHEDULE__KEYS_EVERY": "1s",
}


class RealClock:
    """The machine's time: what the killed processes live by."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Outcome:
    """What a run left behind, without times and ids."""

    disabled: frozenset[str]
    actions: tuple[tuple[Verb, str, ActionState], ...]
    incident_keys: frozenset[str]


async def spawn(environ: dict[str, str], state_dir: Path) -> asyncio.subprocess.Process:
    with (state_dir / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "monitor", "run", env=environ, stderr=log)


def times_ready(state_dir: Path) -> int:
    """How often a process has said that its jobs run."""
    log = state_dir / "log"
    return log.read_text().count("service_ready") if log.exists() else 0


async def ready(state_dir: Path, *, after: int, is_alive: Callable[[], bool]) -> None:
    """Until the process says that its jobs run. `after`: how often others had said it before."""
    for _ in range(1_200):
        if times_ready(state_dir) > after:
            return
        assert is_alive(), f"it ended by itself:\n{(state_dir / 'log').read_text()[-2000:]}"
        await asyncio.sleep(0.05)
    raise AssertionError("not ready within a minute")


def victims(world: World) -> list[Key]:
    """One of two keys that share a name, and others with names of their own."""
    alone = [key for kind in ("product", "service", "developer") for key in world.busy(kind, at_least_usd_per_day=2.0)]
    return [world.twins()[0], *alone[: N_THEFTS - 1]]


async def stolen_and_killed(it: Whole, state_dir: Path, *, n_kills: int) -> Outcome:
    """Runs the service on a taught state directory while keys are stolen one after the other, killing it `n_kills` times."""
    world = World.build(seed=7, n_keys=len(it.world.fleet.keys), n_workspaces=2, founded_at=it.world.founded_at)
    rng, clock = random.Random(SEED), RealClock()
    thefts: list[Theft] = []
    async with (
        FakeOpenRouter(world, clock=clock, management_key=MANAGEMENT_KEY) as api,
        FakeSlack(clock=clock, token=BOT_TOKEN) as slack,
    ):
        environ = dict(os.environ) | OVERRIDES | {
            "MONITOR__OPENROUTER__BASE_URL": api.base_url,
            "MONITOR__SLACK__BASE_URL": slack.base_url,
            "MONITOR__SLACK__DEFAULT_CHANNEL": "#alerts",
            "MONITOR__STORE__STATE_DIR": str(state_dir),
            "OPENROUTER_MANAGEMENT_KEY": MANAGEMENT_KEY,
            "SLACK_BOT_TOKEN": BOT_TOKEN,
        }  # fmt: skip
        targets = victims(world)
        for number in range(max(n_kills, N_THEFTS)):
            if number % max(1, n_kills // N_THEFTS) == 0 and len(thefts) < N_THEFTS:
                theft = attacks.smash_and_grab(
                    targets[len(thefts)],
                    world.fleet,
                    start=clock.now(),
                    burst_after=timedelta(seconds=15),  # while it is still being killed
                    usd_per_minute=60.0,
                )
                world.start(theft)
                thefts.append(theft)
            if n_kills:
                said = times_ready(state_dir)
                doomed = await forked.started(environ, state_dir / "log")
                if rng.random() < 0.3:  # while it starts
                    await asyncio.sleep(rng.uniform(0.0, 2.0))
                else:  # while it works
                    await ready(state_dir, after=said, is_alive=doomed.is_alive)
                    await asyncio.sleep(rng.uniform(0.0, 5.0))
                await forked.killed(doomed)
        said = times_ready(state_dir)
        process = await spawn(environ, state_dir)  # the command as it is installed
        try:  # before it is ready a signal ends it where it stands
            await ready(state_dir, after=said, is_alive=lambda: process.returncode is None)
            await settled(world, thefts, state_dir)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), timeout=40) == 0
        finally:
            if process.returncode is None:
                process.kill()
        check_nothing_lost_or_doubled(state_dir, world, slack)
        return outcome(state_dir, world)


async def settled(world: World, thefts: list[Theft], state_dir: Path) -> None:
    """Until every stolen key is disabled and every message delivered."""
    for _ in range(600):
        await asyncio.sleep(0.5)
        if all(world.key_state(theft.key_hash).is_disabled for theft in thefts) and not undelivered(state_dir):
            await asyncio.sleep(3)  # a further cycle or two: nothing more may follow
            return
    raise AssertionError("the stolen keys were not all disabled, or messages not delivered, within five minutes")


def undelivered(state_dir: Path) -> int:
    store = wiring.open_store(wiring_settings(state_dir), read_only=True)
    try:
        return len(store.outbox.entries(states={Delivery.WAITING, Delivery.SENDING, Delivery.UNKNOWN}))
    finally:
        store.maintenance.close()


def wiring_settings(state_dir: Path) -> object:
    from monitor.configfile import load

    return load(None, {"MONITOR__STORE__STATE_DIR": str(state_dir)})


def check_nothing_lost_or_doubled(state_dir: Path, world: World, slack: FakeSlack) -> None:
    store = wiring.open_store(wiring_settings(state_dir), read_only=True)
    try:
        actions, entries = store.ledger.actions(), store.outbox.entries()
        store.maintenance.verify()
    finally:
        store.maintenance.close()
    patched = {
        (request.path.rsplit("/", 1)[-1], msgspec.json.decode(request.body)["disabled"])
        for request in world.requests
        if request.method == "PATCH"
    }
    journalled = {(one.key_hash, one.verb is Verb.DISABLE) for one in actions}
    assert patched <= journalled, "an effect without a journal entry"
    assert all(one.state is not ActionState.INTENDED for one in actions), "an intent without an outcome"
    assert all(entry.state is Delivery.DELIVERED for entry in entries), "a message that was lost"
    sent = Counter(
        message.metadata["event_payload"]["message_id"] for message in slack.messages() if message.metadata is not None
    )
    assert set(sent) == {entry.message.message_id for entry in entries}
    assert max(sent.values()) == 1, f"messages doubled: {[one for one, n in sent.items() if n > 1]}"


def outcome(state_dir: Path, world: World) -> Outcome:
    store = wiring.open_store(wiring_settings(state_dir), read_only=True)
    try:
        actions = store.ledger.actions()
        stolen = {one.key_hash for one in actions}
        incidents = {one.key_hash for one in store.ledger.incidents()} & stolen
    finally:
        store.maintenance.close()
    patched = {request.path.rsplit("/", 1)[-1] for request in world.requests if request.method == "PATCH"}
    return Outcome(
        disabled=frozenset(key_hash for key_hash in patched if world.key_state(key_hash).is_disabled),
        actions=tuple(sorted((one.verb, one.key_hash, one.state) for one in actions if one.state is ActionState.DONE)),
        incident_keys=frozenset(incidents),
    )


async def test_killed_again_and_again_while_keys_are_stolen_it_ends_as_if_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: a monitor taught on two weeks of its keys, up to a while ago
    monkeypatch.setattr(server, "ANALYTICS_PER_MINUTE", 100_000)  # restarts ask more than a real minute allows
    taught_dir = tmp_path / "taught"
    founded_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=12)
    async with whole(taught_dir, n_keys=N_KEYS, now=founded_at, **OVERRIDES) as it:
        await taught(it)
        from monitor.jobs import checkpoint

        checkpoint.save(it.app)
        world_ahead = it.clock.now() - datetime.now(UTC)
        assert world_ahead < timedelta(0), f"teaching took more world time than there was: {world_ahead}"
    for name in ("calm", "killed"):
        shutil.copytree(taught_dir, tmp_path / name)

    # when: the same thefts happen to an undisturbed monitor and to one that is killed again and again
    calm, killed = await asyncio.gather(
        stolen_and_killed(it, tmp_path / "calm", n_kills=0),
        stolen_and_killed(it, tmp_path / "killed", n_kills=N_KILLS),
    )

    # then
    assert calm.disabled == killed.disabled and len(killed.disabled) == N_THEFTS
    assert calm.actions == killed.actions
    assert calm.incident_keys == killed.incident_keys
