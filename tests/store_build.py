"""Small frames for tests of stores: rows as tuples in, frames of the right dtypes out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from monitor.domain import BUCKET_S, Dimension
from monitor.frames import ALL_KEYS, COUNTERS, COVERAGE, QUALITY_CODES, USAGE, Catalog
from monitor.store.base import Store
from monitor.store.sqlite import SqliteStore

T0 = 1_763_996_400
"""A full hour, 2025-11-24 15:00 UTC."""


def moment(epoch_s: int) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def frame_of(schema: dict[str, str] | Any, rows: Iterable[tuple[int, ...]]) -> pd.DataFrame:
    """Rows of integers, columns in the order of the schema."""
    matrix = np.array(list(rows), dtype=np.int64).reshape(-1, len(schema))
    columns = {}
    for at, (name, dtype) in enumerate(schema.items()):
        if dtype.startswith("datetime"):
            columns[name] = pd.Series(matrix[:, at].astype("datetime64[s]")).dt.tz_localize("UTC")
        else:
            columns[name] = pd.Series(matrix[:, at].astype(dtype))
    return pd.DataFrame(columns)


def a_row(
    bucket_start: int = T0,
    *,
    key_no: int = 0,
    value_no: int = 0,
    cost: int = 1000,
    size: int = BUCKET_S,
    dimension: int = 0,
) -> tuple[int, ...]:
    """One row of USAGE; all its numbers follow from `cost`."""
    return (bucket_start, size, key_no, dimension, value_no, cost % 97, cost % 89, cost % 83, cost % 7, cost)


def usage(*rows: tuple[int, ...]) -> pd.DataFrame:
    return frame_of(USAGE, rows)


def a_span(
    since: int = T0,
    until: int = T0 + BUCKET_S,
    *,
    key_no: int = ALL_KEYS,
    dimension: int = Dimension.MODEL,
    size: int = BUCKET_S,
    quality: str = "known",
    as_of: int = T0 + 10_000,
) -> tuple[int, ...]:
    """One row of COVERAGE."""
    return (key_no, int(dimension), size, since, until, QUALITY_CODES[quality], as_of)


def coverage(*rows: tuple[int, ...]) -> pd.DataFrame:
    return frame_of(COVERAGE, rows)


def counters(*rows: tuple[int, int, int, int]) -> pd.DataFrame:
    return frame_of(COUNTERS, rows)


def fill(catalog: Catalog, *, n_keys: int = 3, n_values: int = 8) -> None:
    """Keys `key-0`…, values `value-0`… whose dimension is their number modulo 4."""
    for number in range(n_keys):
        catalog.key_no(f"key-{number}")
    for number in range(n_values):
        catalog.value_no(number % 4, f"value-{number}")


def rows_of(frame: pd.DataFrame) -> list[tuple[int, ...]]:
    """The inverse of `frame_of`, in the frame's order."""
    columns = [
        frame[name].to_numpy("datetime64[s]").astype(np.int64)
        if str(dtype).startswith("datetime")
        else frame[name].to_numpy()
        for name, dtype in frame.dtypes.items()
    ]
    return [tuple(int(cell) for cell in row) for row in zip(*columns, strict=True)]


def fill_the_disk(store: Store, *, also_reading: bool = False) -> None:
    """From now on SQLite finds no room to write for as long as the reserve is there."""
    assert isinstance(store, SqliteStore)
    database = store.maintenance._database
    kinds = ("INSERT", "UPDATE", "DELETE", *(("SELECT",) if also_reading else ()))

    @sa.event.listens_for(database.engine, "before_cursor_execute")
    def full(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if database.reserve.is_held and statement.lstrip().startswith(kinds):
            error: Any = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
