"""Whose notices are held back, and by what. What is held back is recorded, named where it belongs, and told when that ends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from monitor.decide.context import Context
from monitor.domain import Incident, IncidentKind, Quality, Severity
from monitor.domain.silences import covers


def silenced_by(incident: Incident, context: Context, now: datetime) -> str | None:
    """Which word of a person silences this incident now, in words; None where none does."""
    if incident.silenced_until is not None and incident.silenced_until > now:
        return f"silenced until {incident.silenced_until:%Y-%m-%d %H:%M} UTC"
    if incident.kind is not IncidentKind.KEY:
        return None
    key = context.keys.get(incident.key_hash)
    for silence in context.silences:
        if silence.is_active(now) and covers(silence, incident, key, context.belonging):
            return f"{silence.silence_id} by {silence.created_by} until {silence.expires_at:%Y-%m-%d %H:%M} UTC"
    return None


def explained_by(incident: Incident, incidents: Iterable[Incident]) -> Incident | None:
    """The open source incident that explains this one: the key looks unusual on data that is not sound.

    Never for a critical one: a theft while the source is in trouble is still a theft."""
    is_sound = incident.quality.state is Quality.KNOWN and not incident.quality.is_ambiguous
    if incident.kind is not IncidentKind.KEY or is_sound or incident.severity >= Severity.CRITICAL:
        return None
    return source_trouble(incidents)


def source_trouble(incidents: Iterable[Incident]) -> Incident | None:
    """The worst open source incident for which nothing automatic happens; None where the source is well enough to act on."""
    sources = (
        each
        for each in incidents
        if each.kind is IncidentKind.SOURCE and each.is_alive and each.severity >= Severity.WARNING
    )
    return max(sources, key=lambda each: (each.severity, each.opened_at, each.incident_id), default=None)
