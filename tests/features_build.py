"""A small fleet with plain habits, for tests of what features say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import build
import pandas as pd

from monitor import features
from monitor.domain import NUSD
from monitor.features import FleetState, HabitParams

PARAMS = HabitParams(half_life_h=168.0, quarantine_h=18, ring_hours=26)
START = datetime(2026, 11, 2, tzinfo=UTC)
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
DAYS = 5
NOW = START + DAYS * DAY
MODEL, PROVIDER, COUNTRY, APP = range(4)
USUAL = {MODEL: 10, PROVIDER: 20, COUNTRY: 30, APP: 40}
STRANGE = {MODEL: 11, PROVIDER: 21, COUNTRY: 31, APP: 41}


def one_use(at: datetime, key_no: int, values: dict[int, int], *, n: int, cost: int) -> list[tuple[object, ...]]:
    return [(at, key_no, dimension, value, n, cost) for dimension, value in values.items()]


def habit(*, n_keys: int = 3, currency: int = 1, extra: int = 0) -> pd.DataFrame:
    """Hourly history: each key does much the same each hour; `extra` scales what keys other than 0 do."""
    rows: list[tuple[object, ...]] = []
    for hour in range(DAYS * 24 - 1):
        for key_no in range(n_keys):
            n = 20 + hour % 5 + (extra if key_no else 0)
            rows += one_use(START + hour * HOUR, key_no, USUAL, n=n, cost=currency * n * NUSD // 100)
    return build.usage(*rows, bucket_s=3600)


def taught(usage: pd.DataFrame, *, known_from: datetime = START) -> FleetState:
    """A state that has replayed hourly history up to an hour before NOW."""
    state = FleetState(PARAMS)
    state.advance(START)
    features.replay(state, usage, build.coverage(known_from, NOW - HOUR, bucket_s=3600), until=NOW)
    return state
