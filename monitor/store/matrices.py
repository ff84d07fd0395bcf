"""Rows as int64 matrices, between SQLite and frames: one row a row, one column a column, no Python object kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.errors import StoreError

Matrix: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_CHUNK_ROWS: Final = 10_000  # as Python tuples 4 MB; a million would take 400
_WRITE_ROWS: Final = 10_000  # at a time as Python numbers: 3 MB
_GROUP_ROWS: Final = 200
_DIALECT: Final = sqlite.dialect(paramstyle="qmark")


def sql(statement: sa.ClauseElement) -> str:
    """The text of a Core statement, its parameters as `?` in the order written: for rows handed over as tuples."""
    return str(statement.compile(dialect=_DIALECT))


def upsert_sql(table: sa.Table) -> str:
    """INSERT of all columns in order that replaces the row of the same primary key."""
    insert = sqlite.insert(table).values({column.name: sa.bindparam(column.name) for column in table.columns})
    rest = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    return sql(insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=rest))


def delete_sql(table: sa.Table) -> str:
    """DELETE by primary key."""
    return sql(sa.delete(table).where(*(column == sa.bindparam(f"pk_{column.name}") for column in table.primary_key)))


def cursor(connection: sa.Connection) -> sqlite3.Cursor:
    """The driver's own cursor within the connection's transaction: plain tuples, a third of the time."""
    driver: Any = connection.connection.driver_connection
    made: sqlite3.Cursor = driver.cursor()
    return made


def fetch(connection: sa.Connection, statement: str, parameters: Sequence[object], n_columns: int) -> Matrix:
    """All rows of a query of integers, int64[n, n_columns]."""
    rows = cursor(connection).execute(statement, tuple(parameters))
    parts: list[Matrix] = []
    while chunk := rows.fetchmany(_CHUNK_ROWS):
        flat = np.fromiter(chain.from_iterable(chunk), np.int64, len(chunk) * n_columns)
        parts.append(flat.reshape(-1, n_columns))
    return np.concatenate(parts) if parts else np.empty((0, n_columns), np.int64)


def execute_rows(connection: sa.Connection, statement: str, rows: Matrix) -> None:
    """Runs a statement once for each row of a matrix, columns as parameters."""
    for first in range(0, len(rows), _WRITE_ROWS):
        cursor(connection).executemany(statement, rows[first : first + _WRITE_ROWS].tolist())


@dataclass(frozen=True, slots=True)
class Upsert:
    """Sets rows of an all-integer table. Two hundred rows to a statement take a third less time than one."""

    one: str
    many: str

    @classmethod
    def into(cls, table: sa.Table) -> Upsert:
        """For that table, columns in its order."""
        one = upsert_sql(table)
        places = f"({', '.join('?' * len(table.columns))})"
        return cls(one, one.replace(places, ", ".join([places] * _GROUP_ROWS)))

    def run(self, connection: sa.Connection, rows: Matrix) -> None:
        """Sets these rows; of those with the same key the last one stays."""
        n_grouped = len(rows) - len(rows) % _GROUP_ROWS
        if n_grouped:
            groups = rows[:n_grouped].reshape(n_grouped // _GROUP_ROWS, -1)
            for first in range(0, len(groups), _WRITE_ROWS // _GROUP_ROWS):
                execute_rows(connection, self.many, groups[first : first + _WRITE_ROWS // _GROUP_ROWS])
        execute_rows(connection, self.one, rows[n_grouped:])


@dataclass(frozen=True, slots=True)
class Packing:
    """Turns the first three columns (bucket_start, key_no, value_no) into one sortable int64 a row."""

    first_bucket: int
    bucket_s: int
    n_keys: int
    n_values: int

    @classmethod
    def around(cls, *matrices: Matrix, bucket_s: int) -> Packing:
        """One that fits all these rows. Raises StoreError beyond 2**63 cells (no real fleet comes near)."""
        tops = [matrix[:, :3].max(axis=0) for matrix in matrices if len(matrix)]
        lows = [matrix[:, 0].min() for matrix in matrices if len(matrix)]
        if not tops:
            return cls(0, bucket_s, 1, 1)
        last_bucket, last_key, last_value = (int(top) for top in np.max(tops, axis=0))
        packing = cls(int(min(lows)), bucket_s, last_key + 1, last_value + 1)
        n_buckets = (last_bucket - packing.first_bucket) // bucket_s + 1
        if n_buckets * packing.n_keys * packing.n_values >= 2**63:
            raise StoreError("too many buckets, keys and values for one call; use a shorter window")
        return packing

    def pack(self, matrix: Matrix) -> Matrix:
        """int64[n], ascending where rows are sorted by (bucket_start, key_no, value_no)."""
        bucket = (matrix[:, 0] - self.first_bucket) // self.bucket_s
        packed: Matrix = (bucket * self.n_keys + matrix[:, 1]) * self.n_values + matrix[:, 2]
        return packed


def positions(sorted_values: Matrix, wanted: Matrix) -> tuple[Matrix, Mask]:
    """Where each wanted value stands in an ascending array, and whether it is there at all."""
    if not len(sorted_values):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return at, sorted_values[at] == wanted
