"""Which habits the last hour of a key breaks, and which it keeps: the facts that benign twins are told by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.domain import Dimension
from monitor.features.columns import Bools, Floats, Ints
from monitor.features.levels import UNKNOWN, decoded
from monitor.features.rhythm import hour_surprise, silence
from monitor.features.scene import Scene
from monitor.features.slots import NEVER
from monitor.features.state import FleetState
from monitor.features.volume import Expected, spend, usual_ratio

BROKEN_SHARE: Final = 0.05
"""Share of the hour's dollars on values new to the key, from which the habit of that dimension counts as broken."""

NEW_FROM: Final = 0.05
"""Novelty from which a value counts as new, though it was seen before."""

SETTLED_H: Final = 72.0
"""Known hours a key must have: without habits nothing tells twins from thefts."""

BUSIER: Final = 2.0
"""Times the usual number of requests (or the busiest hour of five weeks, if that is more) up to which volume is as usual."""

DEARER: Final = 3.0
"""Times the usual price or size of a request up to which it is as usual."""

ODD_HOUR: Final = float(np.log(2.0))
SILENT_H: Final = 24.0
"""Where the key hardly works at this hour, or was silent for so long, the rhythm is broken, too: no twin, except catching up."""

PAUSE_H: Final = 2
CATCH_UP_H: Final = 12
"""Catching up follows a pause of so many hours within so many."""

_MODEL: Final = int(Dimension.MODEL)


@dataclass(frozen=True, slots=True)
class Facts:
    """By active key; `is_new` by slot of the scene. `total`: nano-dollars of the hour; `new` (4, keys): of it on values new to
    the key; `broken` (4, keys). `is_settled`: it has habits, and the rhythm holds. `same_volume`, `same_price`, `same_size`: as
    usual. `excess`: above what is `expected` of this hour."""

    is_new: Bools
    total: Floats
    new: Floats
    broken: Bools
    is_settled: Bools
    has_paused: Bools
    same_volume: Bools
    same_price: Bools
    same_size: Bools
    excess: Floats
    expected: Floats

    def only(self, *allowed: int) -> Bools:
        """Nothing is broken but these dimensions."""
        others = [dimension for dimension in range(4) if dimension not in allowed]
        return np.asarray(~self.broken[others].any(axis=0))


def facts_of(scene: Scene, usual: Expected) -> Facts:
    """The facts of one moment. `usual`: seasonal expectations of its keys."""
    total = scene.by_key(scene.cost["1h"], Dimension.MODEL)
    is_new = (scene.state.slots["first_seen"][scene.slots] == NEVER) | (scene.novelty >= NEW_FROM)
    new = scene.by_key(scene.cost["1h"] * is_new)
    requests = scene.by_key(scene.requests["1h"], Dimension.MODEL)
    tokens = scene.by_key(scene.tokens["1h"], Dimension.MODEL)
    median = np.nan_to_num(usual.of["requests", "1h"].median)
    expected = np.nan_to_num(usual.of["cost", "1h"].median)
    return Facts(
        is_new=is_new,
        total=total,
        new=new,
        broken=new > BROKEN_SHARE * total,
        is_settled=(scene.history >= SETTLED_H) & (hour_surprise(scene) < ODD_HOUR) & (silence(scene) < SILENT_H),
        has_paused=_has_paused(scene),
        same_volume=requests <= np.maximum(BUSIER * median, _busiest(scene.state)[scene.index]),
        same_price=total <= DEARER * usual_ratio(scene, "price") * requests,
        same_size=tokens <= DEARER * usual_ratio(scene, "size") * requests,
        excess=np.maximum(np.nan_to_num(spend(scene, "1h")) - expected, 0.0),
        expected=expected,
    )


def _busiest(state: FleetState) -> Floats:
    """Requests of the busiest learned hour of five weeks by key index; kept until something is learned."""
    stamp = (state.version, state.keys.n)
    kept = state.cache.get("busiest")
    if kept is None or kept[0] != stamp:
        codes = state.keys["level_requests"]
        kept = (stamp, decoded(np.where(codes == UNKNOWN, 0, codes).max(axis=0)))
        state.cache["busiest"] = kept
    busiest: Floats = kept[1]
    return busiest


def _has_paused(scene: Scene) -> Bools:
    """Whether there were PAUSE_H hours in a row without a request in the hours before this one."""
    ring = scene.state.slots["hour_requests"]
    at = np.flatnonzero(scene.dimension == _MODEL)
    rows = ring[(scene.hour - np.arange(1, CATCH_UP_H + 1)) % len(ring)][:, scene.slots[at]] > 0
    used = np.zeros((CATCH_UP_H, scene.n), np.bool_)
    hour, slot = np.nonzero(rows)
    used[hour, scene.key_at[at][slot]] = True
    pauses = [~used[first : first + PAUSE_H].any(axis=0) for first in range(CATCH_UP_H - PAUSE_H + 1)]
    return np.asarray(np.any(pauses, axis=0))


def dearest(scene: Scene, dimension: int, wanted: Bools) -> Ints:
    """By active key: value number of its dearest wanted slot in the trailing hour; -1 for none."""
    at = np.flatnonzero((scene.dimension == dimension) & wanted & (scene.cost["1h"] > 0))
    order = at[np.lexsort((scene.cost["1h"][at], scene.key_at[at]))]
    found = np.full(scene.n, -1, np.int64)
    found[scene.key_at[order]] = scene.state.slots["value"][scene.slots[order]]  # the dearest comes last and stays
    return found
