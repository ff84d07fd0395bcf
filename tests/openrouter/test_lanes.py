from __future__ import annotations

import asyncio

import pytest
from build import NOW
from fake_keys import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.openrouter.lanes import SlidingBudget


@settings(deadline=None)
@given(st.integers(1, 8), st.lists(st.floats(0.0, 40.0), min_size=1, max_size=60))
def test_no_minute_holds_more_requests_than_the_share(share, pauses):
    # given callers that come whenever they like
    clock = FakeClock(NOW)
    budget = SlidingBudget(share, clock)
    sent_at = []

    async def call_again_and_again() -> None:
        for pause in pauses:
            clock.slept.append(pause)
            await budget.acquire()
            sent_at.append(clock.monotonic())

    # when they are let through
    asyncio.run(call_again_and_again())

    # then request number i + share comes a minute after number i, not earlier
    assert all(later - earlier >= 60.0 - 1e-6 for earlier, later in zip(sent_at, sent_at[share:], strict=False))


async def test_the_whole_share_is_there_at_once_after_a_pause():
    clock = FakeClock(NOW)
    budget = SlidingBudget(48, clock)

    await asyncio.gather(*(budget.acquire() for _ in range(48)))

    assert clock.slept == []


async def test_a_caller_that_gives_up_waiting_takes_nothing_from_the_share():
    # given a spent budget, and a caller that is cancelled while it waits
    clock = HangingClock(NOW)
    budget = SlidingBudget(1, clock)
    await budget.acquire()
    waiting = asyncio.create_task(budget.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    # when a minute has gone by
    clock.slept.append(60.0)

    # then the next caller passes at once
    await asyncio.wait_for(budget.acquire(), 1.0)


class HangingClock(FakeClock):
    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()
