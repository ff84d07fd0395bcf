"""Messages on their way. Claimed by compare-and-set, so that no two processes ever send the same one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.domain import Message, Receipt
from monitor.errors import StoreError
from monitor.store.base import Delivery, OutboxEntry
from monitor.store.database import Database
from monitor.store.schema import outbox
from monitor.store.values import from_document, from_us, to_document, to_us

_T: Final = outbox.c
_OPEN: Final = (Delivery.WAITING.value, Delivery.UNKNOWN.value)
LEASE: Final = timedelta(minutes=5)
"""So long a claim lasts, far beyond any deadline of a sink: then whoever made it could not write down what became of it."""

_ENDED: Final = (Delivery.DELIVERED.value, Delivery.DEAD.value)


class SqliteOutbox:
    """`Outbox` over SQLite; every change is synced to disk before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, messages: Sequence[Message], now: datetime) -> None:
        """Queues messages; a message_id already there is kept as it is."""
        with self._database.write(is_synced=True) as connection:
            queue(connection, messages, now)

    def claim(self, now: datetime, *, limit: int, sink: str = "") -> tuple[OutboxEntry, ...]:
        """Atomically takes up to `limit` entries due at `now` (WAITING or UNKNOWN; urgent first, then oldest) and marks
        them SENDING; returns them with the state they had before, `n_attempts` counting this one.

        A message never tried is due whatever the clocks say: the one that queued it may have run ahead of this one. Claims
        older than `LEASE` are taken over: their message is in doubt."""
        is_open = sa.and_(_T.state.in_(_OPEN), sa.or_(_T.due_at_us <= to_us(now), _T.n_attempts == 0))
        is_left = sa.and_(_T.state == Delivery.SENDING.value, _T.due_at_us <= to_us(now))
        is_for = _T.message_id.endswith(f"@{sink}", autoescape=True) if sink else ~_T.message_id.contains("@")
        wanted = sa.select(outbox).where(sa.or_(is_open, is_left), is_for)
        urgent_first = wanted.order_by(_T.severity.desc(), _T.queued_at_us, _T.entry_no).limit(limit)
        with self._database.write(is_synced=True) as connection:
            rows = connection.execute(urgent_first).all()
            if rows:
                taken = sa.update(outbox).where(_T.entry_no.in_([row.entry_no for row in rows]))
                values = {"state": Delivery.SENDING.value, "due_at_us": to_us(now + LEASE)}
                connection.execute(taken.values(**values, n_attempts=_T.n_attempts + 1))
        return tuple(_entry(row, n_attempts=row.n_attempts + 1) for row in rows)

    def delivered(self, message_id: str, receipt: Receipt, at: datetime) -> None:
        """Marks an entry delivered; the first receipt stands. Raises StoreError for a message never queued."""
        values = {
            "state": Delivery.DELIVERED.value,
            "delivered_at_us": to_us(at),
            "receipt_channel": receipt.channel,
            "receipt_reference": receipt.reference,
        }
        self._change(message_id, values, unless=(Delivery.DELIVERED.value,))

    def postponed(self, message_id: str, *, until: datetime, error: str, is_outcome_unknown: bool) -> None:
        """Back to WAITING (or UNKNOWN), due at `until`; an entry delivered or given up stays so."""
        state = Delivery.UNKNOWN if is_outcome_unknown else Delivery.WAITING
        self._change(message_id, {"state": state.value, "due_at_us": to_us(until), "last_error": error}, unless=_ENDED)

    def dead(self, message_id: str, error: str) -> None:
        """Gives a message up; it stays listed for people. One that was delivered stays delivered."""
        self._change(message_id, {"state": Delivery.DEAD.value, "last_error": error}, unless=_ENDED)

    def recover(self, now: datetime) -> int:
        """At start: entries left SENDING by a killed process become UNKNOWN, due now; returns how many."""
        left = sa.update(outbox).where(_T.state == Delivery.SENDING.value)
        with self._database.write(is_synced=True) as connection:
            return connection.execute(left.values(state=Delivery.UNKNOWN.value, due_at_us=to_us(now))).rowcount

    def entries(
        self,
        *,
        states: Collection[Delivery] | None = None,
        thread: str | None = None,
        thread_prefix: str | None = None,
    ) -> tuple[OutboxEntry, ...]:
        """Entries, oldest first."""
        statement = sa.select(outbox).order_by(_T.queued_at_us, _T.entry_no)
        if states is not None:
            statement = statement.where(_T.state.in_([state.value for state in states]))
        if thread is not None:
            statement = statement.where(_T.thread == thread)
        if thread_prefix is not None:  # as a range, which the index serves
            statement = statement.where(_T.thread >= thread_prefix, _T.thread < f"{thread_prefix}\U0010ffff")
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return tuple(_entry(row, n_attempts=row.n_attempts) for row in rows)

    def _change(self, message_id: str, values: dict[str, Any], *, unless: Collection[str]) -> None:
        is_it = _T.message_id == message_id
        with self._database.write(is_synced=True) as connection:
            changed = connection.execute(
                sa.update(outbox).where(is_it, _T.state.not_in(unless)).values(values)
            ).rowcount
            if not changed and connection.execute(sa.select(_T.entry_no).where(is_it)).first() is None:
                raise StoreError("a message that was never queued cannot change state; add it to the outbox first")


def queue(connection: sa.Connection, messages: Sequence[Message], now: datetime) -> None:
    """Queues messages within a transaction; a message_id already there is kept as it is."""
    rows = [
        {
            "message_id": message.message_id,
            "state": Delivery.WAITING.value,
            "severity": int(message.severity),
            "thread": message.thread,
            "queued_at_us": to_us(now),
            "due_at_us": to_us(now),
            "n_attempts": 0,
            "last_error": "",
            "document": to_document(message),
        }
        for message in messages
    ]
    if rows:
        connection.execute(sqlite.insert(outbox).on_conflict_do_nothing(index_elements=["message_id"]), rows)


def _entry(row: Any, *, n_attempts: int) -> OutboxEntry:
    has_receipt = row.receipt_channel is not None
    return OutboxEntry(
        message=from_document(row.document, Message),
        state=Delivery(row.state),
        n_attempts=n_attempts,
        due_at=from_us(row.due_at_us),
        receipt=Receipt(row.receipt_channel, row.receipt_reference) if has_receipt else None,
        last_error=row.last_error,
    )
