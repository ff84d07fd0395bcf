"""Stored history through the same code as live polls: first start, back-test, and keys that must be rebuilt."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from monitor.domain import HOUR_S, Dimension
from monitor.features.slots import MEASURES
from monitor.features.state import FleetState
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, USAGE, check, epoch_s, utc_seconds


def everything_known(since: datetime, until: datetime, *, bucket_s: int) -> pd.DataFrame:
    """COVERAGE that says: of all keys, in every dimension, this window is known. For recorded data that is complete."""
    n = len(Dimension)
    times = {name: utc_seconds(np.full(n, int(at.timestamp()))) for name, at in (("since", since), ("until", until))}
    frame = pd.DataFrame(
        {
            "key_no": np.full(n, ALL_KEYS, np.int32),
            "dimension": np.arange(n, dtype=np.int8),
            "bucket_s": np.full(n, bucket_s, np.int32),
            **times,
            "quality": np.full(n, QUALITY_CODES["known"], np.int8),
            "as_of": times["until"],
        }
    )
    return check(frame, COVERAGE)


def replay(state: FleetState, usage: pd.DataFrame, coverage: pd.DataFrame, *, until: datetime) -> None:
    """Takes stored history hour by hour, in order, up to `until`; learns on the way as a live state would.

    `usage`: rows of both bucket sizes; `coverage`: as the store returns it, later rows win. The state must not be ahead of
    the history: begin with a new one, or one restored from a checkpoint (then hours already in it are simply set again)."""
    check(usage, USAGE)
    check(coverage, COVERAGE)
    usage = usage.sort_values("bucket_start", kind="stable", ignore_index=True)
    hour_of_row = epoch_s(usage["bucket_start"]) // HOUR_S
    since_h, until_h = epoch_s(coverage["since"]) // HOUR_S, -(-epoch_s(coverage["until"]) // HOUR_S)
    end = -(-int(until.timestamp()) // HOUR_S)
    starts = [int(part.min()) for part in (hour_of_row, since_h) if len(part)]
    edges = np.searchsorted(hour_of_row, np.arange(min(starts, default=end), end + 1))
    for offset, hour in enumerate(range(min(starts, default=end), end)):
        state.advance(min(until, datetime.fromtimestamp((hour + 1) * HOUR_S, tz=UTC)))
        met = (since_h <= hour) & (until_h > hour)
        state.take_window(usage.iloc[edges[offset] : edges[offset + 1]], _clip(coverage[met], hour))
    state.advance(until)


def rebuild(state: FleetState, key_nos: Collection[int], usage: pd.DataFrame, coverage: pd.DataFrame) -> None:
    """Learns these keys afresh from all their stored rows (both bucket sizes) and the stored coverage.

    The same replay as a first start, for these keys only; then their part of the state is put in place of the old one.
    Counters are kept. Clears `needs_rebuild` for them."""
    wanted = sorted(set(key_nos))
    if not wanted:
        return
    fresh = FleetState(state.params)
    fresh.exclusions = state.exclusions[np.isin(state.exclusions[:, 0] - 1, wanted)]
    fresh.ensure_keys(state.n_keys)
    own = np.isin(usage["key_no"].to_numpy(), wanted)
    about = np.isin(coverage["key_no"].to_numpy(), [*wanted, ALL_KEYS])
    replay(fresh, usage[own], coverage[about], until=_last_moment(state))
    index = np.array(wanted, np.int64) + 1
    state.ensure_keys(int(index.max()))
    for name in state.keys:
        if not name.startswith("counter"):
            state.keys[name][..., index] = fresh.keys[name][..., index]
    _graft(state, fresh, index)
    state.rebuilt(wanted)


def _last_moment(state: FleetState) -> datetime:
    """A moment of the hour under way at which as many hours have been learned as `state` has learned: one hour leaves
    the quarantine just when the hour under way ends, and must not teach a rebuilt key earlier than the others."""
    has_learned_all = state.learned_hour >= state.head_hour - state.params.quarantine_h
    return datetime.fromtimestamp((state.head_hour + 1) * HOUR_S - (0 if has_learned_all else 1), tz=UTC)


def _graft(state: FleetState, fresh: FleetState, index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    """Replaces the slots of these keys by those of `fresh`."""
    old = np.flatnonzero(~np.isin(state.slots["key"], index))
    state.slots.keep(old)
    slots = state.slots.find(fresh.slots["key"], fresh.slots["value"], fresh.slots["dimension"])
    learned = ("habit", "usual", "first_seen", "last_seen", "peak_cost")
    for name in [f"{ring}_{measure}" for ring in ("fine", "hour") for measure in MEASURES] + list(learned):
        state.slots[name][..., slots] = fresh.slots[name]


def _clip(coverage: pd.DataFrame, hour: int) -> pd.DataFrame:
    """Coverage cut to one hour."""
    since = np.maximum(epoch_s(coverage["since"]), hour * HOUR_S)
    until = np.minimum(epoch_s(coverage["until"]), (hour + 1) * HOUR_S)
    clipped = coverage.reset_index(drop=True)
    return clipped.assign(since=utc_seconds(since), until=utc_seconds(until))
