"""The store's history through the state of the fleet, so that a restart ends in the state that never stopped.

The live state takes in readings of both bucket sizes as they come; what the store holds of them at the end says the same
(docs/adr/0003). So both sizes are given back, hour by hour, with the coverage that was really read: hourly rows
everywhere, ten-minute rows where the ring still holds them and in hours whose own rows were not read for every key.
Training goes another way (`jobs.lessons`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import features, frames
from monitor.collect import counters
from monitor.domain import BUCKET_S, HOUR_S, Dimension, floor_to, utc
from monitor.features import FleetState
from monitor.features.params import FINE_HOURS, FORGET_H
from monitor.jobs.progress import Progress
from monitor.pipeline import Pipeline
from monitor.store.base import Store

HOUR = timedelta(hours=1)

STEP: Final = 6 * HOUR
"""Read at a time: what bounds the memory of a replay, however long the history is."""

REACH: Final = FORGET_H * HOUR
"""What lies further back is forgotten by the living state as well."""

QUALITY_REACH: Final = 6 * HOUR
"""How far back the quality of the data is remembered, in ten-minute buckets."""

_HOURLY, _FINE_COVERAGE, _ALL = range(3)
"""What an hour is given: its hourly rows; also what is known of its ten-minute buckets; and their rows, too."""


@dataclass(frozen=True, slots=True)
class Rings:
    """What the state will still hold at the end of a replay, in hours since the epoch.

    `first_hour`: oldest hour of the hourly ring; `first_fine`: of the ten-minute ring. `settable_fine`: before this hour a
    state restored from a checkpoint takes no ten-minute rows; what it has of them stays."""

    first_hour: int
    first_fine: int
    settable_fine: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the store says of one stretch of hours that ends at `until`: USAGE and COVERAGE of both bucket sizes."""

    until: datetime
    usage: pd.DataFrame
    coverage: pd.DataFrame


def replay(
    store: Store, pipeline: Pipeline, *, since: datetime, until: datetime, progress: Progress | None = None
) -> None:
    """Takes [since, until) of the store into `pipeline`: usage, the quality of the last hours, counters.

    The state is a new one, or one restored from a checkpoint; hours it holds already are set again. Raises StoreError."""
    counters_since = _counters_since(pipeline, until)
    n_hours = max(1, round((until - since) / HOUR))
    for part in readings(store, since, until, rings=rings_of(pipeline.state, until)):
        features.replay(pipeline.state, part.usage, part.coverage, until=part.until)
        if progress is not None:
            progress(min(n_hours, round((part.until - since) / HOUR)), n_hours)
    pipeline.state.advance(until)
    _take_quality(store, pipeline, until)
    _take_counters(store, pipeline, counters_since, until)


def take_recent(store: Store, pipeline: Pipeline, now: datetime) -> None:
    """What was stored while a replay went on beside the living state: the hours of the ring and the counters, once more.

    What is in the state already is not changed by it."""
    since = floor_to(now, HOUR_S) - (pipeline.state.params.ring_hours - 1) * HOUR
    replay(store, pipeline, since=since, until=now)


def beginning(store: Store, now: datetime) -> datetime | None:
    """Where a replay into a new state begins: the first known hour within REACH, None where nothing is known."""
    coverage = store.usage.coverage(now - REACH, now)
    known = coverage[(coverage["quality"] == frames.QUALITY_CODES["known"]).to_numpy()]
    if known.empty:
        return None
    first: datetime = known["since"].min().to_pydatetime()
    return floor_to(max(first, now - REACH), HOUR_S)


def cut(coverage: pd.DataFrame, since: datetime, until: datetime) -> pd.DataFrame:
    """COVERAGE within [since, until): nothing is said of what lies outside."""
    low, high = int(since.timestamp()), int(until.timestamp())
    begin = np.maximum(frames.epoch_s(coverage["since"]), low)
    end = np.minimum(frames.epoch_s(coverage["until"]), high)
    kept = end > begin
    return coverage[kept].assign(since=frames.utc_seconds(begin[kept]).array, until=frames.utc_seconds(end[kept]).array)


