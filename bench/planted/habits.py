"""What each key does by habit, from the days before the evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planted.recording import DAY, HOUR, MODEL, Recording
from planted.traffic import Mix, Traffic

Span = tuple[float, float]
QUIET_SHARE = 0.002
"""Of a key's requests: an hour of the day with less is one in which the key does not work."""


class Habits:
    """Arrays by key."""

    def __init__(self, recording: Recording):
        n = len(recording.keys)
        self.created = recording.created()
        rows = recording.rows[recording.rows["slot"] < recording.evaluation]
        totals = rows[rows["dim"] == MODEL]
        days = np.maximum(recording.evaluation - np.maximum(self.created, 0), DAY) / DAY
        by_key = totals.groupby("key")
        self.usd_day = by_key["usd"].sum().reindex(range(n), fill_value=0.0).to_numpy() / days
        self.requests = by_key["n"].sum().reindex(range(n), fill_value=0).to_numpy()
        self.last = by_key["slot"].max().reindex(range(n), fill_value=-30 * DAY).to_numpy()
        hour = totals["slot"] // HOUR % 24
        table = totals.groupby(["key", hour])["n"].sum().unstack(fill_value=0)
        counts = table.reindex(index=range(n), columns=range(24), fill_value=0).to_numpy(float)
        enough = counts.sum(axis=1, keepdims=True) > 100
        self.quiet = (counts < QUIET_SHARE * counts.sum(axis=1, keepdims=True)) & enough
        self._shares = rows.groupby(["key", "dim", "value"])["n"].sum()
        self._ever = recording.rows.groupby(["key", "dim", "value"])["n"].sum()

    def mix(self, key: int, dim: int) -> Mix:
        """Values of the key and their shares of its requests; of its whole life if it is young, empty if it has none."""
        for shares in (self._shares, self._ever):
            if (key, dim) in shares.index:
                found = shares.loc[(key, dim)]
                return {int(v): float(s) for v, s in (found / found.sum()).items()}
        return {}


@dataclass(frozen=True, slots=True)
class World:
    """All a theft or a twin is made from."""

    recording: Recording
    traffic: Traffic
    habits: Habits
    rng: np.random.Generator

    def values(self, dim: int) -> np.ndarray:
        rows = self.recording.rows
        return np.unique(rows.loc[rows["dim"] == dim, "value"])

    def name(self, value: int) -> str:
        return self.recording.values[value]

    def names(self, mix: Mix) -> list[str]:
        return sorted(self.name(v) for v in mix)


def world(recording: Recording, rng: np.random.Generator) -> World:
    return World(recording, Traffic(recording), Habits(recording), rng)


def uniform_log(rng: np.random.Generator, span: Span) -> float:
    return float(np.exp(rng.uniform(np.log(span[0]), np.log(span[1]))))


def blend(rng: np.random.Generator, values: np.ndarray, *, concentration: float = 1.0) -> Mix:
    """Random shares of these values."""
    return dict(zip(values.tolist(), (rng.dirichlet(np.full(len(values), concentration)) + 0.01).tolist(), strict=True))
