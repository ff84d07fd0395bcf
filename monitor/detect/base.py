"""What a detector is: it turns feature rows into scores. Calibration, evidence and decisions are not its business."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt


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

    def fit(self, rows: npt.NDArray[np.floating], weights: npt.NDArray[np.float64], *, seed: int) -> None:
        """Learns from rows (n, n_features), NaN where a feature is unknown, each with a weight."""
        ...

    def score(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Scores (n,), **higher is more anomalous**; one call a cycle."""
        ...
