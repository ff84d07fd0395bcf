"""Acting asks for a wholly known trailing hour: of a service that reads well, it has to have one at every minute."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from whole import NOW, Whole, whole

from monitor.collect.quality import Known
from monitor.demo import attacks
from monitor.domain import Quality


def not_known(it: Whole) -> dict[str, str]:
    """Why, by hash, of the keys whose trailing hour is not known now."""
    now = it.app.now()
    keys = {it.app.store.keys.catalog.key_no(key.key_hash): key.key_hash for key in it.world.fleet.keys}
    return {
        keys[no]: f"{found.state.name}: {found.notes}"
        for no, found in it.app.pipeline.known.of(keys, now).items()
        if found.state is not Quality.KNOWN
    }


@pytest.mark.parametrize("minute", [0, 1, 7, 12, 29, 58, 59])
async def test_the_trailing_hour_is_known_from_the_first_cycle_on_whichever_minute_it_is(
    tmp_path: Path, minute: int
) -> None:
    async with whole(tmp_path, n_keys=12, now=NOW.replace(minute=minute)) as it:
        await it.watch.cycle()

        assert not_known(it) == {}


async def test_settling_at_the_start_of_an_hour_takes_nothing_from_what_is_known(tmp_path: Path) -> None:
    # given: a service whose settling began at the very start of an hour, and so comes due at the start of each
    async with whole(tmp_path, n_keys=12, now=NOW.replace(minute=0)) as it:
        await it.watch.cycle()

        # when: an hour passes, and the next begins
        for minute in (*range(5, 60, 5), *range(60, 72)):
            it.clock.advance((NOW.replace(minute=0) + timedelta(minutes=minute) - it.clock.now()).total_seconds())
            await it.watch.cycle()

            # then
            assert not_known(it) == {}, f"{minute} minutes after the start"


@pytest.mark.parametrize("minute", [9, 40, 59])
async def test_a_drill_down_alone_makes_the_trailing_hour_of_its_key_known(tmp_path: Path, minute: int) -> None:
    # given: a service that knows nothing of the last hours, and whose lanes over all keys are not due
    async with whole(tmp_path, n_keys=12, now=NOW.replace(minute=minute)) as it:
        await it.watch.cycle()
        it.app.pipeline.known = Known()
        for lane in it.watch.lanes:
            lane.due = float("inf")

        # when: a key bursts, and is looked into
        stolen = next(key for kind in ("service", "product", "developer") for key in it.world.busy(kind))
        theft = attacks.smash_and_grab(stolen, it.world.fleet, start=it.clock.now(), burst_after=timedelta(minutes=1))
        it.world.start(theft)
        reports = await it.tick(4)

        # then
        assert any(report.n_bursts for report in reports)
        missing = not_known(it)
        assert missing and stolen.key_hash not in missing
