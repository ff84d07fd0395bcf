"""What people said of keys."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.domain import AuditEntry, AuditKind, Feedback
from monitor.store import audit
from monitor.store.database import Database
from monitor.store.schema import feedback
from monitor.store.values import from_document, to_document, to_us


class SqliteFeedback:
    """`FeedbackStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: tuple[int, tuple[Feedback, ...]] = (0, ())

    def add(self, said: Feedback) -> None:
        """Writes it down and into the audit trail, synced to disk before it returns; the same feedback_id twice is once."""
        row = {
            "feedback_id": said.feedback_id,
            "key_hash": said.key_hash,
            "said_at_us": to_us(said.said_at),
            "until_us": to_us(said.until),
            "document": to_document(said),
        }
        insert = sqlite.insert(feedback).on_conflict_do_nothing(index_elements=["feedback_id"])
        with self._database.write(is_synced=True) as connection:
            if connection.execute(insert.values(row)).rowcount:
                audit.append(connection, [_entry(said)])

    def said(self, *, key_hash: str | None = None) -> tuple[Feedback, ...]:
        """Everything that was said, oldest first; of one key, if one is named. Read again only when something was added."""
        with self._database.read() as connection:
            newest = connection.execute(sa.select(sa.func.max(feedback.c.feedback_no))).scalar() or 0
            if newest != self._kept[0]:
                statement = sa.select(feedback.c.document).order_by(feedback.c.said_at_us, feedback.c.feedback_no)
                found = connection.execute(statement).scalars().all()
                self._kept = newest, tuple(from_document(document, Feedback) for document in found)
        return tuple(one for one in self._kept[1] if key_hash is None or one.key_hash == key_hash)


def _entry(said: Feedback) -> AuditEntry:
    return AuditEntry(
        at=said.said_at,
        kind=AuditKind.FEEDBACK,
        by=said.said_by,
        subject=said.feedback_id,
        key_hash=said.key_hash,
        incident_id=said.incident_id or "",
        why=said.note,
        detail={"opinion": said.opinion.value, "until": said.until.isoformat()},
    )
