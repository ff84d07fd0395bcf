"""What a sink shows of incidents, and who pressed which button. A press is taken up by compare-and-set: one shot."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.domain import AuditEntry, AuditKind
from monitor.store import audit
from monitor.store.base import Card, Outcome, Press
from monitor.store.database import Database
from monitor.store.schema import cards, presses
from monitor.store.values import from_us, from_us_or_none, to_us

_P: Final = presses.c


class SqliteCards:
    """`CardStore` over SQLite; every change is synced to disk before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def card(self, incident_id: str) -> Card:
        """The card; an empty one if nothing was shown yet."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(cards).where(cards.c.incident_id == incident_id)).first()
        if row is None:
            return Card(incident_id)
        return Card(
            incident_id=row.incident_id,
            shown=row.shown,
            shown_at=from_us_or_none(row.shown_at_us or None),
            due_at=from_us_or_none(row.due_at_us or None),
            n_refused=row.n_refused,
            file_id=row.file_id,
            alt_text=row.alt_text,
            n_tries=row.n_tries,
            picture_due_at=from_us_or_none(row.picture_due_at_us or None),
        )

    def put(self, card: Card) -> None:
        """Writes the card."""
        row = {
            "incident_id": card.incident_id,
            "shown": card.shown,
            "shown_at_us": to_us(card.shown_at) if card.shown_at else 0,
            "due_at_us": to_us(card.due_at) if card.due_at else 0,
            "n_refused": card.n_refused,
            "file_id": card.file_id,
            "alt_text": card.alt_text,
            "n_tries": card.n_tries,
            "picture_due_at_us": to_us(card.picture_due_at) if card.picture_due_at else 0,
        }
        insert = sqlite.insert(cards).values(row)
        with self._database.write(is_synced=True) as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["incident_id"], set_=row))

    def take(self, press: Press, *, stale_before: datetime) -> Press | None:
        """None: written down as taken, and yours to carry out. Else the press that was faster."""
        same_question = sa.and_(
            _P.incident_id == press.incident_id,
            _P.step == press.step,
            _P.choice == press.choice,
            sa.or_(
                _P.outcome == Outcome.DONE.value,
                sa.and_(_P.outcome == Outcome.TAKEN.value, _P.at_us >= to_us(stale_before)),
            ),
        )
        before = sa.select(presses).where(sa.or_(_P.press_id == press.press_id, same_question)).order_by(_P.press_no)
        with self._database.write(is_synced=True) as connection:
            row = connection.execute(before.limit(1)).first()
            if row is not None:
                return _press(row)
            connection.execute(sqlite.insert(presses).values(_row(press)))
            audit.append(connection, (_entry(press, press.at),))
        return None

    def note(self, press: Press, *, at: datetime | None = None) -> None:
        """Writes a press with its outcome, and its audit row; one that has ended keeps what became of it."""
        row = _row(press)
        insert = sqlite.insert(presses).values(row)
        change = {"outcome": row["outcome"], "detail": row["detail"]}
        is_open = presses.c.outcome == Outcome.TAKEN.value
        with self._database.write(is_synced=True) as connection:
            done = connection.execute(
                insert.on_conflict_do_update(index_elements=["press_id"], set_=change, where=is_open)
            )
            if done.rowcount:
                audit.append(connection, (_entry(press, at or press.at),))

    def presses(self, incident_id: str | None = None, *, since: datetime | None = None) -> tuple[Press, ...]:
        """Presses, oldest first; of one incident or of all."""
        statement = sa.select(presses).order_by(_P.press_no)
        if incident_id is not None:
            statement = statement.where(_P.incident_id == incident_id)
        if since is not None:
            statement = statement.where(_P.at_us >= to_us(since))
        with self._database.read() as connection:
            return tuple(_press(row) for row in connection.execute(statement).all())


def _entry(press: Press, at: datetime) -> AuditEntry:
    """Who pressed what, on which version of which incident, and what became of it. `subject` is what the button named."""
    return AuditEntry(
        at=at,
        kind=AuditKind.PRESSED,
        by=press.by,
        subject=press.incident_id or "no incident",
        incident_id=press.incident_id,
        why=press.detail,
        detail={
            "choice": press.choice,
            "step": str(press.step),
            "outcome": press.outcome.value,
            "press": press.press_id,
        },
    )


def _row(press: Press) -> dict[str, Any]:
    return {
        "press_id": press.press_id,
        "incident_id": press.incident_id,
        "step": press.step,
        "choice": press.choice,
        "by": press.by,
        "at_us": to_us(press.at),
        "outcome": press.outcome.value,
        "detail": press.detail,
    }


def _press(row: Any) -> Press:
    return Press(
        press_id=row.press_id,
        incident_id=row.incident_id,
        step=row.step,
        choice=row.choice,
        by=row.by,
        at=from_us(row.at_us),
        outcome=Outcome(row.outcome),
        detail=row.detail,
    )
