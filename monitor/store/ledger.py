"""What was found, decided and done. One synced transaction a commit: after a kill all of it is there, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.domain import Action, ActionState, Finding, Incident, IncidentState, Message, Plan, Verdict
from monitor.errors import StoreError
from monitor.store import audit, schema
from monitor.store.database import Database
from monitor.store.incident_rows import settled, upsert_incidents
from monitor.store.outbox import queue
from monitor.store.values import digest_of, from_document, to_document, to_us


class SqliteLedger:
    """`Ledger` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def commit(self, findings: Sequence[Finding], plan: Plan, messages: Sequence[Message]) -> None:
        """Writes findings, incidents (upsert), verdicts, intents, outbox messages and the audit rows that tell of them, synced to
        disk before it returns. What a person decided about an incident since it was read stands.

        The same finding, verdict, intent or message twice is one; the first is kept."""
        with self._database.write(is_synced=True) as connection:
            _insert_new(connection, schema.findings, "digest", map(_finding_row, findings))
            pairs = settled(connection, plan.incidents)
            upsert_incidents(connection, [incident for incident, _ in pairs])
            _insert_new(connection, schema.verdicts, "digest", map(_verdict_row, plan.verdicts))
            lives = [audit.of_incident(incident, stored) for incident, stored in pairs]
            intents = [audit.of_intent(action) for action in plan.actions if _journal(connection, action)]
            entries = [*(entry for entry in lives if entry is not None), *intents]
            if entries:
                audit.append(connection, entries)
            queue(connection, messages, plan.at)

    def finish(self, action: Action, messages: Sequence[Message]) -> None:
        """Writes an action's outcome, with the messages that tell of it.

        Raises StoreError if there is no intent of that id, if `action` carries no outcome, or if it is journalled as done
        and the outcome now says otherwise."""
        if action.state is ActionState.INTENDED:
            raise StoreError(f"action {action.action_id} has no outcome yet; finish() takes only what has ended")
        with self._database.write(is_synced=True) as connection:
            before = _state_of(connection, action.action_id)
            if before is None:
                raise StoreError(
                    f"action {action.action_id} has no intent in the journal; commit the intent before acting"
                )
            if before is ActionState.DONE and action.state is not ActionState.DONE:
                raise StoreError(
                    f"action {action.action_id} is journalled as done; it cannot become {action.state.value}"
                )
            if _journal(connection, action):
                audit.append(connection, (audit.of_outcome(action),))
            queue(connection, messages, action.finished_at or action.intended_at)

    def incidents(
        self, *, states: Collection[IncidentState] | None = None, since: datetime | None = None
    ) -> tuple[Incident, ...]:
        """Incidents in those states, last seen at `since` or later, newest first."""
        statement = sa.select(schema.incidents.c.document).order_by(
            schema.incidents.c.last_seen_at_us.desc(),
            schema.incidents.c.opened_at_us.desc(),
            schema.incidents.c.incident_id,
        )
        if states is not None:
            statement = statement.where(schema.incidents.c.state.in_([state.value for state in states]))
        if since is not None:
            statement = statement.where(schema.incidents.c.last_seen_at_us >= to_us(since))
        return self._read(statement, Incident)

    def actions(
        self,
        *,
        states: Collection[ActionState] | None = None,
        since: datetime | None = None,
        key_hash: str | None = None,
    ) -> tuple[Action, ...]:
        """Journalled actions as they stand (intended at `since` or later), oldest first."""
        events = schema.action_events.c
        edges = (
            sa.select(sa.func.min(events.event_no).label("first"), sa.func.max(events.event_no).label("last"))
            .group_by(events.action_id)
            .subquery()
        )
        statement = sa.select(events.document).join(edges, edges.c.last == events.event_no)
        if states is not None:
            statement = statement.where(events.state.in_([state.value for state in states]))
        if since is not None:
            statement = statement.where(events.intended_at_us >= to_us(since))
        if key_hash is not None:
            statement = statement.where(events.key_hash == key_hash)
        return self._read(statement.order_by(events.intended_at_us, edges.c.first), Action)

    def findings(self, since: datetime, *, key_hash: str | None = None) -> tuple[Finding, ...]:
        """Findings at `since` or later, oldest first."""
        return self._read(_since(schema.findings, "finding_no", since, key_hash), Finding)

    def verdicts(self, since: datetime, *, key_hash: str | None = None) -> tuple[Verdict, ...]:
        """Verdicts at `since` or later, oldest first."""
        return self._read(_since(schema.verdicts, "verdict_no", since, key_hash), Verdict)

    def _read(self, statement: sa.Select[Any], type_: type[Any]) -> tuple[Any, ...]:
        with self._database.read() as connection:
            found = connection.execute(statement).scalars().all()
        return tuple(from_document(document, type_) for document in found)


def _finding_row(finding: Finding) -> dict[str, Any]:
    document = to_document(finding)
    return {
        "digest": digest_of(document),
        "key_hash": finding.key_hash,
        "at_us": to_us(finding.at),
        "detector": finding.detector,
        "severity": int(finding.severity),
        "document": document,
    }


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    document = to_document(verdict)
    return {
        "digest": digest_of(document),
        "key_hash": verdict.key_hash,
        "incident_id": verdict.incident_id,
        "at_us": to_us(verdict.at),
        "reason": verdict.reason.value,
        "is_act": int(verdict.is_act),
        "document": document,
    }


def _insert_new(connection: sa.Connection, table: sa.Table, unique: str, rows: Iterable[dict[str, Any]]) -> None:
    if batch := list(rows):
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(index_elements=[unique]), batch)


def _journal(connection: sa.Connection, action: Action) -> bool:
    """Appends the state an action is in; one already journalled is kept as it is. Returns whether it is new."""
    insert = sqlite.insert(schema.action_events).on_conflict_do_nothing(index_elements=["action_id", "state"])
    row = {
        "action_id": action.action_id,
        "state": action.state.value,
        "key_hash": action.key_hash,
        "verb": action.verb.value,
        "intended_at_us": to_us(action.intended_at),
        "at_us": to_us(action.finished_at or action.intended_at),
        "document": to_document(action),
    }
    return connection.execute(insert.values(row)).rowcount > 0


def _state_of(connection: sa.Connection, action_id: str) -> ActionState | None:
    events = schema.action_events.c
    newest = sa.select(events.state).where(events.action_id == action_id).order_by(events.event_no.desc()).limit(1)
    state = connection.execute(newest).scalar()
    return None if state is None else ActionState(state)


def _since(table: sa.Table, number: str, since: datetime, key_hash: str | None) -> sa.Select[Any]:
    statement = (
        sa.select(table.c.document).where(table.c.at_us >= to_us(since)).order_by(table.c.at_us, table.c[number])
    )
    return statement if key_hash is None else statement.where(table.c.key_hash == key_hash)
