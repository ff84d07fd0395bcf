"""Which hours of a window the usage is not fully known for. What no coverage row says is unknown, never zero. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, check, epoch_s
from monitor.report.weeks import Window

_SLOTS = HOUR_S // BUCKET_S
_KNOWN = QUALITY_CODES["known"]


@dataclass(frozen=True, slots=True)
class Gaps:
    """`account`: runs of hours not fully known for the keys as a whole. `n_hours`: how many hours those are. `by_key`: hours
    not fully known for a key that has coverage of its own; any other key shares the account's."""

    account: tuple[Window, ...]
    n_hours: int
    by_key: Mapping[int, int]

    def of(self, key_no: int | None) -> int:
        """Hours not fully known for one key."""
        return self.n_hours if key_no is None else self.by_key.get(key_no, self.n_hours)


def find_gaps(coverage: pd.DataFrame, window: Window, *, dimension: Dimension = Dimension.MODEL) -> Gaps:
    """Columns: frames.COVERAGE, oldest first: where rows overlap, the later wins, also between a key's own and ALL_KEYS.

    An hour is known where hourly rows or all six ten-minute slots are known."""
    rows = check(coverage, COVERAGE)
    rows = rows[(rows["dimension"] == int(dimension)).to_numpy()]
    everyone = _paint(rows[(rows["key_no"] == ALL_KEYS).to_numpy()], window, rank=_ranks(rows, ALL_KEYS))
    incomplete = ~_hours(everyone)
    by_key = {}
    for key_no in np.unique(rows["key_no"].to_numpy()):
        if key_no != ALL_KEYS:
            own = _paint(rows[(rows["key_no"] == key_no).to_numpy()], window, rank=_ranks(rows, int(key_no)))
            by_key[int(key_no)] = int((~_hours(_later(everyone, own))).sum())
    return Gaps(_runs(incomplete, window), int(incomplete.sum()), by_key)


Painted = dict[int, tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]]
"""By bucket size: whether each ten-minute slot is known, and the rank of the row that says so (-1: none does)."""


def _ranks(rows: pd.DataFrame, key_no: int) -> npt.NDArray[np.int64]:
    return np.flatnonzero((rows["key_no"] == key_no).to_numpy())


def _paint(rows: pd.DataFrame, window: Window, *, rank: npt.NDArray[np.int64]) -> Painted:
    """Later rows over earlier ones. A known span covers whole slots only, any other every slot it touches."""
    base, n_slots = int(window.since.timestamp()), window.n_hours * _SLOTS
    painted: Painted = {
        bucket_s: (np.zeros(n_slots, np.bool_), np.full(n_slots, -1, np.int64)) for bucket_s in (BUCKET_S, HOUR_S)
    }
    since, until = epoch_s(rows["since"]) - base, epoch_s(rows["until"]) - base
    is_known = rows["quality"].to_numpy() == _KNOWN
    first = np.where(is_known, -(-since // BUCKET_S), since // BUCKET_S).clip(0, n_slots)
    last = np.where(is_known, until // BUCKET_S, -(-until // BUCKET_S)).clip(0, n_slots)
    for row, bucket_s in enumerate(rows["bucket_s"].to_numpy()):
        known, ranks = painted[HOUR_S if bucket_s == HOUR_S else BUCKET_S]
        known[first[row] : last[row]] = is_known[row]
        ranks[first[row] : last[row]] = rank[row]
    return painted


def _later(everyone: Painted, own: Painted) -> Painted:
    return {
        size: (np.where(own[size][1] > known[1], own[size][0], known[0]), np.maximum(own[size][1], known[1]))
        for size, known in everyone.items()
    }


def _hours(painted: Painted) -> npt.NDArray[np.bool_]:
    by_size = [known.reshape(-1, _SLOTS).all(axis=1) for known, _ in painted.values()]
    return np.asarray(by_size[0] | by_size[1])


def _runs(incomplete: npt.NDArray[np.bool_], window: Window) -> tuple[Window, ...]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], incomplete, [False])).astype(np.int8)))
    hour = timedelta(hours=1)
    return tuple(
        Window(window.since + int(first) * hour, window.since + int(last) * hour)
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    )
