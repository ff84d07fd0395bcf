"""Judging a made-up moment: two keys, a detector whose score is the first feature, clean scores 0.00 .. 9.99."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from build import NOW, a_batch, a_quality

from monitor import frames
from monitor.config import Settings
from monitor.detect import artifact
from monitor.detect.artifact import Manifest, Trained
from monitor.detect.calibrate import calibrate
from monitor.detect.findings import Memory, find
from monitor.detect.levels import Levels
from monitor.domain import NUSD, Finding
from monitor.frames import Catalog, FeatureBatch

NAMES = ("spend", "novelty")
CATALOG = Catalog(["a" * 64, "b" * 64], [(0, "acme/opus-9"), (0, "acme/mini"), (2, "KP"), (2, "VN"), (2, "NG")])


@dataclass
class FirstColumn:
    """A detector whose score is the first feature."""

    name: str = "first"
    feature_names: tuple[str, ...] = NAMES

    def fit(self, rows: np.ndarray, weights: np.ndarray, *, seed: int) -> None:
        """Nothing to learn."""

    def score(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, 0]


def trained(**levels: float) -> Trained:
    """Clean scores 0.00 .. 9.99 in both cohorts: a score of 9.9 has p-value 0.01."""
    clean = np.arange(1_000) / 100
    calibration = calibrate(np.tile(clean, 2), np.repeat([0, 1], 1_000), n_cohorts=2)
    manifest = Manifest(
        format=artifact.FORMAT, detector="first", feature_names=NAMES, versions={}, trained_since=NOW,
        trained_until=NOW, seed=1, n_rows=2_000, n_keys=2, n_rows_left_out=0, max_false_alerts_per_week=5.0,
        clean_incidents_per_week=1.0,
        levels=Levels(**({"alpha": 0.02, "joint_nusd_per_hour": 5e9, "floor": 9.95, "disable": {"dollars": 1.0}} | levels)),
    )  # fmt: skip
    return Trained(FirstColumn(), calibration, manifest)


KEYS = pd.DataFrame(
    {
        "key_no": [0, 1], "created_at": pd.Timestamp("2026-01-01", tz="UTC").as_unit("s"), "owner_no": 0,
        "is_disabled": False, "limit_nusd": np.nan, "limit_remaining_nusd": np.nan,
    }
).astype(dict(frames.KEYS))  # fmt: skip


def judge(
    batch: FeatureBatch,
    memory: Memory | None = None,
    *,
    settings: Settings | None = None,
    by: Trained | None = None,
    **changes: Any,
) -> tuple[tuple[Finding, ...], Memory]:
    arguments: dict[str, Any] = {
        "keys": KEYS,
        "names": {},
        "quality_of": lambda key_no: a_quality(),
        "catalog": CATALOG,
    }
    arguments |= {"settings": settings or Settings(), **changes}
    return find(batch, by or trained(), memory or Memory(), **arguments)


def hot(at: Any = NOW, *, score: float = 9.9, **columns: Any) -> FeatureBatch:
    """Key 0 with p-value 0.01 and four dollars an hour of unusual spend."""
    return a_batch(
        at, values=[[score, 0.0]], **({"per_hour_nusd": 4 * NUSD, "novel_per_hour_nusd": 4 * NUSD} | columns)
    )
