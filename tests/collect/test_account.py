"""An account read through a strict fake of the API: every row to exactly one key, and silence is never taken for zero."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from build import NOW, a_hash
from fake_analytics import FakeAccount, Request, spread
from fake_clock import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import frames
from monitor.collect.account import OpenRouterSource
from monitor.collect.base import UsageBatch
from monitor.config import Settings
from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.errors import BadRequest, RateLimited, SourceError, Unauthorized, Unavailable
from monitor.frames import Catalog
from monitor.store.sqlite import open_store

HALF_HOUR = timedelta(minutes=30)
A, B, C = a_hash(1), a_hash(2), a_hash(3)


def a_source(account: FakeAccount, catalog: Catalog | None = None, **changes: Any) -> OpenRouterSource:
    return OpenRouterSource(account, catalog or Catalog(), Settings(**changes), account.clock)


def cost_by_key(batch: UsageBatch, catalog: Catalog, dimension: Dimension = Dimension.MODEL) -> dict[str, int]:
    rows = batch.usage[batch.usage["dimension"] == dimension]
    sums = rows.groupby("key_no")["cost_nusd"].sum()
    return {catalog.key_hash(int(key_no)): int(cost) for key_no, cost in sums.items()}


def quality(
    batch: UsageBatch, at: datetime, dimension: Dimension = Dimension.MODEL, key_no: int = frames.ALL_KEYS
) -> str | None:
    """What the last row that covers this bucket for this key says; None where no row does."""
    rows = batch.coverage
    covers = (
        (rows["dimension"] == dimension)
        & rows["key_no"].isin([key_no, frames.ALL_KEYS])
        & (rows["since"] <= at)
        & (rows["until"] > at)
    )
    codes = {code: name for name, code in frames.QUALITY_CODES.items()}
    return codes[int(rows[covers]["quality"].iloc[-1])] if covers.any() else None


def canonical(batch: UsageBatch, catalog: Catalog) -> list[tuple[Any, ...]]:
    """Usage in words, so that two sources with their own catalogs can be compared."""
    rows = batch.usage
    amounts = ["n_requests", "tokens_prompt", "tokens_completion", "tokens_reasoning", "cost_nusd"]
    words = zip(
        rows["bucket_start"].astype(str),
        rows["bucket_s"],
        map(catalog.key_hash, rows["key_no"]),
        rows["dimension"],
        map(catalog.value, rows["value_no"]),
        *(rows[name] for name in amounts),
        strict=True,
    )
    return sorted(words)


async def test_minutes_are_summed_into_ten_minute_buckets_in_all_four_dimensions() -> None:
    account = FakeAccount({A: "prod"}, spread(30, until=NOW, span=HALF_HOUR))
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    frames.check(batch.usage, frames.USAGE)
    frames.check(batch.coverage, frames.COVERAGE)
    assert set(batch.usage["bucket_s"]) == {BUCKET_S}
    for dimension in Dimension:
        rows = batch.usage[batch.usage["dimension"] == dimension]
        assert rows["n_requests"].tolist() == [10, 10, 10]
        assert rows["cost_nusd"].tolist() == [1_234_567_890] * 3
    assert batch.n_requests == 4
    assert batch.unattributed == {}


async def test_of_two_keys_with_one_name_only_the_abused_hash_gets_the_rows() -> None:
    abuse = spread(60, until=NOW, span=HALF_HOUR, key_hash=B, model="anthropic/claude-opus", cost_nusd=10**9)
    account = FakeAccount(
        {A: "prod", B: "prod", C: "other"}, [*abuse, *spread(3, until=NOW, span=HALF_HOUR, key_hash=C)]
    )
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    for dimension in Dimension:
        assert cost_by_key(batch, catalog, dimension) == {B: 60 * 10**9, C: 3 * 123_456_789}
    assert batch.unattributed == {}
    assert quality(batch, NOW - HALF_HOUR, key_no=catalog.key_no(A)) == "known"


async def test_shared_names_without_rows_cost_no_question() -> None:
    account = FakeAccount({A: "prod", B: "prod", C: "other"}, spread(3, until=NOW, span=HALF_HOUR, key_hash=C))
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    assert batch.n_requests == 4
    assert quality(batch, NOW - HALF_HOUR, key_no=catalog.key_no(A)) == "known"


async def test_a_failed_account_wide_question_proves_no_name_silent() -> None:
    account = FakeAccount({A: "prod", B: "prod"})
    account.fails = lambda body: None if body.get("filters") or "app" in body["dimensions"] else Unavailable("slow")
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    assert quality(batch, NOW - HALF_HOUR, key_no=catalog.key_no(A)) == "known"
    assert quality(batch, NOW - HALF_HOUR) == "unknown"


async def test_keys_without_a_name_are_told_apart() -> None:
    requests = spread(4, until=NOW, span=HALF_HOUR, key_hash=A) + spread(6, until=NOW, span=HALF_HOUR, key_hash=B)
    account = FakeAccount({A: "", B: ""}, requests)
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    assert cost_by_key(batch, catalog) == {A: 4 * 123_456_789, B: 6 * 123_456_789}


async def test_rows_of_a_name_no_key_bears_count_for_no_key() -> None:
    account = FakeAccount({A: "prod"}, spread(5, until=NOW, span=HALF_HOUR, key_hash=B), names_gone={B: "long gone"})
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    assert batch.usage.empty
    assert batch.unattributed == {"long gone": 5 * 123_456_789}


async def test_a_name_with_usage_older_than_its_key_is_asked_by_hash() -> None:
    young = NOW - timedelta(minutes=10)
    old_rows = spread(4, until=young - timedelta(minutes=5), span=timedelta(minutes=10), key_hash=B)
    late_rows = spread(2, until=NOW, span=timedelta(minutes=5), key_hash=B, cost_nusd=7)
    own = spread(3, until=NOW, span=timedelta(minutes=5), key_hash=A, cost_nusd=11)
    account = FakeAccount({A: "prod"}, [*old_rows, *late_rows, *own], names_gone={B: "prod"}, created={A: young})
    catalog = Catalog()
    source = a_source(account, catalog)

    first = await source.recent(NOW - HALF_HOUR, NOW)
    second = await source.recent(NOW - HALF_HOUR, NOW)

    assert cost_by_key(first, catalog) == {A: 33}
    assert cost_by_key(second, catalog) == {A: 33}
    assert first.unattributed == {"prod": 4 * 123_456_789}


async def test_a_key_created_between_inventory_and_query_is_corrected_by_the_next_reading() -> None:
    account = FakeAccount({A: "prod"}, spread(3, until=NOW, span=HALF_HOUR, key_hash=A, cost_nusd=5))
    catalog = Catalog()
    source = a_source(account, catalog)
    await source.inventory([])
    account.names[B] = "prod"
    account.created[B] = NOW
    account.clock.pass_time(2 * 60)
    now = account.clock.now()
    account.requests += spread(50, until=now, span=timedelta(minutes=1), key_hash=B, model="opus")

    first = await source.recent(NOW - HALF_HOUR, now)
    await source.inventory([A])
    account.clock.pass_time(10 * 60)
    second = await source.recent(NOW - HALF_HOUR, account.clock.now())

    wrong = cost_by_key(first, catalog)[A]
    assert wrong > 15  # a name is all there was to go by
    assert cost_by_key(second, catalog) == {A: 15, B: 50 * 123_456_789}
    of_a = second.usage[second.usage["key_no"] == catalog.key_no(A)]
    assert "opus" not in {catalog.value(no) for no in of_a["value_no"]}
    assert quality(second, NOW - timedelta(minutes=10), Dimension.MODEL) == "known"


async def test_a_new_name_is_unattributed_until_the_inventory_knows_it() -> None:
    account = FakeAccount({A: "prod"}, [])
    catalog = Catalog()
    source = a_source(account, catalog)
    await source.inventory([])
    account.names[B] = "fresh"
    account.requests += spread(5, until=NOW, span=HALF_HOUR, key_hash=B)

    first = await source.recent(NOW - HALF_HOUR, NOW)
    await source.inventory([A])
    second = await source.recent(NOW - HALF_HOUR, NOW)

    assert first.unattributed == {"fresh": 5 * 123_456_789}
    assert cost_by_key(second, catalog) == {B: 5 * 123_456_789}


async def test_a_name_is_free_again_once_its_other_key_is_long_gone() -> None:
    account = FakeAccount({A: "prod", B: "prod"}, [])
    source = a_source(account)
    await source.inventory([])
    del account.names[B]
    await source.inventory([A, B])
    account.clock.pass_time(2 * 3600)
    now = account.clock.now()

    batch = await source.recent(now - HALF_HOUR, now)

    assert batch.n_requests == 4


_KEYS = st.sampled_from([A, B, C, a_hash(4)])
_VALUES = st.sampled_from(["x", "y", "z"])
_REQUESTS = st.lists(
    st.builds(
        Request,
        at=st.integers(1, 30 * 60).map(lambda seconds: NOW - timedelta(seconds=seconds)),
        key_hash=_KEYS,
        model=_VALUES,
        provider=_VALUES,
        country=_VALUES,
        app=st.sampled_from(["x", "", None]),
        cost_nusd=st.integers(0, 10**10),
    ),
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(requests=_REQUESTS, row_limit=st.sampled_from([9, 12, 20, 50]), is_end_inclusive=st.booleans())
async def test_every_row_comes_exactly_once_whatever_the_row_limit(
    requests: list[Request], row_limit: int, is_end_inclusive: bool
) -> None:
    names = {A: "prod", B: "prod", C: "solo", a_hash(4): ""}
    plain, split = Catalog(), Catalog()
    whole = await a_source(FakeAccount(names, requests), plain).recent(NOW - HALF_HOUR, NOW)
    account = FakeAccount(names, requests, row_limit=row_limit, is_end_inclusive=is_end_inclusive)

    batch = await a_source(account, split).recent(NOW - HALF_HOUR, NOW)

    assert canonical(batch, split) == canonical(whole, plain)
    totals = {dimension: sum(cost_by_key(batch, split, dimension).values()) for dimension in Dimension}
    assert set(totals.values()) == {sum(request.cost_nusd for request in requests)}


@pytest.mark.parametrize("granularity", ["recent", "hourly"])
async def test_an_inclusive_and_an_exclusive_end_give_the_same(granularity: str) -> None:
    edge = [Request(NOW - timedelta(hours=hours), A) for hours in range(5)]
    since, until = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    found = []
    for is_end_inclusive in (False, True):
        account = FakeAccount({A: "prod"}, edge, is_end_inclusive=is_end_inclusive)
        catalog = Catalog()
        source = a_source(account, catalog)
        batch = await (source.recent if granularity == "recent" else source.hourly)(since, until)
        found.append(canonical(batch, catalog))

    assert found[0] == found[1]
    assert len(found[0]) == len(Dimension)


async def test_more_than_ten_thousand_rows_are_split_until_complete() -> None:
    requests = [
        Request(NOW - timedelta(minutes=minute), A, model=f"m/{number}", app=f"a/{number}")
        for minute in range(1, 22)
        for number in range(500)
    ]
    account = FakeAccount({A: "prod", B: "other"}, requests)
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    assert cost_by_key(batch, catalog)[A] == 10_500 * 123_456_789
    assert quality(batch, NOW - HALF_HOUR) == "known"
    assert batch.n_requests > 4


async def test_one_bucket_of_one_key_that_cannot_be_split_is_partial() -> None:
    requests = [Request(NOW - timedelta(minutes=15), A, model=f"m/{number}") for number in range(30)]
    account = FakeAccount({A: "prod"}, requests, row_limit=20)
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    key_no, at = catalog.key_no(A), NOW - timedelta(minutes=20)
    assert quality(batch, at, Dimension.MODEL, key_no) == "partial"
    assert quality(batch, NOW - HALF_HOUR, Dimension.MODEL, key_no) == "known"
    assert quality(batch, at, Dimension.COUNTRY, key_no) == "known"
    assert any("cut off" in warning for warning in batch.warnings)


@pytest.mark.parametrize("is_hash_in_warning", [True, False], ids=["named", "unnamed"])
async def test_an_unresolved_hash_is_unknown_not_zero(is_hash_in_warning: bool) -> None:
    names = {A: "prod", B: "prod", C: "solo"}
    requests = spread(5, until=NOW, span=HALF_HOUR, key_hash=A)
    account = FakeAccount(names, requests, unresolvable={B}, is_hash_in_warning=is_hash_in_warning)
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    at = NOW - HALF_HOUR
    for dimension in Dimension:
        assert quality(batch, at, dimension, catalog.key_no(B)) == "unknown"
        assert quality(batch, at, dimension, catalog.key_no(A)) == "known"
        assert quality(batch, at, dimension) == "known"


async def test_a_failed_dimension_is_unknown_and_the_rest_is_returned() -> None:
    account = FakeAccount({A: "prod"}, spread(5, until=NOW, span=HALF_HOUR))
    account.fails = lambda body: Unavailable("query timed out") if "country" in body["dimensions"] else None
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    assert quality(batch, NOW - HALF_HOUR, Dimension.COUNTRY) == "unknown"
    assert quality(batch, NOW - HALF_HOUR, Dimension.MODEL) == "known"
    assert cost_by_key(batch, catalog) == {A: 5 * 123_456_789}
    assert cost_by_key(batch, catalog, Dimension.COUNTRY) == {}


@pytest.mark.parametrize("error", [Unavailable("down"), RateLimited("slow down", retry_after=9), Unauthorized("401")])
async def test_where_nothing_can_be_read_the_error_is_raised(error: SourceError) -> None:
    account = FakeAccount({A: "prod"}, fails=lambda body: error)
    source = a_source(account)

    with pytest.raises(type(error)):
        await source.recent(NOW - HALF_HOUR, NOW)

    assert {lane.lane: lane.last_error for lane in source.health()}["usage"] == str(error)


async def test_the_bucket_under_way_is_partial_and_known_once_read_after_its_end() -> None:
    account = FakeAccount({A: "prod"}, clock=FakeClock(NOW + timedelta(minutes=4)))
    source = a_source(account)

    first = await source.recent(NOW - HALF_HOUR, NOW + timedelta(minutes=4))
    account.clock.pass_time(5 * 60)
    second = await source.recent(NOW - HALF_HOUR, account.clock.now())
    account.clock.pass_time(3 * 60)
    third = await source.recent(NOW - HALF_HOUR, account.clock.now())

    assert [quality(batch, NOW) for batch in (first, second, third)] == ["partial", "partial", "known"]
    assert quality(first, NOW - timedelta(minutes=10)) == "known"


async def test_an_old_cache_leaves_newer_buckets_partial() -> None:
    account = FakeAccount({A: "prod"}, cached_at=NOW - timedelta(minutes=15))
    source = a_source(account)

    batch = await source.recent(NOW - HALF_HOUR, NOW)

    assert batch.as_of == NOW - timedelta(minutes=15)
    assert quality(batch, NOW - HALF_HOUR) == "known"
    assert quality(batch, NOW - timedelta(minutes=20)) == "partial"
    assert quality(batch, NOW - timedelta(minutes=10)) == "partial"


async def test_a_failed_or_older_reading_takes_nothing_back() -> None:
    account = FakeAccount(
        {A: "prod"}, spread(30, until=NOW, span=HALF_HOUR), clock=FakeClock(NOW + timedelta(minutes=5))
    )
    catalog = Catalog()
    source = a_source(account, catalog)
    since = NOW - HALF_HOUR
    await source.recent(since, account.clock.now())
    account.clock.pass_time(6 * 60)
    account.fails = lambda body: Unavailable("slow") if "country" in body["dimensions"] else None
    account.cached_at = NOW - timedelta(minutes=20)
    account.requests = account.requests[:5]

    batch = await source.recent(since, account.clock.now())

    at = NOW - timedelta(minutes=10)
    assert quality(batch, at, Dimension.COUNTRY) is None  # what was known stays as it is
    assert quality(batch, at, Dimension.MODEL) is None
    assert quality(batch, NOW, Dimension.COUNTRY) == "unknown"
    assert quality(batch, NOW, Dimension.MODEL) == "partial"
    assert not (batch.usage["bucket_start"] >= pd.Timestamp(at)).any()


async def test_a_row_corrected_away_is_gone_from_the_store(tmp_path: Path) -> None:
    account = FakeAccount({A: "prod"}, spread(30, until=NOW, span=HALF_HOUR))
    store = open_store(str(tmp_path / "monitor.db"))
    source = a_source(account, store.keys.catalog)
    first = await source.recent(NOW - HALF_HOUR, NOW)
    store.usage.write(first.usage, first.coverage)
    account.requests = []
    account.clock.pass_time(2 * 60)

    second = await source.recent(NOW - HALF_HOUR, account.clock.now())
    store.usage.write(second.usage, second.coverage)

    left = store.usage.read(NOW - HALF_HOUR, NOW, bucket_s=BUCKET_S)
    store.maintenance.close()
    assert not first.usage.empty
    assert left.empty


async def test_hours_are_whole_and_known_once_over() -> None:
    now = NOW + timedelta(minutes=20)
    account = FakeAccount({A: "prod"}, spread(40, until=now, span=timedelta(hours=4)), clock=FakeClock(now))
    catalog = Catalog()

    batch = await a_source(account, catalog).hourly(NOW - timedelta(hours=3), now)

    assert set(batch.usage["bucket_s"]) == {HOUR_S}
    assert batch.usage["bucket_start"].max() == pd.Timestamp(NOW - timedelta(hours=1))
    assert quality(batch, NOW - timedelta(hours=1)) == "known"
    assert quality(batch, NOW) is None


@pytest.mark.parametrize("window", [timedelta(0), timedelta(hours=-1)], ids=["empty", "reversed"])
async def test_an_empty_window_asks_and_covers_nothing(window: timedelta) -> None:
    source = a_source(FakeAccount({A: "prod"}))

    for read in (source.recent, source.hourly):
        batch = await read(NOW, NOW + window)
        assert batch.usage.empty
        assert batch.coverage.empty
        assert batch.n_requests == 0


async def test_a_drilldown_takes_two_questions_a_key_and_names_only_that_key() -> None:
    requests = spread(20, until=NOW, span=timedelta(minutes=18), key_hash=A, country="VN")
    account = FakeAccount({A: "prod", B: "prod"}, requests + spread(9, until=NOW, span=HALF_HOUR, key_hash=B))
    catalog = Catalog()

    batch = await a_source(account, catalog).drilldown([A], NOW - HALF_HOUR, NOW)

    assert batch.n_requests == 2
    for dimension in Dimension:
        assert cost_by_key(batch, catalog, dimension) == {A: 20 * 123_456_789}
    assert set(batch.coverage["key_no"]) == {catalog.key_no(A)}


async def test_a_key_analytics_cannot_serve_falls_back_to_days_of_model_and_provider() -> None:
    day = timedelta(days=1)
    requests = [Request(NOW - 2 * day, B, cost_nusd=4), Request(NOW - 2 * day, B, cost_nusd=5)]
    requests.append(Request(NOW - timedelta(hours=3), B, cost_nusd=6))  # today: in no daily row
    account = FakeAccount({A: "prod", B: "prod"}, requests, unresolvable={B})
    catalog = Catalog()
    source = a_source(account, catalog)

    batch = await source.hourly(NOW - timedelta(hours=6), NOW)
    again = await source.hourly(NOW - timedelta(hours=6), NOW)

    days = batch.usage[batch.usage["bucket_s"] == 86_400]
    assert days["cost_nusd"].tolist() == [9, 9]
    assert set(days["dimension"]) == {Dimension.MODEL, Dimension.PROVIDER}
    key_no, at = catalog.key_no(B), NOW - 2 * day
    assert quality(batch, at, Dimension.MODEL, key_no) == "known"
    assert quality(batch, at, Dimension.COUNTRY, key_no) == "unknown"
    assert quality(batch, NOW - timedelta(hours=3), Dimension.MODEL, key_no) == "unknown"
    assert account.calls.count("GET /activity") == 1
    assert again.usage.empty


async def test_a_refused_long_filter_is_asked_in_halves() -> None:
    names = {a_hash(number): f"key {number // 2}" for number in range(100)}
    requests = [Request(NOW - timedelta(minutes=15), key_hash, cost_nusd=1) for key_hash in names]
    account = FakeAccount(names, requests, max_hashes=20)
    catalog = Catalog()

    batch = await a_source(account, catalog).recent(NOW - HALF_HOUR, NOW)

    assert cost_by_key(batch, catalog) == dict.fromkeys(names, 1)


async def test_a_refused_hash_is_unknown_and_served_by_activity() -> None:
    account = FakeAccount({A: "prod", B: "prod"}, [Request(NOW - timedelta(hours=2), B)])
    account.fails = lambda body: BadRequest("no such key") if B in str(body.get("filters")) else None
    catalog = Catalog()

    batch = await a_source(account, catalog).hourly(NOW - timedelta(hours=6), NOW)

    assert quality(batch, NOW - timedelta(hours=2), Dimension.APP, catalog.key_no(B)) == "unknown"
    assert account.calls.count("GET /activity") == 1


async def test_windows_follow_the_time_of_the_source() -> None:
    ahead = timedelta(minutes=10)
    account = FakeAccount({A: "prod"}, skew=ahead)
    source = a_source(account)

    await source.recent(NOW - HALF_HOUR, NOW + timedelta(hours=1))

    assert account.bodies[0]["time_range"]["end"] == "2026-11-23T12:10:00Z"


async def test_health_says_what_the_planner_chose_and_how_fresh_each_lane_is() -> None:
    account = FakeAccount({A: "prod", B: "prod"})
    source = a_source(account)
    await source.inventory([])

    await source.recent(NOW - HALF_HOUR, NOW)

    lanes = {lane.lane: lane for lane in source.health()}
    assert "every 5 min" in lanes["usage"].plan
    assert "2 of them asked by hash" in lanes["usage"].plan
    assert lanes["usage"].complete_until == NOW - timedelta(minutes=10)
    assert lanes["usage"].last_ok_at == NOW
    assert lanes["keys"].complete_until == NOW
    assert lanes["settle"].last_ok_at is None


async def test_a_fleet_too_large_for_the_budget_is_read_more_slowly_and_says_so() -> None:
    names = {a_hash(number): "the same name" for number in range(60)}
    account = FakeAccount(names, spread(3, until=NOW, span=HALF_HOUR))
    source = a_source(account, openrouter={"analytics_per_minute": 10})
    await source.inventory([])

    first = await source.recent(NOW - HALF_HOUR, NOW)
    account.clock.pass_time(5 * 60)
    early = await source.recent(NOW - timedelta(minutes=25), account.clock.now())

    assert first.n_requests > 10
    assert early.n_requests == 0
    assert early.coverage.empty
    assert "not due" in early.warnings[0]
    assert "would not fit" in {lane.lane: lane.plan for lane in source.health()}["usage"]
