"""Usage from the analytics API: `POST /analytics/query`, `GET /analytics/meta`, `GET /activity`.

The wire format, made strict here and nowhere else: counts arrive as text or numbers, times in four forms under two
column names, unused cost components as null (the public `openrouter-analytics-query` and `-schema` skills; OpenAPI).
A row that does not fit is left out and counted; more than one in twenty refuses the whole answer.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.domain import NUSD, Dimension
from monitor.errors import BadPayload, BadRequest, NotFound, Unavailable
from monitor.openrouter.activity import ActivityRow, decode_activity
from monitor.openrouter.amounts import MAX_BAD_SHARE, UNREADABLE, Count, Usd, brief, epoch_s
from monitor.openrouter.calls import Params
from monitor.openrouter.lanes import LaneName

MAX_ROWS: Final = 10_000
MAX_MINUTES: Final = 180
"""Minute granularity is served for windows of at most three hours."""
MAX_DAYS: Final = 31
MAX_LABEL: Final = 300
"""Longer labels (app titles are free text of strangers) are cut."""

METRICS: Final = ("request_count", "tokens_prompt", "tokens_completion", "reasoning_tokens", "total_usage")
KEY_FIELD: Final = "api_key_id"
FIELDS: Final[Mapping[Dimension, str]] = {
    Dimension.MODEL: "model",
    Dimension.PROVIDER: "provider",
    Dimension.COUNTRY: "country",
    Dimension.APP: "app",
}

Ints = npt.NDArray[np.int64]


class Caller(Protocol):
    """What this module needs of the transport: the JSON bytes of a 2xx answer, or a typed `SourceError`."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, object] | None = None,
        lane: LaneName = "keys",
    ) -> bytes:
        """One request, with retries, deadline and budget."""
        ...


