"""Spend from the keys' own counters: the fast lane. Pure.

A counter is read each minute, so a burst is seen within a minute, long before analytics settle. Spend is the difference of
the *lifetime* counter, which never resets; the daily one, which falls to zero at midnight UTC, only cross-checks it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import HOUR_S, ApiKey, Inventory
from monitor.frames import COUNTERS, DELTAS, Catalog, check, empty, epoch_s, utc_seconds

DAILY_UNKNOWN: Final = -1

NOISE_NUSD: Final = 1_000
NOISE_SHARE: Final = 1e-9
"""Steps back within a millionth of a dollar and a billionth of the counter are rounding of float sums, not corrections."""

CHECK_NUSD: Final = 10_000_000
CHECK_SHARE: Final = 0.01
"""The two counters may differ by a cent and one percent: they need not be computed at the same instant."""

MIDNIGHT_MARGIN_S: Final = 600
"""Clocks differ: this near to midnight UTC nobody knows whether the daily counter has been reset."""

MIN_SPAN_S: Final = 30
"""Shorter intervals count as this long: one request in a second is no burst."""

_DAY_S: Final = 86_400


def sample(inventory: Inventory, catalog: Catalog) -> pd.DataFrame:
    """The counters of an inventory: frames.COUNTERS, one row a key, in the order listed.

    Lifetime and daily spend are credits + BYOK. A key without one of the two lifetime counters is absent: unknown, not
    zero. Without one of the daily counters `usage_daily_nusd` is DAILY_UNKNOWN."""
    rows = [
        (catalog.key_no(key.key_hash), key.usage_nusd + key.byok_usage_nusd, _daily_nusd(key))
        for key in inventory.keys
        if key.usage_nusd is not None and key.byok_usage_nusd is not None
    ]
    if not rows:
        return empty(COUNTERS)
    columns = np.array(rows, dtype=np.int64)
    at_s = np.full(len(rows), _seconds(inventory.taken_at), dtype=np.int64)
    return pd.DataFrame(
        {
            "sampled_at": utc_seconds(at_s),
            "key_no": columns[:, 0].astype(np.int32),
            "usage_nusd": columns[:, 1],
            "usage_daily_nusd": columns[:, 2],
        }
    )


def latest(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The newest sample of each key in either frame: frames.COUNTERS, sorted by key_no.

    What to compare the next sample with: a key that one reading missed keeps its older sample, and so its spend."""
    both = pd.concat([check(before, COUNTERS), check(after, COUNTERS)], ignore_index=True)
    newest = both.sort_values(["key_no", "sampled_at"], kind="stable").drop_duplicates("key_no", keep="last")
    return check(newest.reset_index(drop=True), COUNTERS)


def deltas(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Spend of each key between its sample in `before` and its sample in `after`: frames.DELTAS, sorted by key_no.

    Both are frames.COUNTERS with one row a key; their times may differ from key to key. Keys in only one of them, and keys
    whose second sample is not later, have no row: their spend is unknown. `is_fault` (then `cost_nusd` is 0): the lifetime
    counter went back by more than rounding, or it rose by more than the day's own counter has counted since midnight.
    After a fault the later sample is the new reference, so what a correction took away is not spent twice."""
    check(before, COUNTERS)
    check(after, COUNTERS)
    key_no, left, right = np.intersect1d(before["key_no"].to_numpy(), after["key_no"].to_numpy(), return_indices=True)
    since_s, until_s = epoch_s(before["sampled_at"])[left], epoch_s(after["sampled_at"])[right]
    was, is_now = before["usage_nusd"].to_numpy()[left], after["usage_nusd"].to_numpy()[right]
    step = is_now - was
    noise = NOISE_NUSD + NOISE_SHARE * np.maximum(was, is_now)
    is_fault = (step < -noise) | _contradicts(
        step, before["usage_daily_nusd"].to_numpy()[left], after["usage_daily_nusd"].to_numpy()[right], since_s, until_s
    )
    frame = pd.DataFrame(
        {
            "key_no": key_no.astype(np.int32),
            "since": utc_seconds(since_s),
            "until": utc_seconds(until_s),
            "cost_nusd": np.where(is_fault, 0, np.maximum(step, 0)).astype(np.int64),
            "is_fault": is_fault,
        }
    )
    return check(frame[until_s > since_s].reset_index(drop=True), DELTAS)


def bursts(
    deltas: pd.DataFrame,
    expected_per_hour_nusd: npt.NDArray[np.float64],
    *,
    floor_per_hour_nusd: float,
    ratio: float,
    limit: int,
) -> npt.NDArray[np.int32]:
    """Keys that spend far more per hour than expected: int32[<= limit] key_no, the largest excess in dollars first.

    `deltas`: frames.DELTAS. `expected_per_hour_nusd` is indexed by key_no; NaN, or beyond its end: no expectation, then
    only the floor counts. A burst is above the floor and above `ratio` times the expectation. Faults are no bursts."""
    check(deltas, DELTAS)
    key_no = deltas["key_no"].to_numpy()
    span_s = np.maximum(epoch_s(deltas["until"]) - epoch_s(deltas["since"]), MIN_SPAN_S)
    per_hour = deltas["cost_nusd"].to_numpy() * (HOUR_S / span_s)
    expected = np.zeros(len(key_no))
    is_known = key_no < len(expected_per_hour_nusd)
    expected[is_known] = np.nan_to_num(expected_per_hour_nusd[key_no[is_known]], nan=0.0)
    is_burst = (per_hour > np.maximum(floor_per_hour_nusd, ratio * expected)) & ~deltas["is_fault"].to_numpy()
    excess = np.where(is_burst, per_hour - expected, -np.inf)
    order = np.lexsort((key_no, -excess))[: min(limit, int(is_burst.sum()))]
    return key_no[order].astype(np.int32)


def _contradicts(
    step: npt.NDArray[np.int64],
    daily_before: npt.NDArray[np.int64],
    daily_after: npt.NDArray[np.int64],
    since_s: npt.NDArray[np.int64],
    until_s: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Whether a step of the lifetime counter cannot be, by a daily counter that moved as well.

    Within one UTC day no step is larger than all of today's spend. A daily counter that stood still may be a stale copy
    and proves nothing: better a needless look at a key than a theft taken for a fault."""
    is_same_day = (since_s - MIDNIGHT_MARGIN_S) // _DAY_S == (until_s + MIDNIGHT_MARGIN_S) // _DAY_S
    is_fresh = (daily_before >= 0) & (daily_after > daily_before)
    is_too_large = step > daily_after + CHECK_NUSD + CHECK_SHARE * daily_after
    return np.asarray(is_same_day & is_fresh & is_too_large, dtype=np.bool_)


def _daily_nusd(key: ApiKey) -> int:
    if key.usage_daily_nusd is None or key.byok_usage_daily_nusd is None:
        return DAILY_UNKNOWN
    return key.usage_daily_nusd + key.byok_usage_daily_nusd


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
