"""What a reference is: a score for each key and bucket, and what it says and does at a threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detect.grid import Bools, Floats, Grid, Ints
from monitor.backtest import Decision

OFF = -np.inf
"""Score of a key and bucket that a reference does not judge."""


@dataclass(frozen=True, slots=True)
class Scores:
    """`alert` (n_rows, n_buckets): an alert goes out at or above the threshold. `stop`: the limit is reached at or above it.

    Rows are keys; where they are not, `key_of` (n_rows, n_buckets) says which key an alert counts for, out of `n_keys`.
    `day` of each bucket: given, a thing is said once a day. `refuses`: a reached limit takes the key out of service.
    `raw`: what `alert` was smoothed from, if it was."""

    alert: Floats
    stop: Floats | None = None
    day: Ints | None = None
    key_of: Ints | None = None
    n_keys: int = 0
    refuses: bool = False
    raw: Floats | None = None

    def fires(self, threshold: float) -> Bools:
        """(n_keys, n_buckets): where an alert goes out."""
        said = self._said(self.alert >= threshold)
        if self.stop is not None:
            said = said | self._said(self.stop >= threshold)
        if self.key_of is None:
            return said
        row, bucket = np.nonzero(said)
        found = np.zeros((self.n_keys, said.shape[1]), dtype=np.bool_)
        found[self.key_of[row, bucket], bucket] = True
        return found

    def stops(self, threshold: float) -> Bools:
        """Where a key is refused from then on."""
        if self.stop is None or not self.refuses:
            return np.zeros(self.alert.shape, dtype=np.bool_)
        return self._said(self.stop >= threshold)

    def _said(self, hot: Bools) -> Bools:
        if self.day is None:
            return hot
        first = hot.copy()
        first[:, 1:] &= ~(hot[:, :-1] & (self.day[1:] == self.day[:-1]))
        return first


@dataclass(frozen=True, slots=True)
class Reference:
    """`as_given`: scores and threshold as its authors or its textbook have them, where they do; `source` says where."""

    name: str
    score: Callable[[Grid], Scores]
    as_given: Callable[[Grid, Scores], tuple[Scores, float]] | None = None
    source: str = ""


def decided(reference: Reference, scores: Scores, grid: Grid, threshold: float) -> list[Decision]:
    """What the reference would have said and done after `Grid.turn`."""
    stops = scores.stops(threshold)
    key_no, bucket = np.nonzero(scores.fires(threshold)[:, grid.turn :])
    at = bucket + grid.turn
    stop = stops[key_no, at] if stops.any() else np.zeros(len(at), dtype=np.bool_)
    level = scores.alert[key_no, at] if scores.key_of is None else np.full(len(at), threshold)
    found = zip(key_no.tolist(), at.tolist(), stop.tolist(), level.tolist(), strict=True)
    return grid.decisions(found, reason=reference.name)
