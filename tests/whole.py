"""The whole monitor against the demo world, in one process and in virtual time: what the end-to-end tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor import daemon, teaching
from monitor.config import Settings
from monitor.configfile import load
from monitor.demo.clock import ManualClock
from monitor.demo.server import FakeOpenRouter
from monitor.demo.slack import FakeSlack
from monitor.demo.world import World
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.jobs.watch import CycleReport, Watch

NOW = datetime(2026, 6, 15, 10, 7, tzinfo=UTC)
MANAGEMENT_KEY, BOT_TOKEN = "sk-or-management", "xoxb-test"


@dataclass
class Whole:
    """A monitor with its world. `tick` lets a minute pass and runs a cycle."""

    world: World
    clock: ManualClock
    api: FakeOpenRouter
    slack: FakeSlack
    app: App
    watch: Watch
    settings: Settings

    async def tick(self, minutes: int = 1) -> list[CycleReport]:
        reports = []
        for _ in range(minutes):
            self.clock.advance(60)
            reports.append(await self.watch.cycle())
            await deliver(self.app)
        return reports


def settings_for(api: FakeOpenRouter, slack: FakeSlack, state_dir: Path, **overrides: str) -> Settings:
    environ = {
        "MONITOR__OPENROUTER__BASE_URL": api.base_url,
        "MONITOR__SLACK__BASE_URL": slack.base_url,
        "MONITOR__SLACK__DEFAULT_CHANNEL": "#alerts",
        "MONITOR__STORE__STATE_DIR": str(state_dir),
        "MONITOR__RESPONSE__ARMED_WITHOUT_REPLAY": "true",  # a world that has just begun has nothing to replay
        "OPENROUTER_MANAGEMENT_KEY": MANAGEMENT_KEY,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
    }
    return load(None, environ | overrides)


@asynccontextmanager
async def whole(
    state_dir: Path, *, n_keys: int = 60, seed: int = 7, now: datetime = NOW, **overrides: str
) -> AsyncIterator[Whole]:
    """A world with its history, the monitor opened on it; nothing polled yet. `overrides`: MONITOR__… settings."""
    clock = ManualClock(now)
    world = World.build(seed=seed, n_keys=n_keys, n_workspaces=2, founded_at=now)
    async with (
        FakeOpenRouter(world, clock=clock, management_key=MANAGEMENT_KEY) as api,
        FakeSlack(clock=clock, token=BOT_TOKEN) as slack,
    ):
        settings = settings_for(api, slack, state_dir, **overrides)
        async with daemon.opened(settings, clock=clock, budgets={}) as (app, watch):
            yield Whole(world, clock, api, slack, app, watch, settings)


TWO_WEEKS = {"MONITOR__COLLECT__HISTORY": "14d"}
"""Settings for a monitor that is taught where it is not tested what it learns: half of the history, in half of the time."""

N_THEFTS = 2_000
"""Simulated thefts it is taught with; the service takes four times as many, which find little more."""


async def taught(it: Whole, *, n_thefts: int = N_THEFTS) -> None:
    """First cycle, backfill of the history, training."""
    await it.watch.cycle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "N_THEFTS", n_thefts)
        await daemon.read_history(it.app, it.watch)
