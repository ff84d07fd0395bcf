"""The wire format of the analytics API: what is read, what is refused, and that nothing is invented."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from fake_analytics import FakeAccount, meta
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import BadPayload, Unavailable
from monitor.openrouter.activity import decode_activity
from monitor.openrouter.analytics import (
    AnalyticsApi,
    AnalyticsQuery,
    Granularity,
    decode_answer,
    missing_names,
)

SINCE = datetime(2026, 8, 27, 17, 0, tzinfo=UTC)
QUERY = AnalyticsQuery(Granularity.MINUTE, SINCE, SINCE + timedelta(hours=1), ("api_key_id", "model"))


def a_row(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "date__minute": "2026-08-27 17:13:00",
        "api_key_id": "prod",
        "model": "m/one",
        "request_count": "3",
        "tokens_prompt": "1523",
        "tokens_completion": 12,
        "reasoning_tokens": None,
        "total_usage": 0.123456789,
    }
    return {name: value for name, value in (fields | changes).items() if value != "absent"}


def an_answer(*rows: Any, **changes: Any) -> bytes:
    metadata = {"query_time_ms": 1, "row_count": len(rows), "truncated": False} | changes.pop("metadata", {})
    return json.dumps({"data": {"data": list(rows), "metadata": metadata} | changes}).encode()


def mixed(bad: dict[str, Any]) -> bytes:
    """One odd row among forty good ones."""
    return an_answer(bad, *[a_row()] * 40)


def test_a_request_carries_utc_seconds_limit_and_filter() -> None:
    query = AnalyticsQuery(Granularity.HOUR, SINCE, SINCE + timedelta(hours=2), ("model", "country"), ("ab" * 32,))

    body = query.body()

    assert body["time_range"] == {"start": "2026-08-27T17:00:00Z", "end": "2026-08-27T19:00:00Z"}
    assert body["limit"] == 10_000
    assert body["filters"] == [{"field": "api_key_id", "operator": "eq", "value": "ab" * 32}]


def test_counts_as_text_or_number_nulls_and_costs_become_integers() -> None:
    answer = decode_answer(an_answer(a_row()), QUERY)

    assert answer.n_requests.tolist() == [3]
    assert answer.tokens_prompt.tolist() == [1523]
    assert answer.tokens_completion.tolist() == [12]
    assert answer.tokens_reasoning.tolist() == [0]
    assert answer.cost_nusd.tolist() == [123_456_789]
    assert answer.cost_nusd.dtype == np.int64
    assert answer.labels == {"api_key_id": ["prod"], "model": ["m/one"]}


@pytest.mark.parametrize("column", ["date__minute", "created_at__minute"])
@pytest.mark.parametrize(
    "text",
    ["2026-08-27 17:13:00", "2026-08-27T17:13:00.000Z", "2026-08-27T17:13:00Z", "2026-08-27T19:13:00+02:00"],
)
def test_every_form_of_time_is_utc(column: str, text: str) -> None:
    answer = decode_answer(an_answer(a_row(**({"date__minute": "absent"} | {column: text}))), QUERY)

    assert answer.bucket_start.tolist() == [int(datetime(2026, 8, 27, 17, 13, tzinfo=UTC).timestamp())]


def test_a_bare_date_is_the_start_of_its_day() -> None:
    day = datetime(2026, 5, 19, tzinfo=UTC)
    query = AnalyticsQuery(Granularity.DAY, day, day + timedelta(days=1), ("api_key_id", "model"))

    answer = decode_answer(an_answer(a_row(date__minute="absent", date__day="2026-05-19")), query)

    assert answer.bucket_start.tolist() == [int(day.timestamp())]


def test_rows_at_the_undocumented_far_end_are_dropped_and_no_fault() -> None:
    answer = decode_answer(an_answer(a_row(), a_row(date__minute="2026-08-27 18:00:00")), QUERY)

    assert len(answer.cost_nusd) == 1
    assert (answer.n_outside, answer.n_bad) == (1, 0)


@pytest.mark.parametrize(
    "bad",
    [
        {"total_usage": -0.01},
        {"total_usage": 1e308},
        {"total_usage": "nan"},
        {"total_usage": "inf"},
        {"total_usage": []},
        {"total_usage": "absent"},
        {"request_count": -1},
        {"request_count": None},
        {"request_count": True},
        {"request_count": "many"},
        {"tokens_prompt": 10**30},
        {"tokens_completion": 1.5},
        {"model": {"a": 1}},
        {"model": "absent"},
        {"date__minute": "yesterday"},
        {"date__minute": "absent"},
        {"date__minute": "2026-08-27 17:13:30"},
        {"date__minute": "2026-08-27 23:00:00"},
        {"date__minute": "2026-08-27 16:59:00"},
        {"date__minute": "0001-01-01T00:00:00+14:00"},
    ],
    ids=lambda bad: json.dumps(bad),
)
def test_a_bad_row_is_left_out_and_counted(bad: dict[str, Any]) -> None:
    answer = decode_answer(mixed(a_row(**bad)), QUERY)

    assert answer.n_bad == 1
    assert answer.n_requests.sum() == 40 * 3


def test_more_than_one_bad_row_in_twenty_refuses_the_answer() -> None:
    with pytest.raises(BadPayload, match="unreadable"):
        decode_answer(an_answer(*[a_row(total_usage=-1)] * 2, *[a_row()] * 30), QUERY)


def test_fewer_rows_than_the_answer_counts_is_a_cut_answer() -> None:
    assert decode_answer(an_answer(a_row(), metadata={"row_count": 2}), QUERY).is_truncated
    assert decode_answer(an_answer(a_row(), metadata={"truncated": True}), QUERY).is_truncated
    assert not decode_answer(an_answer(a_row()), QUERY).is_truncated


def test_a_cache_time_that_is_none_is_never_fresh() -> None:
    assert decode_answer(an_answer(cachedAt=1747699200000), QUERY).cached_at == datetime(2025, 5, 20, tzinfo=UTC)
    assert decode_answer(an_answer(cachedAt="soon"), QUERY).cached_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert decode_answer(an_answer(), QUERY).cached_at is None


def test_labels_keep_null_apart_from_empty_and_are_cut() -> None:
    answer = decode_answer(
        an_answer(a_row(api_key_id=None, model=""), a_row(api_key_id="null", model="x" * 9999)), QUERY
    )

    assert answer.labels["api_key_id"] == [None, "null"]
    assert answer.labels["model"][0] == ""
    assert len(answer.labels["model"][1] or "") == 300


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_way(payload: bytes) -> None:
    with pytest.raises(BadPayload):
        decode_answer(payload, QUERY)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(a_row())), _json), max_size=4),
    st.integers(min_value=0, max_value=60),
    _json,
)
def test_damaged_rows_never_invent_usage(damage: list[tuple[str, Any]], n_good: int, extra: Any) -> None:
    rows = [a_row(**{name: value}) for name, value in damage]
    payload = an_answer(*rows, *[a_row()] * n_good, cachedAt=extra, unknown=extra)

    try:
        answer = decode_answer(payload, QUERY)
    except BadPayload:
        return

    assert len(answer.n_requests) + answer.n_bad + answer.n_outside == len(rows) + n_good
    for column in (answer.n_requests, answer.tokens_prompt, answer.tokens_completion, answer.cost_nusd):
        assert (column >= 0).all()
    assert answer.n_requests.sum() >= 3 * n_good
    assert answer.cost_nusd.max(initial=0) <= 10**15


def test_names_the_source_no_longer_offers_are_named() -> None:
    offered = meta()
    offered["data"]["metrics"] = offered["data"]["metrics"][1:]
    offered["data"]["dimensions"] = [entry for entry in offered["data"]["dimensions"] if entry["name"] != "country"]

    missing = missing_names(json.dumps(offered).encode())

    assert missing == {"metrics": ["request_count"], "dimensions": ["country"]}


async def test_names_are_checked_once_before_the_first_question() -> None:
    account = FakeAccount()
    api = AnalyticsApi(account)

    await api.query(QUERY)
    await api.query(QUERY)

    assert account.calls == ["GET /analytics/meta", "POST /analytics/query", "POST /analytics/query"]


async def test_an_unreachable_meta_page_stops_no_question() -> None:
    class WithoutMeta(FakeAccount):
        def _get(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
            raise Unavailable("meta is down")

    account = WithoutMeta()

    answer = await AnalyticsApi(account).query(QUERY)

    assert len(answer.n_requests) == 0


def test_activity_rows_are_read_in_both_forms_of_date() -> None:
    row = {
        "date": "2026-07-27 00:00:00",
        "model": "m",
        "model_permaslug": "m-1",
        "endpoint_id": "e",
        "provider_name": "P",
        "usage": 0.5,
        "byok_usage_inference": 0.25,
        "requests": "5",
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "reasoning_tokens": 0,
        "cached_tokens": 9,
    }
    payload = json.dumps({"data": [row, row | {"date": "2026-07-27"}]}).encode()

    rows = decode_activity(payload)

    assert [one.day_start() for one in rows] == [int(datetime(2026, 7, 27, tzinfo=UTC).timestamp())] * 2
    assert rows[0].requests == 5


@given(_json)
def test_damaged_activity_is_refused_in_one_way(document: Any) -> None:
    with pytest.raises(BadPayload):
        decode_activity(json.dumps({"data": [document, 1]}).encode())
