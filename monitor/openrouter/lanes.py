"""Lanes: calls that share a budget and a fate. Analytics may be down while keys can still be read and disabled."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from monitor.domain import Clock
from monitor.errors import NotFound, RateLimited, SourceError, Unavailable
from monitor.openrouter.answer import is_outage
from monitor.openrouter.breaker import Circuit, CircuitState, admit, record

LaneName = Literal["keys", "analytics", "drilldown"]


class CircuitOpen(Unavailable):
    """Nothing was sent. Not repeated: the rest is longer than a call's patience."""


class Budget(Protocol):
    """Hands out the right to send one request; waits while there is none."""

    async def acquire(self) -> None:
        """Returns when a request may be sent."""
        ...

    def n_free(self) -> int:
        """Requests that may be sent at once."""
        ...


class Unlimited:
    """The budget of calls for which no limit is documented (`/keys`): `concurrency` and 429 answers bound them."""

    async def acquire(self) -> None:
        """Returns at once."""

    def n_free(self) -> int:
        """More than anybody asks for."""
        return 1_000_000


class SlidingBudget:
    """At most `n` requests in any `span_s` seconds of the injected clock, first come first served.

    No library: the one at hand (aiolimiter) is a leaky bucket, which lets its full size through at once and again as it
    leaks, twice the share in the first minute, and it runs on the event loop's own time, so that neither a test nor the
    demo's faster clock moves it."""

    def __init__(self, n: int, clock: Clock, *, span_s: float = 60.0) -> None:
        self._span_s, self._clock = span_s, clock
        self._sent_at: deque[float] = deque(maxlen=n)
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Returns when the request sent `n` requests ago is `span_s` old."""
        async with self._turn:
            while len(self._sent_at) == self._sent_at.maxlen:
                wait_s = self._sent_at[0] + self._span_s - self._clock.monotonic()
                if wait_s <= 0.0:
                    break
                await self._clock.sleep(wait_s)
            self._sent_at.append(self._clock.monotonic())

    def n_free(self) -> int:
        """Requests that may be sent at once."""
        edge = self._clock.monotonic() - self._span_s
        recent = sum(sent_at > edge for sent_at in self._sent_at)
        return (self._sent_at.maxlen or 0) - recent


@dataclass(frozen=True, slots=True)
class TransportHealth:
    """How one lane fares, for `status`. `hold_s`: how long the source told us to wait from now."""

    lane: LaneName
    circuit: CircuitState
    n_requests: int
    n_failed: int
    last_ok_at: datetime | None
    last_error_at: datetime | None
    last_error: str
    hold_s: float


@dataclass(slots=True)
class Lane:
    """The state of one lane. Only `Transport` holds it."""

    name: LaneName
    budget: Budget
    clock: Clock
    circuit: Circuit = field(default_factory=Circuit)
    hold_until: float = 0.0  # monotonic
    n_requests: int = 0
    n_failed: int = 0
    last_ok_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str = ""

    def admit(self, call: str) -> None:
        """Passes, or raises RateLimited while the lane is held, CircuitOpen while it rests."""
        now = self.clock.monotonic()
        if self.hold_until > now:
            raise RateLimited(f"{call}: the source asked us to wait", retry_after=self.hold_until - now)
        self.circuit, is_admitted = admit(self.circuit, now)
        if not is_admitted:
            rest_s = self.circuit.retry_at - now
            raise CircuitOpen(f"{call}: not sent for {rest_s:.0f} s more; the source keeps failing: {self.last_error}")

    def hold(self, wait_s: float) -> None:
        """The source asked us to wait: nothing but a change of a key goes out before that."""
        self.hold_until = max(self.hold_until, self.clock.monotonic() + wait_s)

    @property
    def hold_s(self) -> float:
        """Seconds left of the hold."""
        return max(self.hold_until - self.clock.monotonic(), 0.0)

    def note(self, error: SourceError | None) -> None:
        """Takes in how an exchange ended."""
        self.circuit = record(self.circuit, self.clock.monotonic(), is_ok=error is None or not is_outage(error))
        if error is None or isinstance(error, NotFound):  # "that key is gone" is an answer, not a trouble
            self.last_ok_at = self.clock.now()
            return
        self.n_failed += 1
        self.last_error, self.last_error_at = str(error), self.clock.now()

    def health(self) -> TransportHealth:
        """The facts."""
        return TransportHealth(
            lane=self.name,
            circuit=self.circuit.state,
            n_requests=self.n_requests,
            n_failed=self.n_failed,
            last_ok_at=self.last_ok_at,
            last_error_at=self.last_error_at,
            last_error=self.last_error,
            hold_s=self.hold_s,
        )
