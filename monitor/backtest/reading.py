"""Some hours of the store, cut into what each window of a replay holds: rows, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.domain import Dimension
from monitor.frames import ALL_KEYS, QUALITY_CODES
from monitor.store.base import Store

Ints = npt.NDArray[np.int64]


KEY, DIMENSION, SIZE, SINCE, UNTIL, QUALITY = range(6)
"""Columns of a matrix of spans."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one window holds of one stretch: rows, and what is known of it as a matrix; read at `at_s`."""

    usage: pd.DataFrame
    spans: Ints
    at_s: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Stored rows of one bucket size over some hours. `spans`: COVERAGE as a matrix, for all keys first."""

    bucket_s: int
    usage: pd.DataFrame
    starts: Ints
    spans: Ints

    @classmethod
    def of(cls, store: Store, since: datetime, until: datetime, *, bucket_s: int) -> Reading:
        """Reads it. Raises StoreError."""
        usage = store.usage.read(since, until, bucket_s=bucket_s)
        spans = matrix(store.usage.coverage(since, until, bucket_s=bucket_s))
        return cls(bucket_s, usage, frames.epoch_s(usage["bucket_start"]), spans)

    def part(self, start: int, end: int, *, at_s: int) -> Part:
        """The rows of [start, end) and the spans cut to it, as read at `at_s`.

        Of a stretch that ends only then it is also said, first, that nothing is known of it where no span says otherwise."""
        first, last = np.searchsorted(self.starts, [start, end])
        met = self.spans[(self.spans[:, SINCE] < end) & (self.spans[:, UNTIL] > start)].copy()
        met[:, SINCE] = np.maximum(met[:, SINCE], start)
        met[:, UNTIL] = np.minimum(met[:, UNTIL], end)
        unknown = [
            (ALL_KEYS, dimension, self.bucket_s, start, end, QUALITY_CODES["unknown"]) for dimension in Dimension
        ]
        said = np.array(unknown if end == at_s else [], dtype=np.int64).reshape(-1, met.shape[1])
        return Part(self.usage.iloc[int(first) : int(last)], np.concatenate((said, met)), at_s)


def matrix(coverage: pd.DataFrame) -> Ints:
    """COVERAGE as a matrix of spans, same order."""
    columns = [coverage[name].to_numpy(np.int64) for name in ("key_no", "dimension", "bucket_s")]
    columns += [frames.epoch_s(coverage[name]) for name in ("since", "until")]
    return np.column_stack([*columns, coverage["quality"].to_numpy(np.int64)])


def coverage_of(parts: Sequence[Part]) -> pd.DataFrame:
    """COVERAGE of many parts one after another, each as of when it was read: one frame, because making one is slow."""
    rows = np.concatenate([np.column_stack((part.spans, np.full(len(part.spans), part.at_s))) for part in parts])
    return pd.DataFrame(
        {
            "key_no": rows[:, KEY].astype(np.int32),
            "dimension": rows[:, DIMENSION].astype(np.int8),
            "bucket_s": rows[:, SIZE].astype(np.int32),
            "since": frames.utc_seconds(rows[:, SINCE]),
            "until": frames.utc_seconds(rows[:, UNTIL]),
            "quality": rows[:, QUALITY].astype(np.int8),
            "as_of": frames.utc_seconds(rows[:, -1]),
        }
    )
