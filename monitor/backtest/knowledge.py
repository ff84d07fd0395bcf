"""Which buckets of the store's history are known for the account as a whole, and where it has gaps."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from monitor.backtest.reading import DIMENSION, KEY, QUALITY, SINCE, SIZE, UNTIL, Ints, matrix
from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.frames import ALL_KEYS, QUALITY_CODES
from monitor.store.base import Store

Bools = npt.NDArray[np.bool_]

HOUR = timedelta(hours=1)
PER_HOUR = HOUR_S // BUCKET_S


def known_buckets(store: Store, since: datetime, until: datetime) -> tuple[datetime, datetime, Bools, Bools] | None:
    """(first hour known, end of the last bucket known, known ten-minute buckets, known hours between); None where
    nothing is known."""
    n_hours = -(-(until - since) // HOUR)
    coverage = matrix(store.usage.coverage(since, until))
    fine = _of_all(coverage, since, n_hours * PER_HOUR, bucket_s=BUCKET_S)
    hourly = _of_all(coverage, since, n_hours, bucket_s=HOUR_S)
    either = np.flatnonzero(fine | np.repeat(hourly, PER_HOUR))
    either = either[either < (until - since) // timedelta(seconds=BUCKET_S)]
    if not len(either):
        return None
    first, end = int(either[0]) // PER_HOUR, int(either[-1]) + 1
    last = -(-end // PER_HOUR)
    begin = since + first * HOUR
    return (
        begin,
        since + end * timedelta(seconds=BUCKET_S),
        fine[first * PER_HOUR : last * PER_HOUR],
        hourly[first:last],
    )


def _of_all(spans: Ints, since: datetime, n_buckets: int, *, bucket_s: int) -> Bools:
    """Buckets known for the account as a whole in every dimension; single keys may lack them."""
    is_meant = (spans[:, SIZE] == bucket_s) & (spans[:, KEY] == ALL_KEYS)
    known = spans[is_meant & (spans[:, QUALITY] == QUALITY_CODES["known"])]
    first = -(-(known[:, SINCE] - int(since.timestamp())) // bucket_s)
    last = (known[:, UNTIL] - int(since.timestamp())) // bucket_s
    found = np.zeros((len(Dimension), n_buckets), dtype=np.bool_)
    columns = (known[:, DIMENSION], first.clip(0, n_buckets), last.clip(0, n_buckets))
    for dimension, begin, end in zip(*(column.tolist() for column in columns), strict=True):
        found[dimension, begin:end] = True
    return np.asarray(found.all(axis=0))


def by_hour(fine: Bools) -> Bools:
    """Hours of which all six ten-minute buckets are known."""
    return np.asarray(fine.reshape(-1, PER_HOUR).all(axis=1))


def gaps_of(since: datetime, until: datetime, known: Bools) -> tuple[tuple[datetime, datetime], ...]:
    """The runs of ten-minute buckets of [since, until) that are not known."""
    n_buckets = (until - since) // timedelta(seconds=BUCKET_S)
    edges = np.flatnonzero(np.diff(np.concatenate(([True], known[:n_buckets], [True])).astype(np.int8)))
    moments = [since + edge * timedelta(seconds=BUCKET_S) for edge in edges.tolist()]
    return tuple(pairwise(moments))[::2]
