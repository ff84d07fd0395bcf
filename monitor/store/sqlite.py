"""The store in one SQLite file. `open_store` is its only door; import this module only when a store is needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from monitor.store.audit import SqliteAudit
from monitor.store.base import Store
from monitor.store.catalog import CatalogTables
from monitor.store.database import BUSY_TIMEOUT, Database, store_path
from monitor.store.days import SqliteDays
from monitor.store.desk import SqliteDesk
from monitor.store.feedback import SqliteFeedback
from monitor.store.keys import SqliteKeys
from monitor.store.ledger import SqliteLedger
from monitor.store.maintenance import SqliteMaintenance, restore_backup
from monitor.store.migrate import prepare, require_current
from monitor.store.outbox import SqliteOutbox
from monitor.store.state import SqliteState
from monitor.store.usage import SqliteUsage

__all__ = ["SqliteStore", "open_store", "restore_backup"]


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """`Store` over one SQLite file."""

    path: Path
    usage: SqliteUsage
    keys: SqliteKeys
    ledger: SqliteLedger
    desk: SqliteDesk
    audit: SqliteAudit
    outbox: SqliteOutbox
    days: SqliteDays
    feedback: SqliteFeedback
    state: SqliteState
    maintenance: SqliteMaintenance


def open_store(url_or_path: str, *, read_only: bool = False, busy_timeout: timedelta = BUSY_TIMEOUT) -> Store:
    """Opens the store of `sqlite:///…` or a path; creates and migrates it unless `read_only`.

    `read_only` never changes a byte and raises StoreError if there is no store yet. A write waits `busy_timeout` for other
    writers, then raises StoreBusy. Raises StoreTooNew for a store of a newer version."""
    database = Database(store_path(url_or_path), read_only=read_only, busy_timeout=busy_timeout)
    catalog = CatalogTables()
    try:
        if read_only:
            require_current(database)
        else:
            prepare(database)
        with database.read() as connection:
            catalog.agree(connection)
    except Exception:
        database.close()
        raise
    return SqliteStore(
        path=database.path,
        usage=SqliteUsage(database, catalog),
        keys=SqliteKeys(database, catalog),
        ledger=SqliteLedger(database),
        desk=SqliteDesk(database),
        audit=SqliteAudit(database),
        outbox=SqliteOutbox(database),
        days=SqliteDays(database),
        feedback=SqliteFeedback(database),
        state=SqliteState(database),
        maintenance=SqliteMaintenance(database),
    )
