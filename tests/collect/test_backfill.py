"""Backfill: newest first, resumable from coverage alone, patient with a source that is down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from build import NOW, a_hash, a_key
from fake_analytics import FakeAccount, spread
from hypothesis import given
from hypothesis import strategies as st

from monitor import frames
from monitor.collect.account import OpenRouterSource
from monitor.collect.backfill import MAX_TRIES, Window, backfill, chunks
from monitor.collect.base import UsageBatch
from monitor.collect.coverage import coverage_frame
from monitor.config import Settings
from monitor.domain import HOUR_S, Dimension
from monitor.errors import BadRequest, RateLimited, SourceError, Unauthorized, Unavailable

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTLED = timedelta(hours=6)
HISTORY = NOW - 3 * DAY


def covered(*rows: tuple[datetime, datetime, str], as_of: datetime = NOW, dimensions: Any = Dimension) -> pd.DataFrame:
    return coverage_frame(
        [
            (
                frames.ALL_KEYS,
                int(dimension),
                HOUR_S,
                int(since.timestamp()),
                int(until.timestamp()),
                frames.QUALITY_CODES[quality],
                int(as_of.timestamp()),
            )
            for since, until, quality in rows
            for dimension in dimensions
        ]
    )


def left(coverage: pd.DataFrame, *, until: datetime = NOW) -> list[Window]:
    return chunks(HISTORY, until, coverage, longest=DAY, settle_after=SETTLED)


def a_source(account: FakeAccount) -> OpenRouterSource:
    return OpenRouterSource(account, frames.Catalog(), Settings(), account.clock)


def test_an_empty_store_is_filled_from_the_newest_day_on() -> None:
    assert left(coverage_frame([])) == [
        (NOW - DAY, NOW),
        (NOW - 2 * DAY, NOW - DAY),
        (NOW - 3 * DAY, NOW - 2 * DAY),
    ]


def test_what_is_covered_is_not_read_again_and_a_hole_is() -> None:
    coverage = covered((NOW - 2 * DAY, NOW - 20 * HOUR, "known"), (NOW - 18 * HOUR, NOW - 6 * HOUR, "known"))

    assert left(coverage) == [
        (NOW - 6 * HOUR, NOW),
        (NOW - 20 * HOUR, NOW - 18 * HOUR),
        (NOW - 3 * DAY, NOW - 2 * DAY),
    ]


@pytest.mark.parametrize(
    "coverage",
    [
        covered((HISTORY, NOW, "partial")),
        covered((HISTORY, NOW, "unknown")),
        covered((HISTORY, NOW, "known"), dimensions=[Dimension.MODEL, Dimension.APP, Dimension.PROVIDER]),
        covered((HISTORY, NOW, "known"), (HISTORY, NOW, "unknown")),
        covered((HISTORY, NOW, "known"), as_of=HISTORY),
    ],
    ids=["partial", "unknown", "one dimension missing", "lost again", "read before it was final"],
)
def test_what_is_not_final_in_every_dimension_is_read(coverage: pd.DataFrame) -> None:
    assert left(coverage)[-1][0] == HISTORY
    assert sum((until - since for since, until in left(coverage)), timedelta()) == 3 * DAY


@given(st.lists(st.tuples(st.integers(0, 72), st.integers(1, 30)), max_size=8), st.integers(1, 40))
def test_chunks_are_exactly_the_open_hours(spans: list[tuple[int, int]], n_longest: int) -> None:
    late = NOW + 10 * HOUR
    coverage = covered(*((HISTORY + a * HOUR, HISTORY + (a + n) * HOUR, "known") for a, n in spans), as_of=late)
    done = {HISTORY + hour * HOUR for a, n in spans for hour in range(a, a + n)}

    windows = chunks(HISTORY, NOW, coverage, longest=n_longest * HOUR, settle_after=SETTLED)

    hours = [since + hour * HOUR for since, until in windows for hour in range(int((until - since) / HOUR))]
    assert sorted(hours) == [HISTORY + hour * HOUR for hour in range(72) if HISTORY + hour * HOUR not in done]
    assert all(until - since <= n_longest * HOUR for since, until in windows)
    assert windows == sorted(windows, reverse=True)


async def test_a_killed_backfill_goes_on_where_it_was() -> None:
    account = FakeAccount({a_hash(1): "prod"}, spread(300, until=NOW, span=3 * DAY))
    stored: list[UsageBatch] = []
    run = backfill(a_source(account), left(coverage_frame([])), clock=account.clock, requests_per_minute=48)
    stored.append((await anext(run))[1])
    await run.aclose()

    again = left(pd.concat([batch.coverage for batch in stored]))
    async for _, batch in backfill(a_source(account), again, clock=account.clock, requests_per_minute=48):
        stored.append(batch)

    assert again == [(NOW - SETTLED + HOUR, NOW), (NOW - 2 * DAY, NOW - DAY), (NOW - 3 * DAY, NOW - 2 * DAY)]
    usage = pd.concat([batch.usage for batch in stored])
    usage = usage.drop_duplicates(["bucket_start", "key_no", "value_no"], keep="last")
    assert usage[usage["dimension"] == Dimension.MODEL]["n_requests"].sum() == 300


async def test_backfill_leaves_half_of_the_budget_to_others() -> None:
    account = FakeAccount({a_hash(1): "prod"}, spread(30, until=NOW, span=3 * DAY))

    n_requests = 0
    async for _, batch in backfill(
        a_source(account), left(coverage_frame([])), clock=account.clock, requests_per_minute=48
    ):
        n_requests += batch.n_requests

    assert n_requests == 12
    assert sum(account.clock.slept) == pytest.approx(8 * 60 / 24)  # nothing is waited for after the last


@pytest.mark.parametrize(
    ("error", "pause_s"), [(Unavailable("down"), 45.0), (RateLimited("slow", retry_after=20), 40.0)]
)
async def test_a_source_that_is_down_is_waited_for(error: SourceError, pause_s: float) -> None:
    account = FakeAccount({a_hash(1): "prod"})
    n_failing = iter([error] * 8)  # two tries of four questions each
    account.fails = lambda body: next(n_failing, None)
    source = a_source(account)

    batches = [
        batch async for _, batch in backfill(source, [(NOW - DAY, NOW)], clock=account.clock, requests_per_minute=48)
    ]

    assert len(batches) == 1
    assert sum(account.clock.slept) == pause_s


async def test_a_chunk_with_a_hole_is_asked_again() -> None:
    account = FakeAccount({a_hash(1): "prod"})
    errors = iter([Unavailable("one dimension timed out")])
    account.fails = lambda body: next(errors, None)

    window = NOW - DAY, NOW - HOUR
    async for _, batch in backfill(a_source(account), [window], clock=account.clock, requests_per_minute=48):
        assert set(batch.coverage["quality"]) == {frames.QUALITY_CODES["known"]}
    assert len(account.bodies) == 8


async def test_a_hash_question_that_failed_is_asked_again_but_a_refused_one_is_not() -> None:
    names = {a_hash(1): "prod", a_hash(2): "prod"}
    window = NOW - DAY, NOW - HOUR
    found = {}
    for error in (Unavailable("busy"), BadRequest("no such key")):
        account = FakeAccount(names, spread(9, until=NOW - HOUR, span=HOUR))
        errors = iter([error])
        account.fails = lambda body, errors=errors: next(errors, None) if body.get("filters") else None
        async for _, batch in backfill(a_source(account), [window], clock=account.clock, requests_per_minute=48):
            found[type(error)] = len(account.bodies), set(batch.coverage["key_no"])

    assert found[Unavailable] == (16, {frames.ALL_KEYS})
    assert found[BadRequest][0] == 8
    assert len(found[BadRequest][1]) == 2  # that key stays unknown


@pytest.mark.parametrize("error", [Unauthorized("401"), Unavailable("for good")])
async def test_an_error_that_stays_is_raised(error: SourceError) -> None:
    account = FakeAccount({a_hash(1): "prod"}, fails=lambda body: error)

    with pytest.raises(type(error)):
        async for _ in backfill(a_source(account), [(NOW - DAY, NOW)], clock=account.clock, requests_per_minute=48):
            pytest.fail("nothing could be read")

    assert len(account.bodies) <= MAX_TRIES * 4


def test_a_chunk_is_a_week_for_a_small_fleet_and_hours_for_a_large_one() -> None:
    small, large = a_source(FakeAccount()), a_source(FakeAccount())
    large.remember([a_key(number) for number in range(3000)])

    assert small.chunk() == 7 * DAY
    assert large.chunk() == timedelta(hours=21)
