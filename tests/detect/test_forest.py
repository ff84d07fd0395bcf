from __future__ import annotations

import numpy as np
import pytest

from monitor.detect.forest import Forest, signed_log, weighted_draw

NAMES = ("a", "b", "c")


def _ordinary(n: int = 3_000) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(n, 3))


def _fitted(rows: np.ndarray, *, seed: int = 1) -> Forest:
    detector = Forest(NAMES, n_trees=50, max_samples=512)
    detector.fit(rows, np.ones(len(rows)), seed=seed)
    return detector


def test_a_far_row_scores_higher_than_ordinary_ones() -> None:
    rows = _ordinary()
    detector = _fitted(rows)

    far = detector.score(np.array([[60.0, -60.0, 60.0]]))

    assert far[0] > detector.score(rows).max()


def test_the_same_seed_gives_the_same_scores() -> None:
    rows = _ordinary()

    first, again, other = (_fitted(rows, seed=seed).score(rows[:50]) for seed in (3, 3, 4))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_feature_counts_as_the_median() -> None:
    rows = _ordinary()
    detector = _fitted(rows)
    center = np.expm1(np.abs(detector.center_)) * np.sign(detector.center_)

    unknown = detector.score(np.array([[np.nan, 0.3, np.inf]]))
    median = detector.score(np.array([[center[0], 0.3, center[2]]]))

    assert unknown == pytest.approx(median)


def test_a_feature_nobody_knows_is_allowed() -> None:
    rows = _ordinary()
    rows[:, 1] = np.nan

    scores = _fitted(rows).score(rows[:10])

    assert np.isfinite(scores).all()


def test_one_batch_scores_as_its_rows_do_one_by_one() -> None:
    rows = _ordinary()
    detector = _fitted(rows)

    together = detector.score(rows[:20])
    alone = np.concatenate([detector.score(rows[at : at + 1]) for at in range(20)])

    assert together == pytest.approx(alone, abs=1e-12)


def test_no_rows_give_no_scores() -> None:
    assert _fitted(_ordinary()).score(np.zeros((0, 3))).shape == (0,)


def test_a_forest_that_was_never_fitted_refuses_to_score() -> None:
    with pytest.raises(ValueError, match="not been fitted"):
        Forest(NAMES).score(np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("shape", "n_weights"), [((5, 2), 5), ((5, 3), 4), ((0, 3), 0)], ids=["features", "weights", "empty"]
)
def test_rows_that_do_not_fit_are_refused(shape: tuple[int, int], n_weights: int) -> None:
    with pytest.raises(ValueError):
        Forest(NAMES).fit(np.zeros(shape), np.ones(n_weights), seed=1)


def test_rows_are_drawn_by_weight_and_never_twice() -> None:
    weights = np.concatenate([np.full(1_000, 9.0), np.full(9_000, 1.0)])

    drawn = weighted_draw(weights, 1_000, np.random.default_rng(5))

    assert len(np.unique(drawn)) == 1_000
    assert 0.35 < np.mean(drawn < 1_000) < 0.6


def test_the_logarithm_keeps_sign_and_order() -> None:
    values = np.array([[-1e9, -1.0, 0.0, 1.0, 1e9]])

    squeezed = signed_log(values)[0]

    assert (np.diff(squeezed) > 0).all()
    assert np.array_equal(np.sign(squeezed), np.sign(values[0]))


def test_scores_are_those_of_scikit_learn_with_the_sign_turned() -> None:
    rows = _ordinary()
    detector = _fitted(rows)
    assert detector.forest_ is not None

    theirs = detector.forest_.score_samples(signed_log(rows[:200]))

    assert detector.score(rows[:200]) == pytest.approx(-theirs, abs=1e-12)
