"""Spend that grows steadily and faster than allowed, week after week: what habits would learn, and never call unusual. Pure numpy.

Each key has an *anchor*: what it spent a day in its first known month. The anchor follows the key at most by
`detection.max_drift_per_week` upwards (and as far down as the key goes, by half a week at most), so nothing that is
done to the key teaches it faster. A key whose last week is more than TIMES the anchor, that has grown for STEADY weeks in a row,
and whose growth is worth somebody's while, is a ramp: told once, never disabled for it, and out of the detector's lessons
until people call it expected. A jump is no ramp; the detector sees jumps. docs/adr/0012.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.detect.habits import dollars
from monitor.detect.limits import Breach
from monitor.domain import NUSD, Cause, Rung, Severity

Floats = npt.NDArray[np.float64]

RAMP: Final = "ramp"
"""`Cause.value`, and the name of the rule."""

WEEK: Final = 7
WEEKS: Final = 4
"""Weeks of the anchor month."""

LEAST_KNOWN: Final = 5
"""Days of a week that must be known, else nothing is said of it."""

TIMES: Final = 2.0
"""The last week over the anchor, from which it is told."""

STEADY: Final = 3
"""Weeks in a row, each GROWN times the one before."""

GROWN: Final = 1.05
JUMP: Final = 2.0
"""A week this many times the one before is a jump."""

LEAST_USD_PER_WEEK: Final = 25.0
"""Dollars a week above the anchor below which a ramp is nobody's business."""

WARNING_USD_PER_WEEK: Final = 250.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """One key: nano-dollars a day of the last week, of the anchor as it stood then, and how many weeks it has grown."""

    key_no: int
    per_day_nusd: float
    anchor_nusd: float
    n_weeks: int


def ramps(daily: Floats, *, max_drift_per_week: float, accepted: dict[int, int] | None = None) -> tuple[Ramp, ...]:
    """The keys that ramp at the end of `daily` (days, keys): nano-dollars, oldest day first, NaN where unknown.

    `accepted`: by key, the day (row) at which people called its spend expected: the anchor begins anew there."""
    weekly = _weekly(daily)
    n_weeks, n_keys = weekly.shape
    if n_weeks <= WEEKS:
        return ()
    anew = np.zeros(n_keys, dtype=np.int64)  # the week from which on a key counts anew; 0: it never does
    for key_no, day in (accepted or {}).items():
        if 0 <= key_no < n_keys:
            anew[key_no] = max(n_weeks - (len(daily) - day) // WEEK, 1)
    anchor = _anchors(weekly, anew, max_drift_per_week=max_drift_per_week)
    grown = _weeks_grown(weekly, anew)
    now = weekly[-1]
    excess_usd = (now - anchor) * WEEK / NUSD
    told = (now > TIMES * anchor) & (grown >= STEADY) & (excess_usd >= LEAST_USD_PER_WEEK) & (anchor > 0)
    return tuple(Ramp(no, float(now[no]), float(anchor[no]), int(grown[no])) for no in np.flatnonzero(told).tolist())


def _weekly(daily: Floats) -> Floats:
    """(weeks, keys): mean a known day of each whole week, counted back from the end; NaN where too few days are known."""
    n_weeks = len(daily) // WEEK
    weeks = daily[len(daily) - n_weeks * WEEK :].reshape(n_weeks, WEEK, daily.shape[1])
    n_known = (~np.isnan(weeks)).sum(axis=1)
    total = np.nansum(weeks, axis=1)
    return np.where(n_known >= LEAST_KNOWN, total / np.maximum(n_known, 1), np.nan)


def _anchors(weekly: Floats, anew: npt.NDArray[np.int64], *, max_drift_per_week: float) -> Floats:
    """The anchor of each key at the end: the mean of its month, or the last week before it counts anew; then week by week.
    NaN where half a month is not known."""
    anchor = np.full(weekly.shape[1], np.nan)
    for week in range(1, len(weekly)):
        if week == WEEKS:
            n_known = (~np.isnan(weekly[:week])).sum(axis=0)
            mean = np.nansum(weekly[:week], axis=0) / np.maximum(n_known, 1)
            anchor = np.where((anew < WEEKS) & (n_known >= WEEKS // 2) & np.isnan(anchor), mean, anchor)
        anchor = np.where((anew > 0) & (anew == week), weekly[week - 1], anchor)
        moved = np.clip(weekly[week], anchor / 2, anchor * (1 + max_drift_per_week))
        is_known = ~np.isnan(weekly[week]) & ~np.isnan(anchor) & (week >= WEEKS) & (week >= anew)
        anchor = np.where(is_known, moved, anchor)
    return np.where(anew >= len(weekly), np.nan, anchor)


def _weeks_grown(weekly: Floats, anew: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many of the last weeks grew steadily, without a jump, up to now."""
    grown = np.zeros(weekly.shape[1], dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = weekly[1:] / weekly[:-1]
    for week, each in enumerate(ratio, start=1):
        grown = np.where((each >= GROWN) & (each < JUMP) & (week >= anew), grown + 1, 0)
    return grown


def breaches(found: Iterable[Ramp], *, max_drift_per_week: float) -> tuple[Breach, ...]:
    """The ramps as rules broken: certain, told, and nothing that a key is ever disabled for."""
    return tuple(_breach(one, max_drift_per_week) for one in found)


def _breach(ramp: Ramp, max_drift_per_week: float) -> Breach:
    per_week = (ramp.per_day_nusd - ramp.anchor_nusd) * WEEK
    sentence = (
        f"spend has grown steadily for {ramp.n_weeks} weeks, to {dollars(ramp.per_day_nusd)} a day:"
        f" {ramp.per_day_nusd / ramp.anchor_nusd:.1f} times what its anchor month and {max_drift_per_week:.0%} a week since allow"
        f" ({dollars(ramp.anchor_nusd)}); `openrouter-monitor feedback KEY expected` accepts it"
    )
    severity = Severity.WARNING if per_week >= WARNING_USD_PER_WEEK * NUSD else Severity.NOTICE
    cost, usual = round(ramp.per_day_nusd / 24), round(ramp.anchor_nusd / 24)
    cause = Cause(None, RAMP, cost, 1.0, False, usual, sentence)
    return Breach(ramp.key_no, RAMP, severity, Rung.NOTIFY, (cause,))
