"""A dense fleet for benches: every key active every hour, five models, two providers, one country, one app a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from monitor import frames
from monitor.domain import BUCKET_S, HOUR_S
from monitor.features import FleetState, HabitParams
from monitor.features.columns import Floats, Ints
from monitor.features.levels import encoded
from monitor.features.params import LEVEL_HOURS

VALUES = np.array([0, 0, 0, 0, 0, 1, 1, 2, 3])
"""Dimension of the nine values of a key."""

N_VALUES = {0: 60, 1: 25, 2: 40, 3: 80}
NOW_S = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())
ACTIVE_EVERY = 4
"""A value is used in every fourth bucket, so an overlap of four buckets holds each value of each key once."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """(key, value) pairs that are in use, one row each; `weight` is their size."""

    n_keys: int
    key_no: Ints
    value_no: Ints
    dimension: Ints
    n_requests: Ints
    cost_nusd: Ints

    def usage(self, first_bucket: int, n_buckets: int) -> pd.DataFrame:
        """frames.USAGE of these buckets, as a poll returns it: the same every time it is asked."""
        slot = np.arange(len(self.key_no))
        found = [
            (bucket, slot[(slot * 7 + bucket) % ACTIVE_EVERY == 0])
            for bucket in range(first_bucket, first_bucket + n_buckets)
        ]
        at = np.concatenate([rows for _, rows in found])
        bucket = np.repeat([number for number, _ in found], [len(rows) for _, rows in found])
        return self.rows(at, bucket * BUCKET_S, BUCKET_S, size=1 + (at + bucket) % 3)

    def hourly(self, first_hour: int, n_hours: int) -> pd.DataFrame:
        """frames.USAGE of these hours, all pairs in each."""
        at = np.tile(np.arange(len(self.key_no)), n_hours)
        hour = np.repeat(np.arange(first_hour, first_hour + n_hours), len(self.key_no))
        return self.rows(at, hour * HOUR_S, HOUR_S, size=2 + (at + hour) % 3)

    def rows(self, at: Ints, start_s: Ints, bucket_s: int, *, size: Ints) -> pd.DataFrame:
        n = self.n_requests[at] * size
        columns = {
            "bucket_start": frames.utc_seconds(start_s),
            "bucket_s": np.full(len(at), bucket_s, np.int32),
            "key_no": self.key_no[at].astype(np.int32),
            "dimension": self.dimension[at].astype(np.int8),
            "value_no": self.value_no[at].astype(np.int32),
            "n_requests": n,
            "tokens_prompt": n * 900,
            "tokens_completion": n * 100,
            "tokens_reasoning": n * 0,
            "cost_nusd": self.cost_nusd[at] * size,
        }
        return frames.check(pd.DataFrame(columns), frames.USAGE)


def a_fleet(n_keys: int, *, seed: int = 1) -> Fleet:
    """Keys of four decades of volume; values drawn from fleet-wide pools, so that priors have something to say."""
    rng = np.random.default_rng(seed)
    key_no = np.repeat(np.arange(n_keys), len(VALUES))
    dimension = np.tile(VALUES, n_keys)
    first = {number: sum(N_VALUES[d] for d in range(number)) for number in N_VALUES}
    pool = np.array([N_VALUES[d] for d in VALUES])
    start = rng.integers(0, 10**6, (n_keys, 1))
    stride = np.arange(len(VALUES)) * 7
    value_no = ((start + stride) % pool + np.array([first[d] for d in VALUES])).ravel()
    volume = np.repeat(10 ** rng.uniform(0, 3, n_keys), len(VALUES))
    n_requests = np.maximum((volume * rng.uniform(0.2, 1.0, len(volume))).astype(np.int64), 1)
    return Fleet(n_keys, key_no, value_no, dimension, n_requests, n_requests * rng.integers(10**5, 10**7, len(volume)))


def inventory(fleet: Fleet) -> pd.DataFrame:
    """frames.KEYS: thirty keys an owner."""
    n = fleet.n_keys
    columns = {
        "key_no": np.arange(n, dtype=np.int32),
        "created_at": frames.utc_seconds(np.full(n, NOW_S - 400 * 86_400)),
        "owner_no": (np.arange(n) // 30).astype(np.int32),
        "is_disabled": np.zeros(n, np.bool_),
        "limit_nusd": np.full(n, np.nan),
        "limit_remaining_nusd": np.full(n, np.nan),
    }
    return frames.check(pd.DataFrame(columns), frames.KEYS)


def prefilled(fleet: Fleet, params: HabitParams, *, days: int, seed: int = 2) -> FleetState:
    """A state that has seen `days` of history up to NOW_S, its arrays written directly (a replay would take minutes).

    Each thirty days of history leave one retired model a key behind: slots that are still held but no longer used."""
    rng = np.random.default_rng(seed)
    state = FleetState(params)
    state.advance(datetime.fromtimestamp(NOW_S, tz=UTC))
    hours = days * 24
    state.ensure_keys(fleet.n_keys)
    slots = state.slots.find(fleet.key_no + 1, fleet.value_no, fleet.dimension)
    unit = state.gain(state.learned_hour)
    _fill_recent(state, fleet, slots)
    _fill_learned(state, slots, unit, hours, rng=rng)
    retired = days // 30
    for number in range(retired):
        key = np.arange(fleet.n_keys)
        old = state.slots.find(key + 1, 10_000 + number + 0 * key, 0 * key)
        state.slots["habit"][old] = unit * 2.0 ** -(number + 4)
        state.slots["first_seen"][old] = state.learned_hour - hours
        state.slots["last_seen"][old] = state.learned_hour - 24 * 30 * (number + 1) + 48
    _fill_levels(state, fleet, hours, rng=rng)
    return state


def _fill_recent(state: FleetState, fleet: Fleet, slots: Ints) -> None:
    for ring in ("fine", "hour"):
        state.slots[f"{ring}_cost"][:, slots] = fleet.cost_nusd
        state.slots[f"{ring}_requests"][:, slots] = fleet.n_requests
        state.slots[f"{ring}_tokens"][:, slots] = fleet.n_requests * 1000
    for name in ("fine_quality", "hour_quality"):
        state.keys[name][:] = 2


def _fill_learned(state: FleetState, slots: Ints, unit: float, hours: int, *, rng: np.random.Generator) -> None:
    steady = unit * min(hours, 240)
    state.slots["habit"][slots] = steady * rng.uniform(0.2, 1.0, len(slots))
    state.slots["usual"][slots] = steady * 1e8
    state.slots["first_seen"][slots] = state.learned_hour - hours
    state.slots["last_seen"][slots] = state.learned_hour
    state.slots["peak_cost"][slots] = state.slots["hour_cost"].max(axis=0)[slots] * 2
    code = state.slots["dimension"][slots].astype(np.int64) * state.keys.n + state.slots["key"][slots]
    total = np.bincount(code, state.slots["habit"][slots], 4 * state.keys.n)
    state.keys["habit_total"][:] = total.reshape(4, -1)


def _fill_levels(state: FleetState, fleet: Fleet, hours: int, *, rng: np.random.Generator) -> None:
    n, unit = state.keys.n, state.gain(state.learned_hour)
    kept = min(hours, LEVEL_HOURS)
    base: Floats = np.bincount(fleet.key_no[fleet.dimension == 0] + 1, fleet.cost_nusd[fleet.dimension == 0], n)
    for back in range(kept):
        at = (state.learned_hour - back) % LEVEL_HOURS
        state.keys["level_cost"][at] = encoded(base * rng.uniform(0.5, 1.5, n))
        state.keys["level_requests"][at] = encoded(base / 1e6)
    state.keys["known_hours"][:] = hours
    state.keys["clock"][:] = unit * 200
    state.keys["rhythm"][:] = unit * 20
    state.keys["last_active"][:] = state.learned_hour
    for name, mean in (("price", 15.0), ("size", 6.9), ("rate", 8.0)):
        state.keys[name][:] = (unit * 200 * np.array([1.0, mean, mean**2 + 0.1]))[:, None]
