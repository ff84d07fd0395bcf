"""The analytics request: every documented limit checked. Names are those of OpenRouter's published analytics schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from monitor.demo.wire import Refused

COUNTS: Final = (
    "request_count", "tokens_total", "tokens_prompt", "tokens_completion", "reasoning_tokens", "cached_tokens", "byok_request_count",
)  # fmt: skip
"""Metrics that are answered as strings."""

COSTS: Final = (
    "total_usage", "credits_usage", "byok_usage", "openrouter_usage", "byok_fees", "usage_upstream", "usage_cache", "usage_data",
)  # fmt: skip
"""Metrics in dollars, answered as numbers or null."""

MONTH_ONLY: Final = {"openrouter_usage", "byok_fees", "provider", "country"}
"""Metrics and dimensions that reach back 31 days at most; the others 365."""

DIMENSIONS: Final = ("model", "variant", "api_key_id", "user", "workspace", "app", "provider", "country")
GRANULARITIES: Final = ("minute", "hour", "day", "week", "month")
SCALAR_OPERATORS: Final = ("eq", "neq", "gt", "gte", "lt", "lte")
ARRAY_OPERATORS: Final = ("in", "not_in")

_FIELDS: Final = {
    "metrics", "dimensions", "granularity", "time_range", "filters", "order_by", "limit", "group_limit",
    "classifier_dimensions", "classifier_filters",
}  # fmt: skip
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition; `values` has one entry for scalar operators."""

    field: str
    operator: str
    values: tuple[str, ...]
    include_unset: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A checked analytics request. Times are epoch seconds; `until` as sent, inclusive or not is for the server to say."""

    metrics: tuple[str, ...]
    dimensions: tuple[str, ...]
    granularity: str | None
    since: float
    until: float
    filters: tuple[Filter, ...]
    order_by: tuple[str, bool] | None  # field, descending
    limit: int
    group_limit: int | None


def parse(body: Any, *, now: datetime) -> Query:
    """The request behind a decoded JSON body. Raises Refused(400) with a message like the real API's validation."""
    if not isinstance(body, dict):
        raise Refused(400, "Expected object")
    unknown = sorted(set(body) - _FIELDS)
    if unknown:
        raise Refused(400, f"Unrecognized key(s) in object: {', '.join(map(repr, unknown))}")
    if "classifier_dimensions" in body or "classifier_filters" in body:
        raise Refused(400, "classifier_id: no classifier belongs to this account")
    metrics = _names(body, "metrics", COUNTS + COSTS)
    if not metrics:
        raise Refused(400, "metrics: Too small: expected array to have >=1 items")
    if isinstance(body.get("dimensions"), list) and len(body["dimensions"]) > 2:
        raise Refused(400, "dimensions: Too big: expected array to have <=2 items")
    dimensions = _names(body, "dimensions", DIMENSIONS)
    granularity = body.get("granularity")
    if granularity is not None and granularity not in GRANULARITIES:
        raise Refused(400, f"granularity: Invalid option: expected one of {'|'.join(GRANULARITIES)}")
    since, until = _range(body.get("time_range"), now)
    _check_length(until - since, granularity, {*metrics, *dimensions})
    return Query(
        metrics=metrics,
        dimensions=dimensions,
        granularity=granularity,
        since=since,
        until=until,
        filters=_filters(body.get("filters", [])),
        order_by=_order(body.get("order_by"), {*metrics, *dimensions}),
        limit=_whole(body, "limit") or 1000,
        group_limit=_whole(body, "group_limit"),
    )


def _names(body: Mapping[str, Any], field: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = body.get(field, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(400, f"{field}: Invalid input: expected array")
    for name in names:
        if name not in known:
            raise Refused(400, f'Unknown {field[:-1]} "{name}"')
    if len(set(names)) < len(names):
        raise Refused(400, f"{field}: duplicate")
    return tuple(names)


def _range(time_range: Any, now: datetime) -> tuple[float, float]:
    if time_range is None:
        return (now - timedelta(days=7)).timestamp(), now.timestamp()
    if not isinstance(time_range, dict) or set(time_range) != {"start", "end"}:
        raise Refused(400, "time_range: Invalid input: expected object with start and end")
    start, end = (_instant(time_range[name], f"time_range.{name}") for name in ("start", "end"))
    if start >= end:
        raise Refused(400, "time_range: start must be before end")
    return start, end


def _instant(text: Any, where: str) -> float:
    """Only UTC with seconds is accepted; minute precision and offsets are refused."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise Refused(400, f"{where}: Invalid ISO datetime")
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp() + float("0" + text[19:-1])
    except ValueError as problem:
        raise Refused(400, f"{where}: Invalid ISO datetime") from problem


def _check_length(seconds: float, granularity: str | None, used: set[str]) -> None:
    if granularity == "minute" and seconds > 3 * 3600:
        raise Refused(400, "granularity: minute is only available for time ranges of at most 3 hours")
    days = 31 if used & MONTH_ONLY else 365
    if seconds > days * 86_400:
        raise Refused(400, f"time_range: exceeds the maximum of {days} days for the requested metrics and dimensions")


def _filters(filters: Any) -> tuple[Filter, ...]:
    if not isinstance(filters, list):
        raise Refused(400, "filters: Invalid input: expected array")
    if len(filters) > 20:
        raise Refused(400, "filters: Too big: expected array to have <=20 items")
    return tuple(_filter(entry, f"filters.{no}") for no, entry in enumerate(filters))


def _filter(entry: Any, where: str) -> Filter:
    if not isinstance(entry, dict) or not {"field", "operator", "value"} <= set(entry) <= {
        "field", "operator", "value", "include_unset",
    }:  # fmt: skip
        raise Refused(400, f"{where}: expected exactly field, operator and value")
    field, operator, value = entry["field"], entry["operator"], entry["value"]
    if field not in DIMENSIONS:
        raise Refused(400, f'{where}.field: Unknown dimension "{field}"')
    if operator in SCALAR_OPERATORS:
        values = [value]
    elif operator in ARRAY_OPERATORS:
        values = value
    else:
        raise Refused(400, f'{where}.operator: Unknown operator "{operator}"')
    if not isinstance(values, list) or not values or not all(_is_scalar(each) for each in values):
        raise Refused(400, f"{where}.value: Invalid input")
    if entry.get("include_unset") and operator not in ARRAY_OPERATORS:
        raise Refused(400, f"{where}.include_unset: only with in and not_in")
    return Filter(field, operator, tuple(str(each) for each in values), bool(entry.get("include_unset", False)))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _order(order_by: Any, used: set[str]) -> tuple[str, bool] | None:
    if order_by is None:
        return None
    if not isinstance(order_by, dict) or set(order_by) != {"field", "direction"}:
        raise Refused(400, "order_by: expected exactly field and direction")
    if order_by["direction"] not in ("asc", "desc"):
        raise Refused(400, "order_by.direction: Invalid option: expected one of asc|desc")
    if order_by["field"] not in used | {"date"}:
        raise Refused(400, "order_by.field: not a metric or dimension of this query")
    return order_by["field"], order_by["direction"] == "desc"


def _whole(body: Mapping[str, Any], field: str) -> int | None:
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
        raise Refused(400, f"{field}: Invalid input: expected int between 1 and 10000")
    return value
