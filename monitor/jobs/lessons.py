"""The store's history as training sees it: whole hours, each key as it stood at the end of each.

Not the way a restart takes (`jobs.replay`): a lesson must look the same for last month, which was read in hours, and for
this morning, which was watched in ten-minute buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from monitor import frames
from monitor.domain import HOUR_S, ApiKey, floor_to
from monitor.jobs.progress import Progress
from monitor.pipeline import Pipeline
from monitor.store.base import Store

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def teach(
    store: Store,
    pipeline: Pipeline,
    *,
    since: datetime,
    until: datetime,
    look: Callable[[datetime, Mapping[str, ApiKey]], None],
    progress: Progress | None = None,
) -> None:
    """Takes the whole hours of [since, until) into `pipeline`; `look` is called at the end of each hour, with the keys
    that existed then. Raises StoreError."""
    keys = store.keys.keys(include_vanished=True)
    there: Mapping[str, ApiKey] = {}
    n_hours = max(1, round((until - since) / HOUR))
    for n_done, (end, usage, coverage) in enumerate(hours(store, since=since, until=until), start=1):
        pipeline.state.advance(end)
        pipeline.take(usage, coverage)
        now_there = existing(keys, end)
        there = now_there if now_there.keys() != there.keys() else there  # the same mapping again costs nothing
        look(end, there)
        if progress is not None:
            progress(n_done, n_hours)


def existing(keys: tuple[ApiKey, ...], at: datetime) -> Mapping[str, ApiKey]:
    """The keys that had been created by then, by hash."""
    return {key.key_hash: key for key in keys if key.created_at <= at}


def hours(store: Store, *, since: datetime, until: datetime) -> Iterator[tuple[datetime, pd.DataFrame, pd.DataFrame]]:
    """(end of the hour, its USAGE in one-hour buckets, its COVERAGE) for each whole hour, read a day at a time."""
    day = floor_to(since, HOUR_S)
    last = floor_to(until, HOUR_S)
    while day < last:
        end = min(day + DAY, last)
        usage = store.usage.read_hourly(day, end)
        starts = frames.epoch_s(usage["bucket_start"])
        coverage = whole_hours(store.usage.coverage(day, end))
        for hour_s in range(int(day.timestamp()), int(end.timestamp()), HOUR_S):
            low, high = np.searchsorted(starts, [hour_s, hour_s + HOUR_S])
            yield (
                day + timedelta(seconds=hour_s + HOUR_S - day.timestamp()),
                usage.iloc[low:high],
                clipped(coverage, hour_s),
            )
        day = end


def whole_hours(coverage: pd.DataFrame) -> pd.DataFrame:
    """COVERAGE as said of whole hours: spans read in smaller buckets count for the hours they contain entirely.

    Hourly readings come last, as their rows win over smaller buckets."""
    since, until = frames.epoch_s(coverage["since"]), frames.epoch_s(coverage["until"])
    first, last = -(-since // HOUR_S) * HOUR_S, until // HOUR_S * HOUR_S
    kept = (last > first) & (coverage["bucket_s"].to_numpy() <= HOUR_S)
    columns = coverage.assign(
        since=frames.utc_seconds(first).array,
        until=frames.utc_seconds(last).array,
        bucket_s=np.full(len(coverage), HOUR_S, dtype=np.int32),
    )
    order = np.argsort(coverage["bucket_s"].to_numpy(), kind="stable")
    return columns.iloc[order[kept[order]]].reset_index(drop=True)


def clipped(coverage: pd.DataFrame, hour_s: int) -> pd.DataFrame:
    """The rows of COVERAGE that hold for this hour, cut to it."""
    since, until = frames.epoch_s(coverage["since"]), frames.epoch_s(coverage["until"])
    held = coverage[(since <= hour_s) & (until >= hour_s + HOUR_S)]
    n = np.full(len(held), hour_s, dtype=np.int64)
    return held.assign(since=frames.utc_seconds(n).array, until=frames.utc_seconds(n + HOUR_S).array).reset_index(
        drop=True
    )
