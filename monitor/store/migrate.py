"""Brings a store to the schema of this version: Alembic, run from within, in one transaction.

The revision is read by a plain query first, so that Alembic (0.3 s of CPU to import) is loaded only when there is work.
SQLite's own write lock is the lock: whoever waited for it looks again and finds the work done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from monitor.errors import StoreError, StoreTooNew
from monitor.store.copying import copy_database
from monitor.store.database import Database, create_file
from monitor.store.schema import REVISIONS

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def prepare(database: Database) -> None:
    """Creates or upgrades the store. An existing one is first copied to `<file>.before-<revision>`.

    Raises StoreTooNew, and StoreError if the file is some other program's database."""
    create_file(database.path)
    with database.read() as connection:
        found = _revision(connection, database.path)
    with database.raw() as bare:
        if found is None:
            bare.execute("PRAGMA auto_vacuum=INCREMENTAL")  # heeded only before the first table
        bare.execute("PRAGMA journal_mode=WAL")  # a restored backup is not in it
    if found == REVISIONS[-1]:
        return
    with database.write(is_synced=True) as connection:
        found = _revision(connection, database.path)
        if found == REVISIONS[-1]:
            return
        if found is not None:
            copy_database(database, database.path.with_name(f"{database.path.name}.before-{REVISIONS[-1]}"))
        _upgrade(connection)


def require_current(database: Database) -> None:
    """Raises StoreError unless there is a store of exactly this version's schema; for readers, which never migrate."""
    if not database.path.is_file():
        raise StoreError(f"{database.path}: no store yet; start the service (`run`) or `backfill` first")
    with database.read() as connection:
        found = _revision(connection, database.path)
    if found is None:
        raise StoreError(f"{database.path}: the store is still empty; start the service (`run`) or `backfill` first")
    if found != REVISIONS[-1]:
        raise StoreError(
            f"{database.path}: the store has the schema of an older version; start the service to upgrade it"
        )


def _revision(connection: sa.Connection, path: Path) -> str | None:
    """The revision the file has, None if it is empty. Raises StoreTooNew, and StoreError for a stranger's database."""
    tables = {row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables or "usage_fine" not in tables:
        raise StoreError(f"{path}: this is another program's database; set store.url to a file of our own")
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    revision = None if row is None else str(row[0])
    if revision not in REVISIONS:
        raise StoreTooNew(
            f"{path}: written by a newer version (schema {revision}, this one knows up to {REVISIONS[-1]}); "
            "install that version again, or restore a backup made by this one (docs/runbook.md)"
        )
    return revision


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
