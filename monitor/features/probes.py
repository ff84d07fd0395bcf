"""Probes: somebody tries what a key can do before using it. A first-seen dear model a few times, or many models at once.

A probe costs cents and honest developers do the same, so it is no alarm; but thieves often probe hours before they come back.
The answer is read from the state alone, so that live, restart and replay agree: the cells of the last day say what was tried
and at what price; of older tries the habits know when a model was first seen, and what its dearest hour cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.domain import HOUR_S, NUSD, Dimension
from monitor.features.columns import Bools, Floats, Ints
from monitor.features.moves import Moves, cells
from monitor.features.scene import Scene
from monitor.features.slots import NEVER

WATCH_H: Final = 48
"""Hours for which a key counts as probed."""

FEW_REQUESTS: Final = 5
TINY_NUSD: Final = NUSD // 4
"""A try: at most so many requests, and so many dollars, in the first hour of a model."""

MANY_MODELS: Final = 5
"""Models first tried in one hour that are a probe whatever they cost."""

DEAR_TIMES: Final = 3.0
"""Price per token over the key's usual one from which a model is dear for it."""

DEAR_SHARE: Final = 0.9
"""Share of the models in use whose price per token is lower, from which a model is dear anywhere."""

SETTLED_H: Final = 24.0
"""Known hours a key must have: to a new one everything is new."""


@dataclass(frozen=True, slots=True)
class _Tries:
    """First hours of models the keys of a scene first used in the last WATCH_H hours, one entry a (key, model).

    `key_at`: row of the key; `hour`: the first; `price`: nano-dollars per token, NaN where it is not held any more."""

    key_at: Ints
    value: Ints
    hour: Ints
    price: Floats

    def where(self, mask: Bools) -> _Tries:
        return _Tries(self.key_at[mask], self.value[mask], self.hour[mask], self.price[mask])


def probed(scene: Scene, moves: Moves) -> tuple[Bools, Ints]:
    """By active key: whether it was probed in the last WATCH_H hours, and since when: start of the hour of the newest probe,
    epoch seconds, 0 for never. `moves`: what the fleet pays for each model."""
    tries = _tries(scene)
    tries = tries.where(scene.history[tries.key_at] >= SETTLED_H)
    is_probe = _is_dear(scene, tries, moves) | (_n_at_once(tries) >= MANY_MODELS)
    since = np.zeros(scene.n, np.int64)
    np.maximum.at(since, tries.key_at[is_probe], tries.hour[is_probe] * HOUR_S)
    return since > 0, since


def _tries(scene: Scene) -> _Tries:
    state, slots = scene.state, scene.state.slots
    order = slots.canonical()
    if not len(scene.index):
        order = order[:0]
    else:
        first, last = np.searchsorted(slots["key"][order], [scene.index[0], scene.index[-1] + 1])
        order = order[first:last]
    seen = slots["first_seen"][order]
    is_young = (seen == NEVER) | (seen > scene.hour - WATCH_H)
    at = order[is_young & (slots["dimension"][order] == int(Dimension.MODEL))]
    key_at = np.searchsorted(scene.index, slots["key"][at])
    active = scene.index[np.minimum(key_at, scene.n - 1)] == slots["key"][at]
    at, key_at = at[active], key_at[active]
    hours = scene.hour - np.arange(state.params.ring_hours)[::-1]
    used = slots["hour_requests"][hours % state.params.ring_hours][:, at] > 0
    used[-1] = cells(state, "requests", scene.hour, at, bucket=scene.bucket) > 0
    in_ring = used.any(axis=0)
    learned = slots["first_seen"][at]
    hour = np.where(learned == NEVER, hours[used.argmax(axis=0)], learned)
    is_held = in_ring & (hour >= hours[0])
    cost, requests, tokens = (_first_hour(scene, measure, hour, at) for measure in ("cost", "requests", "tokens"))
    is_few = np.where(is_held, (requests <= FEW_REQUESTS) & (cost <= TINY_NUSD), slots["peak_cost"][at] <= TINY_NUSD)
    price = np.divide(cost, tokens, out=np.full(len(at), np.nan), where=is_held & (tokens > 0))
    found = _Tries(key_at, slots["value"][at].astype(np.int64), hour.astype(np.int64), price)
    return found.where(is_few & (is_held | (learned != NEVER)))


def _first_hour(scene: Scene, measure: str, hour: Ints, at: Ints) -> Floats:
    """Amounts of each slot in an hour of its own."""
    ring = scene.state.slots[f"hour_{measure}"]
    running = cells(scene.state, measure, scene.hour, at, bucket=scene.bucket)
    return np.where(hour == scene.hour, running, ring[hour % len(ring), at]).astype(np.float64)


def _is_dear(scene: Scene, tries: _Tries, moves: Moves) -> Bools:
    """Dear for the key, or among the dearest anywhere. What is not held any more goes by what others pay for the model."""
    weight, total, _ = scene.state.keys["rate"][:, scene.index]
    usual = np.exp(np.divide(total, weight, out=np.full(scene.n, np.inf), where=weight > 0))
    price = np.where(np.isfinite(tries.price), tries.price, moves.price[tries.value])
    line = np.nanquantile(moves.price, DEAR_SHARE) if np.isfinite(moves.price).any() else np.inf
    dear: Bools = (price >= DEAR_TIMES * usual[tries.key_at]) | (price >= line)
    return dear


def _n_at_once(tries: _Tries) -> Ints:
    """How many models the same key first tried in the same hour, by try."""
    _, inverse, counts = np.unique(tries.key_at * (1 << 32) + tries.hour, return_inverse=True, return_counts=True)
    n: Ints = counts[inverse] if len(inverse) else np.zeros(0, np.int64)
    return n
