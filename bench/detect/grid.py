"""A recording as dense tables: one row a key, one column a ten-minute bucket. Column b is known at the end of bucket b."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from monitor import frames
from monitor.backtest import ALERT, REVOKE, Decision, FolderRecording
from monitor.domain import BUCKET_S, NUSD, Dimension

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HOUR = 6
DAY = 144
"""Buckets."""


@dataclass(frozen=True, slots=True)
class Uses:
    """Usage of the values of one dimension, one entry a key, bucket and value: `since_first` counts the buckets since the key
    first used the value in this recording."""

    key_no: Ints
    bucket: Ints
    since_first: Ints
    usd: Floats


@dataclass(frozen=True, slots=True)
class Grid:
    """Tables (n_keys, n_buckets): dollars, requests, tokens and distinct models of each key and bucket.

    `turn`: the first bucket after which decisions count. `born`: the bucket in which a key was created, 0 for older ones.
    `workspace_no`: a number for each key's workspace."""

    recording: FolderRecording
    usd: Floats
    n_requests: Floats
    n_tokens: Floats
    n_models: Floats
    born: Ints
    workspace_no: Ints
    models: Uses
    countries: Uses
    turn: int

    @property
    def n_buckets(self) -> int:
        return int(self.usd.shape[1])

    @property
    def age(self) -> Ints:
        """Buckets a key has been known for, at the end of each bucket; negative before its creation."""
        return np.arange(self.n_buckets)[None, :] - self.born[:, None]

    def end_of(self, bucket: int) -> datetime:
        return self.recording.since + timedelta(seconds=(bucket + 1) * BUCKET_S)

    def decisions(self, found: Iterable[tuple[int, int, bool, float]], *, reason: str) -> list[Decision]:
        """(key, bucket, whether the key is refused from then on, score) as decisions, in order of time."""
        made = [
            Decision(
                self.end_of(bucket), self.recording.catalog.key_hash(no), REVOKE if stop else ALERT, score, (reason,)
            )
            for no, bucket, stop, score in found
        ]
        return sorted(made, key=lambda decision: (decision.at, decision.key_hash))


def of(recording: FolderRecording) -> Grid:
    """The tables of a recording in ten-minute buckets."""
    n_keys = recording.catalog.n_keys
    start_s = int(recording.since.timestamp())
    n_buckets = (int(recording.until.timestamp()) - start_s) // BUCKET_S
    bucket = (frames.epoch_s(recording.usage["bucket_start"]) - start_s) // BUCKET_S
    usage = recording.usage
    is_model = usage["dimension"].to_numpy() == int(Dimension.MODEL)
    cell = usage["key_no"].to_numpy().astype(np.int64)[is_model] * n_buckets + bucket[is_model]

    def table(amount: npt.NDArray[np.generic] | None) -> Floats:
        return np.bincount(cell, amount, minlength=n_keys * n_buckets).reshape(n_keys, n_buckets).astype(np.float64)

    tokens = usage["tokens_prompt"].to_numpy() + usage["tokens_completion"].to_numpy()
    created = np.zeros(n_keys, dtype=np.int64)
    spaces: dict[str | None, int] = {}
    workspace_no = np.zeros(n_keys, dtype=np.int64)
    for key in recording.keys:
        no = recording.catalog.key_no(key.key_hash)
        created[no] = int(key.created_at.timestamp())
        workspace_no[no] = spaces.setdefault(key.workspace_id, len(spaces))
    return Grid(
        recording=recording,
        usd=table(usage["cost_nusd"].to_numpy()[is_model] / NUSD),
        n_requests=table(usage["n_requests"].to_numpy()[is_model]),
        n_tokens=table(tokens[is_model]),
        n_models=table(None),
        born=np.maximum((created - start_s) // BUCKET_S, 0),
        workspace_no=workspace_no,
        models=_uses(recording, bucket, Dimension.MODEL),
        countries=_uses(recording, bucket, Dimension.COUNTRY),
        turn=(int(recording.evaluate_from.timestamp()) - start_s) // BUCKET_S,
    )


def _uses(recording: FolderRecording, bucket: Ints, dimension: Dimension) -> Uses:
    """The rows are sorted by time, so the first of a key and value is its first use."""
    rows = recording.usage["dimension"].to_numpy() == int(dimension)
    usage = recording.usage[rows]
    key_no, at = usage["key_no"].to_numpy().astype(np.int64), bucket[rows]
    pair = key_no * (recording.catalog.n_values + 1) + usage["value_no"].to_numpy()
    _, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    return Uses(key_no, at, at - at[first][inverse], usage["cost_nusd"].to_numpy() / NUSD)


def trailing(table: Floats, width: int) -> Floats:
    """Sums over each bucket and the `width` - 1 before it. Rounded to nano-units, so that empty windows are zero."""
    total = np.cumsum(np.pad(table, ((0, 0), (width, 0))), axis=1)
    return np.round(total[:, width:] - total[:, :-width], 9)


def first_bucket(grid: Grid) -> int:
    """Which bucket of its UTC day the recording begins with."""
    return int(grid.recording.since.timestamp()) % 86_400 // BUCKET_S


def within_day(grid: Grid) -> Ints:
    """The UTC day that each bucket is part of, counted from the first."""
    return (first_bucket(grid) + np.arange(grid.n_buckets)) // DAY
