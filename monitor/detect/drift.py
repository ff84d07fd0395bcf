"""How far today's features lie from those a detector was trained on: the population stability index. Pure numpy.

`PSI = sum over bins of (a - e) * ln(a / e)`, e the share of the training rows in a bin, a today's share: the symmetric
Kullback-Leibler divergence of two histograms (Jeffreys 1946; Siddiqi 2006 for the rules of thumb: under 0.1 nothing to see, over
0.25 a shift). Bins are the deciles of the training rows and one for missing values. Of the scores: the p-values of clean rows
are uniform by construction (detect/calibrate.py), so their bins are tenths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

N_BINS: Final = 10
SHIFTED: Final = 0.25
"""From here on a feature has shifted."""

LEAST_SHARE: Final = 1e-4
"""Stands for an empty bin: the logarithm needs something."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the training rows looked like, by feature: `edges` (n_features, 9) inner deciles, ascending; `shares` (n_features, 11)
    of the rows between them, the last one of those that had no value."""

    edges: Floats
    shares: Floats


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one feature, or the scores, have moved."""

    name: str
    psi: float


def profile_of(values: npt.NDArray[np.floating]) -> Profile:
    """The profile of rows (n, n_features), NaN where unknown. A feature without any value has edges 0."""
    n_features = values.shape[1]
    edges = np.zeros((n_features, N_BINS - 1))
    quantiles = np.arange(1, N_BINS) / N_BINS
    for no in range(n_features):
        known = values[:, no][~np.isnan(values[:, no])]
        if len(known):
            edges[no] = np.quantile(known.astype(np.float64), quantiles)
    return Profile(edges, _shares(values, edges))


def shifts(profile: Profile, values: npt.NDArray[np.floating], names: tuple[str, ...]) -> tuple[Shift, ...]:
    """The index of each feature of these rows, the largest first; nothing where there are no rows."""
    if len(values) == 0:
        return ()
    index = _psi(profile.shares, _shares(values, profile.edges))
    found = (Shift(name, float(each)) for name, each in zip(names, index.tolist(), strict=True))
    return tuple(sorted(found, key=lambda one: (-one.psi, one.name)))


def score_shift(p_values: Floats) -> float:
    """The index of clean rows' p-values, which are uniform if nothing has moved."""
    if len(p_values) == 0:
        return 0.0
    counts = np.bincount(np.minimum((p_values * N_BINS).astype(np.int64), N_BINS - 1), minlength=N_BINS)
    return float(_psi(np.full((1, N_BINS), 1 / N_BINS), counts[None, :] / len(p_values))[0])


def _shares(values: npt.NDArray[np.floating], edges: Floats) -> Floats:
    """(n_features, 11). A value on an edge belongs above it, so that ties fall into one bin in every sample."""
    n = max(1, len(values))
    shares = np.zeros((len(edges), N_BINS + 1))
    for no, inner in enumerate(edges):
        column = values[:, no].astype(np.float64)
        missing = np.isnan(column)
        at = np.searchsorted(inner, column[~missing], side="right")
        shares[no, :N_BINS] = np.bincount(at, minlength=N_BINS) / n
        shares[no, N_BINS] = missing.sum() / n
    return shares


def _psi(expected: Floats, actual: Floats) -> Floats:
    e, a = np.maximum(expected, LEAST_SHARE), np.maximum(actual, LEAST_SHARE)
    index: Floats = ((a - e) * np.log(a / e)).sum(axis=1)
    return index
