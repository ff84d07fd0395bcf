"""The isolation forest (Liu, Ting, Zhou 2008; scikit-learn's implementation) behind our `Detector` interface.

Rows may hold NaN where a feature is unknown. The rule: an unknown feature neither accuses nor excuses, so it takes the
median of the training rows. Values are compressed by a signed logarithm first, `sign(x) * ln(1 + |x|)`: the forest
splits uniformly between the smallest and the largest value it sees, and one dollar figure in the thousands would else
leave all splits in the void between it and the rest. scikit-learn's `score_samples` is lower for the more abnormal;
the sign is turned here and nowhere else.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from monitor.detect.base import Thefts

N_TREES: Final = 200
MAX_SAMPLES: Final = 4096
"""Rows a tree sees: with the usual 256 it never sees the rarer habits of honest keys."""

MAX_FIT_ROWS: Final = 32_768
"""Rows drawn by weight from all that are given: fitting then costs the same for any fleet."""


class Forest:
    """Isolation forest over feature rows. Fitted state: `forest_`, and `center_`, the medians that stand for NaN."""

    def __init__(
        self, feature_names: tuple[str, ...], *, n_trees: int = N_TREES, max_samples: int = MAX_SAMPLES
    ) -> None:
        self._feature_names = feature_names
        self._n_trees = n_trees
        self._max_samples = max_samples
        self.forest_: IsolationForest | None = None
        self._lengths: list[npt.NDArray[np.float64]] = []
        self.center_: npt.NDArray[np.float64] = np.zeros(len(feature_names))

    @property
    def name(self) -> str:
        """`forest`."""
        return "forest"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns it was made for, in order."""
        return self._feature_names

    @classmethod
    def restored(
        cls, feature_names: tuple[str, ...], forest: IsolationForest, center: npt.NDArray[np.float64]
    ) -> Forest:
        """A fitted detector from its parts, as `artifact` kept them."""
        detector = cls(feature_names, n_trees=len(forest.estimators_), max_samples=int(forest.max_samples_))
        detector._keep(forest)
        detector.center_ = center
        return detector

    def fit(
        self,
        rows: npt.NDArray[np.floating],
        weights: npt.NDArray[np.float64],
        *,
        seed: int,
        thefts: Thefts | None = None,
    ) -> None:
        """Learns from rows (n, n_features), drawn with probability proportional to their weight; thefts teach it nothing.

        The draw is without replacement, so that a few busy keys are not the forest. Raises ValueError without rows."""
        if rows.ndim != 2 or rows.shape[1] != len(self._feature_names) or len(rows) != len(weights):
            raise ValueError(f"{rows.shape} rows and {len(weights)} weights for {len(self._feature_names)} features")
        if len(rows) == 0:
            raise ValueError("no rows to learn from")
        rng = np.random.default_rng(seed)
        drawn = rows[weighted_draw(weights, min(MAX_FIT_ROWS, len(rows)), rng)]
        squeezed = signed_log(drawn)
        known = np.isfinite(squeezed)
        self.center_ = np.array([np.median(c[k]) if k.any() else 0.0 for c, k in zip(squeezed.T, known.T, strict=True)])
        forest = IsolationForest(
            n_estimators=self._n_trees,
            max_samples=min(self._max_samples, len(drawn)),
            contamination="auto",
            random_state=int(rng.integers(2**31)),
        )
        self._keep(_slimmed(forest.fit(np.where(known, squeezed, self.center_))))

    def score(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Scores (n,) in (0, 1), **higher is more anomalous**. Raises ValueError before `fit`."""
        if self.forest_ is None:
            raise ValueError("this forest has not been fitted")
        if len(rows) == 0:
            return np.zeros(0)
        squeezed = signed_log(rows)
        filled = np.where(np.isfinite(squeezed), squeezed, self.center_).astype(np.float32)
        length = np.zeros(len(filled))
        for estimator, lengths in zip(self.forest_.estimators_, self._lengths, strict=True):
            length += lengths[estimator.tree_.apply(filled)]
        # scikit-learn's own `-score_samples`, without its thread pool and checks: a third of the time for a hundred rows.
        return np.asarray(2.0 ** (-length / (len(self._lengths) * _mean_length(self.forest_.max_samples_))))

    def _keep(self, forest: IsolationForest) -> None:
        self.forest_ = forest
        self._lengths = [_path_lengths(estimator.tree_) for estimator in forest.estimators_]


def _slimmed(forest: IsolationForest) -> IsolationForest:
    """The forest without the noise that its trees carry: it is fitted to random targets, whose means and impurities say
    nothing and are never read, but would be two thirds of the artifact."""
    for estimator in forest.estimators_:
        state = estimator.tree_.__getstate__()
        state["nodes"]["impurity"] = 0.0
        state["values"][:] = 0.0
        estimator.tree_.__setstate__(state)
    return forest


def _path_lengths(tree: Any) -> npt.NDArray[np.float64]:
    """By node: its depth, and the mean depth that the training rows left in it would still have needed."""
    n = tree.node_count
    depth = np.zeros(n)
    left, right = tree.children_left, tree.children_right
    for node in range(n):  # parents come before their children
        if left[node] >= 0:
            depth[left[node]] = depth[right[node]] = depth[node] + 1.0
    return np.asarray(depth + np.array([_mean_length(size) for size in tree.n_node_samples.tolist()]))


def _mean_length(n: int) -> float:
    """Mean path length of an unsuccessful search among n rows (Liu, Ting, Zhou 2008, formula 1)."""
    if n <= 1:
        return 0.0
    return 1.0 if n == 2 else 2.0 * (math.log(n - 1.0) + float(np.euler_gamma)) - 2.0 * (n - 1.0) / n


def signed_log(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """`sign(x) * ln(1 + |x|)`; NaN and infinities become NaN."""
    finite = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    return np.asarray(np.sign(finite) * np.log1p(np.abs(finite)))


def weighted_draw(weights: npt.NDArray[np.float64], n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """`n` distinct positions, drawn by weight (Efraimidis and Spirakis 2006: the largest `ln(u) / w`), ascending."""
    if n >= len(weights):
        return np.arange(len(weights))
    order = np.log(rng.random(len(weights))) / np.maximum(weights, 1e-300)
    return np.sort(np.argpartition(order, len(order) - n)[-n:])
