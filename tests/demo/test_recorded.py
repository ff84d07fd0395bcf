"""The world without an API in between says the same as the world through our own client."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pandas as pd
from pydantic import SecretStr

from monitor.collect.account import OpenRouterSource
from monitor.config import Settings
from monitor.demo import recorded
from monitor.demo.clock import ManualClock
from monitor.demo.server import FakeOpenRouter
from monitor.demo.world import World
from monitor.domain import BUCKET_S, HOUR_S
from monitor.frames import Catalog
from monitor.openrouter.transport import Transport

NOW = datetime(2026, 11, 23, 19, 20, 30, tzinfo=UTC)


def labelled(usage: pd.DataFrame, catalog: Catalog) -> pd.DataFrame:
    """With text for numbers, in one order: what can be compared between two catalogs."""
    frame = usage.assign(
        key=[catalog.key_hash(no) for no in usage["key_no"]], value=[catalog.value(no) for no in usage["value_no"]]
    ).drop(columns=["key_no", "value_no"])
    order = ["bucket_start", "key", "dimension", "value"]
    return frame.sort_values(order, ignore_index=True).sort_index(axis=1)


async def test_our_client_reads_every_nano_dollar_of_the_world_and_gives_it_to_the_right_key() -> None:
    clock = ManualClock(NOW)
    world = World.build(seed=3, n_keys=160, founded_at=NOW, history_days=3)
    assert world.fleet.names_shared()
    settings, theirs, ours = Settings(), Catalog(), Catalog()
    async with FakeOpenRouter(world, clock=clock, management_key="m") as api:
        at = settings.openrouter.model_copy(update={"base_url": api.base_url})
        transport = Transport(None, at, SecretStr("m"), clock, random.Random(1))
        source = OpenRouterSource(transport, theirs, settings, clock)
        inventory = await source.inventory(())
        end = clock.now().replace(minute=0, second=0)
        hourly = await source.hourly(end - timedelta(hours=20), end - timedelta(hours=4))
        fine = await source.drilldown([world.twins()[0].key_hash], end - timedelta(hours=2), end)
        await transport.close()

    hours = recorded.usage(
        world, ours, end - timedelta(hours=20), end - timedelta(hours=4), bucket_s=HOUR_S, now=clock.now()
    )
    minutes = recorded.usage(world, ours, end - timedelta(hours=2), end, bucket_s=BUCKET_S, now=clock.now())
    twin = minutes[minutes["key_no"] == ours.key_no(world.twins()[0].key_hash)]

    assert {key.key_hash: key.settings for key in inventory.keys} == {
        key.key_hash: key.settings for key in recorded.keys(world, clock.now())
    }
    assert hourly.unattributed == {}
    pd.testing.assert_frame_equal(labelled(hourly.usage, theirs), labelled(hours, ours))
    pd.testing.assert_frame_equal(labelled(fine.usage, theirs), labelled(twin, ours))
    assert len(hourly.usage) > 1000
    assert len(fine.usage) > 10
