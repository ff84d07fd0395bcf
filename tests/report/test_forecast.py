"""What is foretold: right where the past repeats, wide where it does not, silent where too little is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import NUSD
from monitor.report.forecast import LEAST_DAYS, Ahead, Doubt, look_ahead, to_the_end

WEEK = np.array([9.0, 10.0, 11.0, 10.0, 12.0, 2.0, 1.0])
DAYS = np.arange(56.0)


def ahead(series: np.ndarray, n_days: int) -> Ahead:
    found = look_ahead(series, n_days)
    assert isinstance(found, Ahead)
    return found


@pytest.mark.parametrize(
    ("past", "coming"),
    [
        (np.full(56, 5.0), np.full(14, 5.0)),
        (np.resize(WEEK, 56), np.resize(WEEK, 70)[56:]),
        (20 + 3 * DAYS, 20 + 3 * np.arange(56.0, 70.0)),
        (np.resize(WEEK, 56) + DAYS, np.resize(WEEK, 70)[56:] + np.arange(56.0, 70.0)),
        (np.zeros(56), np.zeros(14)),
    ],
    ids=["constant", "weekly", "linear", "weekly on a trend", "nothing"],
)
def test_a_series_that_repeats_itself_is_foretold_exactly(past: np.ndarray, coming: np.ndarray) -> None:
    found = ahead(past, 14)

    for curve in (found.expected, found.low, found.high):
        assert curve == pytest.approx(np.cumsum(coming), abs=1e-6 * max(1.0, coming.sum()))


@pytest.mark.parametrize("n_days", [2, 14, 28])
def test_eight_in_ten_weeks_end_within_the_interval(n_days: int) -> None:
    random = np.random.default_rng(4)
    n_inside = 0
    for _ in range(300):
        series = 100 * np.resize(WEEK, 56 + n_days) * np.exp(0.3 * random.standard_normal(56 + n_days))
        found, told = ahead(series[:56], n_days), series[56:].sum()
        n_inside += bool(found.low[-1] <= told <= found.high[-1])

    assert 0.75 <= n_inside / 300 <= 0.97


def test_a_level_that_wanders_makes_the_interval_wider_than_days_that_only_scatter() -> None:
    random = np.random.default_rng(5)
    noise = random.standard_normal(56)

    steady, wandering = ahead(100 + 5 * noise, 28), ahead(100 + np.cumsum(5 * noise), 28)

    assert wandering.high[-1] - wandering.low[-1] > 3 * (steady.high[-1] - steady.low[-1])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1e15)), min_size=1, max_size=70), st.integers(1, 31))
def test_an_interval_holds_its_middle_never_falls_and_is_never_negative(series: list[float], n_days: int) -> None:
    found = look_ahead(np.array(series), n_days)

    if isinstance(found, Ahead):
        assert len(found.expected) == n_days <= np.isfinite(series).sum()
        assert (found.low >= 0).all() and (found.low <= found.expected + 1e-3).all()
        assert (found.expected <= found.high + 1e-3).all()
        for curve in (found.low, found.expected, found.high):
            assert (np.diff(curve) >= -1e-3).all()


@pytest.mark.parametrize(
    ("series", "n_days"),
    [
        (np.full(LEAST_DAYS - 1, 5.0), 1),
        (np.full(25, 5.0), 26),
        (np.append(np.full(50, 5.0), [np.nan] * 3), 7),
        (np.full(56, np.nan), 7),
    ],
    ids=["too short", "further than it looks back", "the last days unknown", "nothing known"],
)
def test_too_little_known_is_said_and_not_guessed(series: np.ndarray, n_days: int) -> None:
    assert look_ahead(series, n_days) is Doubt.SHORT_HISTORY
    assert to_the_end(7, series, n_days=n_days).doubt is Doubt.SHORT_HISTORY
    assert to_the_end(7, series, n_days=n_days).expected_nusd is None


def test_unknown_days_are_left_out_and_not_taken_for_zero() -> None:
    series = np.full(56, 8.0)
    series[[3, 17, 40]] = np.nan

    assert ahead(series, 5).expected[-1] == pytest.approx(40)


def test_an_interval_too_wide_to_tell_anything_is_not_told() -> None:
    series = np.where(DAYS % 9 == 0, 1_000.0 * NUSD, 0.0)

    found = to_the_end(0, series, n_days=2)

    assert (found.doubt, found.expected_nusd) == (Doubt.ERRATIC, None)


def test_the_end_of_a_month_adds_what_is_spent_already() -> None:
    found = to_the_end(70 * NUSD, np.full(56, 10.0 * NUSD), n_days=8)

    assert (found.spent_nusd, found.expected_nusd) == (70 * NUSD, 150 * NUSD)
    assert to_the_end(70, np.full(3, np.nan), n_days=0).expected_nusd == 70
