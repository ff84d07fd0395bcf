"""Hourly spend of a recording, and what was expected of each hour when it began: what charts are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.backtest.recording import Recording
from monitor.domain import HOUR_S, Dimension
from monitor.pipeline import Pipeline

Floats = npt.NDArray[np.float64]

Watching = Callable[[Pipeline, datetime], None]
"""Told of each moment that was judged, with the pipeline as it stands then."""


@dataclass(slots=True)
class Usual:
    """What each key was expected to spend in each whole hour, as it was known when the hour began."""

    hours: list[int] = field(default_factory=list)
    rows: list[Floats] = field(default_factory=list)

    def watch(self, pipeline: Pipeline, at: datetime) -> None:
        """Notes the hour that begins at `at`; moments within an hour are passed over."""
        moment_s = int(at.timestamp())
        if moment_s % HOUR_S == 0:
            self.hours.append(moment_s)
            self.rows.append(pipeline.expected_per_hour_nusd(at).copy())

    def of(self, key_no: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """(hour starts in epoch seconds, nano-dollars expected) of one key; NaN where it had no history to say so."""
        usual = [float(row[key_no]) if key_no < len(row) else np.nan for row in self.rows]
        return np.array(self.hours, dtype=np.int64), np.array(usual, dtype=np.float64)


def by_model(recording: Recording) -> pd.DataFrame:
    """Hourly spend of all keys from the first decision on: `hour_s` (epoch seconds of its start), `key_no`, `value_no` of the
    model, `cost_nusd`; sorted by them. Hours without a row cost nothing or are not known: see `Recording.gaps`."""
    parts = [
        _spent(usage[(usage["dimension"] == int(Dimension.MODEL)).to_numpy()])
        for usage in recording.hourly(recording.evaluate_from, recording.until)
    ]
    together = pd.concat([*parts, _spent(frames.empty(frames.USAGE))], ignore_index=True)
    keys = ["hour_s", "key_no", "value_no"]
    return together.groupby(keys, as_index=False, sort=True)[["cost_nusd"]].sum()


def _spent(usage: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "hour_s": frames.epoch_s(usage["bucket_start"]) // HOUR_S * HOUR_S,
            "key_no": usage["key_no"].to_numpy(np.int64),
            "value_no": usage["value_no"].to_numpy(np.int64),
            "cost_nusd": usage["cost_nusd"].to_numpy(np.int64),
        }
    )
