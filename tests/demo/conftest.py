"""A small world at a fixed moment, its API and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from monitor.demo.clock import ManualClock
from monitor.demo.server import FakeOpenRouter
from monitor.demo.world import World

NOW = datetime(2026, 11, 23, 19, 20, 30, tzinfo=UTC)  # a Monday
MANAGEMENT_KEY = "sk-or-v1-management-of-the-demo"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def world() -> World:
    return World.build(seed=3, n_keys=60, founded_at=NOW, history_days=9)


@pytest.fixture
async def api(world: World, clock: ManualClock) -> AsyncIterator[FakeOpenRouter]:
    async with FakeOpenRouter(world, clock=clock, management_key=MANAGEMENT_KEY) as server:
        yield server


@pytest.fixture
async def client(api: FakeOpenRouter) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}
    async with httpx.AsyncClient(base_url=api.base_url, headers=headers, timeout=5) as http:
        yield http
