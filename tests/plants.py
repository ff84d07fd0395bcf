"""A small fleet with habits of its own, and oddities planted into keys of it, one habit broken at a time. Seeded.

Half of the keys serve around the clock, half work in office hours; each has its models, places and volume, and now and then a
cheap try of something new. Every dimension is a full marginal, as at the issuer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import build
import numpy as np
import pandas as pd

from monitor import features, frames
from monitor.detect.forest import Forest
from monitor.domain import NUSD, Dimension
from monitor.features import NAMES, FleetState, HabitParams
from monitor.frames import FeatureBatch

PARAMS = HabitParams(half_life_h=168.0, quarantine_h=18, ring_hours=26)
START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
N_KEYS = 40
N_VALUES = {Dimension.MODEL: 30, Dimension.PROVIDER: 8, Dimension.COUNTRY: 30, Dimension.APP: 12}
N_COMMON = {Dimension.MODEL: 8, Dimension.PROVIDER: 4, Dimension.COUNTRY: 8, Dimension.APP: 6}
"""Values there are, and how many of them keys use by habit."""

USD_EACH = 0.01

Use = dict[Dimension, dict[int, float]]
"""Shares of requests by dimension and value number."""


def value_no(dimension: Dimension, number: int) -> int:
    return sum(N_VALUES[d] for d in Dimension if d < dimension) + number


def new_values(dimension: Dimension, n: int = 1) -> list[int]:
    """Values no key ever uses."""
    return [value_no(dimension, N_VALUES[dimension] - 1 - number) for number in range(n)]


@dataclass(frozen=True)
class Habit:
    """What one key does in an hour in which it works."""

    use: Use
    requests: float
    is_office: bool

    def works(self, at: datetime) -> bool:
        return not self.is_office or 8 <= at.hour < 18


@dataclass
class Fleet:
    """Habits of N_KEYS keys. `n_models`: how many the fleet uses by habit."""

    seed: int = 1
    n_models: int = N_COMMON[Dimension.MODEL]

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.habits = [self._habit(no) for no in range(N_KEYS)]

    def _habit(self, no: int) -> Habit:
        use: Use = {}
        for dimension in Dimension:
            n_common = self.n_models if dimension is Dimension.MODEL else N_COMMON[dimension]
            picked = self.rng.choice(n_common, size=int(self.rng.integers(1, 3)), replace=False)
            shares = self.rng.dirichlet(np.full(len(picked), 5.0))
            use[dimension] = {value_no(dimension, int(v)): float(s) for v, s in zip(picked, shares, strict=True)}
        return Habit(use, float(np.exp(self.rng.uniform(np.log(60), np.log(2_000)))), is_office=no % 2 == 1)

    def history(self, until: datetime) -> pd.DataFrame:
        """frames.USAGE by the hour from START on; one hour in sixty a key tries something, with a fiftieth of its requests."""
        rows: list[tuple[object, ...]] = []
        at = START
        while at < until:
            for no, habit in enumerate(self.habits):
                if habit.works(at):
                    n = max(1, round(habit.requests * float(self.rng.gamma(12.0, 1 / 12.0))))
                    use = self._trying(habit.use) if self.rng.random() < 1 / 60 else habit.use
                    rows += rows_of(at, no, use, n=n)
            at += HOUR
        return build.usage(*rows, bucket_s=3600)

    def _trying(self, use: Use) -> Use:
        dimension = Dimension(int(self.rng.integers(4)))
        tried = value_no(dimension, int(self.rng.integers(N_VALUES[dimension] - 2)))
        return mixed(use, dimension, {tried: 1.0}, share=0.02)

    def lived(self, until: datetime) -> FleetState:
        """A state that has seen everything up to an hour before `until`."""
        state = FleetState(PARAMS)
        state.advance(START)
        known = build.coverage(START, until - HOUR, bucket_s=3600)
        features.replay(state, self.history(until - HOUR), known, until=until)
        return state


def mixed(use: Use, dimension: Dimension, values: Mapping[int, float], *, share: float) -> Use:
    """The same use, but this share of it on other values of one dimension."""
    own = {value: part * (1 - share) for value, part in use[dimension].items()}
    return use | {dimension: own | {value: part * share for value, part in values.items()}}


def rows_of(
    at: datetime, key_no: int, use: Use, *, n: int, usd_each: float = USD_EACH, per_bucket: int = 1
) -> Iterable[tuple[object, ...]]:
    """Rows for `build.usage`: requests by share, at least one for each value."""
    for dimension, shares in use.items():
        for value, share in shares.items():
            count = max(1, round(n * share))
            yield at, key_no, int(dimension), value, count, round(count * usd_each * NUSD)


def trained_rows(fleet: Fleet, until: datetime) -> np.ndarray:
    """Clean feature rows of the last four days, by the hour."""
    state = FleetState(PARAMS)
    state.advance(START)
    usage = fleet.history(until)
    starts = frames.epoch_s(usage["bucket_start"])
    rows = []
    keys = build.inventory_frame(N_KEYS)
    at = START
    while at < until:
        end = at + HOUR
        state.advance(end)
        here = usage[starts == int(at.timestamp())]
        state.take_window(here, build.coverage(at, end, bucket_s=3600))
        if at >= until - timedelta(days=4):
            rows.append(features.build(state, keys, end).values)
        at = end
    return np.concatenate(rows)


def a_forest(rows: np.ndarray) -> Forest:
    forest = Forest(NAMES, n_trees=100, max_samples=1024)
    forest.fit(rows, np.ones(len(rows)), seed=1)
    return forest


def now_with(state: FleetState, planted: Iterable[tuple[object, ...]], at: datetime) -> FeatureBatch:
    """Features at `at`, an hour after the state's past; `planted`: ten-minute rows of that hour."""
    state.take_window(build.usage(*planted), build.coverage(at - HOUR, at))
    return features.build(state, build.inventory_frame(N_KEYS), at)
