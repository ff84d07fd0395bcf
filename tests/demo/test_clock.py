"""The clocks of the demo world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.demo.clock import FastClock, ManualClock

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)


async def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(NOW)

    await clock.sleep(30)
    clock.set_back(3600)

    assert clock.now() == NOW + timedelta(seconds=30 - 3600)
    assert clock.monotonic() == 30


async def test_a_fast_clock_lives_a_minute_in_a_second() -> None:
    inner = ManualClock(datetime(2020, 1, 1, tzinfo=UTC))
    clock = FastClock(inner, start=NOW, speed=60)

    inner.advance(2)
    assert clock.now() == NOW + timedelta(minutes=2)

    await clock.sleep(30)

    assert inner.monotonic() == pytest.approx(2.5)
    assert clock.monotonic() == pytest.approx(150)
