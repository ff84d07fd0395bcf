"""Samples of the keys' spend counters."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import sqlalchemy as sa

from monitor.frames import COUNTERS, epoch_s, utc_seconds
from monitor.store.matrices import Upsert, fetch, sql
from monitor.store.schema import counters

_NUMBERS: Final = ("key_no", "usage_nusd", "usage_daily_nusd")
_UPSERT: Final = Upsert.into(counters)
_READ: Final = sql(
    sa.select(*counters.columns)
    .where(counters.c.sampled_at >= sa.bindparam("a"), counters.c.sampled_at < sa.bindparam("b"))
    .order_by(*counters.primary_key)
)


def write_counters(connection: sa.Connection, frame: pd.DataFrame) -> None:
    """Sets COUNTERS samples."""
    columns = [epoch_s(frame["sampled_at"]), *(frame[name].to_numpy(np.int64) for name in _NUMBERS)]
    _UPSERT.run(connection, np.column_stack(columns))


def read_counters(connection: sa.Connection, since: int, until: int) -> pd.DataFrame:
    """COUNTERS sampled in the window, sorted by (sampled_at, key_no)."""
    rows = fetch(connection, _READ, (since, until), len(COUNTERS))
    columns = {name: rows[:, at].astype(COUNTERS[name]) for at, name in enumerate(_NUMBERS, start=1)}
    return pd.DataFrame({"sampled_at": utc_seconds(rows[:, 0]), **columns}, copy=False)
