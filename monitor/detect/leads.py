"""Leads: what is no proof, but makes one odd bucket enough to tell people. Pure numpy.

An alarm asks every look at every key for the same rarity. But a theft is likelier in some looks than in others, and p-values may be
weighted by that beforehand (Genovese, Roeder, Wasserman 2006): a look with a lead is told of at `weight x alpha`, in a single
bucket. A lead never supports a disable. What the leads find and cost, and how their weights were chosen: docs/detection.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from monitor.detect.levels import Bools, Floats, Ints
from monitor.domain import NUSD

YOUNG_NUSD: Final = 2 * NUSD
YOUNG_TIMES: Final = 10.0
"""A key without habits of its own cannot look rare; dollars an hour at stake speak for it."""

DEAR_NUSD: Final = 5 * NUSD
DEAR_TIMES: Final = 3.0
"""Dollars an hour at stake from which waiting for a second bucket costs more than a look; the weight grows with them, up to this."""

JOINT_NUSD: Final = NUSD // 5
JOINT_TIMES: Final = 5.0
"""Dollars of the hour new in model and in place at once."""

PLACES: Final = 2
PLACES_TIMES: Final = 5.0
"""Countries never seen with the key, within the hour."""

POWERS: Final = (1.0, 0.75, 0.5, 0.25)
OVERSTATED: Final = 3.0
"""Clean history is judged by detectors that do not know the key; the detector that is kept does, and was seen to raise a third
of the incidents or fewer (docs/detection.md). Within that the leads may add to what the alert budget buys; their weights are lowered to
the first of these powers at which they do, or they do not count."""


def weights(
    columns: Mapping[str, Floats], *, joint_nusd: Ints, stake_nusd: Ints, history_hours: Floats, grace_hours: float
) -> Floats:
    """By row: how many times as large a p-value is told of, the largest of its leads; 0 without a lead.

    `columns`: features by name, a missing one is no lead; the others as for `levels.signs`."""
    countries = columns.get("new_countries_1h", np.zeros(len(stake_nusd)))
    found = (
        np.where((history_hours < grace_hours) & (stake_nusd >= YOUNG_NUSD), YOUNG_TIMES, 0.0),
        np.where(stake_nusd >= DEAR_NUSD, np.minimum(stake_nusd / DEAR_NUSD, DEAR_TIMES), 0.0),
        np.where(joint_nusd >= JOINT_NUSD, JOINT_TIMES, 0.0),
        np.where(countries >= PLACES, PLACES_TIMES, 0.0),
    )
    return np.asarray(np.max(found, axis=0))


def is_told(p_value: Floats, weight: Floats, *, alpha: float | Floats, power: float) -> Bools:
    """Which rows one bucket is enough for. `power`: see `Levels.leads`; at 0 no lead counts."""
    if power <= 0.0:
        return np.zeros(len(p_value), dtype=np.bool_)
    has_lead = weight > 0.0
    times = np.where(has_lead, weight, 1.0) ** power
    return np.asarray(has_lead & (p_value <= times * alpha))
