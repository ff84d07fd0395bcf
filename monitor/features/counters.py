"""Counter spend by key in ten-minute and hourly rings: the fast lane, ahead of the usage rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitor.domain import BUCKET_S
from monitor.features.columns import Columns, Ints
from monitor.features.params import FINE_HOURS, FINE_PER_HOUR
from monitor.features.slots import FINE
from monitor.frames import epoch_s


def take(keys: Columns, deltas: pd.DataFrame, *, head_hour: int) -> int:
    """Adds each delta once, spread over its buckets in proportion to time, without losing a nano-dollar.

    A delta that begins before what was already taken of its key is a repetition and changes nothing; a fault is no
    spend. Returns how many were taken."""
    rows = deltas[~deltas["is_fault"].to_numpy() & (deltas["cost_nusd"].to_numpy() >= 0)]
    key = rows["key_no"].to_numpy().astype(np.int64) + 1
    since, until = epoch_s(rows["since"]), epoch_s(rows["until"])
    cost = rows["cost_nusd"].to_numpy()
    order = np.lexsort((since, key))
    key, since, until, cost = key[order], since[order], until[order], cost[order]
    fresh = (since >= keys["counter_until"][key]) & (until > since)
    fresh[1:] &= (key[1:] != key[:-1]) | (since[1:] >= until[:-1])
    key, since, until, cost = key[fresh], since[fresh], until[fresh], cost[fresh]
    row, bucket, part = _spread(since, until, cost)
    _add(keys, key[row], bucket, part, head_hour=head_hour)
    np.maximum.at(keys["counter_until"], key, until)
    return len(key)


def _spread(since: Ints, until: Ints, cost: Ints) -> tuple[Ints, Ints, Ints]:
    """(row, bucket, cost) of the parts: whole numbers by the difference of rounded-down running shares."""
    n = (until - 1) // BUCKET_S - since // BUCKET_S + 1
    row = np.repeat(np.arange(len(since)), n)
    bucket = since[row] // BUCKET_S + np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    span = until[row] - since[row]
    begin = np.maximum(bucket * BUCKET_S, since[row]) - since[row]
    end = np.minimum((bucket + 1) * BUCKET_S, until[row]) - since[row]
    whole, rest = cost[row] // span, cost[row] % span
    return row, bucket, whole * (end - begin) + rest * end // span - rest * begin // span


def _add(keys: Columns, key: Ints, bucket: Ints, part: Ints, *, head_hour: int) -> None:
    hour = bucket // FINE_PER_HOUR
    fine = (hour > head_hour - FINE_HOURS) & (hour <= head_hour)
    np.add.at(keys["counter_fine"], (bucket[fine] % FINE, key[fine]), part[fine])
    ring = keys["counter_hour"]
    kept = (hour > head_hour - len(ring)) & (hour <= head_hour)
    np.add.at(ring, (hour[kept] % len(ring), key[kept]), part[kept])
