"""Reading usage tables: a window as a whole, or a few keys by seeking each of their buckets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.store.matrices import Matrix, fetch, sql
from monitor.store.schema import USAGE_TABLES, usage_writes

N_COLUMNS: Final = 8

_MAX_SEEKS: Final = 200_000  # about as long as reading a quarter of a million rows


def _statements(table: sa.Table) -> tuple[str, str, str, str]:
    bucket, key = table.c.bucket_start, table.c.key_no
    whole = sa.select(*table.columns).where(bucket >= sa.bindparam("a"), bucket < sa.bindparam("b"))
    starts = sa.select(sa.bindparam("first", type_=sa.Integer).label("start")).cte("starts", recursive=True)
    following = sa.select(starts.c.start + sa.bindparam("step")).where(starts.c.start < sa.bindparam("last"))
    starts = starts.union_all(following)
    wanted = sa.func.json_each(sa.bindparam("keys")).table_valued("value")
    seeks = sa.select(*table.columns).select_from(
        starts.join(wanted, sa.true()).join(table, (bucket == starts.c.start) & (key == wanted.c.value))
    )
    edges = sa.select(
        sa.select(sa.func.min(bucket)).scalar_subquery(), sa.select(sa.func.max(bucket)).scalar_subquery()
    )
    # SQLite keeps the order of a CROSS JOIN: seek each bucket and key, never scan the window.
    of_values = sa.select(sa.func.json_each(sa.bindparam("values")).table_valued("value").c.value)
    some = whole.where(table.c.value_no.in_(of_values)).order_by(*table.primary_key)
    return (
        sql(whole.order_by(*table.primary_key)),
        sql(some),
        sql(seeks).replace(" JOIN ", " CROSS JOIN "),
        sql(edges),
    )


_SQL: Final = {bucket_s: _statements(table) for bucket_s, table in USAGE_TABLES.items()}


def read_rows(
    connection: sa.Connection,
    since: int,
    until: int,
    *,
    bucket_s: int,
    key_nos: Collection[int] | None = None,
    value_nos: npt.NDArray[np.int64] | None = None,
) -> Matrix:
    """int64[n, 8] with bucket_start in [since, until), sorted by (bucket_start, key_no, value_no).

    `value_nos`: of these values only; SQLite leaves the others out, since handing out rows is what costs."""
    whole, some, seeks, edges = _SQL[bucket_s]
    if value_nos is not None and key_nos is None:
        return fetch(connection, some, (since, until, str(value_nos.tolist())), N_COLUMNS)
    if value_nos is not None:
        rows = read_rows(connection, since, until, bucket_s=bucket_s, key_nos=key_nos)
        return rows[np.isin(rows[:, 2], value_nos)]
    if key_nos is None:
        return fetch(connection, whole, (since, until), N_COLUMNS)
    first, last = connection.exec_driver_sql(edges).one()
    if first is None or not key_nos:
        return np.empty((0, N_COLUMNS), np.int64)
    first = max(first, since + -since % bucket_s)
    last = min(last, (until - 1) // bucket_s * bucket_s)
    wanted = np.unique(np.fromiter(key_nos, np.int64, len(key_nos)))
    if first > last:
        return np.empty((0, N_COLUMNS), np.int64)
    if ((last - first) // bucket_s + 1) * len(wanted) > _MAX_SEEKS:
        rows = fetch(connection, whole, (since, until), N_COLUMNS)
        return rows[np.isin(rows[:, 1], wanted)]
    rows = fetch(connection, seeks, (first, bucket_s, last, str(wanted.tolist())), N_COLUMNS)
    return rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]


def count_write(connection: sa.Connection) -> int:
    """Counts a change of the usage tables, in its own transaction; returns how many there were, this one included."""
    counted = sqlite.insert(usage_writes).values(one=1, n_written=1)
    more = {"n_written": usage_writes.c.n_written + 1}
    statement = counted.on_conflict_do_update(index_elements=["one"], set_=more).returning(usage_writes.c.n_written)
    return int(connection.execute(statement).scalar_one())
