"""The scorer that lies beside a recording with labels, and what is asked of it.

Recording and scorer are no part of this repository: a folder with `labels.json`, `malicious.parquet`, `meta.json` and the
files of a recording (monitor/backtest/recording.py), and `score.py` in the folder above it.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from detect.grid import Bools, Grid
from monitor.backtest import Decision

Summary = dict[str, Any]
"""What the scorer's `summarise` returns."""


class NoLabels(Exception):
    """There is no labelled recording, or no scorer above it."""


def found(recording: Path) -> None:
    """Raises NoLabels saying which file of a labelled recording is missing."""
    for name in ("usage.parquet", "keys.json", "labels.json", "malicious.parquet", "meta.json"):
        if not (recording / name).exists():
            raise NoLabels(f"{recording / name} is missing: a labelled recording is needed")


def load(recording: Path) -> ModuleType:
    """The scorer above a recording. Raises NoLabels saying what is missing."""
    found(recording)
    script = recording.resolve().parent / "score.py"
    if not script.exists():
        raise NoLabels(f"{script} is missing: the scorer of the recording is needed")
    spec = importlib.util.spec_from_file_location("bench_scorer", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judged(scorer: ModuleType, truth: Any, decisions: Iterable[Decision]) -> dict[str, Any]:
    """What the scorer counts of these decisions on one recording."""
    return dict(scorer.judge(truth, _rows(scorer, truth, decisions)))


def _rows(scorer: ModuleType, truth: Any, decisions: Iterable[Decision]) -> list[tuple[str, pd.Timestamp, int]]:
    rows = [(d.key_hash, pd.Timestamp(d.at), scorer.ACTIONS[d.action]) for d in decisions]
    return sorted(row for row in rows if truth.begin < row[1] <= truth.end)


def summary(scorer: ModuleType, parts: Sequence[dict[str, Any]]) -> Summary:
    """Over one recording or several."""
    return dict(scorer.summarise(scorer.merge(list(parts))))


def false_per_week(
    scorer: ModuleType, truth: Any, grid: Grid, *, fires: Callable[[float], Bools]
) -> Callable[[float], float]:
    """From a threshold to false incidents a week, as the labels have it."""
    ends = [pd.Timestamp(grid.end_of(bucket)) for bucket in range(grid.n_buckets)]
    hashes = [grid.recording.catalog.key_hash(no) for no in range(len(grid.usd))]

    def rate(threshold: float) -> float:
        key_no, bucket = np.nonzero(fires(threshold)[:, grid.turn :])
        rows = sorted(
            (hashes[no], ends[grid.turn + at], 0) for no, at in zip(key_no.tolist(), bucket.tolist(), strict=True)
        )
        n_false = sum(incident["attack"] is None for incident in scorer.incidents(rows, truth))
        return float(n_false / truth.days * 7)

    return rate


HALVES = 2


def half_of(key_hash: str) -> int:
    """0 or 1, by a hash of the key."""
    return hashlib.sha256(key_hash.encode()).digest()[0] % HALVES


def half(truth: Any, half_no: int) -> Any:
    """The labels of half of the keys."""
    part = copy.copy(truth)
    part.attacks = [a for a in truth.attacks if half_of(a["key"]) == half_no]
    part.benign = [e for e in truth.benign if half_of(e["key"]) == half_no]
    part.by_key = {key: found for key, found in truth.by_key.items() if half_of(key) == half_no}
    return part


def halves(scorer: ModuleType, truth: Any, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """What the scorer counts on each half of the keys."""
    return [
        judged(scorer, half(truth, no), [d for d in decisions if half_of(d.key_hash) == no]) for no in range(HALVES)
    ]
