"""A small strict fake of the management API behind `Transport.call`: keys, analytics and activity over single requests.

Stricter than the service where the documentation leaves room: unknown fields are refused, names are labels, counts are text,
rows come newest first and are cut at `row_limit`."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from build import NOW, a_hash
from fake_clock import FakeClock
from fake_http import a_row

from monitor.errors import BadRequest, NotFound, SourceError

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
DIMENSIONS = ("api_key_id", "model", "provider", "country", "app")
METRICS = ("request_count", "tokens_prompt", "tokens_completion", "reasoning_tokens", "total_usage")


@dataclass(frozen=True)
class Request:
    """One billed request of a key; cost in nano-dollars."""

    at: datetime
    key_hash: str
    model: str = "openai/gpt-5-mini"
    provider: str = "OpenAI"
    country: str = "DE"
    app: str | None = "Search"
    cost_nusd: int = 123_456_789
    prompt: int = 100
    completion: int = 20


@dataclass
class FakeAccount:
    """`names` by hash are the keys listed; requests of other hashes are served under `names_gone`."""

    names: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    names_gone: dict[str, str] = field(default_factory=dict)
    created: dict[str, datetime] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    row_limit: int = 10_000
    is_end_inclusive: bool = False
    is_text: bool = True
    column: str = "date"
    cached_at: datetime | None = None
    unresolvable: set[str] = field(default_factory=set)
    is_hash_in_warning: bool = True
    max_hashes: int = 1000
    fails: Callable[[dict[str, Any]], SourceError | None] = lambda body: None
    before_query: Callable[[], None] = lambda: None
    skew: timedelta = timedelta(0)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def n_free(self, lane: str) -> int:
        return 1_000

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, object] | None = None,
        lane: str = "keys",
    ) -> bytes:
        self.calls.append(f"{method} {path}")
        if path == "/analytics/query":
            assert method == "POST" and lane in {"analytics", "drilldown"}
            self.before_query()
            return json.dumps({"data": self._query(json.loads(json.dumps(body)))}).encode()
        assert method == "GET"
        assert body is None
        return json.dumps(self._get(path, dict(params or {}))).encode()

    def _get(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        if path == "/analytics/meta":
            return meta()
        if path == "/activity":
            return {"data": self._activity(params["api_key_hash"])}
        if path == "/workspaces":
            return {"data": [], "total_count": 0}
        if path == "/keys":
            page = list(self.names)[int(params["offset"]) :][:100]
            return {"data": [self._key(key_hash) for key_hash in page]}
        key_hash = path.removeprefix("/keys/")
        if key_hash not in self.names:
            raise NotFound(f"no key {key_hash[:12]}")
        return {"data": self._key(key_hash)}

    def _key(self, key_hash: str) -> dict[str, Any]:
        spans = ("", "_daily", "_weekly", "_monthly")
        counters = {f"{family}{span}": 0 for family in ("usage", "byok_usage") for span in spans}
        return (
            a_row()
            | counters
            | {
                "hash": key_hash,
                "name": self.names[key_hash],
                "created_at": self.created.get(key_hash, NOW - timedelta(days=60)).isoformat(),
                "updated_at": None,
                "creator_user_id": None,
                "workspace_id": "3f0d5c5e-0000-4000-8000-000000000001",
            }
        )

    def _query(self, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies.append(body)
        check_body(body)
        error = self.fails(body)
        if error is not None:
            raise error
        hashes, warnings = self._filter(body)
        since, until = (_at(body["time_range"][name]) for name in ("start", "end"))
        step, sums = SECONDS[body["granularity"]], defaultdict(lambda: [0] * 5)
        for request in self.requests:
            is_in = since <= request.at <= until if self.is_end_inclusive else since <= request.at < until
            if is_in and request.at <= self.clock.at and (hashes is None or request.key_hash in hashes):
                bucket = int(request.at.timestamp()) // step * step
                cell = (bucket, *(self._label(request, name) for name in body["dimensions"]))
                amounts = (1, request.prompt, request.completion, 0, request.cost_nusd)
                sums[cell] = [a + b for a, b in zip(sums[cell], amounts, strict=True)]
        cells = sorted(sums, key=lambda cell: (-cell[0], *map(str, cell[1:])))
        limit = min(body["limit"], self.row_limit)
        rows = [self._row(body, cell, sums[cell]) for cell in cells[:limit]]
        answer: dict[str, Any] = {
            "data": rows,
            "metadata": {"query_time_ms": 3, "row_count": len(rows), "truncated": len(cells) > limit},
        }
        if self.cached_at is not None:
            answer["cachedAt"] = self.cached_at.timestamp() * 1000
        if warnings:
            answer["warnings"] = warnings
        return answer

    def _filter(self, body: dict[str, Any]) -> tuple[set[str] | None, list[str]]:
        if not body.get("filters"):
            return None, []
        (entry,) = body["filters"]
        value = entry["value"]
        hashes = {value} if entry["operator"] == "eq" else set(value)
        if len(hashes) > self.max_hashes:
            raise BadRequest("filters: Too big")
        lost = hashes & self.unresolvable
        name = next(iter(lost), "") if self.is_hash_in_warning else "one value"
        return hashes - lost, [f"api_key_id {name} could not be resolved"] if lost else []

    def _label(self, request: Request, name: str) -> str | None:
        if name == "api_key_id":
            return self.names.get(request.key_hash, self.names_gone.get(request.key_hash))
        value: str | None = getattr(request, name)
        return value

    def _row(self, body: dict[str, Any], cell: tuple[Any, ...], amounts: list[int]) -> dict[str, Any]:
        moment = datetime.fromtimestamp(cell[0], tz=UTC)
        n, prompt, completion, reasoning, cost = amounts
        counts = dict(zip(METRICS, (n, prompt, completion, reasoning), strict=False))
        return {
            f"{self.column}__{body['granularity']}": moment.strftime("%Y-%m-%d %H:%M:%S"),
            **dict(zip(body["dimensions"], cell[1:], strict=True)),
            **({name: str(value) for name, value in counts.items()} if self.is_text else counts),
            "total_usage": cost / 1e9,
        }

    def _activity(self, key_hash: str) -> list[dict[str, Any]]:
        today = self.clock.at.date()
        return [
            {
                "date": str(request.at.date()),
                "model": request.model,
                "model_permaslug": request.model,
                "endpoint_id": "550e8400-e29b-41d4-a716-446655440000",
                "provider_name": request.provider,
                "usage": request.cost_nusd / 1e9,
                "byok_usage_inference": 0,
                "requests": 1,
                "prompt_tokens": request.prompt,
                "completion_tokens": request.completion,
                "reasoning_tokens": 0,
            }
            for request in self.requests
            if request.key_hash == key_hash and request.at.date() < today
        ]


def meta() -> dict[str, Any]:
    return {
        "data": {
            "metrics": [
                {"name": name, "display_label": name, "is_rate": False, "display_format": "number"} for name in METRICS
            ],
            "dimensions": [{"name": name, "display_label": name} for name in DIMENSIONS],
            "operators": [{"name": "eq", "value_type": "scalar"}, {"name": "in", "value_type": "array"}],
            "granularities": [{"name": name, "display_label": name} for name in SECONDS],
        }
    }


def check_body(body: dict[str, Any]) -> None:
    """Raises BadRequest where the service would, or might."""
    allowed = {"metrics", "dimensions", "granularity", "time_range", "limit", "filters"}
    if body.keys() - allowed or len(body["dimensions"]) > 2 or not 1 <= body["limit"] <= 10_000:
        raise BadRequest(f"refused: {sorted(body)}")
    if set(body["metrics"]) - set(METRICS) or set(body["dimensions"]) - set(DIMENSIONS):
        raise BadRequest("unknown metric or dimension")
    start, end = body["time_range"]["start"], body["time_range"]["end"]
    if not (STAMP.fullmatch(start) and STAMP.fullmatch(end)) or _at(start) >= _at(end):
        raise BadRequest("time_range")
    longest = timedelta(hours=3) if body["granularity"] == "minute" else timedelta(days=31)
    if _at(end) - _at(start) > longest:
        raise BadRequest("time range too long")
    for entry in body.get("filters", []):
        is_list = isinstance(entry["value"], list)
        if entry.keys() != {"field", "operator", "value"} or is_list != (entry["operator"] == "in"):
            raise BadRequest("filters")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def spread(n: int, *, until: datetime, span: timedelta, key_hash: str | int = 1, **changes: Any) -> list[Request]:
    """`n` requests evenly over [until - span, until)."""
    key_hash = a_hash(key_hash) if isinstance(key_hash, int) else key_hash
    start = until - span
    return [Request(start + span * index / n, key_hash, **changes) for index in range(n)]
