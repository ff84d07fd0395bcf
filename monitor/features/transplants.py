"""Thieves put onto keys: the feature rows that the live path would have seen. Nothing of it touches the real state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from monitor.domain import BUCKET_S, NUSD, Dimension
from monitor.features import fork as forks
from monitor.features.columns import Bools, Floats, Ints
from monitor.features.known import N_DIMENSIONS
from monitor.features.levels import LEARNED, UNKNOWN
from monitor.features.params import FINE_HOURS, FINE_PER_HOUR
from monitor.features.slots import FINE, MEASURES, NEVER
from monitor.features.state import FleetState
from monitor.features.thieves import Thief, draw, market_of
from monitor.frames import utc_seconds

YOUNG_SHARE: Final = 0.15
"""Share of hosts whose history is cut off, as if the key had been created hours ago."""

YOUNG_HOURS: Final = (0.5, 40.0)


@dataclass(frozen=True, slots=True)
class Transplant:
    """A fork in which strangers use keys. `keys`: its inventory (frames.KEYS). `is_stolen`, `host`, `kind`: by key number of
    the fork; a key that is not stolen is a host whose history was cut off and to which nothing else happened."""

    state: FleetState
    keys: pd.DataFrame
    host: Ints
    is_stolen: Bools
    kind: tuple[str, ...]


def transplant(
    state: FleetState,
    keys: pd.DataFrame,
    hosts: Ints,
    at: datetime,
    rng: np.random.Generator,
    *,
    n_values: int,
    no_app: int,
) -> Transplant | None:
    """Strangers on these hosts (key numbers, any order, repeats allowed), as it would look at `at`.

    `n_values`, `no_app`: see thieves.Market. None where the fleet did too little during the day. Makes room for the hosts in
    `state`, and leaves it as it is otherwise."""
    state.ensure_keys(int(hosts.max(initial=-1)) + 1)
    bucket = -(-int(at.timestamp()) // BUCKET_S) - 1
    hour = bucket // FINE_PER_HOUR
    market = market_of(state, n_values=n_values, no_app=no_app)
    mean = _mean_usd(state)
    thieves = [draw(market, int(no) + 1, rng, usd_per_hour=float(mean[no + 1])) for no in hosts.tolist()]
    if any(thief is None for thief in thieves):
        return None
    is_young = rng.random(len(hosts)) < YOUNG_SHARE
    twins = np.flatnonzero(is_young)
    copied, listed = forks.fork(state, keys, np.concatenate([hosts, hosts[twins]]), hour=hour)
    young = np.concatenate([twins, len(hosts) + np.arange(len(twins))])
    ages = rng.uniform(*YOUNG_HOURS, size=len(twins))
    born = _cut(copied, young, np.tile(ages, 2), hour=hour)
    created = listed["created_at"].to_numpy(dtype="datetime64[s]").astype(np.int64).copy()
    created[young] = born
    listed = listed.assign(created_at=utc_seconds(created).array)
    is_fine = bool((state.keys["fine_quality"][bucket % FINE] > 0).any())
    for no, thief in enumerate(thieves):
        assert thief is not None
        n_most = int(ages[int(np.searchsorted(twins, no))] * FINE_PER_HOUR) + 1 if is_young[no] else None
        _put(copied, no, thief, bucket=bucket, n_most=n_most, is_fine=is_fine)
    is_stolen = np.arange(len(hosts) + len(twins)) < len(hosts)
    kinds = (*(thief.kind for thief in thieves if thief is not None), *("",) * len(twins))
    return Transplant(copied, listed, np.concatenate([hosts, hosts[twins]]), is_stolen, kinds)


def _mean_usd(state: FleetState) -> Floats:
    """Decayed mean dollars of a known hour by key index."""
    is_model = state.slots["dimension"] == int(Dimension.MODEL)
    total = np.bincount(state.slots["key"][is_model], weights=state.slots["usual"][is_model], minlength=state.keys.n)
    clock = state.keys["clock"]
    mean: Floats = np.divide(total, clock, out=np.zeros(len(total)), where=clock > 0) / NUSD
    return mean


def _cut(copied: FleetState, no: Ints, ages_h: Floats, *, hour: int) -> Ints:
    """Makes these keys of the fork as young as that; returns when they were born, epoch seconds."""
    index = no + 1
    for name in LEARNED:
        copied.keys[name][..., index] = UNKNOWN if name.startswith("level") else (-1 if name == "last_active" else 0)
    born_hour = (hour + 1 - ages_h).astype(np.int64)
    slot_key = copied.slots["key"]
    is_cut = np.isin(slot_key, index)
    for name, value in (("habit", 0), ("usual", 0), ("peak_cost", 0), ("first_seen", NEVER), ("last_seen", -1)):
        copied.slots[name][is_cut] = value
    since = np.zeros(copied.keys.n, np.int64)
    since[index] = born_hour
    ring = copied.params.ring_hours
    for past in range(hour - ring + 1, hour + 1):
        gone = is_cut & (since[slot_key] > past)
        for measure in MEASURES:
            copied.slots[f"hour_{measure}"][past % ring][gone] = 0
            if past > hour - FINE_HOURS:
                first = past * FINE_PER_HOUR % FINE
                copied.slots[f"fine_{measure}"][first : first + FINE_PER_HOUR, gone] = 0
    born: Ints = born_hour * 3600
    return born


def _put(copied: FleetState, no: int, thief: Thief, *, bucket: int, n_most: int | None, is_fine: bool) -> None:
    """Adds a thief's requests to the cells of key number `no`; no earlier than `n_most` buckets ago. `is_fine`: also to those of
    ten minutes, which the fleet's usage is known in."""
    requests = thief.requests if n_most is None else thief.requests[-n_most:]
    buckets = bucket - len(requests) + 1 + np.arange(len(requests))
    of_model = thief.shares[int(Dimension.MODEL)]
    usd, tokens = float(of_model @ thief.usd), float(of_model @ thief.tokens)
    for dimension in range(N_DIMENSIONS):
        value, share = thief.values[dimension], thief.shares[dimension]
        slots = copied.slots.find(np.full(len(value), no + 1), value, np.full(len(value), dimension, dtype=np.int8))
        counts = requests[:, None] * share[None, :]
        each_usd = thief.usd if dimension == int(Dimension.MODEL) else np.full(len(value), usd)
        each_tokens = thief.tokens if dimension == int(Dimension.MODEL) else np.full(len(value), tokens)
        cells = {
            "requests": np.maximum(np.rint(counts), counts > 0.02),
            "cost": counts * each_usd * NUSD,
            "tokens": counts * each_tokens,
        }
        _add(copied, slots, buckets, cells, last=bucket if is_fine else -1)


def _add(copied: FleetState, slots: Ints, buckets: Ints, cells: dict[str, Floats], *, last: int) -> None:
    """`last`: the newest ten-minute bucket that may be written; -1 for none."""
    ring = copied.params.ring_hours
    hours = buckets // FINE_PER_HOUR
    in_fine = (hours > copied.head_hour - FINE_HOURS) & (buckets <= last)
    for measure in MEASURES:
        amounts = cells[measure]
        fine, whole = copied.slots[f"fine_{measure}"], copied.slots[f"hour_{measure}"]
        limit = np.iinfo(fine.dtype).max
        rows, columns = np.ix_(buckets[in_fine] % FINE, slots)
        fine[rows, columns] = np.minimum(fine[rows, columns] + amounts[in_fine], limit).astype(fine.dtype)
        for hour in np.unique(hours[hours > copied.head_hour - ring]).tolist():
            total = whole[hour % ring][slots] + amounts[hours == hour].sum(axis=0)
            whole[hour % ring][slots] = np.minimum(total, np.iinfo(whole.dtype).max).astype(whole.dtype)
