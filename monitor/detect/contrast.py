"""The contrast detector: an isolation forest, and boosted trees that tell the fleet's own rows from simulated thefts.

The forest says how isolated a row is among all rows of the fleet's clean history. Its score is one more column for a
gradient-boosted classifier (Friedman 2001; scikit-learn's histogram implementation), which learns by what rows of keys in
the hands of simulated strangers (`features.transplants`) differ from rows of the same keys in the hands of their owners. No
labels are needed: the strangers are made of what other keys of the fleet do. The score is the log of the odds, with as much
weight on all thefts as on all of the fleet: by Neyman and Pearson the ranking that finds most thefts for a given rate of
false alarms, as far as the simulation is like the thefts to come. A value that is unknown is told apart from any known one.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import ThreadpoolController

from monitor.detect.base import Thefts
from monitor.detect.forest import Forest, weighted_draw

N_TREES: Final = 100
FOREST_ROWS: Final = 2_048
"""The forest is smaller here than where it stands alone: it only adds a column."""

MAX_CLEAN_ROWS: Final = 30_000
"""Rows of the fleet drawn by weight, so that fitting costs the same for any fleet."""

TWINS_WEIGHT: Final = 0.15
"""Weight of the honest twins among the thefts, where all thefts weigh one and all of the fleet weighs one."""

Floats = npt.NDArray[np.float64]


class Contrast:
    """Forest and classifier. Fitted state: `forest_`, `boosted_`, `columns_` (positions of the columns it looks at; the forest's
    score comes after them)."""

    def __init__(self, feature_names: tuple[str, ...], *, n_rounds: int = 160) -> None:
        self._feature_names = feature_names
        self._n_rounds = n_rounds
        self.forest_ = Forest(feature_names, n_trees=N_TREES, max_samples=FOREST_ROWS)
        self.boosted_: HistGradientBoostingClassifier | None = None
        self.columns_: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    @property
    def name(self) -> str:
        """`contrast`."""
        return "contrast"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns it was made for, in order."""
        return self._feature_names

    @property
    def center_(self) -> Floats:
        """Medians of the training rows after `signed_log`: a calm value of each feature."""
        return self.forest_.center_

    @classmethod
    def restored(
        cls,
        feature_names: tuple[str, ...],
        forest: Forest,
        boosted: HistGradientBoostingClassifier,
        *,
        columns: npt.NDArray[np.int64],
    ) -> Contrast:
        """A fitted detector from its parts, as `artifact` kept them."""
        detector = cls(feature_names)
        detector.forest_, detector.boosted_, detector.columns_ = forest, boosted, columns
        return detector

    def fit(self, rows: npt.NDArray[np.floating], weights: Floats, *, seed: int, thefts: Thefts | None = None) -> None:
        """Learns from the fleet's rows, and from thefts played on its keys. Raises ValueError without either."""
        if thefts is None or not thefts.is_stolen.any():
            raise ValueError("no simulated thefts to learn from")
        self.forest_.fit(rows, weights, seed=seed)
        rng = np.random.default_rng(seed)
        drawn = rows[weighted_draw(weights, min(MAX_CLEAN_ROWS, len(rows)), rng)]
        stolen, twins = thefts.values[thefts.is_stolen], thefts.values[~thefts.is_stolen]
        repeated = _as_many(stolen, len(drawn)), _as_many(twins, round(TWINS_WEIGHT * len(drawn)))
        values = self._with_forest(np.concatenate([drawn, *repeated]))
        is_stolen = np.repeat([False, True, False], [len(drawn), len(repeated[0]), len(repeated[1])])
        usable = _varying(values)
        self.columns_ = usable[usable < len(self._feature_names)]
        boosted = HistGradientBoostingClassifier(
            max_iter=self._n_rounds,
            learning_rate=0.09,
            max_leaf_nodes=24,
            min_samples_leaf=40,
            l2_regularization=5.0,
            max_features=0.4,
            early_stopping=False,
            random_state=int(rng.integers(2**31)),
        )
        with _one_thread():
            self.boosted_ = boosted.fit(self._chosen(values), is_stolen)

    def score(self, rows: npt.NDArray[np.floating]) -> Floats:
        """Log-odds (n,), **higher is more anomalous**. Raises ValueError before `fit`."""
        if self.boosted_ is None:
            raise ValueError("this detector has not been fitted")
        if len(rows) == 0:
            return np.zeros(0)
        chosen = self._chosen(self._with_forest(rows))
        with _one_thread():
            odds: Floats = self.boosted_.decision_function(chosen)
        return odds

    def _with_forest(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The rows as the classifier sees them: single precision, infinities unknown, the forest's score last."""
        plain = np.where(np.isfinite(rows), rows, np.nan).astype(np.float32)
        return np.column_stack([plain, self.forest_.score(rows).astype(np.float32)])

    def _chosen(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return values[:, np.append(self.columns_, values.shape[1] - 1)]


@functools.cache
def _threads() -> ThreadpoolController:
    """Looked up once: finding the libraries costs more than a prediction."""
    return ThreadpoolController()


def _one_thread() -> AbstractContextManager[Any]:
    """OpenMP's threads wait for each other by spinning: beside other work on few cores a fit took twelve times as long."""
    limited: AbstractContextManager[Any] = _threads().limit(limits=1, user_api="openmp")
    return limited


def _as_many(rows: npt.NDArray[np.floating], n: int) -> npt.NDArray[np.floating]:
    """The rows, repeated as often as brings them nearest to `n`: as good as weights, for which binning takes twenty times as
    long."""
    return np.tile(rows, (max(1, round(n / len(rows))), 1)) if len(rows) else rows


def _varying(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Columns with more than one known value: scikit-learn's binning needs two, and less says nothing."""
    low = np.array([_edge(column, np.min) for column in values.T])
    high = np.array([_edge(column, np.max) for column in values.T])
    return np.flatnonzero(high > low).astype(np.int64)


def _edge(column: npt.NDArray[np.float32], edge: Any) -> float:
    known = column[np.isfinite(column)]
    return float(edge(known)) if len(known) else 0.0
