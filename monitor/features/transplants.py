"""Thieves put onto keys: the feature rows that the live path would have seen. Nothing of it touches the real state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

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
from monitor.features.thieves import AGES, Thief, draw, market_of
from monitor.frames import utc_seconds

YOUNG_SHARE: Final = 0.15
"""Share of hosts whose history is cut off, as if the key had been created hours ago."""

HONEST_SHARE: Final = 0.2
"""Share of hosts whose owner does something new instead of a stranger."""

YOUNG_HOURS: Final = (0.5, 40.0)

SCRAP: Final = 0.02
"""Expected requests of a value in a bucket below which it is not used there."""

MOST_TOKENS: Final = 2e8
"""Tokens of a value in a bucket, at most: the cells hold four billion."""


@dataclass(frozen=True, slots=True)
class Transplant:
    """A fork in which strangers use keys. `keys`: its inventory (frames.KEYS). `is_stolen`, `host`, `kind`: by key number of
    the fork; a key that is not stolen is one whose owner did something new, or whose history was cut off and nothing else."""

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
    is_honest = rng.random(len(hosts)) < HONEST_SHARE
    thieves = [
        draw(market, no + 1, rng, usd_per_hour=float(mean[no + 1]), is_honest=honest)
        for no, honest in zip(hosts.tolist(), is_honest.tolist(), strict=True)
    ]
    if all(thief is None for thief in thieves):
        return None
    is_young = (rng.random(len(hosts)) < YOUNG_SHARE) & ~is_honest
    twins = np.flatnonzero(is_young)
    hosted = np.concatenate([hosts, hosts[twins]])
    copied, listed = forks.fork(state, keys, hosted, hour=hour)
    ages = rng.uniform(*YOUNG_HOURS, size=len(twins))
    young = np.concatenate([twins, len(hosts) + np.arange(len(twins))])
    listed = _born_later(copied, listed, young, np.tile(ages, 2), hour=hour)
    n_most = np.full(len(hosts), max(AGES), dtype=np.int64)
    n_most[twins] = (ages * FINE_PER_HOUR).astype(np.int64) + 1
    rows = [
        _rows_of(thief, no, bucket=bucket, n_most=int(n_most[no]))
        for no, thief in enumerate(thieves)
        if thief is not None
    ]
    is_fine = bool((state.keys["fine_quality"][bucket % FINE] > 0).any())
    _put(copied, _Rows(*(np.concatenate(column) for column in zip(*rows, strict=True))), is_fine=is_fine)
    is_stolen = np.append(~is_honest, np.zeros(len(twins), dtype=np.bool_))
    kinds = (*("" if thief is None else thief.kind for thief in thieves), *("",) * len(twins))
    return Transplant(copied, listed, hosted, is_stolen, kinds)


def _born_later(copied: FleetState, listed: pd.DataFrame, young: Ints, ages: Floats, *, hour: int) -> pd.DataFrame:
    """The listing with these keys as young as that, in hours; what they did before is cut from the copied state."""
    created = listed["created_at"].to_numpy(dtype="datetime64[s]").astype(np.int64).copy()
    created[young] = _cut(copied, young, ages, hour=hour)
    return listed.assign(created_at=utc_seconds(created).array)


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


class _Rows(NamedTuple):
    """Requests of thieves, one row a (key index, value, bucket): counts, nano-dollars, tokens."""

    key: Ints
    value: Ints
    dimension: Ints
    bucket: Ints
    requests: Floats
    cost: Floats
    tokens: Floats


def _rows_of(thief: Thief, no: int, *, bucket: int, n_most: int) -> _Rows:
    """A thief's requests on key number `no`, over all dimensions; no earlier than `n_most` buckets ago."""
    requests = thief.requests[-n_most:]
    buckets = bucket - len(requests) + 1 + np.arange(len(requests))
    model = int(Dimension.MODEL)
    usd, tokens = (float(thief.shares[model] @ each) for each in (thief.usd, thief.tokens))
    value = np.concatenate([thief.values[d] for d in range(N_DIMENSIONS)])
    n_values = [len(thief.values[d]) for d in range(N_DIMENSIONS)]
    share = np.concatenate([thief.shares[d] for d in range(N_DIMENSIONS)])
    usd_each, tokens_each = np.full(len(value), usd), np.full(len(value), tokens)
    usd_each[: n_values[model]], tokens_each[: n_values[model]] = thief.usd, thief.tokens
    counts = (requests[:, None] * share[None, :]).ravel()
    used = np.flatnonzero(counts > SCRAP)
    at, column = used // len(value), used % len(value)
    counts = counts[used]
    return _Rows(
        key=np.full(len(used), no + 1, dtype=np.int64),
        value=value[column],
        dimension=np.repeat(np.arange(N_DIMENSIONS), n_values)[column],
        bucket=buckets[at],
        requests=np.maximum(np.rint(counts), 1.0),
        cost=np.rint(counts * usd_each[column] * NUSD),
        tokens=np.minimum(counts * tokens_each[column], MOST_TOKENS),
    )


def _put(copied: FleetState, rows: _Rows, *, is_fine: bool) -> None:
    """Adds the rows to the cells they fall into: those of hours, and those of ten minutes where the fleet is known in them."""
    slots = copied.slots.find(rows.key, rows.value, rows.dimension.astype(np.int8))
    hour, ring = rows.bucket // FINE_PER_HOUR, copied.params.ring_hours
    in_fine = (hour > copied.head_hour - FINE_HOURS) & is_fine
    in_hours = hour > copied.head_hour - ring
    for measure, amounts in (("requests", rows.requests), ("cost", rows.cost), ("tokens", rows.tokens)):
        fine, whole = copied.slots[f"fine_{measure}"], copied.slots[f"hour_{measure}"]
        np.add.at(fine, (rows.bucket[in_fine] % FINE, slots[in_fine]), amounts[in_fine].astype(fine.dtype))
        np.add.at(whole, (hour[in_hours] % ring, slots[in_hours]), amounts[in_hours].astype(whole.dtype))
