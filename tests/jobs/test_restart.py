"""The whole monitor lives through hours with late data, is killed and started again: the state is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from lived import differences
from whole import Whole, whole

from monitor import daemon
from monitor.features import to_bytes
from monitor.jobs import checkpoint, startup
from monitor.jobs.watch import Watch
from monitor.pipeline import Pipeline, new_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def lived(it: Whole, n_cycles: int) -> None:
    for number in range(n_cycles):
        it.clock.advance(470 if number % 5 else 600)
        report = await it.watch.cycle()
        assert not report.errors


def fresh(it: Whole) -> Pipeline:
    return Pipeline(it.settings, it.app.store.keys.catalog, new_state(it.settings))


async def killed(it: Whole) -> None:
    """What a kill leaves: the state directory. Another pipeline and watch take over."""
    await it.watch.close()
    it.app.pipeline = fresh(it)
    startup.bring_up(it.app, it.app.now())
    it.watch = Watch(it.app)


@pytest.mark.parametrize("has_checkpoint", [True, False], ids=["checkpoint", "no checkpoint"])
async def test_a_monitor_that_was_killed_ends_in_the_state_of_one_replay_of_its_store(
    tmp_path: Path, has_checkpoint: bool
) -> None:
    overrides = {
        "MONITOR__COLLECT__HISTORY": "2d",
        "MONITOR__DETECTION__QUARANTINE": "6h",
        "MONITOR__DETECTION__MIN_USD_PER_HOUR": "0.5",  # no incident: its windows may differ in harmless ways (ADR 3)
    }
    async with whole(tmp_path, n_keys=25, **overrides) as it:
        # given: a world whose usage appears late, watched since a first start
        it.world.lag.analytics_s, it.world.lag.late_share, it.world.lag.late_s = 90, 0.3, 1_500
        await it.watch.cycle()
        await daemon.read_history(it.app, it.watch)

        # when: it lives nine hours and is killed twice
        for _ in range(3):
            await lived(it, 12)
            if has_checkpoint:
                checkpoint.save(it.app)
            await lived(it, 12)
            await killed(it)
        await lived(it, 7)

        # then
        now, replayed = it.app.now(), fresh(it)
        it.app.pipeline.state.advance(now)
        startup.bring_up(it.app, now, pipeline=replayed)
        assert differences(it.app.pipeline.state, replayed.state) == []
        assert to_bytes(it.app.pipeline.state) == to_bytes(replayed.state)
        listed = it.app.store.keys.keys()
        hashes = [key.key_hash for key in listed]
        assert it.app.pipeline.quality(hashes, now) == replayed.quality(hashes, now)
