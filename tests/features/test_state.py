"""Counters, seasons and documentation: what the replay proof does not reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import build
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import features, frames
from monitor.config import Detection
from monitor.features import FEATURES, FleetState, HabitParams
from monitor.features.baseline import expectations
from monitor.features.levels import decoded, encoded
from monitor.features.params import LEVEL_HOURS

PARAMS = HabitParams.from_settings(Detection())
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
ROOT = Path(__file__).resolve().parents[2]


def deltas(*rows: tuple[int, datetime, datetime, int], is_fault: bool = False) -> pd.DataFrame:
    columns = ["key_no", "since", "until", "cost_nusd"]
    return pd.DataFrame(rows, columns=columns).assign(is_fault=is_fault).astype(dict(frames.DELTAS))


def at_now() -> FleetState:
    state = FleetState(PARAMS)
    state.advance(NOW)
    return state


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 3 * 3600), cost=st.integers(0, 10**13), back=st.integers(0, 1800))
def test_counter_spend_is_spread_over_its_buckets_without_losing_a_nano_dollar(
    length: int, cost: int, back: int
) -> None:
    state, until = at_now(), NOW - back * SECOND

    state.take_counters(deltas((2, until - length * SECOND, until, cost)))

    assert state.keys["counter_fine"][:, 3].sum() == cost
    assert state.keys["counter_hour"][:, 3].sum() == cost


def test_a_delta_taken_before_or_overlapping_it_changes_nothing() -> None:
    state = at_now()
    frame = deltas((0, NOW - 120 * SECOND, NOW - 60 * SECOND, 5), (0, NOW - 60 * SECOND, NOW, 7))

    state.take_counters(frame)
    n_again = state.take_counters(frame)
    n_overlapping = state.take_counters(deltas((0, NOW - 90 * SECOND, NOW + SECOND, 100)))

    assert (n_again, n_overlapping) == (0, 0)
    assert state.keys["counter_hour"].sum() == 12


def test_a_counter_that_went_backwards_is_a_fault_and_no_spend() -> None:
    state = at_now()

    state.take_counters(deltas((0, NOW - 60 * SECOND, NOW, 10**9), is_fault=True))

    assert state.keys["counter_hour"].sum() == 0


def test_a_level_survives_its_two_bytes() -> None:
    amounts = np.rint(np.concatenate(([0.0], np.geomspace(1, 2e18, 500))))

    np.testing.assert_allclose(decoded(encoded(amounts)), amounts, rtol=6e-4)
    assert decoded(encoded(amounts))[0] == 0.0


def with_levels(amount_of_hour: np.ndarray, *, n_known: int) -> FleetState:
    """A state whose key 0 has these levels in the newest `n_known` learned hours; nothing is known before."""
    state = at_now()
    state.ensure_keys(1)
    hours = np.arange(state.learned_hour - n_known + 1, state.learned_hour + 1)
    state.keys["level_cost"][hours % LEVEL_HOURS, 1] = encoded(amount_of_hour[hours % 168])
    return state


WEEK = np.where(np.arange(168) % 24 < 12, 1e9, 5e9)
WEEK[(int(NOW.timestamp()) // 3600) % 168] = 9e9


@pytest.mark.parametrize(
    ("n_known", "expected"),
    [(LEVEL_HOURS - 30, 9e9), (15 * 24, 5e9), (30, None)],
    ids=["hour of the week", "hour of the day", "grace period"],
)
def test_the_season_is_as_fine_as_history_allows(n_known: int, expected: float | None) -> None:
    state = with_levels(WEEK, n_known=n_known)
    hour = int(NOW.timestamp()) // 3600

    found = expectations(state, "level_cost", hour, born_hour=np.zeros(2, np.int64))["1h"]

    assert found.median[1] == pytest.approx(expected, rel=1e-3) if expected else np.isnan(found.median[1])


def test_hours_before_a_key_was_created_are_unknown_to_it() -> None:
    state = with_levels(WEEK, n_known=LEVEL_HOURS - 30)
    hour = int(NOW.timestamp()) // 3600

    found = expectations(state, "level_cost", hour, born_hour=np.array([0, hour - 40]))["1h"]

    assert np.isnan(found.median[1])


def test_a_clock_set_back_rolls_nothing_back() -> None:
    state = at_now()

    state.advance(NOW - 2 * HOUR)

    assert state.head_hour == int(NOW.timestamp()) // 3600 - 1


def test_usage_before_any_advance_is_refused() -> None:
    with pytest.raises(ValueError, match="advance"):
        FleetState(PARAMS).take(build.usage())


def test_a_moment_outside_the_rings_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        features.build(at_now(), build.inventory_frame(1), NOW + 2 * HOUR)


def test_acknowledging_the_middle_of_an_exclusion_leaves_its_ends() -> None:
    state = at_now()
    state.exclude(0, NOW - 10 * HOUR, NOW)

    state.acknowledge(0, NOW - 6 * HOUR, NOW - 4 * HOUR)

    spans = state.exclusions[:, 1:] - int(NOW.timestamp()) // 3600
    assert spans.tolist() == [[-10, -6], [-4, 0]]


def test_every_feature_is_documented() -> None:
    text = (ROOT / "docs" / "features.md").read_text()

    assert [
        name for name in FEATURES if f"| `{name}` | {FEATURES[name].unit} | {FEATURES[name].meaning} |" not in text
    ] == []
