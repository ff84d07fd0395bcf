"""COVERAGE -> what is known of each key's last hours. Pure bookkeeping: no I/O, no clock.

`Known` keeps, for every key, dimension and ten-minute bucket of the last hours, whether it is known, partial or unknown.
A later answer for the same bucket replaces an earlier one, so the order of answers counts and repeating one changes
nothing. What no answer covers is unknown: no data is never zero usage. An hourly answer says of an hour as a whole that it
was not over, or not served; what is known of its ten-minute buckets stays known (the state of the fleet keeps them too).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import BUCKET_S, DataQuality, Dimension, Quality, utc
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, check, epoch_s

N_BUCKETS: Final = 36
"""Six hours are remembered: as far back as a late poll may still count."""

N_JUDGED: Final = 6
"""Buckets of the trailing hour: all of them must be known for a key's usage to count as known."""

NO_TIME: Final = np.iinfo(np.int64).min

UNDER_WAY: Final = "the last hour is not fully known"


class Known:
    """Quality of the last N_BUCKETS buckets by key and dimension, in a ring that moves with the newest answer."""

    def __init__(self) -> None:
        self._cells = np.zeros((0, len(Dimension), N_BUCKETS), dtype=np.int8)
        self._as_of = np.zeros((0, len(Dimension)), dtype=np.int64)
        self._everybody = np.zeros((len(Dimension), N_BUCKETS), dtype=np.int8)
        self._everybody_as_of = np.full(len(Dimension), NO_TIME, dtype=np.int64)
        self._end = 0
        """Number (epoch seconds / BUCKET_S) of the bucket after the last one of the ring."""

    def take(self, coverage: pd.DataFrame) -> None:
        """Takes answers in, in the order of the rows (frames.COVERAGE)."""
        check(coverage, COVERAGE)
        if coverage.empty:
            return
        since, until, as_of = (epoch_s(coverage[name]) for name in ("since", "until", "as_of"))
        self._advance(int(-(-until.max() // BUCKET_S)))
        self._grow(int(coverage["key_no"].max()) + 1)
        key_no, dimension = coverage["key_no"].to_numpy(), coverage["dimension"].to_numpy()
        is_fine = coverage["bucket_s"].to_numpy() == BUCKET_S
        table = np.column_stack([dimension, since, until, coverage["quality"].to_numpy(), as_of, is_fine])
        # Runs of rows that differ in the key only are set together, in the order they came.
        edges = np.flatnonzero((table[1:] != table[:-1]).any(axis=1)) + 1
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(table)], strict=True):
            *row, fine = table[start].tolist()
            self._set(key_no[start:stop], *row, is_fine=bool(fine))

    def of(self, key_nos: Iterable[int], now: datetime) -> dict[int, DataQuality]:
        """What is known of some keys at `now`: the buckets of the trailing hour that were over by the newest answer."""
        return {no: self._of(no, now) for no in key_nos}

    def _set(
        self,
        key_no: npt.NDArray[np.int32],
        dimension: int,
        since: int,
        until: int,
        quality: int,
        as_of: int,
        *,
        is_fine: bool,
    ) -> None:
        first = self._end - N_BUCKETS
        full = slice(max(-(-since // BUCKET_S) - first, 0), max(until // BUCKET_S - first, 0))
        cut = [at - first for at in {since // BUCKET_S, until // BUCKET_S} if at * BUCKET_S < until and at >= first]
        inside = [at for at in cut if not full.start <= at < full.stop]
        whose: slice | npt.NDArray[np.int32] = slice(None) if (key_no == ALL_KEYS).any() else key_no
        for cells in (self._everybody[None], self._cells) if isinstance(whose, slice) else (self._cells,):
            if is_fine:
                cells[whose, dimension, full] = quality
                for at in inside:  # a bucket the answer covers in part is partial at best
                    cells[whose, dimension, at] = min(quality, QUALITY_CODES["partial"])
            else:
                cells[whose, dimension, full] = np.maximum(cells[whose, dimension, full], quality)
        if isinstance(whose, slice):
            self._everybody_as_of[dimension] = max(int(self._everybody_as_of[dimension]), as_of)
        # Not the last answer but the newest: how long ago the source looked does not grow by an older answer beside it.
        self._as_of[whose, dimension] = np.maximum(self._as_of[whose, dimension], as_of)

    def _of(self, key_no: int, now: datetime) -> DataQuality:
        known_key = key_no < len(self._cells)
        cells = self._cells[key_no] if known_key else self._everybody
        as_of = self._as_of[key_no] if known_key else self._everybody_as_of
        whole = (cells == QUALITY_CODES["known"]).all(axis=0)
        last = min(self._end, int(now.timestamp()) // BUCKET_S)
        over = whole[: max(0, N_BUCKETS - (self._end - last))]
        newest = np.flatnonzero(over)
        if not len(newest):
            return DataQuality(Quality.UNKNOWN, None, None, notes=("no usage is known of the last hours",))
        at = int(newest[-1])
        complete_until = utc((self._end - N_BUCKETS + at + 1) * BUCKET_S)
        hour = whole[max(0, at + 1 - N_JUDGED) : at + 1]
        oldest = int(as_of.min())
        computed = None if oldest == NO_TIME else utc(oldest)
        if hour.all():
            return DataQuality(Quality.KNOWN, complete_until, computed)
        return DataQuality(Quality.PARTIAL, complete_until, computed, notes=(UNDER_WAY,))

    def _advance(self, end: int) -> None:
        """Moves the ring forward; buckets that come into view are unknown."""
        shift = min(end - self._end, N_BUCKETS)
        if shift <= 0:
            return
        for cells in (self._cells, self._everybody):
            cells[..., : N_BUCKETS - shift] = cells[..., shift:].copy()
            cells[..., N_BUCKETS - shift :] = QUALITY_CODES["unknown"]
        self._end = end

    def _grow(self, n_keys: int) -> None:
        """New keys start with what is known of everybody."""
        n_new = n_keys - len(self._cells)
        if n_new > 0:
            self._cells = np.concatenate([self._cells, np.repeat(self._everybody[None], n_new, axis=0)])
            self._as_of = np.concatenate([self._as_of, np.repeat(self._everybody_as_of[None], n_new, axis=0)])
