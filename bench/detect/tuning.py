"""Thresholds of the references, and incidents as the scorer counts them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detect.grid import DAY, HOUR, Bools, Floats, Ints

BUDGET = 5.0
"""False incidents a week that are asked for, whole fleet."""

WEEK = 7 * DAY
MERGE_GAP = 6 * HOUR
MERGE_SPAN = DAY
"""The scorer's, in buckets: decisions at most six hours apart are one incident, for 24 hours at most."""

NEVER = float("inf")

Fires = Callable[[float], Bools]
"""From a threshold to (n_keys, n_buckets): whether something is said."""


def n_incidents(key_no: Ints, bucket: Ints) -> int:
    """Incidents that decisions make; sorted by (key_no, bucket)."""
    count, last_key, last, first = 0, -1, 0, 0
    for key, at in zip(key_no.tolist(), bucket.tolist(), strict=True):
        if key != last_key or at - last > MERGE_GAP or at - first > MERGE_SPAN:
            count, last_key, first = count + 1, key, at
        last = at
    return count


def per_week(fires: Bools) -> float:
    """Incidents a week, all of them false: the table is clean history."""
    key_no, bucket = np.nonzero(fires)
    return n_incidents(key_no, bucket) * WEEK / int(fires.shape[1])


def candidates(scores: Floats, *, at_most: int = 4000) -> Floats:
    """Thresholds worth trying, highest first: each distinct score once, or that many of them, dense at the top."""
    distinct = np.unique(scores[np.isfinite(scores)])[::-1]
    if len(distinct) <= at_most:
        return distinct
    ranks = np.unique(np.geomspace(1, len(distinct), at_most).astype(np.int64)) - 1
    return distinct[ranks]


def lowest(thresholds: Floats, rate: Callable[[float], float], *, budget: float = BUDGET) -> float:
    """The lowest of the thresholds (highest first) at which `rate` keeps within the budget; NEVER where not even the highest does.

    Rates grow as thresholds fall, except where two incidents merge into one: the search goes down in growing steps, then
    halves, and ends on a threshold whose rate it has seen."""
    good, step = -1, 1
    while good + step < len(thresholds) and rate(float(thresholds[good + step])) <= budget:
        good, step = good + step, step * 2
    bad = min(good + step, len(thresholds))
    while bad - good > 1:
        middle = (good + bad) // 2
        if rate(float(thresholds[middle])) <= budget:
            good = middle
        else:
            bad = middle
    return NEVER if good < 0 else float(thresholds[good])


def from_history(scores: Floats, fires: Fires, *, history: slice, budget: float = BUDGET) -> float:
    """The lowest threshold at which clean history raises at most `budget` incidents a week."""
    return lowest(candidates(scores[:, history]), lambda level: per_week(fires(level)[:, history]), budget=budget)
