"""What people decide about incidents: read, decided and written in one transaction, with the audit row that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.domain import AuditEntry, Incident, Message, Silence
from monitor.errors import UnknownIncident
from monitor.store import audit
from monitor.store.base import Decided
from monitor.store.database import Database
from monitor.store.incident_rows import read_incident, upsert_incidents
from monitor.store.outbox import queue
from monitor.store.schema import silences
from monitor.store.values import from_document, to_document, to_us


class SqliteDesk:
    """`Desk` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(self, incident_id: str, decide: Callable[[Incident], Decided | None]) -> Incident:
        """Hands the incident as it stands now to `decide`, and writes what that returns (None: nothing to change).

        Nobody else can change it meanwhile. Raises UnknownIncident, StoreError, and whatever `decide` raises."""
        with self._database.write(is_synced=True) as connection:
            before = read_incident(connection, incident_id)
            if before is None:
                raise UnknownIncident(
                    f"there is no incident {incident_id!r}; `openrouter-monitor incidents --all` lists them"
                )
            decided = decide(before)
            if decided is None:
                return before
            upsert_incidents(connection, (decided.incident,))
            audit.append(connection, (decided.entry,))
            queue(connection, decided.messages, decided.entry.at)
            return decided.incident

    def silences(self, *, active_at: datetime | None = None) -> tuple[Silence, ...]:
        """Silences, the one that ends last first; with `active_at` only those in force then."""
        statement = sa.select(silences.c.document).order_by(silences.c.expires_at_us.desc(), silences.c.silence_id)
        if active_at is not None:
            statement = statement.where(silences.c.expires_at_us > to_us(active_at))
        with self._database.read() as connection:
            found = connection.execute(statement).scalars().all()
        stored = tuple(from_document(document, Silence) for document in found)
        return tuple(each for each in stored if active_at is None or each.is_active(active_at))

    def put_silence(self, silence: Silence, entry: AuditEntry, messages: Sequence[Message] = ()) -> None:
        """Writes a silence (new, or ended early) with its audit row."""
        row = {
            "silence_id": silence.silence_id,
            "expires_at_us": to_us(min(silence.expires_at, silence.ended_at or silence.expires_at)),
            "document": to_document(silence),
        }
        insert = sqlite.insert(silences).values(row)
        with self._database.write(is_synced=True) as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["silence_id"], set_=row))
            audit.append(connection, (entry,))
            queue(connection, messages, entry.at)
