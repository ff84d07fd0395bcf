"""Our own detector: as shipped, and with parts of it left out. A variant to try is one more entry of VARIANTS.

A variant is settings, and a change that holds while it is replayed: a part of the package is exchanged for another one, in a
process that does nothing else. Only names that the package looks up when it runs can be exchanged this way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import monitor.detect.calibrate
import monitor.detect.train
from monitor.backtest import Decision, FolderRecording, replay
from monitor.config import Settings
from monitor.detect.base import Thefts
from monitor.detect.contrast import Contrast
from monitor.features import NAMES

AS_SHIPPED = "as shipped"

GROUPS = {
    "newness": r"novel_|never_|new_(models|providers|countries|apps)_|joint_|second_novel|peer_|unknown_to_peers|over_peak"
    r"|rarity_|surprise_",
    "volume": r".*_(z|jump)_|limit_used",
    "mix": r".*_distance_|.*_entropy_|.*_share_1h|n_(models|countries)_",
    "rhythm": r"hour_surprise|silence_h|burst_share",
    "levels": r"usd_|n_requests_1h|tokens_per|usual_|mean_|times_|history_h|active_hours|habit_",
}
"""Features by what they are about, as regular expressions of the beginning of a name; the first that fits counts."""


def group_of(feature: str) -> str | None:
    """The group of a feature."""
    fitting = (name for name in ("rhythm", *GROUPS) if re.match(GROUPS[name], feature))
    return next(fitting, None)


@dataclass(frozen=True, slots=True)
class Variant:
    """What is different: the settings, or whatever `change` changes while it is entered."""

    settings: Settings = field(default_factory=Settings)
    change: Callable[[], AbstractContextManager[Any]] = nullcontext

    def decisions(self, recording: FolderRecording, *, seed: int) -> Sequence[Decision]:
        """What an armed service would have decided."""
        with self.change():
            return replay(recording, self.settings, seed=seed).decisions


@contextmanager
def exchanged(owner: Any, name: str, part: Any) -> Iterator[None]:
    """Another part in place of `owner.name`. Raises AttributeError where there is no such part."""
    before = getattr(owner, name)
    setattr(owner, name, part)
    try:
        yield
    finally:
        setattr(owner, name, before)


def with_settings(**sections: Any) -> Variant:
    """The shipped detector under other settings: with_settings(detection={"quarantine": "1h"})."""
    return Variant(Settings.model_validate(sections))


def without_features(group: str) -> Variant:
    """The detector is blind to a group of features; what is asked for beside the score before a key is disabled is not."""
    hidden = [no for no, name in enumerate(NAMES) if group_of(name) == group]

    def blinded(rows: Any) -> Any:
        seen = rows.copy()
        seen[:, hidden] = 0.0
        return seen

    class Blind(Contrast):
        def fit(self, rows: Any, weights: Any, *, seed: int, thefts: Thefts | None = None) -> None:
            told = None if thefts is None else Thefts(blinded(thefts.values), thefts.key_no, thefts.is_stolen)
            super().fit(blinded(rows), weights, seed=seed, thefts=told)

        def score(self, rows: Any) -> Any:
            return super().score(blinded(rows))

    return Variant(change=lambda: exchanged(monitor.detect.train, "Contrast", Blind))


def forest_alone() -> Variant:
    """An isolation forest on the same features: nothing is learned from simulated thefts."""
    return Variant(change=lambda: exchanged(monitor.detect.train, "MIN_THEFTS", np.inf))


def without_accumulation() -> Variant:
    """The whole alert budget for sudden alarms: evidence of several buckets never adds up."""
    return Variant(change=lambda: exchanged(monitor.detect.calibrate, "SHARES", (1.0, 0.0, 0.0)))


def without_cross_fitting() -> Variant:
    """Calibrated on scores of the very rows it was fitted on."""

    def in_sample(rows: Any, thefts: Thefts | None, make: Any, *, seed: int, pool: Any) -> Any:
        detector = make(rows.names)
        weights = monitor.detect.train._weights(rows.key_no)
        detector.fit(rows.values, weights, seed=seed, thefts=thefts)
        stolen = np.zeros(0) if thefts is None else detector.score(thefts.values[thefts.is_stolen])
        return monitor.detect.train._Crossed(detector.score(rows.values), stolen)

    return Variant(change=lambda: exchanged(monitor.detect.train, "_cross_scores", in_sample))


VARIANTS: dict[str, Callable[[], Variant]] = {
    AS_SHIPPED: Variant,
    **{f"without {group}": partial(without_features, group) for group in GROUPS},
    "forest alone": forest_alone,
    "without accumulation": without_accumulation,
    "without cross-fitting": without_cross_fitting,
    "without quarantine": lambda: with_settings(detection={"quarantine": "0s"}),
}
