"""Forgetting, in short transactions, so that no writer waits long."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from monitor.domain import BUCKET_S, HOUR_S
from monitor.store import coverage as spans
from monitor.store.database import Database
from monitor.store.schema import USAGE_TABLES, counters, coverage
from monitor.store.usage_rows import count_write

_BATCH_ROWS: Final = 50_000
_COUNTERS_IN_FULL_S: Final = 26 * HOUR_S  # the longest trailing window is a day
_COVERAGE_APART_S: Final = 48 * HOUR_S  # past all re-reading: when it was read no longer matters


def prune(database: Database, *, fine_before: int, hourly_before: int) -> int:
    """Deletes usage, counters and coverage before these times, floored to the hour; returns rows deleted.

    Coverage goes first: at no moment is a deleted bucket known to be zero."""
    fine_before, hourly_before = fine_before // HOUR_S * HOUR_S, hourly_before // HOUR_S * HOUR_S
    with database.write(is_synced=False) as connection:
        n_rows = spans.forget_before(connection, bucket_s=BUCKET_S, before=fine_before)
        n_rows += spans.forget_before(connection, bucket_s=HOUR_S, before=hourly_before)
        newest = connection.execute(sa.select(sa.func.max(coverage.c.until))).scalar()
        if newest is not None:
            spans.compact(connection, before=newest - _COVERAGE_APART_S)
    n_rows += _delete_before(database, USAGE_TABLES[BUCKET_S].c.bucket_start, fine_before)
    n_rows += _delete_before(database, USAGE_TABLES[HOUR_S].c.bucket_start, hourly_before)
    n_rows += _delete_before(database, counters.c.sampled_at, fine_before)
    return n_rows + _thin_counters(database)


def _delete_before(database: Database, moment: sa.Column[int], before: int) -> int:
    """Deletes the oldest rows of a table whose primary key begins with `moment`, about 50,000 to a transaction."""
    n_rows = 0
    while True:
        with database.write(is_synced=False) as connection:
            older = sa.select(moment).where(moment < before).order_by(moment)
            last = connection.execute(older.offset(_BATCH_ROWS).limit(1)).scalar()
            upto = moment < before if last is None else moment <= last
            n_rows += connection.execute(sa.delete(moment.table).where(upto)).rowcount
            count_write(connection)
        if last is None:
            return n_rows


def _thin_counters(database: Database) -> int:
    """Keeps the first sample of each hour more than 26 hours before the newest one."""
    moment = counters.c.sampled_at
    n_rows = 0
    after = -1
    while True:
        with database.write(is_synced=False) as connection:
            end = connection.execute(sa.select(sa.func.max(moment))).scalar()
            if end is None:
                return n_rows
            first = connection.execute(sa.select(sa.func.min(moment)).where(moment > after)).scalar()
            if first is None or first // HOUR_S >= (end - _COUNTERS_IN_FULL_S) // HOUR_S:
                return n_rows
            after = first // HOUR_S * HOUR_S + HOUR_S - 1
            n_rows += connection.execute(sa.delete(counters).where(moment > first, moment <= after)).rowcount
