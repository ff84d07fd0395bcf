"""One entry a key: hourly levels of five weeks, rhythm, prices, sizes, and what is known of the recent cells."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.features.columns import Array, Bools, Column, Columns, Floats
from monitor.features.known import N_DIMENSIONS
from monitor.features.params import LEVEL_HOURS, HabitParams
from monitor.features.slots import FINE

DAY_H: Final = 24

UNKNOWN: Final = 65_535
"""Level of an hour that is unknown, or that was not learned."""

_STEPS: Final = 1_000.0
_LEVELS: Final = np.append(np.exp2(np.arange(UNKNOWN) / _STEPS) - 1.0, np.nan)


def key_spec(params: HabitParams) -> dict[str, Column]:
    """The columns of the key table; entry 0 is the template, key_no is the index minus one."""
    hours = (params.ring_hours,)
    return {
        "fine_quality": Column((FINE, N_DIMENSIONS), "uint8"),  # frames.QUALITY_CODES by bucket % FINE
        "hour_quality": Column((*hours, N_DIMENSIONS), "uint8"),  # of hourly rows, by hour % ring_hours
        "is_hourly": Column((*hours, N_DIMENSIONS), "bool"),  # the hour's own rows were read and win
        "is_all_fine": Column((*hours, N_DIMENSIONS), "bool"),  # all six of its ten-minute buckets are known
        "level_cost": Column((LEVEL_HOURS,), "uint16", UNKNOWN),  # `encoded`, by hour % LEVEL_HOURS
        "level_requests": Column((LEVEL_HOURS,), "uint16", UNKNOWN),
        "known_hours": Column((), "int32"),  # learned hours of known usage, silent ones too
        "clock": Column((), "float64"),  # decayed count of the same
        "habit_total": Column((N_DIMENSIONS,), "float64"),
        "rhythm": Column((DAY_H,), "float64"),  # decayed activity by hour of day
        "price": Column((3,), "float64"),  # decayed weight, sum, sum of squares of ln(nano-dollars per request)
        "size": Column((3,), "float64"),  # the same of ln(tokens per request)
        "rate": Column((3,), "float64"),  # the same of ln(nano-dollars per token)
        "last_active": Column((), "int32", -1),  # learned hours only
        "counter_fine": Column((FINE,), "int64"),  # counter spend by ten-minute bucket
        "counter_hour": Column(hours, "int64"),
        "counter_until": Column((), "int64"),  # up to when counters were taken, epoch seconds
    }


LEARNED: Final = (
    "level_cost",
    "level_requests",
    "known_hours",
    "clock",
    "habit_total",
    "rhythm",
    "price",
    "size",
    "rate",
    "last_active",
)
"""Columns that hold nothing but what learned hours taught."""

FADING: Final = ("clock", "habit_total", "rhythm", "price", "size", "rate")
"""Columns of decayed sums: rescaled together when the numbers grow large."""


def hour_is_known(keys: Columns, hour: int) -> Bools:
    """(dimension, key): whether the whole hour's usage is known, from hourly rows or from all its ten-minute rows."""
    at = hour % len(keys["hour_quality"])
    known: Bools = (keys["hour_quality"][at] == 2) | keys["is_all_fine"][at]
    return known


def learn_levels(keys: Columns, hour: int, *, cost: Floats, requests: Floats, taught: Bools) -> None:
    """Writes the hour's totals where `taught`, unknown elsewhere."""
    keys["level_cost"][hour % LEVEL_HOURS] = np.where(taught, encoded(cost), UNKNOWN)
    keys["level_requests"][hour % LEVEL_HOURS] = np.where(taught, encoded(requests), UNKNOWN)


def encoded(amounts: Floats) -> npt.NDArray[np.uint16]:
    """Non-negative amounts below 2**65 in two bytes, exact at 0 and to 0.06 % above: medians of five weeks need no more."""
    return np.rint(np.log2(amounts + 1.0) * _STEPS).astype(np.uint16)


def decoded(codes: Array) -> Floats:
    """The inverse of `encoded`; NaN where unknown."""
    amounts: Floats = _LEVELS[codes]
    return amounts


def learn_ratios(keys: Columns, *, cost: Floats, requests: Floats, tokens: Floats, active: Array, gain: float) -> None:
    """Adds one observation an active key to its statistics of price per request, tokens per request, price per token."""
    for name, above, below in (("price", cost, requests), ("size", tokens, requests), ("rate", cost, tokens)):
        at = active[(above[active] > 0) & (below[active] > 0)]
        x = np.log(above[at] / below[at])
        sums = keys[name]
        sums[0, at] += gain
        sums[1, at] += gain * x
        sums[2, at] += gain * x * x
