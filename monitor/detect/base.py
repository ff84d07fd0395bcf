"""What a detector is: it turns feature rows into scores. Calibration, evidence and decisions are not its business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Thefts:
    """Feature rows of simulated thefts: `values` (n, n_features); `key_no` (n,) the key each was played on; `is_stolen` (n,)
    False for honest twins: owners with something new, and keys only made to look young. `at_s` (n,): the moment, epoch
    seconds, where it is known."""

    values: npt.NDArray[np.floating]
    key_no: npt.NDArray[np.int64]
    is_stolen: npt.NDArray[np.bool_]
    at_s: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.key_no)

    def take(self, mask: npt.NDArray[np.bool_]) -> Thefts:
        """The rows where mask holds."""
        at_s = None if self.at_s is None else self.at_s[mask]
        return Thefts(self.values[mask], self.key_no[mask], self.is_stolen[mask], at_s)


class Detector(Protocol):
    """Fitted on the fleet's own feature rows; state that fitting makes ends in `_`."""

    @property
    def name(self) -> str:
        """Short, stable, as in `detect/<name>.py`."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns it was made for, in order."""
        ...

    def fit(
        self,
        rows: npt.NDArray[np.floating],
        weights: npt.NDArray[np.float64],
        *,
        seed: int,
        thefts: Thefts | None = None,
    ) -> None:
        """Learns from rows (n, n_features), NaN where a feature is unknown, each with a weight; and from simulated thefts,
        if it is of the kind that does."""
        ...

    def score(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Scores (n,), **higher is more anomalous**; one call a cycle."""
        ...
