"""When the key is used: hours of the day it does not work in, silence before, and the shape of the hour."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.domain import Dimension
from monitor.features.columns import Floats
from monitor.features.levels import DAY_H
from monitor.features.scene import SILENCE_AFTER_H, Scene

PRIOR_WEIGHT: Final = 24.0
"""Weight of the uniform day: a key's rhythm is believed after some days."""


def features(scene: Scene) -> dict[str, Floats]:
    """Surprise in nats, silence in hours, burst as a share; NaN where unknown."""
    return {
        "hour_surprise": scene.known(hour_surprise(scene)),
        "silence_h": silence(scene),
        "burst_share_1h": _burst(scene),
    }


def hour_surprise(scene: Scene) -> Floats:
    """How much rarer than a uniform day this hour of the day is for the key (with half of each neighboring hour), >= 0."""
    unit = scene.state.gain(scene.hour)
    rhythm = scene.state.keys["rhythm"][:, scene.index] / unit
    hour = scene.hour % DAY_H
    near = (0.5 * rhythm[hour - 1] + rhythm[hour] + 0.5 * rhythm[(hour + 1) % DAY_H]) / 2.0
    total = rhythm.sum(axis=0)
    chance = (near + PRIOR_WEIGHT / DAY_H) / (total + PRIOR_WEIGHT)
    surprise: Floats = np.maximum(-np.log(DAY_H * chance), 0.0)
    return surprise


def silence(scene: Scene) -> Floats:
    """Hours without a request before the last six; the whole known history for a key that never worked before."""
    newest = np.full(scene.n, -1, np.int64)
    np.maximum.at(newest, scene.key_at, scene.used_until)
    newest = np.maximum(newest, scene.state.keys["last_active"][scene.index])
    since = scene.hour - SILENCE_AFTER_H - newest
    known = scene.history + scene.state.params.quarantine_h
    return np.maximum(np.where(newest >= 0, np.minimum(since, known), known), 0.0)


def _burst(scene: Scene) -> Floats:
    """Share of the trailing hour's spend in its hottest ten minutes; NaN on hourly rows or without spend."""
    by_bucket = scene.cost_by_bucket
    total = by_bucket.sum(axis=0)
    is_fine = scene.is_fine[int(Dimension.MODEL)] & (total > 0)
    share: Floats = np.divide(by_bucket.max(axis=0), total, out=np.full(scene.n, np.nan), where=is_fine)
    return share
