"""What the key is used for: how far the mix of the trailing hour is from its habit, and how spread it is."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.domain import Dimension
from monitor.features.columns import Floats
from monitor.features.scene import Scene
from monitor.features.slots import NEVER

RARE: Final = 0.01
"""Share of a key's habit below which a value is rare for it."""


def features(scene: Scene) -> dict[str, Floats]:
    """Shares and distances in [0, 1], entropy in nats; NaN where the key has no habit yet or the hour is unknown."""
    now = _share_now(scene, scene.requests["1h"])
    overlap = scene.by_key(np.minimum(now, scene.share))
    has_habit = scene.state.keys["habit_total"][:, scene.index] > 0
    distance = np.where(has_habit, 1.0 - overlap, np.nan)
    entropy = scene.by_key(-now * np.log(np.where(now > 0, now, 1.0)), Dimension.MODEL)
    dollars = _share_now(scene, scene.cost["1h"])
    is_new = scene.state.slots["first_seen"][scene.slots] == NEVER
    model = int(Dimension.MODEL)
    new = scene.by_key(dollars * is_new, Dimension.MODEL)
    rare = scene.by_key(dollars * (scene.share < RARE), Dimension.MODEL)
    return {
        "model_distance_1h": scene.known(distance[model]),
        "country_distance_1h": scene.known(distance[int(Dimension.COUNTRY)], Dimension.COUNTRY),
        "app_distance_1h": scene.known(distance[int(Dimension.APP)], Dimension.APP),
        "model_entropy_1h": scene.known(np.maximum(entropy, 0.0)),
        "new_model_share_1h": scene.known(np.where(has_habit[model], np.minimum(new, 1.0), np.nan)),
        "rare_model_share_1h": scene.known(np.where(has_habit[model], np.minimum(rare, 1.0), np.nan)),
    }


def _share_now(scene: Scene, amount: Floats) -> Floats:
    """Each slot's share of its key's amount in its dimension; 0 where the key has none."""
    total = scene.by_key(amount)[scene.dimension, scene.key_at]
    return np.divide(amount, total, out=np.zeros(len(amount)), where=total > 0)
