"""Incidents as rows; what a person decided meanwhile is never written over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.domain import Incident
from monitor.domain.incidents import with_peoples
from monitor.store import schema
from monitor.store.values import from_document, to_document, to_us


def read_incident(connection: sa.Connection, incident_id: str) -> Incident | None:
    """One incident as it stands in this transaction."""
    statement = sa.select(schema.incidents.c.document).where(schema.incidents.c.incident_id == incident_id)
    document = connection.execute(statement).scalar()
    return None if document is None else from_document(document, Incident)


def settled(connection: sa.Connection, planned: Iterable[Incident]) -> tuple[tuple[Incident, Incident | None], ...]:
    """(incident to write, incident as stored or None) for each planned one: figures of the plan, decisions of people."""
    pairs = []
    for incident in planned:
        stored = read_incident(connection, incident.incident_id)
        pairs.append((incident if stored is None else with_peoples(incident, stored), stored))
    return tuple(pairs)


def upsert_incidents(connection: sa.Connection, changed: Sequence[Incident]) -> None:
    """Writes incidents as they are given."""
    if changed:
        insert = sqlite.insert(schema.incidents)
        rest = {
            column.name: insert.excluded[column.name] for column in schema.incidents.columns if not column.primary_key
        }
        statement = insert.on_conflict_do_update(index_elements=["incident_id"], set_=rest)
        connection.execute(statement, [_incident_row(incident) for incident in changed])


def _incident_row(incident: Incident) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id,
        "fingerprint": incident.fingerprint,
        "key_hash": incident.key_hash,
        "state": incident.state.value,
        "severity": int(incident.severity),
        "opened_at_us": to_us(incident.opened_at),
        "last_seen_at_us": to_us(incident.last_seen_at),
        "document": to_document(incident),
    }