class Granularity(enum.StrEnum):
    """Size of the buckets of an answer."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """Length of one bucket."""
        return {"minute": 60, "hour": 3600, "day": 86400}[self.value]


@dataclass(frozen=True, slots=True)
class AnalyticsQuery:
    """One question. `key_hashes` empty: the whole account. `dimensions` are API names, at most two."""

    granularity: Granularity
    since: datetime
    until: datetime
    dimensions: tuple[str, ...]
    key_hashes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = METRICS
    limit: int = MAX_ROWS

    def body(self) -> dict[str, object]:
        """The request body. Times must be UTC with seconds and `Z`; minute precision and offsets are refused."""
        body: dict[str, object] = {
            "metrics": list(self.metrics),
            "dimensions": list(self.dimensions),
            "granularity": self.granularity.value,
            "time_range": {"start": _stamp(self.since), "end": _stamp(self.until)},
            "limit": self.limit,
        }
        if len(self.key_hashes) == 1:
            body["filters"] = [{"field": KEY_FIELD, "operator": "eq", "value": self.key_hashes[0]}]
        elif self.key_hashes:
            body["filters"] = [{"field": KEY_FIELD, "operator": "in", "value": list(self.key_hashes)}]
        return body


@dataclass(frozen=True, slots=True)
class AnalyticsAnswer:
    """Columns of one answer, all of length n, in the order served.

    `bucket_start` epoch seconds inside the half-open window asked; `labels` by API dimension name, None where the source
    sent null. `cached_at` None: computed for us. `n_bad` rows were unreadable, `n_outside` lay on the far edge of the window
    (whether `end` is inclusive is not documented)."""

    bucket_start: Ints
    labels: Mapping[str, list[str | None]]
    n_requests: Ints
    tokens_prompt: Ints
    tokens_completion: Ints
    tokens_reasoning: Ints
    cost_nusd: Ints
    is_truncated: bool
    cached_at: datetime | None
    warnings: tuple[str, ...]
    n_bad: int
    n_outside: int


class _Metadata(msgspec.Struct):
    truncated: bool
    row_count: int | float | None = None


class _Body(msgspec.Struct):
    """One answer with its rows unread, for the careful path."""

    data: list[msgspec.Raw]
    metadata: _Metadata
    cachedAt: float | str | None = None
    warnings: list[str] | None = None


class _Envelope(msgspec.Struct):
    data: _Body


@dataclass(frozen=True, slots=True)
class _Readers:
    """Decoders for one shape of answer: everything at once, row by row, and the attribute that holds each dimension."""

    whole: msgspec.json.Decoder[Any]
    careful: msgspec.json.Decoder[_Envelope]
    row: msgspec.json.Decoder[Any]
    attributes: Mapping[str, str]


@functools.lru_cache(maxsize=64)
def _readers(granularity: Granularity, dimensions: tuple[str, ...]) -> _Readers:
    attributes = {name: f"label_{index}" for index, name in enumerate(dimensions)}
    row = msgspec.defstruct(
        "Row",
        [
            ("request_count", Count),
            ("tokens_prompt", Count | None),
            ("tokens_completion", Count | None),
            ("reasoning_tokens", Count | None),
            ("total_usage", Usd | None),
            *((attribute, str | int | None) for attribute in attributes.values()),
            ("date_", str | None, None),
            ("created_at", str | None, None),
        ],
        rename={
            **{attribute: name for name, attribute in attributes.items()},
            "date_": f"date__{granularity}",
            "created_at": f"created_at__{granularity}",
        },
        gc=False,
    )
    body = msgspec.defstruct("Body", [("data", list[row])], bases=(_Body,), kw_only=True)  # type: ignore[valid-type]
    envelope = msgspec.defstruct("Envelope", [("data", body)])
    return _Readers(
        whole=msgspec.json.Decoder(envelope, strict=False),
        careful=msgspec.json.Decoder(_Envelope, strict=False),
        row=msgspec.json.Decoder(row, strict=False),
        attributes=attributes,
    )


def decode_answer(payload: bytes, query: AnalyticsQuery) -> AnalyticsAnswer:
    """The answer to `query` as columns. Raises BadPayload, and nothing else, whatever the bytes are."""
    readers = _readers(query.granularity, query.dimensions)
    try:
        body = readers.whole.decode(payload).data
        rows, n_total = body.data, len(body.data)
    except UNREADABLE:
        body, rows = _careful(payload, readers)
        n_total = len(body.data)
    times, is_bad, is_outside = _times(rows, query)
    cost = np.array([row.total_usage or 0.0 for row in rows], dtype=np.float64)
    is_bad |= ~np.isfinite(cost)  # the text "nan" passes for a number
    n_bad = n_total - len(rows) + int(is_bad.sum())
    if n_bad > MAX_BAD_SHARE * n_total:
        raise BadPayload(f"analytics: {n_bad} of {n_total} rows of an answer are unreadable; its usage stays unknown")
    keep = ~is_bad & ~is_outside
    if not keep.all():
        rows = [row for row, is_kept in zip(rows, keep.tolist(), strict=True) if is_kept]
        times, cost = times[keep], cost[keep]
    row_count = body.metadata.row_count
    return AnalyticsAnswer(
        bucket_start=times,
        labels={name: _labels(rows, attribute) for name, attribute in readers.attributes.items()},
        n_requests=_counts([row.request_count for row in rows]),
        tokens_prompt=_counts([row.tokens_prompt or 0 for row in rows]),
        tokens_completion=_counts([row.tokens_completion or 0 for row in rows]),
        tokens_reasoning=_counts([row.reasoning_tokens or 0 for row in rows]),
        cost_nusd=np.rint(cost * NUSD).astype(np.int64),
        # Fewer rows than the answer itself counts is a cut answer too, whatever the flag says.
        is_truncated=body.metadata.truncated or (row_count is not None and row_count > n_total),
        cached_at=_cached_at(body.cachedAt),
        warnings=tuple(text[:MAX_LABEL] for text in body.warnings or ()),
        n_bad=n_bad,
        n_outside=int((is_outside & ~is_bad).sum()),
    )


def _careful(payload: bytes, readers: _Readers) -> tuple[_Body, list[Any]]:
    """Row by row: (envelope with all rows unread, rows that fit)."""
    try:
        body = readers.careful.decode(payload).data
    except UNREADABLE as error:
        raise BadPayload(
            f"analytics: an answer does not fit its schema ({brief(error)}); its usage stays unknown"
        ) from error
    rows = []
    for raw in body.data:
        try:
            rows.append(readers.row.decode(raw))
        except UNREADABLE:
            continue
    return body, rows


def _times(rows: Sequence[Any], query: AnalyticsQuery) -> tuple[Ints, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(bucket starts, unreadable, at or beyond the end) by row. One bucket past the end is what an inclusive `end` gives;
    anything farther out, or off the grid of the granularity, is no row of this window."""
    stamps = [row.date_ or row.created_at for row in rows]
    seconds = {stamp: epoch_s(stamp) for stamp in dict.fromkeys(stamps)}
    times = np.fromiter(map(seconds.__getitem__, stamps), dtype=np.int64, count=len(rows))
    since, until, step = int(query.since.timestamp()), int(query.until.timestamp()), query.granularity.seconds
    edge = until - until % step
    is_bad = (times < since - since % step) | (times > edge) | (times % step != 0)
    return times, is_bad, (times >= until) | (times < since)


