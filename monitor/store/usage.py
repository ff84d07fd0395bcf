"""Usage tables: set, never add. Only what differs from what is stored is written.

A matrix of usage has the columns bucket_start, key_no, value_no, n_requests, tokens_prompt, tokens_completion,
tokens_reasoning, cost_nusd, as its table; the dimension is that of the value.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
import sqlalchemy as sa

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.errors import StoreError
from monitor.frames import ALL_KEYS, COUNTERS, COVERAGE, USAGE, check, epoch_s, utc_seconds
from monitor.store import coverage as spans
from monitor.store.catalog import CatalogTables
from monitor.store.counters import read_counters, write_counters
from monitor.store.database import Database
from monitor.store.hourly import hours_of
from monitor.store.matrices import Matrix, Packing, Upsert, delete_sql, execute_rows, positions
from monitor.store.recent import Window
from monitor.store.retention import prune
from monitor.store.schema import USAGE_TABLES
from monitor.store.usage_rows import count_write, read_rows

_APART_S: Final = 6 * HOUR_S
"""Past this nobody asks when a ten-minute bucket was read: its spans are joined, or they would grow with every poll."""

_UPSERTS: Final = {bucket_s: Upsert.into(table) for bucket_s, table in USAGE_TABLES.items()}
_DELETES: Final = {bucket_s: delete_sql(table) for bucket_s, table in USAGE_TABLES.items()}
_NUMBERS: Final = (
    "key_no",
    "value_no",
    "n_requests",
    "tokens_prompt",
    "tokens_completion",
    "tokens_reasoning",
    "cost_nusd",
)


class SqliteUsage:
    """`UsageStore` over SQLite. Not synced to disk on each write: what a power cut takes is read from the source again."""

    def __init__(self, database: Database, catalog: CatalogTables) -> None:
        self._database = database
        self._catalog = catalog
        self._writing = threading.Lock()
        self._recent: Window | None = None
        self._n_written = -1
        self._joined_until = 0

    def write(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> None:
        """Sets USAGE rows, and removes rows the new COVERAGE says are known to be no more.

        A stored row goes if its bucket lies whole in a span of `coverage` that is known, for its dimension and key (or
        all keys), and `usage` does not hold it: spend was corrected away, or moved to another value."""
        check(usage, USAGE)
        rows, sizes = self._rows_of(usage)
        covered = spans.to_matrix(check(coverage, COVERAGE))
        _require_known_sizes(np.concatenate((sizes, covered[:, spans.BUCKET_SIZE])))
        with self._writing:
            recent = self._recent
            with self._database.write(is_synced=False) as connection:
                self._catalog.save(connection)
                n_written = count_write(connection)
                if n_written != self._n_written + 1:
                    recent = None  # another process wrote, or this one pruned
                for bucket_s in USAGE_TABLES:
                    of_size = covered[covered[:, spans.BUCKET_SIZE] == bucket_s]
                    is_fine = bucket_s == BUCKET_S
                    window = self._set(
                        connection,
                        rows[sizes == bucket_s],
                        of_size,
                        bucket_s=bucket_s,
                        recent=recent if is_fine else None,
                    )
                    recent = window if is_fine else recent
                spans.write_spans(connection, covered)
                joined_until = self._join_spans(connection, covered)
            self._recent, self._n_written, self._joined_until = recent, n_written, joined_until

    def read(
        self, since: datetime, until: datetime, *, bucket_s: int, key_nos: Collection[int] | None = None
    ) -> pd.DataFrame:
        """USAGE of one bucket size with bucket_start in [since, until), sorted by (bucket_start, key_no, value_no)."""
        _require_known_sizes(np.array([bucket_s]))
        with self._database.read() as connection:
            self._catalog.agree(connection)
            rows = read_rows(connection, ceil_s(since), ceil_s(until), bucket_s=bucket_s, key_nos=key_nos)
        return self._frame(rows, bucket_s=bucket_s)

    def read_hourly(
        self,
        since: datetime,
        until: datetime,
        *,
        key_nos: Collection[int] | None = None,
        dimensions: Collection[Dimension] | None = None,
    ) -> pd.DataFrame:
        """USAGE in hours, sorted as `read`. For each (hour, key, dimension) its own hourly rows where there are any or the
        hour is known to have none, else the sum of its ten-minute rows."""
        with self._database.read() as connection:
            self._catalog.agree(connection)
            of_value = self._catalog.catalog.dimensions().astype(np.int64)
            rows = hours_of(
                connection,
                ceil_s(since),
                ceil_s(until),
                dimensions=of_value,
                key_nos=key_nos,
                wanted=dimensions,
            )
        return self._frame(rows, bucket_s=HOUR_S)

    def coverage(self, since: datetime, until: datetime, *, bucket_s: int | None = None) -> pd.DataFrame:
        """COVERAGE rows that overlap the window, oldest first (a later row for the same span wins)."""
        with self._database.read() as connection:
            self._catalog.agree(connection)
            rows = spans.read_spans(connection, floor_s(since), ceil_s(until), bucket_s=bucket_s)
        return check(spans.to_frame(rows), COVERAGE)

    def write_counters(self, counters: pd.DataFrame) -> None:
        """Appends COUNTERS samples; the same sample twice is one."""
        with self._database.write(is_synced=False) as connection:
            self._catalog.save(connection)
            write_counters(connection, check(counters, COUNTERS))

    def counters(self, since: datetime, until: datetime) -> pd.DataFrame:
        """COUNTERS sampled in the window, sorted by (sampled_at, key_no)."""
        with self._database.read() as connection:
            self._catalog.agree(connection)
            return check(read_counters(connection, ceil_s(since), ceil_s(until)), COUNTERS)

    def prune(self, *, fine_before: datetime, hourly_before: datetime) -> int:
        """Deletes usage, counters and coverage older than that, in short transactions; returns rows deleted.

        Thins counters older than 26 hours to one sample an hour, and joins old coverage."""
        return prune(self._database, fine_before=floor_s(fine_before), hourly_before=floor_s(hourly_before))

    def _join_spans(self, connection: sa.Connection, covered: Matrix) -> int:
        """Joins the spans of the hours that have become old enough, once an hour; returns up to when."""
        fine = covered[covered[:, spans.BUCKET_SIZE] == BUCKET_S]
        edge = int(fine[:, spans.UNTIL].max(initial=0)) // HOUR_S * HOUR_S - _APART_S
        if edge <= self._joined_until:
            return self._joined_until
        after = max(self._joined_until, edge - _APART_S) - HOUR_S
        spans.compact(connection, before=edge, after=after, bucket_s=BUCKET_S)
        return edge

    def _set(
        self, connection: sa.Connection, rows: Matrix, covered: Matrix, *, bucket_s: int, recent: Window | None
    ) -> Window | None:
        """Makes the stored rows of one bucket size equal to `rows`, wherever `rows` or known coverage speak of them.

        Returns what is then known of the newest rows."""
        known = covered[covered[:, spans.QUALITY] == spans.KNOWN]
        starts = np.concatenate((rows[:, 0], known[:, spans.SINCE]))
        if not len(starts):
            return recent
        since = int(starts.min())
        until = int(np.concatenate((rows[:, 0] + bucket_s, known[:, spans.UNTIL])).max())
        keys = None
        if ALL_KEYS not in known[:, spans.KEY]:
            keys = np.unique(np.concatenate((rows[:, 1], known[:, spans.KEY])))
        stored = _stored(connection, since, until, keys, bucket_s=bucket_s, recent=recent)
        gone, changed = self._differences(stored, rows, covered, bucket_s=bucket_s)
        execute_rows(connection, _DELETES[bucket_s], gone[:, :3])
        _UPSERTS[bucket_s].run(connection, changed)
        window = Window(since, until, stored) if keys is None else recent
        return None if window is None else window.after(gone, changed, bucket_s=bucket_s).newest(bucket_s=bucket_s)

    def _differences(self, stored: Matrix, rows: Matrix, covered: Matrix, *, bucket_s: int) -> tuple[Matrix, Matrix]:
        """Stored rows that are to go, and given rows that are not stored as they are."""
        packing = Packing.around(rows, stored, bucket_s=bucket_s)
        rows = _last_of_each(rows, packing)
        packed, stored_packed = packing.pack(rows), packing.pack(stored)
        at, is_stored = positions(stored_packed, packed)
        changed = ~is_stored
        changed[is_stored] = (stored[at[is_stored]] != rows[is_stored]).any(axis=1)
        absent = stored[~positions(packed, stored_packed)[1]]
        dimensions = self._catalog.catalog.dimensions().astype(np.int64)[absent[:, 2]]
        return absent[spans.is_covered(absent, dimensions, covered, bucket_s=bucket_s)], rows[changed]

    def _rows_of(self, usage: pd.DataFrame) -> tuple[Matrix, Matrix]:
        """USAGE as a matrix and the bucket size of each row. Raises StoreError for rows the tables could not hold."""
        starts = epoch_s(usage["bucket_start"])
        sizes = usage["bucket_s"].to_numpy(np.int64)
        rows = np.column_stack([starts, *(usage[name].to_numpy(np.int64) for name in _NUMBERS)])
        catalog = self._catalog.catalog
        if len(rows):
            if (sizes <= 0).any() or (starts % sizes != 0).any():
                raise StoreError(
                    "usage has a bucket that does not start at a multiple of its size; nothing was written"
                )
            if rows[:, 1:3].min() < 0 or rows[:, 1].max() >= catalog.n_keys or rows[:, 2].max() >= catalog.n_values:
                raise StoreError(
                    "usage has a key_no or value_no that this store's catalog never gave out; nothing was written"
                )
            if (catalog.dimensions()[rows[:, 2]] != usage["dimension"].to_numpy()).any():
                raise StoreError("usage has a value_no under another dimension than the catalog's; nothing was written")
        return rows, sizes

    def _frame(self, rows: Matrix, *, bucket_s: int) -> pd.DataFrame:
        columns: dict[str, object] = {name: rows[:, at] for at, name in enumerate(_NUMBERS, start=1)}
        columns["bucket_start"] = utc_seconds(rows[:, 0])
        columns["bucket_s"] = np.full(len(rows), bucket_s)
        columns["dimension"] = self._catalog.catalog.dimensions()[rows[:, 2]]
        frame = {
            name: columns[name] if dtype.startswith("datetime") else np.asarray(columns[name]).astype(dtype)
            for name, dtype in USAGE.items()
        }
        return check(pd.DataFrame(frame, copy=False), USAGE)


def floor_s(moment: datetime) -> int:
    """The last whole second at or before it, since the epoch."""
    return int(moment.timestamp() // 1)


def ceil_s(moment: datetime) -> int:
    """The first whole second at or after it: what starts before it lies before this second."""
    return -int(-moment.timestamp() // 1)


def _stored(
    connection: sa.Connection, since: int, until: int, keys: Matrix | None, *, bucket_s: int, recent: Window | None
) -> Matrix:
    """The stored rows of a window and of some or all keys, from memory as far as it reaches."""
    if recent is None or until <= recent.since or recent.until <= since:
        return read_rows(connection, since, until, bucket_s=bucket_s, key_nos=None if keys is None else keys.tolist())
    if keys is not None:
        if not recent.holds(since, until):
            return read_rows(connection, since, until, bucket_s=bucket_s, key_nos=keys.tolist())
        rows = recent.between(since, until)
        return rows[np.isin(rows[:, 1], keys)]
    parts = [recent.between(max(since, recent.since), min(until, recent.until))]
    if since < recent.since:
        parts.insert(0, read_rows(connection, since, recent.since, bucket_s=bucket_s))
    if recent.until < until:
        parts.append(read_rows(connection, recent.until, until, bucket_s=bucket_s))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _require_known_sizes(sizes: Matrix) -> None:
    if not np.isin(sizes, list(USAGE_TABLES)).all():
        strange = np.setdiff1d(sizes, list(USAGE_TABLES)).tolist()
        raise StoreError(f"buckets of {strange} s are not stored; only {sorted(USAGE_TABLES)} s are")


def _last_of_each(rows: Matrix, packing: Packing) -> Matrix:
    """Rows sorted by their key; of those with the same key the last one given."""
    packed = packing.pack(rows)
    order = np.argsort(packed, kind="stable")
    ordered = packed[order]
    is_last = np.concatenate((ordered[1:] != ordered[:-1], [True])) if len(ordered) else np.empty(0, bool)
    return rows[order[is_last]]
