"""What the whole fleet does at once around one moment: values new to many keys, providers switched together, prices that jumped.

One look at the state for all keys; only slots that were never learned, and the models of the last two hours, are touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.domain import Dimension
from monitor.features.columns import Array, Bools, Floats, Ints, total_by
from monitor.features.levels import DAY_H
from monitor.features.params import FINE_PER_HOUR
from monitor.features.slots import FINE, NEVER
from monitor.features.state import FleetState

TOGETHER_H: Final = 6
"""Hours within which keys that go to a new provider go together."""

MAIN_SHARE: Final = 0.8
"""Share of a key's habit and of its money now from which a model stands for the key's price."""

JUMP: Final = 1.25
"""Times the usual price per token from which a price has jumped."""

MOST: Final = 0.7
"""Share of the keys whose price for a model must have jumped, for it to be a price change."""

MIN_KEYS: Final = 4
"""Keys that must tell, the key in question included, before something is said of a model's price."""

_MODEL, _PROVIDER = int(Dimension.MODEL), int(Dimension.PROVIDER)


@dataclass(frozen=True, slots=True)
class Moves:
    """`n_new` by value number: keys to which it was new in the last day; `n_active`: keys in use. `switched`: codes (model << 32
    | provider) of moves to a provider new to the key, ascending, and `n_switched` keys each. `price_times`: by model, how much
    dearer a token is than these keys are used to, 1 where it is not; `n_dearer`: on how many keys. `price`: nano-dollars per
    token by model over the last day, NaN for what nobody used."""

    n_new: Ints
    n_active: int
    switched: Ints
    n_switched: Ints
    price_times: Floats
    n_dearer: Ints
    price: Floats


def moves_of(state: FleetState, bucket: int) -> Moves:
    """The moves of the fleet up to the end of `bucket` (ten minutes each, since the epoch), which the state must hold."""
    n_values, hour = int(state.slots["value"].max(initial=-1)) + 1, bucket // FINE_PER_HOUR
    fresh = _fresh(state, bucket)
    times, n_dearer = _jumps(state, bucket, n_values=n_values)
    pairs, counts = _switches(state, fresh, bucket)
    return Moves(
        n_new=np.bincount(state.slots["value"][fresh], minlength=n_values),
        n_active=int((state.keys["last_active"] > hour - 2 * DAY_H).sum()),
        switched=pairs,
        n_switched=counts,
        price_times=times,
        n_dearer=n_dearer,
        price=_prices(state, bucket, n_values=n_values),
    )


def cells(state: FleetState, measure: str, hour: int, at: Ints, *, bucket: int) -> Array:
    """Amounts of one hour by slot; of the hour under way, what lies after `bucket` is left out."""
    if hour < bucket // FINE_PER_HOUR or bucket % FINE_PER_HOUR == FINE_PER_HOUR - 1:
        return np.asarray(state.slots[f"hour_{measure}"][hour % state.params.ring_hours][at])
    running = np.arange(hour * FINE_PER_HOUR, bucket + 1) % FINE
    return np.asarray(state.slots[f"fine_{measure}"][running][:, at].sum(axis=0, dtype=np.int64))


def _fresh(state: FleetState, bucket: int) -> Ints:
    """Slots that were never learned and were used in the last day; of keys that have habits, for to others all is new."""
    slots = state.slots
    at = np.flatnonzero(slots["first_seen"] == NEVER)
    has_habit = state.keys["habit_total"][slots["dimension"][at].astype(np.int64), slots["key"][at]] > 0
    at = at[has_habit]
    return at[_used(state, at, bucket, n_hours=DAY_H)]


def _used(state: FleetState, at: Ints, bucket: int, *, n_hours: int) -> Bools:
    hour, ring = bucket // FINE_PER_HOUR, state.slots["hour_requests"]
    past = ring[(hour - np.arange(1, n_hours)) % len(ring)][:, at]
    used: Bools = (past > 0).any(axis=0) | (cells(state, "requests", hour, at, bucket=bucket) > 0)
    return used


def _switches(state: FleetState, fresh: Ints, bucket: int) -> tuple[Ints, Ints]:
    """(model, provider) pairs of keys that went to a provider new to them in the last hours, and keys each.

    Which model went through which provider is not known: each model of such a key counts."""
    slots = state.slots
    to = fresh[slots["dimension"][fresh] == _PROVIDER]
    to = to[_used(state, to, bucket, n_hours=TOGETHER_H)]
    if not len(to):
        nothing = np.zeros(0, np.int64)
        return nothing, nothing
    order = slots.canonical()
    key = slots["key"][order]
    first, last = np.searchsorted(key, slots["key"][to]), np.searchsorted(key, slots["key"][to], side="right")
    n = last - first
    mine = order[np.repeat(first, n) + np.arange(int(n.sum())) - np.repeat(np.cumsum(n) - n, n)]
    provider = np.repeat(slots["value"][to], n).astype(np.int64)
    own = (slots["dimension"][mine] == _MODEL) & _used(state, mine, bucket, n_hours=TOGETHER_H)
    pairs, counts = np.unique(pair(slots["value"][mine[own]], provider[own]), return_counts=True)
    return pairs, counts


def pair(model: Ints, provider: Ints) -> Ints:
    """One code for a model and a provider."""
    return (model.astype(np.int64) << 32) | provider.astype(np.int64)


def _prices(state: FleetState, bucket: int, *, n_values: int) -> Floats:
    """Nano-dollars per token by model, over all keys."""
    slots = state.slots
    at = np.flatnonzero(slots["dimension"] == _MODEL)
    paid, used = (
        total_by(slots["value"][at], _sum(state, measure, at, bucket, n_hours=DAY_H), n_values)
        for measure in ("cost", "tokens")
    )
    price: Floats = np.divide(paid, used, out=np.full(n_values, np.nan), where=used > 0)
    return price


def _sum(state: FleetState, measure: str, at: Ints, bucket: int, *, n_hours: int) -> Floats:
    hour, ring = bucket // FINE_PER_HOUR, state.slots[f"hour_{measure}"]
    total = cells(state, measure, hour, at, bucket=bucket).astype(np.float64)
    for past in range(hour - 1, hour - n_hours, -1):
        total += ring[past % len(ring)][at]
    return total


def _jumps(state: FleetState, bucket: int, *, n_values: int) -> tuple[Floats, Ints]:
    """Dollars per token against what the keys are used to, by model, told by keys that use little else."""
    slots, keys = state.slots, state.keys
    share = np.divide(
        slots["habit"],
        keys["habit_total"][slots["dimension"].astype(np.int64), slots["key"]],
        out=np.zeros(slots.n),
        where=slots["habit"] > 0,
    )
    at = np.flatnonzero((slots["dimension"] == _MODEL) & (share >= MAIN_SHARE))
    cost, tokens = (_sum(state, measure, at, bucket, n_hours=2) for measure in ("cost", "tokens"))
    weight, total, _ = keys["rate"][:, slots["key"][at]]
    has = (cost > 0) & (tokens > 0) & (weight > 0)
    at, value = at[has], slots["value"][at[has]].astype(np.int64)
    times = cost[has] / tokens[has] / np.exp(total[has] / weight[has])
    n_users, n_dearer = (total_by(value, flag.astype(np.float64), n_values) for flag in (times > 0, times >= JUMP))
    is_change = (n_users >= MIN_KEYS) & (n_dearer >= MOST * n_users)
    found = np.ones(n_values)
    for model in np.flatnonzero(is_change).tolist():  # prices change seldom: a model or two
        found[model] = float(np.median(times[(value == model) & (times >= JUMP)]))
    return found, n_dearer.astype(np.int64)