def _labels(rows: Sequence[Any], attribute: str) -> list[str | None]:
    """Equal labels are one object: an answer repeats its few names thousands of times."""
    values: list[str | int | None] = list(map(operator.attrgetter(attribute), rows))
    texts = {value: value if value is None else str(value)[:MAX_LABEL] for value in dict.fromkeys(values)}
    return list(map(texts.__getitem__, values))


def _counts(values: Sequence[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64, count=len(values))


def _cached_at(milliseconds: float | str | None) -> datetime | None:
    """`cachedAt` is Unix milliseconds; what cannot be one is taken as the oldest age there is, never as fresh."""
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(float(milliseconds) / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, tz=UTC)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Named(msgspec.Struct):
    name: str


class _MetaBody(msgspec.Struct):
    metrics: list[_Named]
    dimensions: list[_Named]
    granularities: list[_Named]
    operators: list[_Named]


class _Meta(msgspec.Struct):
    data: _MetaBody


def missing_names(payload: bytes) -> dict[str, list[str]]:
    """What we ask for and `GET /analytics/meta` does not offer, by kind; empty when all is there. Raises BadPayload."""
    try:
        meta = msgspec.json.decode(payload, type=_Meta).data
    except UNREADABLE as error:
        raise BadPayload(f"analytics: /analytics/meta does not fit its schema ({brief(error)})") from error
    wanted: Mapping[str, tuple[Iterable[str], list[_Named]]] = {
        "metrics": (METRICS, meta.metrics),
        "dimensions": ((KEY_FIELD, *FIELDS.values()), meta.dimensions),
        "granularities": ((Granularity.MINUTE.value, Granularity.HOUR.value), meta.granularities),
        "operators": (("eq", "in"), meta.operators),
    }
    missing = {
        kind: sorted(set(names) - {entry.name for entry in offered}) for kind, (names, offered) in wanted.items()
    }
    return {kind: names for kind, names in missing.items() if names}


class AnalyticsApi:
    """The three calls. `n_requests` counts what was spent; every method raises `SourceError`."""

    def __init__(self, caller: Caller, *, lane: LaneName = "analytics") -> None:
        """`lane`: whose budget queries are paid from."""
        self._caller, self._lane = caller, lane
        self._names_checked = False
        self._check = asyncio.Lock()
        self.n_requests = 0

    async def query(self, query: AnalyticsQuery) -> AnalyticsAnswer:
        """Asks once; names are held against /analytics/meta before the first question."""
        await self._check_names()
        self.n_requests += 1
        payload = await self._caller.call("POST", "/analytics/query", body=query.body(), lane=self._lane)
        return decode_answer(payload, query)

    async def activity(self, key_hash: str) -> list[ActivityRow]:
        """Daily usage of one key over the last 30 completed UTC days."""
        self.n_requests += 1
        params = {"api_key_hash": key_hash}
        return decode_activity(await self._caller.call("GET", "/activity", params=params, lane="analytics"))

    async def _check_names(self) -> None:
        """Raises BadPayload naming what the source no longer offers. An unreachable meta page stops nothing."""
        async with self._check:
            if self._names_checked:
                return
            self._names_checked = True
            self.n_requests += 1
            try:
                missing = missing_names(await self._caller.call("GET", "/analytics/meta", lane=self._lane))
            except (Unavailable, NotFound, BadRequest):
                return
            if missing:
                self._names_checked = False
                listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in missing.items())
                raise BadPayload(f"analytics: the source does not offer {listed}; update openrouter-monitor")
