"""Evidence that adds up: a key a little odd for hours is told of as surely as one that is very odd at once.

A bucket's *excess* is how far its score lies above what one clean bucket in two hundred reaches (`Levels.floor`). The excess
of a key over the last hour, and over the last six, in score-hours, are CUSUMs with a bounded memory (Page 1954; the bound
because a key that was odd last night shall not be one bucket away from an alarm all day). Pure numpy.
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

SHORT_S: Final = HOUR_S
LONG_S: Final = 6 * HOUR_S
"""How far back evidence counts. Longer adds false alarms and finds nothing more (docs/adr/0011)."""

FLOOR_QUANTILE: Final = 0.995
"""Share of clean rows below the floor."""

_KEY: Final = 1 << 36  # epoch seconds fit below it


@dataclass(frozen=True, slots=True)
class Patience:
    """What is carried from moment to moment: by key_no, (start of the bucket, score-hours) of the last hours, oldest first.

    Only buckets with an excess are kept, one entry each: a bucket judged again takes its newest value."""

    excess: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Score-hours (n,) of the last hour and of the last six, up to and with each row."""

    short: Floats
    long: Floats


def floor_of(clean_scores: Floats) -> float:
    """The score above which a bucket adds to the evidence."""
    return float(np.quantile(clean_scores, FLOOR_QUANTILE))


def gathered(scores: Floats, key_no: Ints, at_s: Ints, *, floor: float, step_s: int = BUCKET_S) -> Gathered:
    """The evidence at each row of a history; rows sorted by (key_no, at_s), one each `step_s`."""
    hours = step_s / HOUR_S
    total = np.concatenate([[0.0], np.cumsum(np.maximum(scores - floor, 0.0) * hours)])
    first = key_no.astype(np.int64) * _KEY
    code = first + at_s

    def over(window_s: int) -> Floats:
        begin = np.searchsorted(code, np.maximum(code - max(window_s, step_s) + 1, first), side="left")
        found: Floats = np.maximum(total[1:] - total[begin], 0.0)
        return found

    return Gathered(over(SHORT_S), over(LONG_S))


def added(
    patience: Patience,
    scores: Floats,
    key_no: npt.NDArray[np.integer],
    *,
    bucket_s: int,
    floor: float,
    hours: Floats,
) -> tuple[Gathered, Patience]:
    """The evidence at one live moment, and what to carry on. Judging a bucket again changes nothing.

    `hours`: how long each row stands for: ten minutes, or an hour where only hours are known. A bucket under way counts as a
    whole one: its score speaks of the trailing hour."""
    excess = np.maximum(scores - floor, 0.0) * hours
    judged = set(key_no.tolist())
    kept = {
        no: tuple(one for one in old if bucket_s - LONG_S < one[0] and (one[0] < bucket_s or no not in judged))
        for no, old in patience.excess.items()
    }

    def over(window_s: int) -> Floats:
        since = bucket_s - window_s
        before = {no: sum(amount for at, amount in old if since < at < bucket_s) for no, old in kept.items()}
        total: Floats = excess + np.array([before.get(no, 0.0) for no in key_no.tolist()])
        return total

    now = Gathered(over(SHORT_S), over(LONG_S))
    for row in np.flatnonzero(excess > 0).tolist():
        no = int(key_no[row])
        kept[no] = (*kept.get(no, ()), (bucket_s, float(excess[row])))
    return now, Patience({no: old for no, old in kept.items() if old})
