"""Care of the store itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from monitor.domain import IncidentState
from monitor.errors import StoreError
from monitor.store.base import Delivery
from monitor.store.copying import copy_database, quick_check, restore_file
from monitor.store.database import Database
from monitor.store.schema import findings, incidents, outbox, verdicts
from monitor.store.values import to_us

_VACUUM_PAGES: Final = 4_000  # 16 MB to a step: other writers get their turn in between


class SqliteMaintenance:
    """`Maintenance` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wants_reserve = False

    @property
    def has_reserve(self) -> bool:
        """Also true where none was ever wanted."""
        return not self._wants_reserve or self._database.reserve.is_held

    def hold_reserve(self) -> bool:
        """From now on `has_reserve` says whether it is there."""
        self._wants_reserve = True
        return self._database.reserve.hold()

    def backup(self, target: Path) -> None:
        """A consistent, checked copy in one file while others read and write; `target` is replaced at the very end."""
        if target.resolve() == self._database.path.resolve():
            raise StoreError(f"{target}: a backup cannot replace the store itself; name another file")
        copy_database(self._database, target)

    def verify(self) -> None:
        """Raises StoreCorrupt if the store's own check finds damage."""
        with self._database.raw() as connection:
            quick_check(connection, self._database.path)

    def vacuum(self) -> None:
        """Gives freed pages back to the file system and folds the WAL into the file."""
        with self._database.raw() as connection:
            (n_free,) = connection.execute("PRAGMA freelist_count").fetchone()
            for _ in range(-(-n_free // _VACUUM_PAGES)):
                # It frees one page a step, and execute() stops after the first: executescript() runs it to the end.
                connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def prune_ledger(self, before: datetime) -> int:
        """Deletes findings, verdicts, delivered messages and resolved incidents older than that; never an action.

        Messages of an incident not yet resolved stay: its next message goes into their thread."""
        limit = to_us(before)
        unresolved = sa.select(incidents.c.incident_id).where(incidents.c.state != IncidentState.RESOLVED.value)
        in_use = sa.and_(outbox.c.thread.is_not(None), outbox.c.thread.in_(unresolved))
        statements = (
            sa.delete(findings).where(findings.c.at_us < limit),
            sa.delete(verdicts).where(verdicts.c.at_us < limit),
            sa.delete(outbox).where(
                outbox.c.state == Delivery.DELIVERED.value, outbox.c.delivered_at_us < limit, sa.not_(in_use)
            ),
            sa.delete(incidents).where(
                incidents.c.state == IncidentState.RESOLVED.value, incidents.c.last_seen_at_us < limit
            ),
        )
        with self._database.write(is_synced=True) as connection:
            return sum(connection.execute(statement).rowcount for statement in statements)

    def close(self) -> None:
        """Releases files and locks."""
        self._database.close()


def restore_backup(backup: Path, target: Path) -> Path | None:
    """Puts a checked copy of a backup in place of the store; the service must be stopped.

    What was there is kept beside it, its name is returned. Raises StoreCorrupt if the backup is damaged, StoreBusy if a
    process still has the store open. Opening the restored store upgrades it if an older version made the backup."""
    return restore_file(backup, target)
