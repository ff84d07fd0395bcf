"""Reading the same buckets again must never make them worse: what a lane remembers of its last readings.

- A question that fails now says nothing about a bucket that was whole before: its coverage stays as it was. The same holds
  for an older cache and for a cut answer, whose rows are then left out.
- A row that was there and is gone in a whole answer (it was re-attributed, or corrected away) needs no memory: the coverage
  says that its bucket is known, and the store and the state of the fleet clear known buckets of what the rows do not hold.

So only what is known is remembered, by scope and bucket, and no row: the rows of two days of a large fleet are millions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.collect.coverage import coverage_frame

KNOWN: Final = frames.QUALITY_CODES["known"]

Scope = tuple[int, int]
"""(dimension, key_no); ALL_KEYS stands for every key without an entry of its own."""


class Rereading:
    """Memory of one lane over its last `n_buckets` buckets; empty after a restart, and then nothing is held back."""

    def __init__(self, *, n_buckets: int) -> None:
        self._n_buckets = n_buckets
        self._known: dict[Scope, set[int]] = {}

    def settle(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """(usage, coverage) of a new reading, held against the earlier ones; remembers the result."""
        rows, demoted = self._kept(coverage)
        if demoted:
            usage = usage[~_lies_in(usage, demoted)].reset_index(drop=True)
        self._remember(rows)
        return usage, coverage_frame(rows)

    def _kept(self, coverage: pd.DataFrame) -> tuple[list[tuple[int, ...]], dict[Scope, set[int]]]:
        """Coverage rows without the buckets that were known before and are less now; and those buckets by scope."""
        rows: list[tuple[int, ...]] = []
        demoted: dict[Scope, set[int]] = {}
        for row in _coverage_rows(coverage):
            key_no, dimension, bucket_s, since_s, until_s, quality, _ = row
            before = self._known_of(dimension, key_no)
            buckets = range(since_s, until_s, bucket_s)
            worse = set() if quality == KNOWN else before.intersection(buckets)
            if not worse:
                rows.append(row)
                continue
            demoted.setdefault((dimension, key_no), set()).update(worse)
            rows += [
                (key_no, dimension, bucket_s, start, start + bucket_s, quality, row[6])
                for start in buckets
                if start not in worse
            ]
        return rows, demoted

    def _known_of(self, dimension: int, key_no: int) -> set[int]:
        own = self._known.get((dimension, key_no))
        return own if own is not None else self._known.get((dimension, frames.ALL_KEYS), set())

    def _remember(self, rows: list[tuple[int, ...]]) -> None:
        for key_no, dimension, bucket_s, since_s, until_s, quality, _ in rows:
            buckets = set(range(since_s, until_s, bucket_s))
            if key_no == frames.ALL_KEYS:  # holds for every key from here on, until a row of its own says otherwise
                for scope, known in self._known.items():
                    if scope[0] == dimension and scope[1] != frames.ALL_KEYS:
                        known.difference_update(buckets)
                        known.update(buckets if quality == KNOWN else ())
            known = self._known.setdefault((dimension, key_no), set(self._known_of(dimension, key_no)))
            known.difference_update(buckets)
            known.update(buckets if quality == KNOWN else ())
        if rows:
            self._forget(before_s=max(row[4] for row in rows) - self._n_buckets * rows[0][2])

    def _forget(self, *, before_s: int) -> None:
        """Old buckets, and what a key has in common with everybody."""
        everybody = {scope: {bucket for bucket in known if bucket >= before_s} for scope, known in self._known.items()}
        self._known = {
            scope: known
            for scope, known in everybody.items()
            if scope[1] == frames.ALL_KEYS or known != everybody.get((scope[0], frames.ALL_KEYS))
        }


def _coverage_rows(coverage: pd.DataFrame) -> Iterator[tuple[int, ...]]:
    columns = [
        frames.epoch_s(coverage[name]) if dtype == frames.UTC_SECONDS else coverage[name].to_numpy()
        for name, dtype in frames.COVERAGE.items()
    ]
    return zip(*(column.tolist() for column in columns), strict=True)


def _lies_in(usage: pd.DataFrame, buckets: dict[Scope, set[int]]) -> npt.NDArray[np.bool_]:
    """Which rows of `usage` lie in those buckets: of their own key, or of everybody."""
    starts = frames.epoch_s(usage["bucket_start"])
    dimension, key_no = usage["dimension"].to_numpy(), usage["key_no"].to_numpy()
    found = np.zeros(len(usage), dtype=bool)
    for (one, whose), inside in buckets.items():
        is_inside = (dimension == one) & np.isin(starts, np.fromiter(inside, dtype=np.int64))
        found |= is_inside if whose == frames.ALL_KEYS else is_inside & (key_no == whose)
    return found
