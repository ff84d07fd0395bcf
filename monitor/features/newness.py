"""Dollars on values a key does not use: by dimension, by window, and jointly in model and place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.domain import NUSD, Dimension
from monitor.features.columns import Floats, total_by
from monitor.features.known import N_DIMENSIONS
from monitor.features.params import FINE_PER_HOUR
from monitor.features.scene import Scene
from monitor.features.slots import NEVER

_HOURS = 24


@dataclass(frozen=True, slots=True)
class Newness:
    """Novel nano-dollars: `hour` (4, keys) of the trailing hour, `by_hour` (24, 4, keys) by clock hour, the hour under way
    first, `by_bucket` (6, 4, keys) of the trailing hour, oldest first."""

    hour: Floats
    by_hour: Floats
    by_bucket: Floats


def newness_of(scene: Scene) -> Newness:
    """Only the few slots with any novelty are looked at in detail."""
    at = np.flatnonzero(scene.novelty > 0)
    weight, n = scene.novelty[at], N_DIMENSIONS * scene.n
    code = scene.dimension[at] * scene.n + scene.key_at[at]
    ring = scene.state.slots["hour_cost"]
    rows = ring[(scene.hour - np.arange(1, _HOURS)) % len(ring)][:, scene.slots[at]]
    running = scene.cost["24h"][at] - rows.sum(axis=0)  # what the day holds beyond its whole hours
    by_hour = np.stack([total_by(code, weight * cost, n) for cost in [running, *rows]])
    fine = scene.state.slots["fine_cost"][scene.fine_at][:, scene.slots[at]]
    by_bucket = np.stack([total_by(code, weight * cost, n) for cost in fine])
    hour = total_by(code, weight * scene.cost["1h"][at], n)
    shape = (N_DIMENSIONS, scene.n)
    return Newness(hour.reshape(shape), by_hour.reshape(_HOURS, *shape), by_bucket.reshape(FINE_PER_HOUR, *shape))


def joint(novel: Floats) -> Floats:
    """Dollars novel in model and at the same time in country or app: the smaller of the two. (..., 4, keys) -> (..., keys)."""
    place = np.maximum(novel[..., int(Dimension.COUNTRY), :], novel[..., int(Dimension.APP), :])
    smaller: Floats = np.minimum(novel[..., int(Dimension.MODEL), :], place)
    return smaller


def same_bucket_joint(scene: Scene, new: Newness) -> Floats:
    """Nano-dollars novel jointly in the same ten-minute buckets of the trailing hour; of the hour where only hours are known."""
    is_fine = scene.is_fine[int(Dimension.MODEL)]
    return np.where(is_fine, joint(new.by_bucket).sum(axis=0), joint(new.hour))


def features(scene: Scene, new: Newness) -> dict[str, Floats]:
    """In dollars; NaN where the dimension's trailing hour is unknown, or ten-minute rows where they are asked for."""
    found = {
        f"novel_{dimension.name.lower()}_1h": scene.known(new.hour[int(dimension)] / NUSD, dimension)
        for dimension in Dimension
    }
    is_fine = scene.is_fine[int(Dimension.MODEL)]
    jointly = joint(new.by_hour) / NUSD
    peers = joint(scene.by_key(scene.peer_novelty * scene.cost["1h"]))
    over = np.maximum(scene.cost["1h"] - scene.state.slots["peak_cost"][scene.slots], 0.0)
    return {
        **found,
        "novel_model_10m": np.where(is_fine, new.by_bucket[-1, int(Dimension.MODEL)] / NUSD, np.nan),
        "novel_model_24h": scene.known(new.by_hour[:, int(Dimension.MODEL)].sum(axis=0) / NUSD),
        "joint_10m": np.where(is_fine, joint(new.by_bucket[-1]) / NUSD, np.nan),
        "joint_1h": scene.known(joint(new.hour) / NUSD),
        "joint_same_1h": np.where(is_fine, joint(new.by_bucket).sum(axis=0) / NUSD, np.nan),
        "joint_6h": scene.known(jointly[:6].sum(axis=0)),
        "joint_24h": scene.known(jointly.sum(axis=0)),
        "second_novel_1h": scene.known(np.sort(new.hour, axis=0)[-2] / NUSD),
        "peer_joint_1h": scene.known(peers / NUSD),
        "over_peak_1h": scene.known(scene.by_key(over, Dimension.MODEL) / NUSD),
        **_counts(scene),
        **_by_dimension(scene, new),
    }


