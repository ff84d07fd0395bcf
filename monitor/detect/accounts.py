"""What moved the scores of the few rows that are told of, in the currency of the calibration: -log10 of the p-value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.detect import explain
from monitor.detect.artifact import Trained
from monitor.detect.calibrate import p_values
from monitor.frames import FeatureBatch


def credited(
    batch: FeatureBatch, rows: Sequence[int], trained: Trained, *, cohort_no: npt.NDArray[np.integer]
) -> list[dict[str, float]]:
    """Share of the score by group of habits (`explain.GROUPS`), for each of these rows. `cohort_no`: their cohorts.

    One call of the detector for all of them, none where there are none."""
    if not rows:
        return []

    def rarity(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        each = np.repeat(cohort_no, scores.shape[1])
        return np.asarray(-np.log10(p_values(trained.calibration, scores.ravel(), each)).reshape(scores.shape))

    own = explain.own_baseline(batch.spend.iloc[list(rows)])
    found = explain.credit(trained.detector, batch.values[list(rows)], own=own, rarity=rarity)
    return [found.of(row) for row in range(len(rows))]
