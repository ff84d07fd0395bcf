"""One request to the management API, and everything that must hold for each of them.

A call passes, in this order: the allowlist, the budget of its lane, a slot (so many at once), the lane's hold (a 429 told
us to wait) and circuit, then the exchange itself under one total deadline. Readings are repeated a few times; a change of
a key is sent once and never repeated here: after an unclear answer the caller reads the key back, because the API has
neither idempotency keys nor conditional updates.
"""

from __future__ import annotations

import asyncio
import random
import re
import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

import httpx
import msgspec
from aiolimiter import AsyncLimiter
from pydantic import SecretStr
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from monitor import __version__
from monitor.config import OpenRouter
from monitor.domain import Clock
from monitor.errors import BadPayload, BadRequest, ConfigError, NotFound, RateLimited, SourceError, Unavailable
from monitor.openrouter.answer import Answer, NotJson, clean, failure, is_outage, read
from monitor.openrouter.breaker import Circuit, CircuitState, admit, record
from monitor.openrouter.retry_after import http_date, retry_after_s

Lane = Literal["keys", "analytics"]
Params = Mapping[str, str | int | bool]

MAX_ATTEMPTS: Final = 4
PATIENCE_S: Final = 60.0
"""Waiting between the attempts of one call, in all. A longer wait is the caller's decision: it gets RateLimited."""

_HASH = "[0-9a-f]{64}"
_ALLOWED: Final = tuple(
    (method, re.compile(path))
    for method, path in (
        ("GET", "/workspaces"),
        ("GET", "/keys"),
        ("GET", f"/keys/{_HASH}"),
        ("PATCH", f"/keys/{_HASH}"),
        ("GET", "/key"),
        ("POST", "/analytics/query"),
        ("GET", "/analytics/meta"),
        ("GET", "/activity"),
        ("GET", "/credits"),
    )
)
"""All this program can ask of OpenRouter. The management key could also create and delete keys; this code cannot."""

_CHANGEABLE: Final = frozenset({"disabled", "limit", "limit_reset", "include_byok_in_limit"})
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:|/|$)")
_N_SKEW_SAMPLES: Final = 9
_ANALYTICS_BURST: Final = 4  # the four dimensions of one drill-down start together


class Budget(Protocol):
    """Hands out the right to send one request; waits while there is none. `aiolimiter.AsyncLimiter` is one."""

    async def acquire(self, amount: float = 1) -> None:
        """Returns when a request may be sent."""
        ...


class Unlimited:
    """The budget of calls for which no limit is documented (`/keys`): `concurrency` and 429 answers bound them."""

    async def acquire(self, amount: float = 1) -> None:
        """Returns at once."""


def analytics_budget(per_minute: int) -> AsyncLimiter:
    """At most `per_minute` requests in any 60 s.

    A leaky bucket lets its full size through at once and then again as it leaks: twice the rate in the first minute. So
    the bucket is small and leaks a little slower: burst + leak in 60 s is the share."""
    burst = min(_ANALYTICS_BURST, per_minute)
    return AsyncLimiter(burst, 60.0 * burst / (per_minute - burst + 1))


@dataclass(frozen=True, slots=True)
class TransportHealth:
    """How one lane fares, for `status`. `hold_s`: how long the source told us to wait from now."""

    lane: Lane
    circuit: CircuitState
    n_requests: int
    n_failed: int
    last_ok_at: datetime | None
    last_error_at: datetime | None
    last_error: str
    hold_s: float


@dataclass(slots=True)
class _Lane:
    """Calls that share a budget and a fate: analytics may be down while keys can still be disabled."""

    budget: Budget
    circuit: Circuit = field(default_factory=Circuit)
    hold_until: float = 0.0  # monotonic
    n_requests: int = 0
    n_failed: int = 0
    last_ok_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    params: Params
    content: bytes | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_change(self) -> bool:
        return self.method == "PATCH"


