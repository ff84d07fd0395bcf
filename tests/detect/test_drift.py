"""PSI: nothing for the same rows, little for the same distribution, much for another one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect.drift import SHIFTED, profile_of, score_shift, shifts

NAMES = ("spend", "novelty")


def rows(seed: int, *, n: int = 4_000, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.lognormal(size=n) + shift, np.where(rng.random(n) < 0.9, 0.0, rng.random(n))])
    values[rng.random(n) < 0.1, 0] = np.nan
    return values


def by_name(profile, values) -> dict[str, float]:
    return {one.name: one.psi for one in shifts(profile, values, NAMES)}


def test_the_same_rows_have_not_moved():
    assert by_name(profile_of(rows(1)), rows(1)) == pytest.approx({"spend": 0.0, "novelty": 0.0}, abs=1e-9)


def test_other_rows_of_the_same_kind_have_hardly_moved():
    assert max(by_name(profile_of(rows(1)), rows(2)).values()) < 0.02


def test_a_shifted_feature_is_named_first_and_the_other_one_is_not_shifted():
    found = shifts(profile_of(rows(1)), rows(2, shift=1.0), NAMES)

    assert found[0].name == "spend"
    assert found[0].psi > SHIFTED > found[1].psi


def test_values_that_go_missing_are_a_shift():
    now = rows(2)
    now[: len(now) // 2, 1] = np.nan

    assert by_name(profile_of(rows(1)), now)["novelty"] > SHIFTED


def test_a_feature_nobody_ever_had_is_no_trouble():
    empty = np.full((50, 2), np.nan)

    assert by_name(profile_of(empty), empty) == {"spend": 0.0, "novelty": 0.0}
    assert shifts(profile_of(empty), empty[:0], NAMES) == ()


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter_and_no_index_is_negative(seed: int):
    rng = np.random.default_rng(seed)
    now = rows(seed % 7, n=200)

    found = shifts(profile_of(rows(1, n=500)), now, NAMES)

    assert found == shifts(profile_of(rows(1, n=500)), rng.permutation(now), NAMES)
    assert all(one.psi >= 0 for one in found)


def test_uniform_p_values_have_not_moved_and_small_ones_have():
    uniform = (np.arange(10_000) + 0.5) / 10_000

    assert score_shift(uniform) == pytest.approx(0.0, abs=1e-9)
    assert score_shift(uniform**3) > SHIFTED
    assert score_shift(np.zeros(0)) == 0.0
