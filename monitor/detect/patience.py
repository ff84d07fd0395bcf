"""Evidence that adds up: a key a little odd for hours is told of as surely as one that is very odd at once.

A bucket's *excess* is how far its score lies above what one clean bucket in two hundred reaches (`Levels.floor`). The excess
of a key's last six hours, in score-hours, is a CUSUM with a bounded memory (Page 1954; the bound because a key that was odd
last night shall not be one bucket away from an alarm all day). Pure numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.domain import BUCKET_S, HOUR_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WINDOW_S: Final = 6 * HOUR_S
"""How far back evidence counts. Longer adds false alarms and finds nothing more (docs/detection.md)."""

FLOOR_QUANTILE: Final = 0.995
"""Share of clean rows below the floor."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What patience carries from moment to moment: by key_no, (start of the bucket, excess) of the last hours, oldest first.

    Only buckets with an excess are kept, one entry each: a bucket judged again takes its newest value."""

    excess: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)


def floor_of(clean_scores: Floats) -> float:
    """The score above which a bucket adds to the evidence."""
    return float(np.quantile(clean_scores, FLOOR_QUANTILE))


def gathered(scores: Floats, key_no: Ints, at_s: Ints, *, floor: float, step_s: int = BUCKET_S) -> Floats:
    """Score-hours of the last six hours up to and with each row; rows sorted by (key_no, at_s), one each `step_s`."""
    hours = step_s / HOUR_S
    total = np.concatenate([[0.0], np.cumsum(np.maximum(scores - floor, 0.0) * hours)])
    code = key_no.astype(np.int64) * (1 << 36) + at_s
    first = np.searchsorted(code, np.maximum(code - WINDOW_S + 1, key_no.astype(np.int64) * (1 << 36)), side="left")
    found: Floats = np.maximum(total[1:] - total[first], 0.0)
    return found


def added(
    patience: Patience, scores: Floats, key_no: npt.NDArray[np.integer], *, bucket_s: int, floor: float
) -> tuple[Floats, Patience]:
    """The same for one live moment: score-hours by row, and what to carry on. Judging a bucket again changes nothing."""
    since = bucket_s - WINDOW_S
    excess = np.maximum(scores - floor, 0.0)
    judged = set(key_no.tolist())
    kept = {
        no: tuple(one for one in old if since < one[0] and (one[0] < bucket_s or no not in judged))
        for no, old in patience.excess.items()
    }
    before = {no: sum(amount for at, amount in old if at < bucket_s) for no, old in kept.items()}
    total = excess + np.array([before.get(no, 0.0) for no in key_no.tolist()])
    for row in np.flatnonzero(excess > 0).tolist():
        no = int(key_no[row])
        kept[no] = (*kept.get(no, ()), (bucket_s, float(excess[row])))
    return total * (BUCKET_S / HOUR_S), Patience({no: old for no, old in kept.items() if old})
