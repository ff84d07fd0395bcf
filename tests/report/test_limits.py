"""When keys reach their limits: by the issuer's resets, and never a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from build import a_key, key_settings

from monitor.domain import NUSD
from monitor.report.forecast import Doubt
from monitor.report.limits import LimitForecast, Outlook, limit_forecast, next_reset

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TEN_A_DAY = np.full(56, 10.0 * NUSD)


def outlook(
    *, left: float | None, reset: str | None = None, series: np.ndarray = TEN_A_DAY, **changes: Any
) -> LimitForecast:
    settings = key_settings(limit_usd=500.0, limit_reset=reset, **changes)
    found = limit_forecast(a_key(1, settings=settings, limit_remaining_usd=left), series, now=MONDAY)
    assert found is not None
    return found


def test_a_limit_is_reached_on_the_day_the_money_is_spent() -> None:
    found = outlook(left=35.0)

    assert (found.outlook, found.resets_at) == (Outlook.LIKELY, None)
    assert found.at == found.earliest == found.latest == MONDAY + 3.5 * DAY


@pytest.mark.parametrize(
    ("reset", "left", "said"),
    [
        ("daily", 5.0, Outlook.LIKELY),
        ("daily", 7.0, Outlook.UNLIKELY),
        ("weekly", 60.0, Outlook.LIKELY),
        ("weekly", 80.0, Outlook.UNLIKELY),
        ("monthly", 70.0, Outlook.LIKELY),
        ("monthly", 90.0, Outlook.UNLIKELY),
        (None, 270.0, Outlook.LIKELY),
        (None, 300.0, Outlook.UNLIKELY),
    ],
)
def test_a_limit_counts_only_until_it_resets(reset: str | None, left: float, said: Outlook) -> None:
    assert outlook(left=left, reset=reset).outlook is said


@pytest.mark.parametrize(
    ("reset", "now", "at"),
    [
        ("daily", MONDAY, datetime(2026, 11, 24, tzinfo=UTC)),
        ("weekly", MONDAY, datetime(2026, 11, 30, tzinfo=UTC)),
        ("weekly", MONDAY - DAY, datetime(2026, 11, 23, tzinfo=UTC)),
        ("monthly", MONDAY, datetime(2026, 12, 1, tzinfo=UTC)),
        ("monthly", datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("fortnightly", MONDAY, None),
        (None, MONDAY, None),
    ],
)
def test_limits_reset_at_midnight_utc(reset: str | None, now: datetime, at: datetime | None) -> None:
    assert next_reset(reset, now) == at


def test_a_limit_that_is_used_up_is_said_to_be() -> None:
    assert outlook(left=0.0).outlook is Outlook.REACHED


def test_a_limit_that_only_the_upper_end_reaches_may_be_reached() -> None:
    noisy = TEN_A_DAY * (1 + 0.5 * np.random.default_rng(3).standard_normal(56)).clip(0)

    found = outlook(left=float(noisy.mean()) / NUSD * 7 * 1.15, reset="weekly", series=noisy)

    assert found.outlook is Outlook.POSSIBLE
    assert found.at is None and found.earliest is not None


def test_what_is_not_known_is_not_guessed() -> None:
    assert outlook(left=None).outlook is Outlook.UNKNOWN
    assert outlook(left=35.0, reset="fortnightly").outlook is Outlook.UNKNOWN
    short = outlook(left=35.0, series=np.full(56, np.nan))
    assert (short.outlook, short.doubt) == (Outlook.UNKNOWN, Doubt.SHORT_HISTORY)


def test_keys_without_a_limit_and_disabled_keys_have_no_outlook() -> None:
    off = a_key(2, settings=key_settings(limit_usd=5.0, is_disabled=True), limit_remaining_usd=1.0)

    assert limit_forecast(a_key(1), TEN_A_DAY, now=MONDAY) is None
    assert limit_forecast(off, TEN_A_DAY, now=MONDAY) is None
