"""What everything is counted in, and the clock."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Protocol

NUSD = 1_000_000_000
"""Nano-dollars in a dollar."""


BUCKET_S = 600
"""Seconds of a detection bucket: minute rows are summed into ten-minute buckets aligned to UTC."""


HOUR_S = 3600


class Clock(Protocol):
    """Time, as the edges see it. `now` may be set back; `monotonic` never is."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


def utc(epoch_s: float) -> datetime:
    """Epoch seconds as an aware moment."""
    return datetime.fromtimestamp(epoch_s, tz=UTC)


def floor_to(at: datetime, bucket_s: int) -> datetime:
    """The start of the bucket of that many seconds, aligned to UTC, that holds `at`."""
    return at - timedelta(seconds=at.timestamp() % bucket_s)


def short_id(prefix: str, *parts: str) -> str:
    """A deterministic identifier from its parts, so that a replayed decision gets the same one: `INC-1f0c9a2b7d`."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{prefix}-{digest[:10]}"
