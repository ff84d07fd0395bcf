"""Six ways to watch keys that need no labels, written for a fair comparison: each has one threshold and sees no future.

A reference is a score for each key and bucket, known at the bucket's end, and what it does at a threshold. Scores of the
history (before `Grid.turn`) serve to tune the threshold; where a reference has parameters that are fitted once, they are
fitted on the history. Constants beside the threshold were chosen in the reference's favor on the recording with labels.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import IsolationForest

from detect import anomstack, limits
from detect.grid import DAY, HOUR, Floats, Grid, Uses, first_bucket, trailing
from detect.scores import OFF, Reference, Scores

SCALE_OF_MAD = 1.4826
SCALE_OF_MEAN = 1.2533
WEEK_H = 7 * 24
BLOCK = 32
"""Keys whose windows are held at once: one look at all hours of seven days for each hour takes memory."""

MIN_SPREAD_USD = 0.1
"""Floor of a spread: without it the median of a quiet key is an alarm at every cent."""

MIN_AGE = 3 * DAY
"""Keys created more recently have no habits that something could be new to."""


def rolling_z(grid: Grid) -> Scores:
    """Robust z of the trailing hour's spend against the key's whole hours of the seven days before it."""
    hours = np.add.reduceat(grid.usd, np.arange(0, grid.n_buckets, HOUR), axis=1)
    known = np.arange(hours.shape[1])[None, :] >= -(-grid.born[:, None] // HOUR)
    padded = np.pad(np.where(known, hours, np.nan), ((0, 0), (WEEK_H, 0)), constant_values=np.nan)
    past = np.lib.stride_tricks.sliding_window_view(padded, WEEK_H, axis=1)
    parts = [_median_and_spread(block, at_least=24) for block in np.array_split(past, -(-len(past) // BLOCK))]
    median, spread = (np.concatenate(part) for part in zip(*parts, strict=True))
    begins = np.maximum(np.arange(grid.n_buckets) - (HOUR - 1), 0) // HOUR  # the hour in which the trailing hour begins
    z = (trailing(grid.usd, HOUR) - median[:, begins]) / spread[:, begins]
    return Scores(np.where(np.isnan(z), OFF, z))


def _median_and_spread(past: Floats, *, at_least: int) -> tuple[Floats, Floats]:
    """Over the last axis, where unknown hours are NaN; NaN where fewer than `at_least` are known.

    Where more than half of the hours are alike, as those of a key that mostly rests, the MAD is 0 and the mean absolute
    deviation takes its place (Iglewicz and Hoaglin 1993)."""
    enough = (~np.isnan(past)).sum(axis=-1) >= at_least
    filled = np.where(enough[..., None], past, 0.0)
    median = np.nanmedian(filled, axis=-1)
    away = np.abs(filled - median[..., None])
    spread = np.maximum(SCALE_OF_MAD * np.nanmedian(away, axis=-1), SCALE_OF_MEAN * np.nanmean(away, axis=-1))
    return np.where(enough, median, np.nan), np.maximum(spread, MIN_SPREAD_USD)


def seasonal_mad(grid: Grid) -> Scores:
    """Robust z of the trailing hour's spend against the same hour of the week; while there are fewer than three weeks of it,
    against the same hour of all days before."""
    n_days = -(-grid.n_buckets // DAY)
    rest = ((0, 0), (0, n_days * DAY - grid.n_buckets))
    hour = np.where(grid.age >= HOUR, trailing(grid.usd, HOUR), np.nan)
    hour = np.pad(hour, rest, constant_values=np.nan).reshape(-1, n_days, DAY)
    z = np.full(hour.shape, np.nan)
    for day in range(3, n_days):
        weekly = hour[:, day % 7 : day : 7]
        pool = weekly if weekly.shape[1] >= 3 else hour[:, :day]
        median, spread = _median_and_spread(np.moveaxis(pool, 1, 2), at_least=3)
        z[:, day] = (hour[:, day] - median) / spread
    flat = z.reshape(len(z), -1)[:, : grid.n_buckets]
    return Scores(np.where(np.isnan(flat), OFF, flat))


def plain_forest(grid: Grid) -> Scores:
    """scikit-learn's isolation forest on levels of the trailing hour, one for all keys, fitted once on the history.

    The threshold is what `contamination` sets: the score exceeded by that share of the history (`predict` then says -1)."""
    requests = trailing(grid.n_requests, HOUR)
    hour_of_day = np.broadcast_to((first_bucket(grid) + np.arange(grid.n_buckets)) // HOUR % 24, requests.shape)
    levels = [
        trailing(grid.usd, HOUR),
        requests,
        trailing(grid.n_tokens, HOUR),
        trailing(grid.n_models, HOUR),
        hour_of_day,
    ]
    active = requests > 0
    values = np.column_stack([level[active] for level in levels])
    is_past = np.broadcast_to(np.arange(grid.n_buckets) < grid.turn, active.shape)[active]
    forest = IsolationForest(n_estimators=100, random_state=0).fit(values[is_past])
    scores = np.full(grid.usd.shape, OFF)
    scores[active] = -forest.score_samples(values)
    return Scores(scores)


def contaminated(grid: Grid, scores: Scores, *, share: float = 0.01) -> tuple[Scores, float]:
    """The threshold that `contamination` stands for."""
    past = scores.alert[:, : grid.turn]
    return scores, float(np.quantile(past[np.isfinite(past)], 1.0 - share))


def new_dollars(uses: Uses, grid: Grid) -> Floats:
    """Dollars on values that the key first used within the last day, for keys that are not new themselves.

    A key counts as old by its creation: one that rested has been seen to rest. What was before the recording is unknown, so
    its first days are left out for everyone."""
    is_new = (uses.since_first < DAY) & (uses.bucket - grid.born[uses.key_no] >= MIN_AGE)
    cell = uses.key_no * grid.n_buckets + uses.bucket
    return np.bincount(cell, uses.usd * is_new, minlength=grid.usd.size).reshape(grid.usd.shape).astype(np.float64)


def new_model(grid: Grid) -> Scores:
    """Dollars of the trailing hour on models the key never used until a day ago."""
    spent = trailing(new_dollars(grid.models, grid), HOUR)
    return Scores(np.where(spent > 0, spent, OFF))


def new_model_and_country(grid: Grid) -> Scores:
    """Dollars of the trailing hour on models and from countries the key never used until a day ago, the smaller of the two."""
    spent = np.minimum(*(trailing(new_dollars(uses, grid), HOUR) for uses in (grid.models, grid.countries)))
    return Scores(np.where(spent > 0, spent, OFF))


def pyod(grid: Grid) -> Scores:
    """PyOD's PCA and KNN, a pair a key, on differenced, smoothed and lagged spend of the hour (bench/detect/anomstack.py)."""
    shares = anomstack.shares(grid)
    return Scores(anomstack.smoothed(shares), raw=shares)


def anomstack_default(grid: Grid, scores: Scores) -> tuple[Scores, float]:
    """Its own threshold, on probabilities that end at 1."""
    assert scores.raw is not None
    return Scores(anomstack.smoothed(scores.raw, at_most=1.0)), anomstack.ALERT_THRESHOLD


def robust_z(grid: Grid, scores: Scores) -> tuple[Scores, float]:
    return scores, 3.5


PYOD = "PyOD a key, as Anomstack"
"""The one that needs a library of its own."""

REFERENCES: dict[str, Reference] = {
    one.name: one
    for one in (
        Reference("fixed limits of keys", limits.of_keys),
        Reference("fixed limits of workspaces", limits.of_workspaces),
        Reference("rolling robust z of spend", rolling_z, robust_z, "z of 3.5, Iglewicz and Hoaglin 1993"),
        Reference("seasonal MAD of spend", seasonal_mad, robust_z, "z of 3.5, Iglewicz and Hoaglin 1993"),
        Reference(PYOD, pyod, anomstack_default, "alert_threshold of its defaults"),
        Reference("isolation forest on levels", plain_forest, contaminated, "contamination 0.01"),
        Reference("new model, in dollars", new_model),
        Reference("new model and country, in dollars", new_model_and_country),
    )
}
