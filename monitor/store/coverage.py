"""What is known, kept as spans that never overlap within one (bucket_s, dimension, key_no).

A row written later cuts what it overlaps: a row for all keys cuts every key's spans, a row for one key cuts that key's.
So a key's own span is always newer than a span for all keys beneath it, and wins.
Matrices here have the columns of frames.COVERAGE: key_no, dimension, bucket_s, since, until, quality, as_of.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import sqlalchemy as sa

from monitor.domain import Dimension
from monitor.errors import StoreError
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, epoch_s, utc_seconds
from monitor.store.matrices import Mask, Matrix, cursor, execute_rows, fetch, sql, upsert_sql
from monitor.store.schema import USAGE_TABLES, coverage

KEY, DIMENSION, BUCKET_SIZE, SINCE, UNTIL, QUALITY, AS_OF = range(7)
KNOWN: Final = QUALITY_CODES["known"]

_T: Final = coverage.c
_COLUMNS: Final = (_T.key_no, _T.dimension, _T.bucket_s, _T.since, _T.until, _T.quality, _T.as_of)
_TABLE_ORDER: Final = [BUCKET_SIZE, DIMENSION, KEY, UNTIL, SINCE, QUALITY, AS_OF]

_UPSERT: Final = upsert_sql(coverage)


def _cuts(*, one_key: bool) -> tuple[str, str, str]:
    """Three statements that free [since, until) of a group: keep the heads, drop what lies within, shorten the tails."""
    group = [_T.bucket_s == sa.bindparam("size"), _T.dimension == sa.bindparam("dim")]
    if one_key:
        group.append(_T.key_no == sa.bindparam("key"))
    since = sa.bindparam("s", type_=sa.Integer)
    until = sa.bindparam("u", type_=sa.Integer)
    heads = sa.select(_T.bucket_s, _T.dimension, _T.key_no, sa.bindparam("s0"), _T.since, _T.quality, _T.as_of)
    keep_heads = sa.insert(coverage).from_select(
        ["bucket_s", "dimension", "key_no", "until", "since", "quality", "as_of"],
        heads.where(*group, _T.until > since, _T.since < sa.bindparam("s2")),
    )
    drop = sa.delete(coverage).where(*group, _T.until > since, _T.until <= until)
    shorten = (
        sa.update(coverage)
        .values(since=sa.bindparam("u0"))
        .where(*group, _T.until > until, _T.since < sa.bindparam("u2"))
    )
    return sql(keep_heads), sql(drop), sql(shorten)


_CUT_ONE: Final = _cuts(one_key=True)
_CUT_ALL: Final = _cuts(one_key=False)


def to_matrix(frame: pd.DataFrame) -> Matrix:
    """COVERAGE as a matrix, same order. Raises StoreError for an empty or inverted span."""
    columns = [
        epoch_s(frame[name]) if dtype.startswith("datetime") else frame[name].to_numpy(np.int64)
        for name, dtype in COVERAGE.items()
    ]
    matrix = np.column_stack(columns) if len(frame) else np.empty((0, len(COVERAGE)), np.int64)
    if (matrix[:, SINCE] >= matrix[:, UNTIL]).any():
        raise StoreError("coverage has a span that ends before it begins; nothing was written")
    return matrix


def to_frame(matrix: Matrix) -> pd.DataFrame:
    """The inverse of `to_matrix`."""
    return pd.DataFrame(
        {
            name: utc_seconds(matrix[:, column]) if dtype.startswith("datetime") else matrix[:, column].astype(dtype)
            for column, (name, dtype) in enumerate(COVERAGE.items())
        }
    )


def write_spans(connection: sa.Connection, rows: Matrix) -> None:
    """Adds coverage, in order: each row replaces what was known of its span."""
    raw = cursor(connection)
    for key_no, dimension, bucket_s, since, until, quality, as_of in rows.tolist():
        group = (bucket_s, dimension) if key_no == ALL_KEYS else (bucket_s, dimension, key_no)
        keep_heads, drop, shorten = _CUT_ALL if key_no == ALL_KEYS else _CUT_ONE
        raw.execute(keep_heads, (since, *group, since, since))
        raw.execute(drop, (*group, since, until))
        raw.execute(shorten, (until, *group, until, until))
        raw.execute(_UPSERT, (bucket_s, dimension, key_no, until, since, quality, as_of))


def read_spans(connection: sa.Connection, since: int, until: int, *, bucket_s: int | None = None) -> Matrix:
    """Spans that overlap the window. Those for all keys come first: any other is newer than what it overlaps."""
    statement = sa.select(*_COLUMNS).where(_T.until > sa.bindparam("a"), _T.since < sa.bindparam("b"))
    parameters = [since, until]
    if bucket_s is not None:
        statement = statement.where(_T.bucket_s == sa.bindparam("c"))
        parameters.append(bucket_s)
    all_keys_first = _T.key_no != sa.literal_column(str(ALL_KEYS))
    ordered = statement.order_by(all_keys_first, _T.since, _T.bucket_s, _T.dimension, _T.key_no)
    return fetch(connection, sql(ordered), parameters, len(_COLUMNS))


def forget_before(connection: sa.Connection, *, bucket_s: int, before: int) -> int:
    """Cuts all spans of a bucket size at `before`: what is about to be deleted must not count as known zero."""
    gone = connection.execute(sa.delete(coverage).where(_T.bucket_s == bucket_s, _T.until <= before))
    connection.execute(sa.update(coverage).values(since=before).where(_T.bucket_s == bucket_s, _T.since < before))
    return gone.rowcount


def compact(connection: sa.Connection, *, before: int, after: int = 0, bucket_s: int | None = None) -> int:
    """Joins neighbors of equal quality that end after `after` and not after `before`, of one bucket size or of all, taking the
    older `as_of`; returns rows saved.

    Recent spans keep their own `as_of`: how fresh the newest data are must not be blurred."""
    sizes = [bucket_s] if bucket_s is not None else list(USAGE_TABLES)
    n_saved = 0
    for size in sizes:
        for dimension in Dimension:  # the index by end leads to the few spans of the stretch, however many there are
            own = (_T.bucket_s == size, _T.dimension == int(dimension), _T.until > after, _T.until <= before)
            statement = sa.select(*_COLUMNS).where(*own).order_by(_T.key_no, _T.since)
            rows = np.array(connection.execute(statement).all(), np.int64).reshape(-1, len(_COLUMNS))
            joined = join_neighbors(rows)
            if len(joined) < len(rows):
                connection.execute(sa.delete(coverage).where(*own))
                execute_rows(connection, _UPSERT, joined[:, _TABLE_ORDER])
            n_saved += len(rows) - len(joined)
    return n_saved


def join_neighbors(rows: Matrix) -> Matrix:
    """Joins spans of equal group and quality that touch. Rows sorted by (bucket_s, dimension, key_no, since)."""
    if not len(rows):
        return rows
    same = (rows[1:, [BUCKET_SIZE, DIMENSION, KEY, QUALITY]] == rows[:-1, [BUCKET_SIZE, DIMENSION, KEY, QUALITY]]).all(
        axis=1
    )
    starts = np.flatnonzero(np.concatenate(([True], ~(same & (rows[1:, SINCE] == rows[:-1, UNTIL])))))
    joined = rows[starts].copy()
    joined[:, UNTIL] = np.maximum.reduceat(rows[:, UNTIL], starts)
    joined[:, AS_OF] = np.minimum.reduceat(rows[:, AS_OF], starts)
    return joined


def is_covered(cells: Matrix, dimensions: Matrix, rows: Matrix, *, bucket_s: int) -> Mask:
    """Which cells (bucket_start, key_no, ...) the coverage rows, read in order, say are known; bool[n].

    A bucket is known if a known row holds it whole and no later row that is not known touches it. `cells` are sorted by
    bucket_start; `dimensions` is the dimension of each. Rows that differ only in the key are taken together."""
    known = np.zeros(len(cells), bool)
    rows = rows[np.argsort(rows[:, DIMENSION], kind="stable")]  # dimensions never bear on each other
    shared = [DIMENSION, SINCE, UNTIL, QUALITY]
    breaks = np.flatnonzero((rows[1:, shared] != rows[:-1, shared]).any(axis=1)) + 1
    for run in np.split(rows, breaks) if len(rows) and len(cells) else []:
        since, until, is_known = run[0, SINCE], run[0, UNTIL], run[0, QUALITY] == KNOWN
        first = np.searchsorted(cells[:, 0], since if is_known else since - bucket_s + 1)
        last = np.searchsorted(cells[:, 0], until - bucket_s + 1 if is_known else until)
        part = slice(int(first), max(int(first), int(last)))
        hit = dimensions[part] == run[0, DIMENSION]
        if not (run[:, KEY] == ALL_KEYS).any():
            hit &= np.isin(cells[part, 1], run[:, KEY])
        known[part] = np.where(hit, is_known, known[part])
    return known
