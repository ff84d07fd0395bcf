"""How long the server asks us to wait. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_WAIT_S: Final = 300.0
"""No server makes us wait longer: a nonsensical header must not silence the monitor."""

_EPOCH_S_FROM: Final = 1e9
_EPOCH_MS_FROM: Final = 1e11


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, in [0, MAX_WAIT_S]; None when the headers say nothing that can be understood.

    `headers` has case-insensitive keys or lower-case ones. `Retry-After` counts first: whole seconds or an HTTP date
    (RFC 9110 10.2.3), fractions as seen from proxies. Without it `X-RateLimit-Reset`, which the limits guide names
    but does not define: epoch milliseconds, epoch seconds or seconds from now are told apart by size.
    Moments are measured from the answer's own `Date`, so that a wrong clock here does not matter, else from `now`.
    A moment already past is 0; negative and unreadable numbers are as good as no header."""
    server_now = http_date(headers.get("date", "")) or now
    wait = _retry_after(headers.get("retry-after", ""), server_now)
    if wait is None:
        wait = _reset(headers.get("x-ratelimit-reset", ""), server_now)
    return None if wait is None else min(max(wait, 0.0), MAX_WAIT_S)


def http_date(text: str) -> datetime | None:
    """An HTTP date as aware UTC, None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # all four seen from email.utils on junk
        return None


def _retry_after(text: str, now: datetime) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return seconds
    moment = http_date(text)
    return None if moment is None else (moment - now).total_seconds()


def _reset(text: str, now: datetime) -> float | None:
    number = _number(text)
    if number is None or number < _EPOCH_S_FROM:
        return number
    return (number / 1000.0 if number >= _EPOCH_MS_FROM else number) - now.timestamp()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) or number < 0.0 else number
