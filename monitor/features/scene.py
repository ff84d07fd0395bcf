"""One moment seen through the state: who is active, and what each active slot did in the trailing windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.features import novelty
from monitor.features.columns import Array, Bools, Floats, Ints, total_by
from monitor.features.known import N_DIMENSIONS
from monitor.features.params import FINE_HOURS, FINE_PER_HOUR
from monitor.features.priors import priors
from monitor.features.slots import FINE
from monitor.features.state import FleetState
from monitor.frames import KEYS, check, epoch_s

CHUNK_KEYS: Final = 2_500
"""Active keys looked at together: vectors that stay in the cache, and memory that does not grow with the fleet."""

SILENCE_AFTER_H: Final = 6
"""Silence is looked for before the last six hours, so that it is still seen while what ended it goes on."""

_MODEL: Final = int(Dimension.MODEL)


@dataclass(frozen=True, slots=True)
class Inventory:
    """frames.KEYS by key index (entry 0 is nobody): owner -1, born at 0 and limits NaN where a key is not listed."""

    owner: Ints
    born_hour: Ints
    limit: Floats
    limit_remaining: Floats


@dataclass(frozen=True, slots=True)
class Scene:
    """The moment `at`. Slot vectors are in canonical order; `key_at` is the row of a slot's key among the active keys.

    `bucket`: the last ten-minute bucket that began before `at`; windows end with it. `cost` and the like: by window
    ("10m", "1h", "6h", "24h") and slot. `cost_by_bucket`: (6, active keys), the buckets of the trailing hour, oldest first; the rows
    `fine_at` of the ten-minute ring hold them by slot.
    `used_until`: newest hour of use before the last six. `is_known`: (dimension, active keys), whether anything is known of
    the trailing hour; `is_fine`: in ten-minute buckets. `surprise`, `peer_surprise`: nats by slot, see novelty.surprise."""

    state: FleetState
    at: datetime
    bucket: int
    hour: int
    index: Ints
    slots: Ints
    key_at: Ints
    dimension: Ints
    cost: dict[str, Floats]
    requests: dict[str, Floats]
    tokens: dict[str, Floats]
    fine_at: Ints
    cost_by_bucket: Floats
    is_known: Bools
    is_fine: Bools
    counter_10m: Floats
    counter_1h: Floats
    counter_24h: Floats
    used_until: Ints
    surprise: Floats
    peer_surprise: Floats
    novelty: Floats
    peer_novelty: Floats
    share: Floats
    history: Floats
    inventory: Inventory
    _code: Ints

    @property
    def n(self) -> int:
        """Active keys."""
        return len(self.index)

    def by_key(self, numbers: Floats, dimension: Dimension | None = None) -> Floats:
        """Sum of a slot vector for each active key: of one dimension, or (4, keys) of all."""
        sums = total_by(self._code, numbers, N_DIMENSIONS * self.n).reshape(N_DIMENSIONS, self.n)
        return sums if dimension is None else sums[int(dimension)]

    def known(self, numbers: Floats, dimension: Dimension = Dimension.MODEL) -> Floats:
        """`numbers` by active key, NaN where the trailing hour of that dimension is unknown."""
        return np.where(self.is_known[int(dimension)], numbers, np.nan)


def inventory_of(state: FleetState, keys: pd.DataFrame) -> Inventory:
    """frames.KEYS spread by key index; keys the state has no room for never did anything. Kept for as long as it is the same frame."""
    kept = state.cache.get("inventory")
    if kept is None or kept[0] is not keys or kept[1] != state.keys.n:
        kept = (keys, state.keys.n, _inventory(state, keys))
        state.cache["inventory"] = kept
    found: Inventory = kept[2]
    return found


def _inventory(state: FleetState, keys: pd.DataFrame) -> Inventory:
    check(keys, KEYS)
    index = keys["key_no"].to_numpy().astype(np.int64) + 1
    listed = index < state.keys.n
    index = index[listed]
    made = Inventory(
        np.full(state.keys.n, -1, np.int64),
        np.zeros(state.keys.n, np.int64),
        np.full(state.keys.n, np.nan),
        np.full(state.keys.n, np.nan),
    )
    born = np.where(keys["created_at"].isna(), 0, epoch_s(keys["created_at"]) // HOUR_S)
    made.owner[index] = keys["owner_no"].to_numpy()[listed]
    made.born_hour[index] = born[listed]
    made.limit[index] = keys["limit_nusd"].to_numpy()[listed]
    made.limit_remaining[index] = keys["limit_remaining_nusd"].to_numpy()[listed]
    return made


def scenes(state: FleetState, keys: pd.DataFrame, at: datetime, *, only: Ints | None = None) -> Iterator[Scene]:
    """The active keys in ascending order, CHUNK_KEYS at most in a scene, at least one scene: memory stays bounded.

    Raises ValueError for a moment after the head hour, or before the ten-minute ring."""
    bucket = -(-int(at.timestamp()) // BUCKET_S) - 1
    hour = bucket // FINE_PER_HOUR
    if not state.head_hour - FINE_HOURS + 1 < hour <= state.head_hour:
        raise ValueError(f"{at} is outside what the state holds: its head is hour {state.head_hour}, asked is {hour}")
    inventory = inventory_of(state, keys)
    look = _Look(state, bucket=bucket, hour=hour)
    is_active = look.active()
    if only is not None:
        wanted = np.zeros(state.keys.n, np.bool_)
        wanted[only[only + 1 < state.keys.n] + 1] = True
        is_active &= wanted
    slots = look.slots_of(is_active)
    key_of_slot = state.slots["key"][slots]
    history = novelty.history_hours(state, inventory.born_hour)
    active = np.flatnonzero(is_active)
    for index in np.array_split(active, max(1, -(-len(active) // CHUNK_KEYS))):
        first, last = np.searchsorted(key_of_slot, [index[0], index[-1] + 1]) if len(index) else (0, 0)
        yield _scene(look, slots[first:last], index, at=at, inventory=inventory, history=history)


def _scene(look: _Look, slots: Ints, index: Ints, *, at: datetime, inventory: Inventory, history: Floats) -> Scene:
    state = look.state
    prior = priors(state, inventory.owner)
    own, peers = novelty.surprise(state, prior, slots, hour=look.hour, history=history)
    key = state.slots["key"][slots].astype(np.int64)
    mature = np.minimum(history / novelty.MATURE_H, 1.0)[key]
    key_at, dimension = np.searchsorted(index, key), state.slots["dimension"][slots].astype(np.int64)
    return Scene(
        state=state,
        at=at,
        bucket=look.bucket,
        hour=look.hour,
        index=index,
        slots=slots,
        key_at=key_at,
        dimension=dimension,
        cost=look.windows("cost", slots),
        requests=look.windows("requests", slots),
        tokens=look.windows("tokens", slots),
        fine_at=look.fine,
        cost_by_bucket=look.cost_by_bucket[:, index],
        is_known=look.is_known[:, index],
        is_fine=look.is_fine[:, index],
        counter_10m=look.counter("10m")[index],
        counter_1h=look.counter("1h")[index],
        counter_24h=look.counter("24h")[index],
        used_until=look.used_until[slots],
        surprise=own,
        peer_surprise=peers,
        novelty=novelty.novelty(own) * mature,
        peer_novelty=novelty.novelty(peers),
        share=prior.share[slots],
        history=history[index],
        inventory=inventory,
        _code=dimension * len(index) + key_at,
    )


class _Look:
    """Where the windows of one moment lie in the rings, and which (dimension, key) are known in which granularity."""

    def __init__(self, state: FleetState, *, bucket: int, hour: int) -> None:
        self.state, self.bucket, self.hour = state, bucket, hour
        keys, ring, slots = state.keys, state.params.ring_hours, state.slots
        self.fine = np.arange(bucket - FINE_PER_HOUR + 1, bucket + 1) % FINE
        self._hour_at = hour % ring
        self._rows = {
            "1h": self.fine,
            "running": self.fine[FINE_PER_HOUR - 1 - bucket % FINE_PER_HOUR :],
            "6h": (hour - np.arange(1, 6)) % ring,
            "24h": (hour - np.arange(1, 24)) % ring,
        }
        self._sums: dict[tuple[str, str], Ints] = {}
        code = slots["dimension"].astype(np.int64) * keys.n + slots["key"]
        used = total_by(code, self._sum("requests", "1h"), N_DIMENSIONS * keys.n).reshape(N_DIMENSIONS, keys.n)
        self.is_fine: Bools = (keys["fine_quality"][self.fine] > 0).any(axis=0) | (used > 0)
        has_hour = (keys["hour_quality"][self._hour_at] > 0) | keys["is_hourly"][self._hour_at]
        is_hour_end = bucket % FINE_PER_HOUR == FINE_PER_HOUR - 1
        use_hour = has_hour & ~self.is_fine & is_hour_end
        self.is_known = self.is_fine | use_hour
        self._slot_use_hour = use_hour[slots["dimension"], slots["key"]]
        self.cost_by_bucket = self._cost_by_bucket()
        self.used_until = self._used_until()

    def active(self) -> Bools:
        """Keys with usage or counter spend in the trailing hour, by key index."""
        slots = self.state.slots
        requests = np.where(self._slot_use_hour, slots["hour_requests"][self._hour_at], self._sum("requests", "1h"))
        active = total_by(slots["key"], requests, self.state.keys.n) > 0
        return active | (self.counter("1h") > 0)

    def slots_of(self, is_active: Bools) -> Ints:
        """Slots of active keys with any usage in the last day, in canonical order."""
        slots = self.state.slots
        used = slots["hour_requests"].any(axis=0) | (self._sum("requests", "1h") > 0)
        used &= is_active[slots["key"]]
        order = slots.canonical()
        found: Ints = order[used[order]]
        return found

    def windows(self, measure: str, slots: Ints) -> dict[str, Floats]:
        """Sums by window; hours of a day are those before the hour under way, and this one up to the moment."""
        use_hour = self._slot_use_hour[slots]
        at_hour = self.state.slots[f"hour_{measure}"][self._hour_at][slots]
        running = np.where(use_hour, at_hour, self._sum(measure, "running")[slots])
        found = {
            "10m": self.state.slots[f"fine_{measure}"][self.fine[-1]][slots],
            "1h": np.where(use_hour, at_hour, self._sum(measure, "1h")[slots]),
            "6h": running + self._sum(measure, "6h")[slots],
            "24h": running + self._sum(measure, "24h")[slots],
        }
        return {window: sums.astype(np.float64) for window, sums in found.items()}

    def counter(self, window: str) -> Floats:
        """Counter spend by key index over "10m", "1h" or "24h"."""
        fine, hours = self.state.keys["counter_fine"], self.state.keys["counter_hour"]
        if window == "24h":
            return (_sum(fine, self._rows["running"]) + _sum(hours, self._rows["24h"])).astype(np.float64)
        return _sum(fine, self.fine[-1:] if window == "10m" else self.fine).astype(np.float64)

    def _sum(self, measure: str, window: str) -> Ints:
        """Exact sums by slot over the rows of a window; kept for the moment."""
        if (measure, window) not in self._sums:
            size = "hour" if window in ("6h", "24h") else "fine"
            self._sums[measure, window] = _sum(self.state.slots[f"{size}_{measure}"], self._rows[window])
        return self._sums[measure, window]

    def _cost_by_bucket(self) -> Floats:
        """(6, keys): nano-dollars by ten-minute bucket of the trailing hour, oldest first."""
        slots = self.state.slots
        at = np.flatnonzero(slots["dimension"] == _MODEL)
        key, ring = slots["key"][at], slots["fine_cost"]
        return np.stack([total_by(key, ring[row][at], self.state.keys.n) for row in self.fine.tolist()])

    def _used_until(self) -> Ints:
        """By slot: the newest hour with requests that is at least SILENCE_AFTER_H hours ago and still held, else -1."""
        requests = self.state.slots["hour_requests"]
        newest = np.full(requests.shape[1], -1, np.int64)
        for hour in range(self.hour - len(requests) + 1, self.hour - SILENCE_AFTER_H + 1):
            newest[requests[hour % len(requests)] > 0] = hour
        return newest


def _sum(ring: Array, rows: Ints) -> Ints:
    """Sum of some rows of a ring, exact."""
    total = np.zeros(ring.shape[-1], np.int64)
    for row in rows.tolist():
        total += ring[row]
    return total
