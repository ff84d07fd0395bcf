"""A slow ramp cannot teach its own anchor; a jump, growth within the budget, and ups and downs are no ramps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect import ramp
from monitor.domain import NUSD, Rung, Severity

BUDGET = 0.15


def days(*values: float) -> np.ndarray:
    """One key, dollars a day."""
    return np.array(values)[:, None] * NUSD


def grown(rate: float, n_days: int, *, quiet: int = 35, usd: float = 10.0) -> np.ndarray:
    """`quiet` days at the usual spend, then `rate` more each day."""
    return days(*[usd] * quiet, *(usd * (1 + rate) ** day for day in range(1, n_days + 1)))


def first_day_told(daily: np.ndarray, *, quiet: int = 35) -> int | None:
    return next(
        (n - quiet for n in range(quiet, len(daily) + 1) if ramp.ramps(daily[:n], max_drift_per_week=BUDGET)), None
    )


def test_five_percent_a_day_is_told_within_30_days_and_stays_told_to_the_end():
    daily = grown(0.05, 60)

    told = first_day_told(daily)

    assert told is not None and told <= 30
    assert ramp.ramps(daily, max_drift_per_week=BUDGET)


@pytest.mark.parametrize("rate", [0.04, 0.05, 0.08])
def test_ramps_of_other_rates_are_told_too(rate: float):
    told = first_day_told(grown(rate, 60))

    assert told is not None and told <= 56


@pytest.mark.parametrize(
    "daily",
    [
        days(*[10.0] * 90),
        grown(0.015, 60),
        days(*[10.0] * 45, *[100.0] * 45),
        days(*(10.0 + 9 * (day % 14 < 7) for day in range(90))),
        grown(0.05, 60, usd=0.05),
        days(*[10.0] * 20),
        days(*[0.0] * 40, *[50.0] * 40),
    ],
    ids=[
        "the same",
        "growth within the budget",
        "a jump",
        "ups and downs",
        "cents",
        "less than a month",
        "an idle key",
    ],
)
def test_what_is_no_ramp_is_not_told(daily: np.ndarray):
    assert ramp.ramps(daily, max_drift_per_week=BUDGET) == ()


def test_called_expected_the_anchor_begins_anew_and_a_further_ramp_is_told_again():
    daily = grown(0.05, 90)

    accepted = {0: 35 + 40}

    assert ramp.ramps(daily[: 35 + 47], max_drift_per_week=BUDGET, accepted=accepted) == ()
    assert ramp.ramps(daily, max_drift_per_week=BUDGET, accepted=accepted)


def test_unknown_days_are_not_zero():
    daily = grown(0.05, 60)
    daily[40::9] = np.nan

    assert ramp.ramps(daily, max_drift_per_week=BUDGET)
    daily[-14:] = np.nan
    assert ramp.ramps(daily, max_drift_per_week=BUDGET) == ()


def test_a_ramp_is_told_and_nothing_a_key_is_disabled_for():
    found = ramp.ramps(grown(0.05, 60), max_drift_per_week=BUDGET)

    (breach,) = ramp.breaches(found, max_drift_per_week=BUDGET)

    assert (breach.rung, breach.severity) == (Rung.NOTIFY, Severity.WARNING)
    assert "grown steadily" in breach.causes[0].sentence


@given(st.integers(0, 2**32 - 1), st.integers(30, 120))
def test_other_keys_change_nothing(seed: int, n_days: int):
    rng = np.random.default_rng(seed)
    fleet = rng.lognormal(1, 1, size=(n_days, 4)) * NUSD
    fleet[:, 2] = grown(0.05, n_days, quiet=0)[:, 0]

    alone = ramp.ramps(fleet[:, 2:3], max_drift_per_week=BUDGET)
    among = [one for one in ramp.ramps(fleet, max_drift_per_week=BUDGET) if one.key_no == 2]

    assert [(one.per_day_nusd, one.n_weeks) for one in alone] == [(one.per_day_nusd, one.n_weeks) for one in among]
