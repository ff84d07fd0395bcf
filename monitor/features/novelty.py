"""How new a value is to a key: surprise under the key's habit mixed with its owner's and the fleet's, then a hard gate."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.features.columns import Floats, Ints
from monitor.features.priors import Priors
from monitor.features.state import FleetState

OWNER_WEIGHT: Final = 3.0
FLEET_WEIGHT: Final = 3.0
"""Weights of the priors, in the units of a habit: one busy hour of ten requests weighs 1 + ln 10 = 3.3."""

SETTLED_WEIGHT: Final = 150.0
"""A key known for long is as settled as this, however little it was used: an old silent key is not young."""

MATURE_H: Final = 72.0
"""Known hours after which a key's novelty counts in full."""

GATE: Final = 4.0
"""Surprise in nats (p of 1.8 %) below which nothing is novel."""

FULL: Final = 4.0
"""Nats above the gate at which a value is wholly novel."""


def history_hours(state: FleetState, born_hour: Ints) -> Floats:
    """By key index: learned hours of known usage since the key was created."""
    age = np.clip(state.learned_hour + 1 - born_hour, 0, None)
    return np.minimum(state.keys["known_hours"], age).astype(np.float64)


def surprise(state: FleetState, prior: Priors, slots: Ints, *, hour: int, history: Floats) -> tuple[Floats, Floats]:
    """Surprise in nats of each of these slots' values: for the key, and for its peers alone (as if it had no habits)."""
    key = state.slots["key"][slots]
    dimension = state.slots["dimension"][slots]
    unit = state.gain(hour)
    weight = state.slots["habit"][slots] / unit
    total = state.keys["habit_total"][dimension, key] / unit
    settled = SETTLED_WEIGHT * np.minimum(history[key] / MATURE_H, 1.0)
    owner = prior.owner[slots]
    has_owner = np.isfinite(owner)
    mass = FLEET_WEIGHT * prior.fleet[slots] + np.where(has_owner, OWNER_WEIGHT * owner, 0.0)
    n_prior = FLEET_WEIGHT + OWNER_WEIGHT * has_owner
    own = -np.log((weight + mass) / (np.maximum(total, settled) + n_prior))
    peers = -np.log(mass / n_prior)
    return own, peers


def novelty(surprise_nats: Floats) -> Floats:
    """0 below the gate, 1 where wholly novel; cubed, so that only the clearly unusual counts."""
    return np.clip((surprise_nats - GATE) / FULL, 0.0, 1.0) ** 3