class Transport:
    """The door to the management API: one connection pool, one budget and one circuit a lane."""

    def __init__(
        self,
        http: httpx.AsyncBaseTransport | None,
        settings: OpenRouter,
        management_key: SecretStr,
        clock: Clock,
        rng: random.Random,
        *,
        budgets: Mapping[Lane, Budget] | None = None,
    ) -> None:
        """`http` None: real connections, TLS verified. Raises ConfigError if the key cannot be sent in a header."""
        self._secret = management_key.get_secret_value()
        if not re.fullmatch(r"[!-~]+", self._secret):
            raise ConfigError(
                "openrouter.management_key",
                "is empty, or holds spaces or characters no key has",
                remedy="set OPENROUTER_MANAGEMENT_KEY or the credentials file anew",
            )
        self._clock, self._rng = clock, rng
        self._deadline_s = settings.request_timeout.total_seconds()
        self._max_bytes = settings.max_response_mb * 1_000_000
        self._slots = asyncio.Semaphore(settings.concurrency)
        budgets = budgets or {"analytics": analytics_budget(settings.analytics_per_minute)}
        self._lanes: dict[Lane, _Lane] = {
            "keys": _Lane(budgets.get("keys", Unlimited())),
            "analytics": _Lane(budgets.get("analytics", Unlimited())),
        }
        self._skews: deque[float] = deque(maxlen=_N_SKEW_SAMPLES)
        self._client = _client(http, settings, self._secret)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, object] | None = None,
        lane: Lane = "keys",
    ) -> bytes:
        """Sends one allowed request; returns the JSON bytes of a 2xx answer, undecoded. Raises SourceError.

        `params` None values are not sent by leaving them out. BadRequest without sending anything: the call is not one of
        those this program makes."""
        call = _Call(method, path, params or {}, None if body is None else msgspec.json.encode(body))
        if not any(method == verb and pattern.fullmatch(path) for verb, pattern in _ALLOWED):
            raise BadRequest(
                f"{clean(str(call), secret=self._secret)}: not a call this program makes; nothing was sent"
            )
        if call.is_change and not (body and _CHANGEABLE >= body.keys()):
            raise BadRequest(f"{call}: only {', '.join(sorted(_CHANGEABLE))} may be changed; nothing was sent")
        if call.is_change:
            return await self._attempt(call, self._lanes[lane])
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            wait=lambda state: self._wait_s(state, self._lanes[lane]),
            stop=stop_after_attempt(MAX_ATTEMPTS) | _is_out_of_patience,
            retry=retry_if_exception(_is_worth_repeating),
            reraise=True,
        )
        return await retrying(self._attempt, call, self._lanes[lane])

    @property
    def skew(self) -> timedelta:
        """How far the server's clock is ahead of ours: the median over the last answers' `Date`, 0 before the first.

        `Date` has whole seconds, so half a second of doubt remains."""
        return timedelta(seconds=statistics.median(self._skews)) if self._skews else timedelta(0)

    def health(self) -> tuple[TransportHealth, ...]:
        """The facts of each lane."""
        now = self._clock.monotonic()
        return tuple(
            TransportHealth(
                lane=name,
                circuit=lane.circuit.state,
                n_requests=lane.n_requests,
                n_failed=lane.n_failed,
                last_ok_at=lane.last_ok_at,
                last_error_at=lane.last_error_at,
                last_error=lane.last_error,
                hold_s=max(lane.hold_until - now, 0.0),
            )
            for name, lane in self._lanes.items()
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _attempt(self, call: _Call, lane: _Lane) -> bytes:
        await lane.budget.acquire()
        async with self._slots:
            self._admit(call, lane)
            lane.n_requests += 1
            try:
                body = await self._exchange(call, lane)
            except SourceError as error:
                self._note(lane, error)
                raise
            self._note(lane, None)
            return body

    def _admit(self, call: _Call, lane: _Lane) -> None:
        """Raises when the lane rests. A change always passes: taking a stolen key out is worth one request too many."""
        now = self._clock.monotonic()
        if call.is_change:
            return
        if lane.hold_until > now:
            raise RateLimited(f"{call}: the source asked us to wait", retry_after=lane.hold_until - now)
        lane.circuit, is_admitted = admit(lane.circuit, now)
        if not is_admitted:
            rest_s = lane.circuit.retry_at - now
            raise _CircuitOpen(
                f"{call}: not sent for another {rest_s:.0f} s, the source failed repeatedly: {lane.last_error}"
            )

    async def _exchange(self, call: _Call, lane: _Lane) -> bytes:
        sent_at = self._clock.now()
        try:
            async with asyncio.timeout(self._deadline_s):  # httpx's own timeouts are per read: a drip never ends
                answer = await self._send(call)
        except TimeoutError as error:
            raise Unavailable(f"{call}: no complete answer within {self._deadline_s:g} s") from error
        except httpx.HTTPError as error:
            reason = clean(str(error), secret=self._secret) or "connection lost"
            raise Unavailable(f"{call}: {type(error).__name__}: {reason}") from error
        except BadPayload as error:
            raise BadPayload(f"{call}: {error}") from error
        now = self._clock.now()
        self._sample_skew(answer, sent_at, now)
        error = failure(answer, call=str(call), now=now, secret=self._secret)
        if answer.status in {429, 503}:
            wait_s = error.retry_after if isinstance(error, RateLimited) else retry_after_s(answer.headers, now)
            lane.hold_until = max(lane.hold_until, self._clock.monotonic() + (wait_s or 0.0))
        if error is not None:
            raise error
        return answer.body

    async def _send(self, call: _Call) -> Answer:
        headers = {} if call.content is None else {"content-type": "application/json"}
        async with self._client.stream(
            call.method, call.path.removeprefix("/"), params=dict(call.params), content=call.content, headers=headers
        ) as response:
            return await read(response, self._max_bytes)

    def _note(self, lane: _Lane, error: SourceError | None) -> None:
        lane.circuit = record(lane.circuit, self._clock.monotonic(), is_ok=error is None or not is_outage(error))
        if error is None or isinstance(error, NotFound):  # "that key is gone" is an answer, not a trouble
            lane.last_ok_at = self._clock.now()
            return
        lane.n_failed += 1
        lane.last_error, lane.last_error_at = str(error), self._clock.now()

    def _sample_skew(self, answer: Answer, sent_at: datetime, now: datetime) -> None:
        date = http_date(answer.headers.get("date", ""))
        if date is None or not answer.is_json or "age" in answer.headers:  # a proxy's page or copy has another clock
            return
        ours = sent_at + (now - sent_at) / 2
        self._skews.append((date - ours).total_seconds() + 0.5)  # Date is cut to the second: half a second on average

    def _wait_s(self, state: RetryCallState, lane: _Lane) -> float:
        """Backoff doubling from 1 s, at least as long as the lane is held; the jitter keeps callers apart."""
        backoff_s = 2.0 ** (state.attempt_number - 1) * self._rng.uniform(0.5, 1.0)
        hold_s = lane.hold_until - self._clock.monotonic()
        return backoff_s if hold_s <= 0 else hold_s + self._rng.uniform(0.0, 1.0)


class _CircuitOpen(Unavailable):
    """Nothing was sent. Not repeated: the rest is longer than a call's patience."""


def _client(http: httpx.AsyncBaseTransport | None, settings: OpenRouter, secret: str) -> httpx.AsyncClient:
    deadline_s = settings.request_timeout.total_seconds()
    return httpx.AsyncClient(
        base_url=settings.base_url,
        transport=http,
        verify=True,
        follow_redirects=False,
        trust_env=_LOOPBACK.match(settings.base_url) is None,  # proxies of the environment are not for this machine
        timeout=httpx.Timeout(deadline_s, connect=min(deadline_s, 10.0)),
        limits=httpx.Limits(
            max_connections=settings.concurrency,
            max_keepalive_connections=settings.concurrency,
            keepalive_expiry=90.0,  # one poll a minute keeps its TLS connections
        ),
        headers={
            "authorization": f"Bearer {secret}",
            "accept": "application/json",
            "accept-encoding": "gzip",
            "user-agent": f"openrouter-monitor/{__version__}",
        },
    )


def _is_worth_repeating(error: BaseException) -> bool:
    return isinstance(error, RateLimited | Unavailable | NotJson) and not isinstance(error, _CircuitOpen)


def _is_out_of_patience(state: RetryCallState) -> bool:
    return state.idle_for + state.upcoming_sleep > PATIENCE_S