def rings_of(state: FleetState, until: datetime) -> Rings:
    """Those of the replay's end; a state that has seen nothing can be set from the first hour on."""
    head = -(-int(until.timestamp()) // HOUR_S) - 1
    return Rings(
        first_hour=head - state.params.ring_hours + 1,
        first_fine=head - FINE_HOURS + 1,
        settable_fine=0 if state.learned_hour < 0 else state.head_hour - FINE_HOURS + 1,
    )


def readings(
    store: Store, since: datetime, until: datetime, *, rings: Rings, key_nos: Collection[int] | None = None
) -> Iterator[Reading]:
    """The stored usage of the window, a stretch of like hours after the other, each within one STEP.

    `key_nos`: rows of these keys only (and the coverage of all)."""
    begin = floor_to(since, HOUR_S)
    while begin < until:
        end = min(begin + STEP, until)
        usage = store.usage.read(begin, end, bucket_s=HOUR_S, key_nos=key_nos)
        hourly = cut(store.usage.coverage(begin, end, bucket_s=HOUR_S), begin, end)
        fine = cut(store.usage.coverage(begin, end, bucket_s=BUCKET_S), begin, end)
        for first, last, wanted in _stretches(hourly, begin, end, rings=rings):
            rows, coverage = [_between(usage, first, last)], [cut(hourly, first, last)]
            if wanted > _HOURLY:
                coverage.append(cut(fine, first, last))
            if wanted == _ALL:
                rows.append(store.usage.read(first, last, bucket_s=BUCKET_S, key_nos=key_nos))
            yield Reading(last, stacked(rows), stacked(coverage))
        begin = end


def _stretches(
    hourly: pd.DataFrame, since: datetime, until: datetime, *, rings: Rings
) -> Iterator[tuple[datetime, datetime, int]]:
    """(begin, end, what is wanted) of neighboring hours that are alike, in order."""
    first, last = int(since.timestamp()) // HOUR_S, -(-int(until.timestamp()) // HOUR_S)
    hours = np.arange(first, last)
    wanted = np.where(hours >= rings.first_hour, _FINE_COVERAGE, _HOURLY)
    wanted[~settled_hours(hourly, first, last) | (hours >= rings.first_fine)] = _ALL
    wanted[hours < rings.settable_fine] = _HOURLY
    edges = [0, *(np.flatnonzero(np.diff(wanted)) + 1).tolist(), len(hours)]
    for a, b in pairwise(edges):
        yield utc((first + a) * HOUR_S), min(until, utc((first + b) * HOUR_S)), int(wanted[a])


def settled_hours(hourly: pd.DataFrame, first: int, last: int) -> npt.NDArray[np.bool_]:
    """bool[last - first]: hours (numbered from the epoch) whose own rows are known, in every dimension and for every key.

    `hourly`: COVERAGE in hours that does not overlap within a key or dimension, as the store keeps it."""
    known = np.zeros((len(Dimension), last - first), np.bool_)
    lacking = np.zeros(last - first, np.bool_)
    since, until = frames.epoch_s(hourly["since"]), frames.epoch_s(hourly["until"])
    is_known = hourly["quality"].to_numpy() == frames.QUALITY_CODES["known"]
    is_of_all = hourly["key_no"].to_numpy() == frames.ALL_KEYS
    inner = np.clip(-(-since // HOUR_S) - first, 0, None), np.clip(until // HOUR_S - first, 0, None)
    outer = np.clip(since // HOUR_S - first, 0, None), np.clip(-(-until // HOUR_S) - first, 0, None)
    dimension = hourly["dimension"].to_numpy()
    for row in np.flatnonzero(is_known & is_of_all).tolist():
        known[dimension[row], inner[0][row] : inner[1][row]] = True
    spans = np.unique(np.column_stack((outer[0], outer[1]))[~is_known], axis=0)
    for begin, end in spans.tolist():
        lacking[begin:end] = True
    return np.asarray(known.all(axis=0) & ~lacking)


def _take_quality(store: Store, pipeline: Pipeline, now: datetime) -> None:
    """Answers of the last hours in the order in which they came; a key's own is newer than what it overlaps."""
    since = now - QUALITY_REACH
    pipeline.known.take(newest_last(cut(store.usage.coverage(since, now), since, now)))


def newest_last(coverage: pd.DataFrame) -> pd.DataFrame:
    """COVERAGE of many readings in the order in which it is to be believed."""
    order = np.lexsort((frames.epoch_s(coverage["as_of"]), coverage["key_no"].to_numpy() != frames.ALL_KEYS))
    return coverage.iloc[order].reset_index(drop=True)


def _counters_since(pipeline: Pipeline, now: datetime) -> datetime:
    """The first sample needed: an hour before the ring, or before what a restored state has taken already."""
    state = pipeline.state
    oldest = int(now.timestamp()) // HOUR_S - state.params.ring_hours
    return utc(max(oldest, state.head_hour - FINE_HOURS) * HOUR_S)


def _take_counters(store: Store, pipeline: Pipeline, since: datetime, now: datetime) -> None:
    """Spend from sample to sample, an hour of samples at a time; a delta taken before is not taken twice."""
    before: pd.DataFrame | None = None
    while since <= now:
        samples = store.usage.counters(since, since + HOUR)
        for _, found in samples.groupby("sampled_at", sort=True):
            sample = found.reset_index(drop=True)
            if before is not None:
                pipeline.take_counters(counters.deltas(before, sample))
            before = sample if before is None else counters.latest(before, sample)
        since += HOUR


def _between(usage: pd.DataFrame, since: datetime, until: datetime) -> pd.DataFrame:
    """Rows of sorted USAGE with a bucket start in the window."""
    edges = np.searchsorted(frames.epoch_s(usage["bucket_start"]), [int(at.timestamp()) for at in (since, until)])
    return usage.iloc[edges[0] : edges[1]]


def stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Frames of one schema one after another, at least one."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if len(filled) > 1 else (filled or parts)[0].reset_index(drop=True)
