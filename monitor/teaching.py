"""From a walk through history to a trained detector: what the service's own training, the replay and `make train` share.

At each moment of the walk the features of all active keys are kept, as the live path would have seen them; at some of them
strangers are put onto copies of keys, drawn with a seed, so that the same history makes the same detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np

from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.detect.base import Thefts
from monitor.detect.train import Excluded, Gathering, Rows, train
from monitor.domain import ApiKey
from monitor.features import NAMES
from monitor.pipeline import Pipeline

N_THEFTS: Final = 8_000
"""Simulated thefts wanted over the whole walk: more find little more, and each costs a millisecond."""

N_A_KEY: Final = 100
"""Simulated thefts for each key there is: a small fleet has not more to teach."""

N_AT_ONCE: Final = 48
"""Simulated thefts of one moment."""


class Teaching:
    """Looks at moments of a pipeline's walk through history, and trains on what it saw. `n_moments`: how many there will be."""

    def __init__(self, pipeline: Pipeline, *, n_moments: int, seed: int) -> None:
        self._pipeline = pipeline
        self._gathering = Gathering(NAMES)
        self._rng = np.random.default_rng(seed)
        self._n_moments = n_moments
        self._n_looks = 0
        self._rows: Rows | None = None

    def look(self, at: datetime, keys: Mapping[str, ApiKey]) -> None:
        """Takes in the moment at which the pipeline stands. `keys`: those that existed then, by hash."""
        batch = self._pipeline.features(at, keys)
        self._gathering.add(batch)
        self._n_looks += 1
        if keys and self._n_looks % self._every(len(keys)) == 0:
            robbed = self._pipeline.robbed(at, keys, self._rng, active=batch.key_no, n=N_AT_ONCE)
            if robbed is not None:
                self._gathering.add_thefts(*robbed)

    def _every(self, n_keys: int) -> int:
        """How many moments there are to one with thefts."""
        return max(1, self._n_moments * N_AT_ONCE // min(N_THEFTS, N_A_KEY * n_keys))

    @property
    def rows(self) -> Rows:
        """What was seen, in one table; put together once, at the end."""
        if self._rows is None:
            self._rows = self._gathering.rows()
        return self._rows

    @property
    def thefts(self) -> Thefts | None:
        """The simulated thefts."""
        return self._gathering.thefts()

    def trained(self, settings: Settings, *, excluded: Sequence[Excluded] = (), seed: int) -> Trained:
        """The detector. Raises ArtifactError where there was too little to see."""
        return train(self.rows, settings, excluded=excluded, thefts=self._gathering.thefts(), seed=seed)
