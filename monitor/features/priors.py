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


def _priors(state: FleetState, owner: Ints) -> Priors:
    key, value = state.slots["key"], state.slots["value"]
    dimension = state.slots["dimension"].astype(np.int64)
    total = state.keys["habit_total"]
    own_total = total[dimension, key]
    share = np.divide(state.slots["habit"], own_total, out=np.zeros(len(key)), where=own_total > 0)
    share = np.rint(share * _GRID) / _GRID
    has_habit = total > 0
    used = total_by(value, share, int(value.max(initial=0)) + 1)[value] - share
    n_others = (has_habit.sum(axis=1)[dimension] - has_habit[dimension, key]).astype(np.float64)
    fleet = (used + UNSEEN / (1.0 + n_others)) / (n_others + 1.0)
    return Priors(
        share, _owner_prior(owner[key], value, share, _others_of_owner(owner, has_habit)[dimension, key]), fleet
    )


def _others_of_owner(owner: Ints, has_habit: Bools) -> Floats:
    """(dimension, key): other keys of the same owner that have habits."""
    group = owner + 1
    n_groups = int(group.max(initial=0)) + 1
    code = np.arange(N_DIMENSIONS)[:, None] * n_groups + group[None, :]
    counts = total_by(code.ravel(), has_habit.ravel().astype(np.float64), N_DIMENSIONS * n_groups)
    others: Floats = np.where(owner[None, :] >= 0, counts[code] - has_habit, 0.0)
    return others


def _owner_prior(owner: Ints, value: Ints, share: Floats, n_others: Floats) -> Floats:
    code = (owner.astype(np.int64) + 1) << 32 | value
    _, at = np.unique(code, return_inverse=True)
    used = total_by(at, share, int(at.max(initial=-1)) + 1)[at] - share
    mean: Floats = np.divide(used, n_others, out=np.full(len(used), np.nan), where=n_others > 0)
    return mean
