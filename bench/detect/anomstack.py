"""A PyOD detector a key, as Anomstack configures it; our own code, with its numbers (github.com/andrewm4894/anomstack).

metrics/defaults/defaults.yaml: models trained on at most 2,500 observations, at least 14, `alert_smooth_n` 3,
`alert_threshold` 0.8; PCA and KNN of contamination 0.01, the mean of their `predict_proba`. Its preprocessing: difference,
mean of three, and five lags. The metric is the key's hourly spend. Two things are to its advantage: the last hour is looked
at every ten minutes, and the tuned thresholds go on above the largest training score, where `predict_proba` stands still.
It trains all the time; here, anew each midnight.

The classes are used directly: they and their `decision_function` are all that is needed of the library.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from detect.grid import DAY, HOUR, Floats, Grid, first_bucket, trailing

MAX_TRAIN = 2500
MIN_TRAIN = 14
CONTAMINATION = 0.01
LAGS = 5
SMOOTH = 3
ALERT_SMOOTH = 3
ALERT_THRESHOLD = 0.8

OFF = -np.inf


def is_installed() -> bool:
    """Whether PyOD is there: it is pinned in requirements/bench.lock and needed for nothing else."""
    return find_spec("pyod") is not None


Judge = Callable[[Floats, Floats], Floats]
"""From rows to learn from and rows of now to what these reach."""


def shares(grid: Grid, judge: Judge | None = None) -> Floats:
    """The share of its training range that a key's hour reaches, mean of the models; above 1 beyond anything trained on.

    `judge`: another pair of models. -inf while there is nothing to learn from."""
    judge = judge or _shares
    inputs = lagged(trailing(grid.usd, HOUR))
    ready = grid.age >= (LAGS + SMOOTH + 1) * HOUR
    found = np.full(grid.usd.shape, np.nan)
    for begin in range(DAY - first_bucket(grid), grid.n_buckets, DAY):
        end = min(begin + DAY, grid.n_buckets)
        for key in range(len(grid.usd)):
            past = np.flatnonzero(ready[key, :begin])
            past = past[past % HOUR == HOUR - 1][-MAX_TRAIN:]
            if len(past) >= MIN_TRAIN and inputs[key, past].any():
                found[key, begin:end] = judge(inputs[key, past], inputs[key, begin:end])
    return np.where(np.isnan(found), OFF, found)


def lagged(hourly: Floats) -> Floats:
    """(n_keys, n_buckets, 1 + LAGS): the difference to the hour before, mean of three, now and one to five hours ago."""
    n_back = (LAGS + SMOOTH) * HOUR
    padded = np.pad(hourly, ((0, 0), (n_back, 0)))
    n = hourly.shape[1]

    def ago(hours: int) -> Floats:
        return padded[:, n_back - hours * HOUR : n_back - hours * HOUR + n]

    return np.stack([(ago(lag) - ago(lag + SMOOTH)) / SMOOTH for lag in range(1 + LAGS)], axis=2)


def _shares(train: Floats, now: Floats) -> Floats:
    """Mean over the models of where scores stand between the smallest and the largest training score."""
    from pyod.models.knn import KNN  # type: ignore[import-not-found]
    from pyod.models.pca import PCA  # type: ignore[import-not-found]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a key whose lags hardly vary: PCA divides by nothing, and is left out
        shares = [_share(kind(contamination=CONTAMINATION), train, now) for kind in (PCA, KNN)]
    usable = [share for share in shares if np.isfinite(share).all()]
    return np.mean(usable, axis=0) if usable else np.full(len(now), np.nan)


def _share(model: Any, train: Floats, now: Floats) -> Floats:
    model.fit(train)
    low, high = float(model.decision_scores_.min()), float(model.decision_scores_.max())
    share: Floats = (model.decision_function(now) - low) / ((high - low) or 1.0)
    return share


def smoothed(shares: Floats, *, at_most: float = np.inf) -> Floats:
    """The mean of a score and those one and two hours before it; `at_most` 1.0 is what `predict_proba` says."""
    capped = np.minimum(np.where(np.isfinite(shares), shares, np.nan), at_most)
    back = (ALERT_SMOOTH - 1) * HOUR
    padded = np.pad(capped, ((0, 0), (back, 0)), constant_values=np.nan)
    parts = [padded[:, back - HOUR * n : back - HOUR * n + shares.shape[1]] for n in range(ALERT_SMOOTH)]
    mean = np.mean(parts, axis=0)
    return np.where(np.isnan(mean), OFF, mean)
