"""Clocks of the demo world: one set by hand (tests), one that runs faster than the real one (`monitor demo`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.domain import Clock


@dataclass(slots=True)
class ManualClock:
    """Stands still until told: `advance` and `sleep` move it, `set_back` moves wall time alone."""

    wall: datetime
    elapsed_s: float = 0.0

    def now(self) -> datetime:
        """Aware UTC wall time."""
        return self.wall

    def monotonic(self) -> float:
        """Seconds moved forward so far."""
        return self.elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Moves time by `seconds` and lets other tasks run; never waits."""
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Moves both times forward."""
        self.wall += timedelta(seconds=seconds)
        self.elapsed_s += seconds

    def set_back(self, seconds: float) -> None:
        """Moves wall time back, as an administrator may do; monotonic time stays."""
        self.wall -= timedelta(seconds=seconds)


class FastClock:
    """Runs `speed` times as fast as `inner`, from `start`: a minute of the demo world passes in a second or two."""

    def __init__(self, inner: Clock, *, start: datetime, speed: float) -> None:
        self._inner = inner
        self._start = start
        self._speed = speed
        self._zero = inner.monotonic()

    def now(self) -> datetime:
        """Aware UTC wall time of the world."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Seconds of the world since it began."""
        return (self._inner.monotonic() - self._zero) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Waits that many seconds of the world."""
        await self._inner.sleep(seconds / self._speed)
