"""What COVERAGE says, spread over the ring cells of (key, dimension): the quality of each, and which were read afresh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from monitor.domain import Dimension
from monitor.features.columns import Array, Bools, Ints
from monitor.frames import QUALITY_CODES, epoch_s

KNOWN: Final = QUALITY_CODES["known"]
N_DIMENSIONS: Final = len(Dimension)


@dataclass(frozen=True, slots=True)
class Spans:
    """COVERAGE of one bucket size in bucket numbers, oldest row first: `[first, last)`, key index (0: every key)."""

    key: Ints
    dimension: Ints
    first: Ints
    last: Ints
    quality: Ints

    @property
    def max_key(self) -> int:
        """The largest key index, 0 without rows."""
        return int(self.key.max(initial=0))


def spans_of(coverage: pd.DataFrame, *sizes: int) -> tuple[Spans, ...]:
    """The rows of each of these bucket sizes. A known span claims only whole buckets, any other every bucket it touches."""
    key, dimension, quality = (
        coverage[name].to_numpy().astype(np.int64) for name in ("key_no", "dimension", "quality")
    )
    every = _Claims(key + 1, dimension, quality, epoch_s(coverage["since"]), epoch_s(coverage["until"]))
    bucket_s = coverage["bucket_s"].to_numpy()
    return tuple(_spans(every, np.flatnonzero(bucket_s == size), size) for size in sizes)


class _Claims(NamedTuple):
    """The columns of COVERAGE as vectors, of all bucket sizes."""

    key: Ints
    dimension: Ints
    quality: Ints
    since: Ints
    until: Ints


def _spans(every: _Claims, own: Ints, bucket_s: int) -> Spans:
    key, dimension, quality, since, until = (column[own] for column in every)
    is_whole = quality == KNOWN
    first = np.where(is_whole, -(-since // bucket_s), since // bucket_s)
    last = np.where(is_whole, until // bucket_s, -(-until // bucket_s))
    return Spans(key, dimension, first, last, quality)


def cells(spans: Spans, *, first: int, last: int) -> Iterator[tuple[int, Spans]]:
    """For each bucket in [first, last) that any span touches: the bucket, and those spans, in their order."""
    if not len(spans.key):
        return
    low, high = max(first, int(spans.first.min())), min(last, int(spans.last.max()))
    for bucket in range(low, high):
        touched = (spans.first <= bucket) & (bucket < spans.last)
        if touched.any():
            yield (
                bucket,
                Spans(*(getattr(spans, name)[touched] for name in ("key", "dimension", "first", "last", "quality"))),
            )


def apply(spans: Spans, quality: Array) -> Bools:
    """Writes the qualities of one bucket's spans into `quality` (dimension, key); a later row wins.

    Returns which cells were read completely, (dimension, key): what has no row there is zero from now on."""
    is_read = np.zeros(quality.shape, np.bool_)
    every = np.flatnonzero(spans.key == 0)
    start = 0
    for row in [*every.tolist(), len(spans.key)]:
        own = slice(start, row)
        cell = (spans.dimension[own], spans.key[own])
        quality[cell] = spans.quality[own]
        is_read[cell] |= spans.quality[own] == KNOWN
        if row < len(spans.key):
            quality[spans.dimension[row]] = spans.quality[row]
            is_read[spans.dimension[row]] |= bool(spans.quality[row] == KNOWN)
        start = row + 1
    return is_read
