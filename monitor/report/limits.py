"""When keys are likely to reach their limits. Pure.

The issuer resets limits at midnight UTC: daily, on Mondays, or on the first of the month. A limit without a reset is compared
with what the key ever spent."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from monitor.domain import NUSD, ApiKey
from monitor.report.forecast import Doubt, Floats, look_ahead

LOOKS_AHEAD: Final = 28
"""Days that a limit without a reset is looked ahead for."""

_DAY: Final = timedelta(days=1)


class Outlook(enum.StrEnum):
    """Whether a key reaches its limit before it resets (or within `LOOKS_AHEAD` days)."""

    REACHED = "reached"
    LIKELY = "likely"
    POSSIBLE = "possible"
    UNLIKELY = "unlikely"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LimitForecast:
    """One key and its limit. `at`: when it is likely to be reached, between `earliest` and `latest`; None: not within
    sight. `resets_at` is None where it never resets."""

    key_hash: str
    limit_nusd: int
    remaining_nusd: int | None
    outlook: Outlook
    resets_at: datetime | None = None
    at: datetime | None = None
    earliest: datetime | None = None
    latest: datetime | None = None
    doubt: Doubt | None = None


def limit_forecast(key: ApiKey, by_day: Floats, *, now: datetime) -> LimitForecast | None:
    """The outlook of a live key at `now`; None without a limit. `by_day`: see `forecast.look_ahead`."""
    settings = key.settings
    if settings.is_disabled or settings.limit_usd is None:
        return None
    limit = round(settings.limit_usd * NUSD)
    remaining = None if key.limit_remaining_usd is None else round(key.limit_remaining_usd * NUSD)
    resets_at = next_reset(settings.limit_reset, now)
    if remaining is None or (settings.limit_reset is not None and resets_at is None):
        return LimitForecast(key.key_hash, limit, remaining, Outlook.UNKNOWN, resets_at)
    if remaining <= 0:
        return LimitForecast(key.key_hash, limit, remaining, Outlook.REACHED, resets_at, at=now)
    span = LOOKS_AHEAD * _DAY if resets_at is None else resets_at - now
    ahead = look_ahead(by_day, max(1, -(-span // _DAY)))
    if isinstance(ahead, Doubt):
        return LimitForecast(key.key_hash, limit, remaining, Outlook.UNKNOWN, resets_at, doubt=ahead)
    at, earliest, latest = (
        _reached(curve, remaining, now=now, until=now + span) for curve in (ahead.expected, ahead.high, ahead.low)
    )
    outlook = Outlook.LIKELY if at else Outlook.POSSIBLE if earliest else Outlook.UNLIKELY
    return LimitForecast(key.key_hash, limit, remaining, outlook, resets_at, at, earliest, latest)


def next_reset(limit_reset: str | None, now: datetime) -> datetime | None:
    """When the limit resets next, None where it never does or the issuer's word is not known."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    if limit_reset == "daily":
        return midnight
    if limit_reset == "weekly":
        return midnight + (-midnight.weekday() % 7) * _DAY
    if limit_reset == "monthly":
        return midnight if midnight.day == 1 else (midnight.replace(day=1) + 32 * _DAY).replace(day=1)
    return None


def _reached(curve: Floats, remaining_nusd: int, *, now: datetime, until: datetime) -> datetime | None:
    """When a growing sum, even within each day, comes to what remains; None: not before `until`."""
    day_no = int(np.searchsorted(curve, remaining_nusd, side="left"))
    if day_no >= len(curve):
        return None
    before = float(curve[day_no - 1]) if day_no else 0.0
    at = now + (day_no + (remaining_nusd - before) / (float(curve[day_no]) - before)) * _DAY
    return at if at <= until else None
