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
from datetime import datetime, timedelta
from typing import Final

import httpx
from pydantic import SecretStr
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from monitor import __version__
from monitor.config import OpenRouter
from monitor.domain import Clock
from monitor.errors import BadPayload, ConfigError, RateLimited, SourceError, Unavailable
from monitor.openrouter.answer import Answer, NotJson, clean, failure, read
from monitor.openrouter.calls import ALLOWED, Allowed, Call, Params, checked
from monitor.openrouter.lanes import (
    Budget,
    CircuitOpen,
    Lane,
    LaneName,
    SlidingBudget,
    TransportHealth,
    Unlimited,
)
from monitor.openrouter.retry_after import http_date, retry_after_s

MAX_ATTEMPTS: Final = 4
PATIENCE_S: Final = 60.0
"""Waiting between the attempts of one call, in all. A longer wait is the caller's decision: it gets RateLimited."""

_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:|/|$)")
_N_SKEW_SAMPLES: Final = 9


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
        budgets: Mapping[LaneName, Budget] | None = None,
        allowed: Allowed = ALLOWED,
    ) -> None:
        """`http` None: real connections, TLS verified. `budgets`: other than the documented ones, for tests and replays.
        `allowed`: the calls it can make at all.
        Raises ConfigError if the key cannot be sent in a header."""
        self._secret = management_key.get_secret_value()
        if not re.fullmatch(r"[!-~]+", self._secret):
            raise ConfigError(
                "openrouter.management_key",
                "is empty, or holds spaces or characters no key has",
                remedy="set OPENROUTER_MANAGEMENT_KEY or the credentials file anew",
            )
        self._clock, self._rng, self._allowed = clock, rng, allowed
        self._deadline_s = settings.request_timeout.total_seconds()
        self._max_bytes = settings.max_response_mb * 1_000_000
        self._slots = asyncio.Semaphore(settings.concurrency)
        budgets = _budgets(settings.analytics_per_minute, clock) if budgets is None else budgets
        names: tuple[LaneName, ...] = ("keys", "analytics", "drilldown")
        self._lanes = {name: Lane(name, budgets.get(name, Unlimited()), clock) for name in names}
        self._skews: deque[float] = deque(maxlen=_N_SKEW_SAMPLES)
        self._client = _client(http, settings, self._secret)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, object] | None = None,
        lane: LaneName = "keys",
    ) -> bytes:
        """Sends one allowed request; returns the JSON bytes of a 2xx answer, undecoded. Raises SourceError.

        BadRequest without sending anything: the call is not one of those this program makes."""
        call = checked(method, path, params, body, allowed=self._allowed)
        if call.is_change:
            return await self._attempt(call, self._lanes[lane])
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            wait=lambda state: self._wait_s(state, self._lanes[lane]),
            stop=_is_enough,
            retry=retry_if_exception(_is_worth_repeating),
            reraise=True,
        )
        return await retrying(self._attempt, call, self._lanes[lane])

    @property
    def skew(self) -> timedelta:
        """How far the server's clock is ahead of ours: the median over the last answers' `Date`, 0 before the first.

        `Date` has whole seconds, so half a second of doubt remains."""
        return timedelta(seconds=statistics.median(self._skews)) if self._skews else timedelta(0)

    def n_free(self, lane: LaneName) -> int:
        """Requests of this lane that could be sent at once, by its budget."""
        return self._lanes[lane].budget.n_free()

    def health(self) -> tuple[TransportHealth, ...]:
        """The facts of each lane."""
        return tuple(lane.health() for lane in self._lanes.values())

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _attempt(self, call: Call, lane: Lane) -> bytes:
        await lane.budget.acquire()
        async with self._slots:
            if not call.is_change:  # taking a stolen key out of service is worth one request too many
                lane.admit(str(call))
            lane.n_requests += 1
            try:
                body = await self._exchange(call, lane)
            except SourceError as error:
                lane.note(error)
                raise
            lane.note(None)
            return body

    async def _exchange(self, call: Call, lane: Lane) -> bytes:
        sent_at = self._clock.now()
        try:
            async with asyncio.timeout(self._deadline_s):  # httpx's own timeouts are per read: a drip never ends
                answer = await self._send(call)
        except TimeoutError as error:
            raise Unavailable(f"{call}: no complete answer within {self._deadline_s:g} s") from error
        except httpx.HTTPError as error:
            reason = clean(str(error), secret=self._secret) or "connection lost"
            hint = "; check the network, and openrouter.base_url" if isinstance(error, httpx.ConnectError) else ""
            raise Unavailable(f"{call}: {type(error).__name__}: {reason}{hint}") from error
        except BadPayload as error:
            raise BadPayload(f"{call}: {error}") from error
        now = self._clock.now()
        self._sample_skew(answer, sent_at, now)
        problem = failure(answer, call=str(call), now=now, secret=self._secret)
        if isinstance(problem, RateLimited):
            lane.hold(problem.retry_after)
        elif answer.status == 503:  # may carry Retry-After too (docs: errors-and-debugging)
            lane.hold(retry_after_s(answer.headers, now) or 0.0)
        if problem is not None:
            raise problem
        return answer.body

    async def _send(self, call: Call) -> Answer:
        headers = {} if call.content is None else {"content-type": "application/json"}
        async with self._client.stream(
            call.method, call.path.removeprefix("/"), params=dict(call.params), content=call.content, headers=headers
        ) as response:
            return await read(response, self._max_bytes)

    def _sample_skew(self, answer: Answer, sent_at: datetime, now: datetime) -> None:
        date = http_date(answer.headers.get("date", ""))
        if date is None or not answer.is_json or "age" in answer.headers:  # a proxy's page or copy has another clock
            return
        ours = sent_at + (now - sent_at) / 2
        self._skews.append((date - ours).total_seconds() + 0.5)  # Date is cut to the second: half a second on average

    def _wait_s(self, state: RetryCallState, lane: Lane) -> float:
        """Backoff doubling from 1 s, at least as long as the lane is held; the jitter keeps callers apart."""
        backoff_s = 2.0 ** (state.attempt_number - 1) * self._rng.uniform(0.5, 1.0)
        return max(backoff_s, lane.hold_s + self._rng.uniform(0.0, 1.0)) if lane.hold_s else backoff_s


def _budgets(analytics_per_minute: int, clock: Clock) -> dict[LaneName, Budget]:
    """Half of the analytics budget is kept for looking into bursts: they must not queue behind a sweep of all keys."""
    n_drilldown = max(1, analytics_per_minute // 2)
    return {
        "analytics": SlidingBudget(max(1, analytics_per_minute - n_drilldown), clock),
        "drilldown": SlidingBudget(n_drilldown, clock),
    }


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
    return isinstance(error, RateLimited | Unavailable | NotJson) and not isinstance(error, CircuitOpen)


def _is_enough(state: RetryCallState) -> bool:
    return state.attempt_number >= MAX_ATTEMPTS or state.idle_for + state.upcoming_sleep > PATIENCE_S
