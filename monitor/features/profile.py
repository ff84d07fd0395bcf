"""Who this key is and what it does now, in plain amounts: what tells a few odd cents from a theft, and one key from another.

A classifier needs them beside the surprises; alone they say little (docs/detection.md, ablations)."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.domain import NUSD, Dimension
from monitor.features.columns import Floats
from monitor.features.levels import DAY_H, decoded
from monitor.features.scene import Scene
from monitor.features.state import FleetState
from monitor.features.volume import Expected, spend, typical_hour

_HABITS: Final = {
    "habit_models": Dimension.MODEL,
    "habit_countries": Dimension.COUNTRY,
    "habit_apps": Dimension.APP,
}


def features(scene: Scene, usual: Expected) -> dict[str, Floats]:
    """Dollars, counts, ratios; NaN where the window is unknown, or the key has no habit to compare with."""
    hour, day, ten = spend(scene, "1h"), spend(scene, "24h"), spend(scene, "10m")
    requests, tokens = (scene.by_key(part["1h"], Dimension.MODEL) for part in (scene.requests, scene.tokens))
    mean = _mean_hour(scene)
    is_fine = scene.is_fine[int(Dimension.MODEL)]
    return {
        "usd_10m": np.where(is_fine, ten / NUSD, np.nan),
        "usd_1h": hour / NUSD,
        "usd_24h": day / NUSD,
        "n_requests_1h": scene.known(requests),
        "usd_per_request_1h": scene.known(_ratio(hour / NUSD, requests)),
        "tokens_per_request_1h": scene.known(_ratio(tokens, requests)),
        "usd_per_mtoken_1h": scene.known(_ratio(hour / NUSD * 1e6, tokens)),
        "usual_usd_1h": typical_hour(usual) / NUSD,
        "mean_usd_1h": mean / NUSD,
        "times_usual_1h": _ratio(hour, np.maximum(typical_hour(usual), mean)),
        "times_usual_24h": _ratio(day, DAY_H * mean),
        "times_peak_1h": _ratio(hour, _peak_hour(scene.state)[scene.index]),
        "history_h": scene.history,
        "active_hours_24h": scene.known(_active_hours(scene)),
        **{name: _habit_size(scene, dimension) for name, dimension in _HABITS.items()},
    }


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratio


def _mean_hour(scene: Scene) -> Floats:
    """Decayed mean nano-dollars of a known hour, silent hours included; 0 without history."""
    state = scene.state
    of_model = np.where(scene.dimension == int(Dimension.MODEL), state.slots["usual"][scene.slots], 0.0)
    clock = state.keys["clock"][scene.index]
    total = scene.by_key(of_model, Dimension.MODEL)
    mean: Floats = np.divide(total, clock, out=np.zeros(scene.n), where=clock > 0)
    return mean


def _peak_hour(state: FleetState) -> Floats:
    """The dearest learned hour of five weeks in nano-dollars, by key index; kept until something is learned."""
    stamp = (state.version, state.keys.n)
    kept = state.cache.get("peak_hour")
    if kept is None or kept[0] != stamp:
        amounts = decoded(np.where(state.keys["level_cost"] == 65_535, 0, state.keys["level_cost"]).max(axis=0))
        kept = (stamp, amounts)
        state.cache["peak_hour"] = kept
    peak: Floats = kept[1]
    return peak


def _active_hours(scene: Scene) -> Floats:
    """Clock hours of the last day, the one under way included, in which the key was used."""
    rows = scene.state.slots["hour_requests"][(scene.hour - np.arange(DAY_H)) % scene.state.params.ring_hours]
    at = np.flatnonzero(scene.dimension == int(Dimension.MODEL))
    used = rows[:, scene.slots[at]] > 0
    active = np.zeros((DAY_H, scene.n), np.bool_)
    hour, slot = np.nonzero(used)
    active[hour, scene.key_at[at][slot]] = True
    counted: Floats = active.sum(axis=0).astype(np.float64)
    return counted


def _habit_size(scene: Scene, dimension: Dimension) -> Floats:
    """How many values the key usually spreads over: exp of the entropy of its habit. Values of the last day only count
    where they are still used; 0 for a key without habits."""
    share = scene.share
    entropy = scene.by_key(-share * np.log(np.where(share > 0, share, 1.0)), dimension)
    has_habit = scene.state.keys["habit_total"][int(dimension), scene.index] > 0
    size: Floats = np.where(has_habit, np.exp(np.maximum(entropy, 0.0)), 0.0)
    return size
