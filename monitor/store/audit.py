"""The audit trail in SQLite: rows are appended inside the transaction of what they tell of, and never touched again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any, Final

import sqlalchemy as sa

from monitor.domain import (
    Action,
    ActionState,
    AuditEntry,
    AuditHead,
    AuditKind,
    AuditRow,
    Incident,
    IncidentState,
    Verified,
    incident_entry,
)
from monitor.domain.audit import EMPTY_TRAIL, chained, verified
from monitor.errors import StoreError
from monitor.store.database import Database
from monitor.store.schema import audit
from monitor.store.values import to_us

MONITOR: Final = "monitor"

_BATCH: Final = 2_000
_COLUMNS: Final = ", ".join(f'"{field.name}"' for field in fields(AuditRow))


class SqliteAudit:
    """`AuditLog` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entries: Iterable[AuditEntry]) -> AuditHead:
        """Writes entries that tell of nothing else in the store (settings, arming), synced; returns the new head."""
        with self._database.write(is_synced=True) as connection:
            return append(connection, entries)

    def rows(
        self, *, incident_id: str | None = None, kind: AuditKind | None = None, limit: int | None = None
    ) -> tuple[AuditRow, ...]:
        """Rows, oldest first; with `limit` only the newest that many."""
        statement = sa.select(audit).order_by(audit.c.number.desc())
        if incident_id is not None:
            statement = statement.where(audit.c.incident_id == incident_id)
        if kind is not None:
            statement = statement.where(audit.c.kind == kind.value)
        if limit is not None:
            statement = statement.limit(limit)
        with self._database.read() as connection:
            found = connection.execute(statement).all()
        return tuple(_row(each) for each in reversed(found))

    def head(self) -> AuditHead:
        """The last row's number and hash; row 0 of an empty trail."""
        with self._database.read() as connection:
            return _head(connection)

    def verify(self, outside: AuditHead | None = None) -> Verified:
        """Walks the whole trail as of one moment. Raises StoreError where it cannot be read."""
        with self._database.read() as connection:
            return verified(_walk(connection), outside=outside)


def append(connection: sa.Connection, entries: Iterable[AuditEntry]) -> AuditHead:
    """Appends rows within a write transaction, which is what keeps two writers from taking the same number."""
    head, rows = _head(connection), []
    for entry in entries:
        row = AuditRow(
            number=head.number + 1,
            at_us=to_us(entry.at),
            kind=entry.kind.value,
            by=entry.by,
            subject=entry.subject,
            key_hash=entry.key_hash,
            incident_id=entry.incident_id,
            why=entry.why,
            detail=json.dumps(dict(entry.detail), sort_keys=True),
            chain="",
        )
        head = AuditHead(row.number, chained(head.chain, row))
        rows.append(_columns(replace(row, chain=head.chain)))
    if rows:
        connection.execute(sa.insert(audit), rows)
    return head


_BEFORE_INTENT: Final = {
    ActionState.PROPOSED: AuditKind.PROPOSED,
    ActionState.APPROVED: AuditKind.DECIDED,
    ActionState.DENIED: AuditKind.DECIDED,
}


def of_intent(action: Action) -> AuditEntry:
    """An action was proposed, or people said yes or no to it, or it is decided and not yet done."""
    kind = _BEFORE_INTENT.get(action.state, AuditKind.INTENT)
    at = action.intended_at if kind is AuditKind.INTENT else action.finished_at or action.intended_at
    return _of_action(kind, action, at=at)


def of_outcome(action: Action) -> AuditEntry:
    """What became of it."""
    return _of_action(AuditKind.OUTCOME, action, at=action.finished_at or action.intended_at)


def of_incident(incident: Incident, before: Incident | None, *, by: str = MONITOR) -> AuditEntry | None:
    """What happened in the life of an incident between two of its versions; None where only its figures went on."""
    kind, why = _happened(incident, before)
    if kind is None:
        return None
    moments = {
        AuditKind.OPENED: incident.opened_at,
        AuditKind.RESOLVED: incident.resolved_at,
        AuditKind.REOPENED: incident.reopened_at,
        AuditKind.ESCALATED: incident.escalated_at,
    }
    detail = {
        "step": str(incident.step),
        "severity": incident.severity.name.lower(),
        "spent_nusd": str(incident.spent_nusd),
    }
    return incident_entry(incident, kind, at=moments.get(kind) or incident.last_seen_at, by=by, why=why, detail=detail)


def _happened(incident: Incident, before: Incident | None) -> tuple[AuditKind | None, str]:
    if before is None:
        return AuditKind.OPENED, incident.causes[0].sentence if incident.causes else ""
    if incident.is_alive and not before.is_alive:
        return AuditKind.REOPENED, "its cause came back"
    if before.is_alive and not incident.is_alive:
        return AuditKind.RESOLVED, incident.resolution or ""
    if incident.n_escalations > before.n_escalations:
        return AuditKind.ESCALATED, "nobody acknowledged it"
    if before.state is IncidentState.SILENCED and incident.state is not IncidentState.SILENCED:
        return AuditKind.UNSILENCED, "its silence ended"
    if incident.step > before.step:
        return AuditKind.STEPPED, f"{incident.severity.name.lower()}, rung {incident.rung.name.lower()}"
    return None, ""


def _of_action(kind: AuditKind, action: Action, *, at: Any) -> AuditEntry:
    detail = {"verb": action.verb.value, "state": action.state.value, "reason": action.reason.value}
    if action.prior is not None and action.state is ActionState.INTENDED:
        prior = action.prior
        detail |= {"prior_disabled": str(prior.is_disabled).lower(), "prior_limit": str(prior.limit_usd)}
    return AuditEntry(
        at=at,
        kind=kind,
        by=action.decided_by if kind is AuditKind.DECIDED and action.decided_by else action.requested_by,
        subject=action.action_id,
        key_hash=action.key_hash,
        incident_id=action.incident_id or "",
        why=action.detail,
        detail=detail,
    )


def _columns(row: AuditRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in audit.columns.keys()}  # noqa: SIM118 - a collection of columns is no dict


def _row(found: Any) -> AuditRow:
    return AuditRow(**{name: getattr(found, name) for name in audit.columns.keys()})  # noqa: SIM118 - as above


def _head(connection: sa.Connection) -> AuditHead:
    found = connection.execute(
        sa.select(audit.c.number, audit.c.chain).order_by(audit.c.number.desc()).limit(1)
    ).first()
    return EMPTY_TRAIL if found is None else AuditHead(found.number, found.chain)


def _walk(connection: sa.Connection) -> Iterator[AuditRow]:
    """Bare rows, whose columns are in the order of AuditRow's fields: walking them costs half of what mapped ones do."""
    statement = f"SELECT {_COLUMNS} FROM audit ORDER BY number"  # noqa: S608 - no value
    cursor = connection.exec_driver_sql(statement).cursor
    assert cursor is not None  # it selects
    while part := cursor.fetchmany(_BATCH):
        yield from (AuditRow(*row) for row in part)


def parse_head(text: str) -> AuditHead:
    """`N:HASH` as `audit verify` prints it. Raises StoreError that says what is allowed."""
    number, _, chain = text.partition(":")
    if not number.isdecimal() or len(chain) != 64 or set(chain) - set("0123456789abcdef"):
        raise StoreError(f"{text[:80]!r} is no head of the audit trail; it is a row number, a colon and 64 hex digits")
    return AuditHead(int(number), chain)