def _by_dimension(scene: Scene, new: Newness) -> dict[str, Floats]:
    """What the classifier is told of model, country and app each: dollars on values never learned (undamped, so that they
    speak for young keys too), dollars unlikely for the peers, mean surprise and fleet rarity of the hour's dollars."""
    is_new = scene.state.slots["first_seen"][scene.slots] == NEVER
    never = {window: scene.by_key(scene.cost[window] * is_new) / NUSD for window in ("10m", "1h", "24h")}
    peer = scene.by_key(scene.peer_novelty * scene.cost["1h"]) / NUSD
    both = scene.by_key(scene.peer_novelty * is_new * scene.cost["1h"]) / NUSD
    weight = scene.cost["1h"]
    total = scene.by_key(weight)
    surprise, rarity = (
        np.divide(scene.by_key(weight * nats), total, out=np.full(total.shape, np.nan), where=total > 0)
        for nats in (scene.surprise, scene.peer_surprise)
    )
    over = np.maximum(scene.cost["1h"] - scene.state.slots["peak_cost"][scene.slots], 0.0)
    over_peak = scene.by_key(over) / NUSD
    is_fine = scene.is_fine[int(Dimension.MODEL)]
    found: dict[str, Floats] = {}
    for dimension in (Dimension.MODEL, Dimension.COUNTRY, Dimension.APP):
        at, name = int(dimension), dimension.name.lower()
        found |= {
            f"never_{name}_10m": np.where(is_fine, never["10m"][at], np.nan),
            f"never_{name}_1h": scene.known(never["1h"][at], dimension),
            f"never_{name}_24h": scene.known(never["24h"][at], dimension),
            f"peer_novel_{name}_1h": scene.known(peer[at], dimension),
            f"unknown_to_peers_{name}_1h": scene.known(both[at], dimension),
            f"surprise_{name}_1h": scene.known(surprise[at], dimension),
            f"rarity_{name}_1h": scene.known(rarity[at], dimension),
        }
    return found | {
        "over_peak_country_1h": scene.known(over_peak[int(Dimension.COUNTRY)], Dimension.COUNTRY),
        "over_peak_app_1h": scene.known(over_peak[int(Dimension.APP)], Dimension.APP),
        "novel_country_24h": scene.known(new.by_hour[:, int(Dimension.COUNTRY)].sum(axis=0) / NUSD, Dimension.COUNTRY),
        "novel_app_24h": scene.known(new.by_hour[:, int(Dimension.APP)].sum(axis=0) / NUSD, Dimension.APP),
    }


def _counts(scene: Scene) -> dict[str, Floats]:
    """First-seen values of the trailing hour by dimension, and distinct models and countries."""
    is_new = scene.state.slots["first_seen"][scene.slots] == NEVER
    used = scene.requests["1h"] > 0
    new = scene.by_key((used & is_new).astype(np.float64))
    distinct = scene.by_key(used.astype(np.float64))
    day = scene.by_key(((scene.requests["24h"] > 0) & is_new).astype(np.float64), Dimension.MODEL)
    model, country = int(Dimension.MODEL), int(Dimension.COUNTRY)
    return {
        "new_models_1h": scene.known(new[model]),
        "new_providers_1h": scene.known(new[int(Dimension.PROVIDER)], Dimension.PROVIDER),
        "new_countries_1h": scene.known(new[country], Dimension.COUNTRY),
        "new_apps_1h": scene.known(new[int(Dimension.APP)], Dimension.APP),
        "new_models_24h": scene.known(day),
        "n_models_1h": scene.known(distinct[model]),
        "n_countries_1h": scene.known(distinct[country], Dimension.COUNTRY),
    }
