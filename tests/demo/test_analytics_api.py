"""The fake's analytics: every documented limit and every documented oddity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from monitor.demo.clock import ManualClock
from monitor.demo.server import FakeOpenRouter
from monitor.demo.world import World

NOW = datetime(2026, 11, 23, 19, 20, 30, tzinfo=UTC)  # as in conftest
METRICS = ["request_count", "tokens_prompt", "tokens_completion", "reasoning_tokens", "total_usage"]


def z(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def window(hours: float, *, until: datetime = NOW) -> dict[str, str]:
    return {"start": z(until - timedelta(hours=hours)), "end": z(until)}


async def ask(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/analytics/query", json={"metrics": METRICS, "limit": 10_000} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def dollars(rows: list[dict[str, Any]]) -> float:
    return sum(row["total_usage"] for row in rows)


def time_of(row: dict[str, Any]) -> datetime:
    name = next(name for name in row if name.startswith(("date__", "created_at__")))
    return datetime.fromisoformat(row[name].replace("Z", "+00:00")).replace(tzinfo=UTC)


REFUSED = {
    "no metrics": {"metrics": []},
    "unknown metric": {"metrics": ["usd"]},
    "unknown field": {"metric": ["total_usage"]},
    "three dimensions": {"dimensions": ["model", "provider", "country"]},
    "unknown dimension": {"dimensions": ["key"]},
    "unknown granularity": {"granularity": "second"},
    "minutes of more than three hours": {"granularity": "minute", "time_range": window(3.1)},
    "country of more than a month": {"dimensions": ["country"], "time_range": window(32 * 24)},
    "more than a year": {"time_range": window(366 * 24)},
    "minute precision": {"time_range": {"start": "2026-11-23T10:00Z", "end": "2026-11-23T11:00Z"}},
    "an offset instead of Z": {"time_range": {"start": "2026-11-23T10:00:00+00:00", "end": "2026-11-23T11:00:00Z"}},
    "no such day": {"time_range": {"start": "2026-02-30T10:00:00Z", "end": "2026-11-23T11:00:00Z"}},
    "end before start": {"time_range": {"start": "2026-11-23T11:00:00Z", "end": "2026-11-23T10:00:00Z"}},
    "limit too high": {"limit": 10_001},
    "limit zero": {"limit": 0},
    "limit as text": {"limit": "10"},
    "21 filters": {"filters": [{"field": "model", "operator": "eq", "value": "x"}] * 21},
    "in without a list": {"filters": [{"field": "api_key_id", "operator": "in", "value": "x"}]},
    "eq with a list": {"filters": [{"field": "api_key_id", "operator": "eq", "value": ["x"]}]},
    "unknown operator": {"filters": [{"field": "model", "operator": "like", "value": "x"}]},
    "order by something else": {"order_by": {"field": "country", "direction": "asc"}},
    "order by without direction": {"order_by": {"field": "date"}},
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_not_allowed_gets_400(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post("/analytics/query", json={"metrics": METRICS} | body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400


async def test_a_third_dimension_is_refused_in_the_documented_words(client: httpx.AsyncClient) -> None:
    answer = await client.post("/analytics/query", json={"metrics": METRICS, "dimensions": ["a", "b", "c"]})

    assert answer.json()["error"]["message"] == "dimensions: Too big: expected array to have <=2 items"


async def test_all_groupings_and_granularities_add_up_to_the_same(client: httpx.AsyncClient) -> None:
    until = NOW.replace(minute=0, second=0) - timedelta(hours=1, seconds=1)  # so that an inclusive end adds nothing
    span = {"start": z(until.replace(minute=0, second=0) - timedelta(hours=2)), "end": z(until)}
    answers = [
        await ask(client, time_range=span, granularity=granularity, dimensions=dimensions)
        for granularity in ("minute", "hour", "day", "week", "month", None)
        for dimensions in (
            [],
            ["model"],
            ["api_key_id", "country"],
            ["app", "provider"],
            ["user", "workspace"],
            ["variant"],
        )
    ]

    first = answers[0]["data"]
    for answer in answers:
        assert not answer["metadata"]["truncated"]
        assert dollars(answer["data"]) == pytest.approx(dollars(first))
        for metric in METRICS[:4]:
            assert sum(int(row[metric]) for row in answer["data"]) == sum(int(row[metric]) for row in first)


async def test_usage_equals_the_key_counters_when_nothing_lags(
    client: httpx.AsyncClient, world: World, clock: ManualClock
) -> None:
    clock.advance(4000)
    key = world.busy("product")[0]
    midnight = datetime(2026, 11, 23, tzinfo=UTC)

    rows = (
        await ask(
            client,
            metrics=["total_usage", "credits_usage"],
            time_range={"start": z(midnight), "end": z(clock.now() + timedelta(seconds=61))},
            filters=[{"field": "api_key_id", "operator": "eq", "value": key.key_hash}],
        )
    )["data"]

    shown = (await client.get(f"/keys/{key.key_hash}")).json()["data"]
    assert dollars(rows) == pytest.approx(shown["usage_daily"] + shown["byok_usage_daily"])
    assert dollars(rows) > 0


async def test_keys_of_one_name_are_one_row_and_a_hash_tells_them_apart(client: httpx.AsyncClient) -> None:
    world = World.build(founded_at=NOW, n_keys=250, history_days=2)
    async with (
        FakeOpenRouter(world, clock=ManualClock(NOW), management_key="m") as api,
        httpx.AsyncClient(base_url=api.base_url, headers={"Authorization": "Bearer m"}) as http,
    ):
        one, other = world.twins()
        mates = [key.key_hash for key in world.fleet.names_shared()[one.name]]
        span = window(24)
        merged = (await ask(http, dimensions=["api_key_id"], time_range=span))["data"]
        single = [
            await ask(
                http,
                dimensions=["api_key_id"],
                time_range=span,
                filters=[{"field": "api_key_id", "operator": "in", "value": [each]}],
            )
            for each in mates
        ]

    assert len([row for row in merged if row["api_key_id"] == one.name]) == 1
    apart = [dollars(answer["data"]) for answer in single]
    assert sum(apart) == pytest.approx(dollars([row for row in merged if row["api_key_id"] == one.name]), rel=0.01)
    assert min(apart[mates.index(one.key_hash)], apart[mates.index(other.key_hash)]) > 0


async def test_a_hash_that_cannot_be_resolved_gives_no_rows_and_a_warning(client: httpx.AsyncClient) -> None:
    answer = await ask(
        client,
        dimensions=["model"],
        granularity="hour",
        filters=[{"field": "api_key_id", "operator": "eq", "value": "f" * 64}],
    )

    assert answer["data"] == []
    assert "f" * 64 in answer["warnings"][0]


async def test_counts_are_strings_and_dollars_are_numbers(client: httpx.AsyncClient) -> None:
    row = (await ask(client, metrics=[*METRICS, "usage_cache"], dimensions=["model"]))["data"][0]

    assert all(isinstance(row[metric], str) and row[metric].isdigit() for metric in METRICS[:4])
    assert isinstance(row["total_usage"], float)
    assert row["usage_cache"] is None


async def test_the_time_column_has_either_name_and_every_seen_format(client: httpx.AsyncClient) -> None:
    answers = [(await ask(client, granularity="day", limit=3))["data"] for _ in range(40)]

    columns = {next(iter(rows[0])) for rows in answers}
    lengths = {len(next(iter(rows[0].values()))) for rows in answers}

    assert columns == {"date__day", "created_at__day"}
    assert lengths == {len("2026-11-23"), len("2026-11-23 00:00:00"), len("2026-11-23T00:00:00.000Z")}


async def test_rows_come_newest_first_and_truncated_where_they_do_not_fit(client: httpx.AsyncClient) -> None:
    whole = await ask(client, granularity="hour", dimensions=["model"], time_range=window(48))
    part = await ask(client, granularity="hour", dimensions=["model"], time_range=window(48), limit=100)

    times = [time_of(row) for row in whole["data"]]
    assert times == sorted(times, reverse=True)
    assert not whole["metadata"]["truncated"]
    assert part["metadata"] | {"query_time_ms": 0} == {"query_time_ms": 0, "row_count": 100, "truncated": True}
    assert time_of(part["data"][-1]) > times[-1]


async def test_without_a_limit_a_thousand_rows_come(client: httpx.AsyncClient) -> None:
    body = {"metrics": ["total_usage"], "granularity": "hour", "dimensions": ["model"], "time_range": window(9 * 24)}

    answer = (await client.post("/analytics/query", json=body)).json()["data"]

    assert answer["metadata"]["row_count"] == len(answer["data"]) == 1000
    assert answer["metadata"]["truncated"]


async def test_rows_can_be_ordered_and_limited_by_group(client: httpx.AsyncClient) -> None:
    by_cost = await ask(client, dimensions=["model"], order_by={"field": "total_usage", "direction": "desc"})
    grouped = await ask(
        client, dimensions=["model"], granularity="hour", order_by={"field": "date", "direction": "asc"}, group_limit=2
    )

    costs = [row["total_usage"] for row in by_cost["data"]]
    assert costs == sorted(costs, reverse=True)
    assert max([row["model"] for row in grouped["data"]].count(row["model"]) for row in grouped["data"]) == 2
    assert [time_of(row) for row in grouped["data"]] == sorted(time_of(row) for row in grouped["data"])


async def test_filters_take_identifiers_and_combine(client: httpx.AsyncClient, world: World) -> None:
    workspace = world.fleet.workspaces[1]
    every = (await ask(client, dimensions=["workspace", "country"]))["data"]
    model_is_dear = {"field": "country", "operator": "in", "value": ["US", "DE"]}
    in_workspace = {"field": "workspace", "operator": "eq", "value": workspace.workspace_id}

    both = (await ask(client, dimensions=["workspace", "country"], filters=[model_is_dear, in_workspace]))["data"]

    wanted = [row for row in every if row["workspace"] == workspace.name and row["country"] in ("US", "DE")]
    assert dollars(both) == pytest.approx(dollars(wanted))
    assert len(both) == len(wanted) > 0


async def test_an_empty_account_has_one_row_of_totals_and_no_buckets(client: httpx.AsyncClient) -> None:
    nobody = [{"field": "country", "operator": "eq", "value": "AQ"}]

    totals = (await ask(client, filters=nobody))["data"]
    buckets = (await ask(client, filters=nobody, granularity="minute", time_range=window(1)))["data"]

    assert [row["request_count"] for row in totals] == ["0"]
    assert buckets == []


async def test_sixty_four_requests_a_minute_then_429_with_a_time_to_wait(
    client: httpx.AsyncClient, clock: ManualClock
) -> None:
    body = {"metrics": ["total_usage"], "time_range": window(1)}
    statuses = [(await client.post("/analytics/query", json=body)).status_code for _ in range(64)]
    clock.advance(20)
    refused = await client.post("/analytics/query", json=body)

    assert set(statuses) == {200}
    assert refused.status_code == 429
    assert refused.headers["X-RateLimit-Limit"] == "64"
    clock.advance(int(refused.headers["Retry-After"]))
    assert (await client.post("/analytics/query", json=body)).status_code == 200


async def test_frozen_analytics_say_when_they_are_from(
    client: httpx.AsyncClient, api: FakeOpenRouter, clock: ManualClock
) -> None:
    api.freeze_analytics()
    clock.advance(7200)

    stale = await ask(client, granularity="minute", time_range=window(1, until=clock.now() - timedelta(hours=1)))
    api.thaw_analytics()
    fresh = await ask(client, granularity="minute", time_range=window(1, until=clock.now() - timedelta(hours=1)))

    assert stale["cachedAt"] == int(NOW.timestamp() * 1000)
    assert stale["data"] == []
    assert "cachedAt" not in fresh
    assert fresh["data"]


async def test_a_cached_answer_is_the_same_answer_with_its_age(
    client: httpx.AsyncClient, api: FakeOpenRouter, clock: ManualClock
) -> None:
    api.cache_s = 60
    first = await ask(client, granularity="hour")
    clock.advance(30)
    again = await ask(client, granularity="hour")
    clock.advance(31)
    later = await ask(client, granularity="hour")

    assert again["data"] == first["data"]
    assert again["cachedAt"] == int(NOW.timestamp() * 1000)
    assert "cachedAt" not in later


async def test_an_inclusive_end_occurs_and_adds_one_bucket(client: httpx.AsyncClient) -> None:
    until = NOW.replace(minute=0, second=0)

    newest = {
        max(
            time_of(row) for row in (await ask(client, granularity="minute", time_range=window(1, until=until)))["data"]
        )
        for _ in range(20)
    }

    assert newest == {until, until - timedelta(minutes=1)}


async def test_what_meta_names_can_be_asked_for(client: httpx.AsyncClient) -> None:
    meta = (await client.get("/analytics/meta")).json()["data"]

    for dimension in meta["dimensions"]:
        rows = (await ask(client, metrics=[m["name"] for m in meta["metrics"]], dimensions=[dimension["name"]]))["data"]
        assert rows
        assert set(rows[0]) >= {dimension["name"], *(m["name"] for m in meta["metrics"])}
