"""What the owner's other keys and the rest of the fleet use: priors in which each key counts once, itself left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.features.columns import Bools, Floats, Ints, total_by
from monitor.features.known import N_DIMENSIONS
from monitor.features.state import FleetState

_GRID: Final = 2.0**30
"""Shares are rounded to this grid, so that sums over keys are exact and thus the same in any order."""

UNSEEN: Final = 0.5
"""Keys' worth of use that the fleet prior grants to a value nobody uses."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The habits of a fleet, summed up: what priors are made from, the key itself still included.

    `used`: keys' worth of use by value; `n_keys`: keys with habits by dimension; `owner_codes` ascending, `owner_used`: the
    same use by (owner, value); `owner_keys` (dimension, owner + 1): keys with habits of each owner."""

    used: Floats
    n_keys: Ints
    owner_codes: Ints
    owner_used: Floats
    owner_keys: Floats


@dataclass(frozen=True, slots=True)
class Priors:
    """By slot: its share of its key's habit, and how likely the owner's other keys and the rest of the fleet make its value.

    `owner` is NaN where the owner has no other key with habits in that dimension."""

    share: Floats
    owner: Floats
    fleet: Floats


def priors(state: FleetState, owner: Ints) -> Priors:
    """`owner`: owner number by key index, -1 unknown. Kept until something is learned, a slot appears or an owner changes."""
    stamp = (state.version, state.slots.n, state.n_rescaled, owner.tobytes())
    kept = state.cache.get("priors")
    if kept is not None and kept[0] == stamp:
        found: Priors = kept[1]
        return found
    made = _priors(state, owner)
    state.cache["priors"] = (stamp, made)
    return made


def pool_of(state: FleetState, owner: Ints) -> Pool:
    """The fleet's habits summed up; of the whole fleet also for a fork of some of its keys (`features.fork`)."""
    pinned: Pool | None = state.cache.get("pool")
    return _pool(state, owner, _shares(state)) if pinned is None else pinned


def _shares(state: FleetState) -> Floats:
    total = state.keys["habit_total"][state.slots["dimension"].astype(np.int64), state.slots["key"]]
    share = np.divide(state.slots["habit"], total, out=np.zeros(len(total)), where=total > 0)
    rounded: Floats = np.rint(share * _GRID) / _GRID
    return rounded


def _pool(state: FleetState, owner: Ints, share: Floats) -> Pool:
    value, has_habit = state.slots["value"], state.keys["habit_total"] > 0
    codes, at = np.unique(_code(owner[state.slots["key"]], value), return_inverse=True)
    return Pool(
        used=total_by(value, share, int(value.max(initial=0)) + 1),
        n_keys=has_habit.sum(axis=1),
        owner_codes=codes,
        owner_used=total_by(at, share, int(at.max(initial=-1)) + 1),
        owner_keys=_keys_of_owner(owner, has_habit),
    )


def _priors(state: FleetState, owner: Ints) -> Priors:
    key, value = state.slots["key"], state.slots["value"].astype(np.int64)
    dimension = state.slots["dimension"].astype(np.int64)
    pool = pool_of(state, owner)
    share = _shares(state)
    has_habit = (state.keys["habit_total"] > 0)[dimension, key]
    n_others = (pool.n_keys[dimension] - has_habit).astype(np.float64)
    fleet = (_looked_up(pool.used, value) - share + UNSEEN / (1.0 + n_others)) / (n_others + 1.0)
    return Priors(share, _owner_prior(pool, owner[key], value, share=share, mine=(dimension, has_habit)), fleet)


def _keys_of_owner(owner: Ints, has_habit: Bools) -> Floats:
    """(dimension, owner + 1): keys with habits; owner -1 is nobody."""
    group = owner + 1
    n_groups = int(group.max(initial=0)) + 1
    code = np.arange(N_DIMENSIONS)[:, None] * n_groups + group[None, :]
    counts = total_by(code.ravel(), has_habit.ravel().astype(np.float64), N_DIMENSIONS * n_groups)
    return counts.reshape(N_DIMENSIONS, n_groups)


def _owner_prior(pool: Pool, owner: Ints, value: Ints, *, share: Floats, mine: tuple[Ints, Bools]) -> Floats:
    """Mean share of each slot's value among the owner's other keys; NaN where there is none with habits."""
    dimension, has_habit = mine
    group = np.minimum(owner + 1, pool.owner_keys.shape[1] - 1)
    n_others = np.where(owner >= 0, pool.owner_keys[dimension, group] - has_habit, 0.0)
    code = _code(owner, value)
    at = np.minimum(np.searchsorted(pool.owner_codes, code), max(len(pool.owner_codes) - 1, 0))
    known = pool.owner_codes[at] == code if len(pool.owner_codes) else np.zeros(len(code), np.bool_)
    used = np.where(known, pool.owner_used[at] if len(pool.owner_codes) else 0.0, 0.0) - share * known
    mean: Floats = np.divide(used, n_others, out=np.full(len(used), np.nan), where=n_others > 0)
    return mean


def _code(owner: Ints, value: Ints) -> Ints:
    return (owner.astype(np.int64) + 1) << 32 | value.astype(np.int64)


def _looked_up(table: Floats, at: Ints) -> Floats:
    """`table[at]`, 0 beyond its end: a value the fleet has never seen."""
    found: Floats = np.where(at < len(table), table[np.minimum(at, len(table) - 1)], 0.0)
    return found
