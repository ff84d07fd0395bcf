from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detect import calibrate
from monitor.detect.calibrate import Budgeted, Clean, levels_for_budget, sobered
from monitor.detect.patience import Gathered

HOUR = 3600
scores_of = st.lists(st.floats(-50, 50, allow_nan=False), min_size=1, max_size=80)


def _one_cohort(clean: np.ndarray) -> calibrate.Calibration:
    return calibrate.calibrate(clean, np.zeros(len(clean), dtype=np.int64), n_cohorts=1)


def _p(calibration: calibrate.Calibration, scores: np.ndarray) -> np.ndarray:
    return calibrate.p_values(calibration, scores, np.zeros(len(scores), dtype=np.int64))


@given(clean=scores_of, asked=scores_of)
def test_p_values_lie_in_zero_to_one_and_fall_with_the_score(clean: list[float], asked: list[float]) -> None:
    ordered = np.sort(np.array(asked))

    p = _p(_one_cohort(np.array(clean)), ordered)

    assert ((p > 0) & (p <= 1)).all()
    assert (np.diff(p) <= 0).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.sampled_from([50, 800, 30_000]))
def test_p_values_of_clean_data_are_uniform(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    calibration = _one_cohort(rng.standard_t(3, size=n))

    p = _p(calibration, rng.standard_t(3, size=20_000))

    for level in (0.02, 0.1, 0.5):
        slack = 6 * np.sqrt(level * (1 - level) / n) + 1 / n
        assert abs(np.mean(p <= level) - level) <= slack


@given(clean=scores_of)
def test_within_the_clean_scores_the_p_value_is_the_conformal_one(clean: list[float]) -> None:
    scores = np.array(clean)

    p = _p(_one_cohort(scores), scores)

    exact = np.array([(1 + np.sum(scores >= s)) / (len(scores) + 1) for s in scores])
    assert p == pytest.approx(exact)


def test_thinning_many_scores_never_makes_a_p_value_smaller_than_the_exact_one() -> None:
    rng = np.random.default_rng(3)
    clean = rng.normal(size=100_000)
    asked = rng.normal(size=500)

    p = _p(_one_cohort(clean), asked)

    exact = np.array([(1 + np.sum(clean >= s)) / (len(clean) + 1) for s in asked])
    assert (p >= exact - 1e-12).all()
    assert (p <= exact * 1.05 + 1e-3).all()


def test_beyond_the_largest_clean_score_rarity_goes_on_growing() -> None:
    calibration = _one_cohort(np.random.default_rng(1).normal(size=5_000))

    p = _p(calibration, np.array([4.0, 5.0, 6.0, 60.0]))

    assert (np.diff(p) < 0).all()
    assert p[-1] > 0


def test_a_cohort_is_compared_with_its_own_kind() -> None:
    rng = np.random.default_rng(2)
    clean = np.concatenate([rng.normal(0, 1, 5_000), rng.normal(10, 1, 5_000)])
    cohort = np.repeat([0, 1], 5_000)
    calibration = calibrate.calibrate(clean, cohort, n_cohorts=2)

    p = calibrate.p_values(calibration, np.array([10.0, 10.0]), np.array([0, 1]))

    assert p[0] < 1e-3
    assert p[1] > 0.3


def test_a_cohort_with_few_rows_is_judged_by_all() -> None:
    clean = np.arange(2_000.0)
    calibration = calibrate.calibrate(clean, np.zeros(2_000, dtype=np.int64), n_cohorts=2)

    assert calibration.cohorts[1].n_rows == 2_000


def test_a_score_that_is_unknown_is_no_evidence() -> None:
    assert _p(_one_cohort(np.arange(9.0)), np.array([np.nan]))[0] == 1.0


def test_calibrating_without_scores_is_refused() -> None:
    with pytest.raises(ValueError, match="no clean scores"):
        _one_cohort(np.zeros(0))


def test_alarms_hours_apart_are_incidents_of_their_own() -> None:
    key_no = np.array([1, 1, 1, 2])
    at_s = np.array([0, 6, 13, 0]) * HOUR

    assert calibrate.n_incidents(key_no, at_s) == 3


def test_an_incident_that_never_ends_counts_again_each_day() -> None:
    at_s = np.arange(0, 49 * HOUR, HOUR)

    assert calibrate.n_incidents(np.zeros(len(at_s), dtype=np.int64), at_s) == 3


def test_one_hot_bucket_needs_a_second_one_within_the_hour() -> None:
    p = np.array([0.01, 0.5, 0.01, 0.01])
    at_s = 1_790_000_000 + np.array([0, 600, 1_200, 9_000])

    found = calibrate.alarms(p, np.zeros(4, dtype=np.int64), at_s, alpha=0.01)

    assert found.tolist() == [2]


def test_a_very_hot_bucket_needs_no_second_one() -> None:
    found = calibrate.alarms(np.array([0.001]), np.array([1]), np.array([0]), alpha=0.01)

    assert found.tolist() == [0]


def test_a_hot_bucket_of_another_key_confirms_nothing() -> None:
    found = calibrate.alarms(np.array([0.01, 0.01]), np.array([1, 2]), 1_790_000_000 + np.array([0, 600]), alpha=0.01)

    assert len(found) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1_000), per_week=st.sampled_from([0.5, 5.0, 50.0]))
