"""The analytics answer: rows of the world grouped, labelled and dressed as the real API may dress them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from monitor.demo.fleet import Fleet
from monitor.demo.query import (
    ARRAY_OPERATORS,
    COSTS,
    COUNTS,
    DIMENSIONS,
    GRANULARITIES,
    SCALAR_OPERATORS,
    Filter,
    Query,
)
from monitor.demo.traffic import DAY_S, MINUTE_S, Rows
from monitor.demo.world import World
from monitor.domain import NUSD

Codes = npt.NDArray[np.int64]
_BUCKET_S: Final = {"minute": 60, "hour": 3600, "day": DAY_S}
_UNUSED: Final = {"usage_upstream", "usage_cache", "usage_data"}
_SUNDAY: Final = 3 * DAY_S  # 1970-01-04: analytics weeks begin on a Sunday, unlike those of the key counters


def meta() -> dict[str, Any]:
    """The body of `GET /analytics/meta`."""
    metrics = [
        {
            "name": name,
            "display_label": _title(name),
            "is_rate": False,
            "display_format": "currency" if name in COSTS else "number",
        }
        for name in COUNTS + COSTS
    ]
    operators = [{"name": name, "value_type": "scalar"} for name in SCALAR_OPERATORS]
    operators += [{"name": name, "value_type": "array"} for name in ARRAY_OPERATORS]
    return {
        "data": {
            "metrics": metrics,
            "dimensions": [{"name": name, "display_label": _title(name)} for name in DIMENSIONS],
            "operators": operators,
            "granularities": [{"name": name, "display_label": _title(name)} for name in GRANULARITIES],
        }
    }


def _title(name: str) -> str:
    return name.replace("_", " ").title()


def answer(world: World, query: Query, *, now: datetime, coin: random.Random) -> dict[str, Any]:
    """The `data` of an answer to `query` with the world as it shows at `now`.

    `coin` decides what is not documented: the name and format of the time column, whether `end` is inclusive, whether an
    app without a title is "" or null, the order of rows without one."""
    is_end_inclusive = coin.random() < 0.5
    until = query.until + 1 if is_end_inclusive else query.until
    rows = world.usage(query.since, until, in_minutes=query.granularity == "minute", now=now)
    rows, warnings = _filtered(rows, query.filters, world)
    labels = [_Labels.of(dimension, world, coin) for dimension in query.dimensions]
    groups, times = _grouped(rows, labels, query.granularity)
    measured = {metric: _measure(metric, rows, groups, world.fleet) for metric in query.metrics}
    shuffled = np.random.default_rng(coin.getrandbits(32)).permutation(groups.n)
    order = _ordered(groups, times, measured, query, shuffled)
    is_truncated = len(order) > query.limit
    order = order[: query.limit]
    columns: list[tuple[str, Sequence[Any]]] = []
    if times is not None:
        columns.append(_time_column(times[order], query.granularity or "", coin))
    for position, label in enumerate(labels):
        columns += label.columns(groups.codes[position][order])
    columns += [(metric, _shown(metric, values[order])) for metric, values in measured.items()]
    names = [name for name, _ in columns]
    table = [dict(zip(names, row, strict=True)) for row in zip(*(column for _, column in columns), strict=True)]
    return {
        "data": table,
        "metadata": {"query_time_ms": coin.randrange(20, 900), "row_count": len(table), "truncated": is_truncated},
        **({"warnings": warnings} if warnings else {}),
    }


class _Labels:
    """One dimension: the code of each row, and the text (or texts) a code is answered with."""

    def __init__(self, codes: Callable[[Rows], Codes], texts: dict[str, list[Any]]) -> None:
        self.codes = codes
        self.texts = texts

    @classmethod
    def of(cls, dimension: str, world: World, coin: random.Random) -> _Labels:
        """Keys, apps, workspaces and users come back as names: codes of equal names are one."""
        fleet = world.fleet
        if dimension == "variant":
            return cls(lambda rows: np.zeros(len(rows), dtype=np.int64), {dimension: ["standard"]})
        if dimension not in ("model", "provider", "country", "app"):
            return cls._of_keys(dimension, fleet)
        texts: dict[str, Sequence[str]] = {
            "model": fleet.prices.names.texts,
            "provider": fleet.providers.texts,
            "country": fleet.countries.texts,
            "app": fleet.apps.texts,
        }
        untitled = None if dimension == "app" and coin.random() < 0.5 else ""
        return cls(
            lambda rows: rows[dimension].astype(np.int64), {dimension: [text or untitled for text in texts[dimension]]}
        )

    @classmethod
    def _of_keys(cls, dimension: str, fleet: Fleet) -> _Labels:
        workspaces = {workspace.workspace_id: workspace.name for workspace in fleet.workspaces}
        by_key = {
            "api_key_id": [key.name for key in fleet.keys],
            "workspace": [workspaces.get(key.workspace_id, "") for key in fleet.keys],
            "user": [key.creator or "" for key in fleet.keys],
        }[dimension]
        distinct = list(dict.fromkeys(by_key))
        number = {name: no for no, name in enumerate(distinct)}
        code_of_key = np.array([number[name] for name in by_key], dtype=np.int64)
        texts: dict[str, list[Any]] = {dimension: list(distinct)}
        if dimension == "user":
            members = [name or None for name in distinct]
            texts = {"user": members, "user_email": [name and f"{name[5:13]}@example.com" for name in members]}
        return cls(lambda rows: code_of_key[rows["key"]], texts)

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(next(iter(self.texts.values())))

    def columns(self, codes: Codes) -> list[tuple[str, list[Any]]]:
        """Answer columns for these codes."""
        return [(name, [texts[code] for code in codes.tolist()]) for name, texts in self.texts.items()]


class _Groups:
    """Rows put into groups: `of_row` numbers, `codes` by dimension, `n` groups."""

    def __init__(self, of_row: Codes, codes: list[Codes], n: int) -> None:
        self.of_row = of_row
        self.codes = codes
        self.n = n

    def sum(self, values: Codes) -> Codes:
        """Sums by group; exact below 2**53."""
        return np.bincount(self.of_row, weights=values, minlength=self.n).astype(np.int64)


def _grouped(rows: Rows, labels: list[_Labels], granularity: str | None) -> tuple[_Groups, Codes | None]:
    """Groups of rows, and the bucket start of each group (None without granularity)."""
    combined = np.zeros(len(rows), dtype=np.int64)
    for label in labels:
        combined = combined * max(1, label.size) + label.codes(rows)
    times: Codes | None = None
    n_labels = int(np.prod([max(1, label.size) for label in labels], dtype=np.int64))
    if granularity is not None:
        starts, bucket_no = _distinct(_bucket(rows["t"], granularity) // MINUTE_S)
        combined += bucket_no * n_labels
    distinct, of_row = _distinct(combined)
    if granularity is not None:
        times = starts[distinct // n_labels] * MINUTE_S
    if granularity is None and not labels:  # totals are one row, also of nothing
        return _Groups(of_row, [], 1), None
    codes: list[Codes] = []
    rest = distinct % n_labels
    for label in reversed(labels):
        codes.insert(0, rest % max(1, label.size))
        rest = rest // max(1, label.size)
    return _Groups(of_row, codes, len(distinct)), times


def _distinct(codes: Codes) -> tuple[Codes, Codes]:
    """As np.unique with inverse, without sorting where the codes lie close together."""
    if not len(codes) or codes.max() - codes.min() > 10_000_000:
        distinct, inverse = np.unique(codes, return_inverse=True)
        return distinct, inverse
    first = codes.min()
    present = np.zeros(codes.max() - first + 1, dtype=np.bool_)
    present[codes - first] = True
    number = np.cumsum(present) - 1
    return np.flatnonzero(present) + first, number[codes - first]


def _bucket(at: Codes, granularity: str) -> Codes:
    if granularity in _BUCKET_S:
        return at - at % _BUCKET_S[granularity]
    if granularity == "week":
        return at - (at - _SUNDAY) % (7 * DAY_S)
    return at.astype("datetime64[s]").astype("datetime64[M]").astype("datetime64[s]").astype(np.int64)


def _filtered(rows: Rows, filters: tuple[Filter, ...], world: World) -> tuple[Rows, list[str]]:
    warnings: list[str] = []
    for condition in filters:
        per_code, codes = _matching(condition, world, rows, warnings)
        rows = rows[per_code[codes]] if len(rows) else rows
    return rows, warnings


def _matching(condition: Filter, world: World, rows: Rows, warnings: list[str]) -> tuple[npt.NDArray[np.bool_], Codes]:
    """Which codes of the filtered dimension pass, and the code of each row. Filters take identifiers, not labels."""
    fleet = world.fleet
    per_key = {"api_key_id", "workspace", "user"}
    if condition.field in per_key:
        codes = rows["key"].astype(np.int64)
        identifiers = {
            "api_key_id": [("" if key.is_deleted else key.key_hash) for key in fleet.keys],
            "workspace": [key.workspace_id for key in fleet.keys],
            "user": [key.creator or "" for key in fleet.keys],
        }[condition.field]
    elif condition.field == "variant":
        codes, identifiers = np.zeros(len(rows), dtype=np.int64), ["standard"]
    elif condition.field == "app":
        codes, identifiers = rows["app"].astype(np.int64), [str(no + 1) for no in range(len(fleet.apps.texts))]
    else:
        codes = rows[condition.field].astype(np.int64)
        vocabulary = {"model": fleet.prices.names, "provider": fleet.providers, "country": fleet.countries}[
            condition.field
        ]
        identifiers = vocabulary.texts
    if condition.field == "api_key_id":
        known = set(identifiers)
        unknown = [value[:64] for value in condition.values if value not in known]
        warnings += [f'api_key_id "{value}" could not be resolved' for value in unknown]
    return np.array([_passes(identifier, condition) for identifier in identifiers], dtype=np.bool_), codes


def _passes(value: str, condition: Filter) -> bool:
    first = condition.values[0]
    if value == "" and condition.operator in ARRAY_OPERATORS:
        return condition.include_unset
    return {
        "eq": value == first,
        "neq": value != first,
        "gt": value > first,
        "gte": value >= first,
        "lt": value < first,
        "lte": value <= first,
        "in": value in condition.values,
        "not_in": value not in condition.values,
    }[condition.operator]


def _measure(metric: str, rows: Rows, groups: _Groups, fleet: Fleet) -> Codes:
    """One whole number a group: counts, or nano-dollars."""
    if metric in COUNTS:
        return groups.sum(_count(metric, rows, fleet))
    is_byok = np.array([key.is_byok for key in fleet.keys], dtype=np.bool_)[rows["key"]]
    cost = rows["cost"]
    if metric == "total_usage":
        return groups.sum(np.where(is_byok, cost + cost // 20, cost))
    if metric == "credits_usage":
        return groups.sum(np.where(is_byok, cost // 20, cost))
    if metric == "byok_usage":
        return groups.sum(np.where(is_byok, cost, 0))
    if metric == "openrouter_usage":
        return groups.sum(np.where(is_byok, 0, cost))
    return groups.sum(np.where(is_byok, cost // 20, 0))


def _shown(metric: str, values: Codes) -> list[Any]:
    """Counts as strings, dollars as numbers, cost components nobody uses as null."""
    if metric in COUNTS:
        return [str(count) for count in values.tolist()]
    if metric in _UNUSED:
        return [None] * len(values)
    return [nusd / NUSD for nusd in values.tolist()]


def _count(metric: str, rows: Rows, fleet: Fleet) -> npt.NDArray[np.int64]:
    if metric == "byok_request_count":
        return np.where(np.array([key.is_byok for key in fleet.keys])[rows["key"]], rows["n"], 0)
    column = {
        "request_count": rows["n"],
        "tokens_total": rows["prompt"] + rows["completion"],
        "tokens_prompt": rows["prompt"],
        "tokens_completion": rows["completion"],
        "reasoning_tokens": rows["reasoning"],
    }.get(metric)
    return np.zeros(len(rows), dtype=np.int64) if column is None else column


def _ordered(
    groups: _Groups, times: Codes | None, measured: dict[str, Codes], query: Query, order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Positions of the groups in the order of the answer, after `group_limit`; `order` decides between equals."""
    by: Codes | None = None
    is_descending = True
    if query.order_by is None or query.order_by[0] == "date":
        by = times
        is_descending = query.order_by is None or query.order_by[1]
    else:
        field, is_descending = query.order_by
        by = measured[field] if field in measured else groups.codes[query.dimensions.index(field)]
    if by is not None:
        order = order[np.argsort(-by[order] if is_descending else by[order], kind="stable")]
    if query.group_limit is None or not query.dimensions or times is None:
        return order
    taken: dict[tuple[int, ...], int] = {}
    kept = []
    for no in order.tolist():
        combination = tuple(int(codes[no]) for codes in groups.codes)
        taken[combination] = taken.get(combination, 0) + 1
        if taken[combination] <= query.group_limit:
            kept.append(no)
    return np.array(kept, dtype=np.int64)


def _time_column(times: Codes, granularity: str, coin: random.Random) -> tuple[str, list[str]]:
    """`date__<granularity>` or `created_at__<granularity>`; ISO with Z, a bare date, or without a zone: all UTC."""
    name = f"{'date' if coin.random() < 0.5 else 'created_at'}__{granularity}"
    formats = ["%Y-%m-%dT%H:%M:%S.000Z", "%Y-%m-%d %H:%M:%S"]
    if granularity in ("day", "week", "month"):
        formats.append("%Y-%m-%d")
    style = coin.choice(formats)
    distinct, inverse = np.unique(times, return_inverse=True)
    texts = [datetime.fromtimestamp(int(at), UTC).strftime(style) for at in distinct]
    return name, [texts[no] for no in inverse.tolist()]
