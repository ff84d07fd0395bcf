"""Counts, costs and times as analytics and activity rows carry them, with the bounds that tell usage from damage."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

MAX_BAD_SHARE: Final = 0.05
"""More unreadable rows than this refuse the whole answer."""
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bytes that do not fit."""

# A single row beyond these is no usage but damage; and 9,000 rows of them still add up inside int64.
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Usd = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]


@functools.lru_cache(maxsize=16_384)
def epoch_s(text: str | None) -> int:
    """Epoch seconds of `2026-05-19`, `2026-08-27 17:13:00`, `2025-01-01T00:00:00.000Z` or with an offset; -1 if unreadable."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return -1
    try:
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (OverflowError, ValueError):
        return -1


def brief(error: Exception) -> str:
    """The error's text, short enough for a log line."""
    return str(error)[:120]