def test_the_level_for_a_budget_keeps_to_it_on_clean_rows(seed: int, per_week: float) -> None:
    rng = np.random.default_rng(seed)
    key_no = np.repeat(np.arange(30), 144 * 7)
    at_s = np.tile(np.arange(144 * 7) * 600, 30)
    p = rng.random(len(key_no))

    alpha = calibrate.alpha_for_budget(p, key_no, at_s, span_s=calibrate.WEEK_S, per_week=per_week)

    found = calibrate.alarms(p, key_no, at_s, alpha=alpha)
    n = calibrate.n_incidents(key_no[found], at_s[found])
    assert n <= max(per_week, 1)
    assert n >= per_week / 2 - 1


def test_a_larger_budget_never_lowers_the_level() -> None:
    rng = np.random.default_rng(11)
    p, key_no, at_s = rng.random(5_000), np.repeat(np.arange(5), 1_000), np.tile(np.arange(1_000) * 600, 5)

    levels = [
        calibrate.alpha_for_budget(p, key_no, at_s, span_s=calibrate.WEEK_S, per_week=budget)
        for budget in (0.1, 1, 5, 20)
    ]

    assert levels == sorted(levels)


def test_all_rows_of_a_key_are_in_one_fold_whatever_other_keys_there_are() -> None:
    few = calibrate.folds(np.array([4, 4, 9]), n_folds=3)
    many = calibrate.folds(np.arange(1_000), n_folds=3)

    assert few.tolist() == [many[4], many[4], many[9]]
    assert np.bincount(many).min() > 250


def _quiet(n_keys: int = 20, n_hours: int = 500) -> tuple[Clean, np.ndarray]:
    """A month of hours in which hardly any row had unusual dollars: a single one, and it scored little."""
    rng = np.random.default_rng(5)
    n = n_keys * n_hours
    scores, key_no = rng.normal(size=n), np.repeat(np.arange(n_keys), n_hours)
    at_s = np.tile(np.arange(n_hours) * 3600, n_keys)
    p = np.ones(n)
    p[77] = 0.3
    short = np.zeros(n)
    short[77] = 0.0004
    return Clean(p, Gathered(short, short), key_no, at_s, 3600, 3.0), scores


def test_levels_bought_on_quiet_history_are_evidence_all_the_same():
    seen, scores = _quiet()
    floor = float(np.quantile(scores, 0.995))

    bought = levels_for_budget(seen, per_week=5.0)
    sober = sobered(bought, seen, scores, floor=floor, per_week=5.0)

    assert bought.hour < 0.001  # the budget alone says: everything with a dollar in it
    assert sober.alpha <= 10 * 5 / (20 * 1008)
    assert sober.hour >= 0.5 * (np.quantile(scores, 1 - sober.alpha) - floor) > 0.1
    assert sober.shift == pytest.approx(3 * sober.hour)
    assert sober.n_incidents <= bought.n_incidents


def test_levels_that_are_evidence_already_stay_as_the_budget_bought_them():
    seen, scores = _quiet()
    bought = Budgeted(1e-5, 50.0, 200.0, 1)

    assert sobered(bought, seen, scores, floor=2.5, per_week=5.0) is bought
