"""Nobody acknowledged: whom to call, and when again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.config import Settings
from monitor.domain import Incident, IncidentState, Severity


def patience(severity: Severity, settings: Settings) -> timedelta | None:
    """How long an incident of this severity may stay unacknowledged; None: for ever."""
    waits = {
        Severity.CRITICAL: settings.incidents.escalate_after,
        Severity.WARNING: settings.incidents.escalate_warning_after,
    }
    return waits.get(severity)


def called(incidents: Iterable[Incident], settings: Settings, now: datetime) -> tuple[Incident, ...]:
    """Those of `incidents` for which a wider audience must be called now, as they stand after that.

    Only such as people were told of, and nobody acknowledged. The caller leaves out what is silenced or explained by another."""
    if not settings.incidents.escalate_to:
        return ()
    return tuple(
        replace(incident, escalated_at=now, n_escalations=incident.n_escalations + 1)
        for incident in incidents
        if _is_due(incident, settings, now)
    )


def _is_due(incident: Incident, settings: Settings, now: datetime) -> bool:
    wait = patience(incident.severity, settings)
    if incident.state is not IncidentState.OPEN or incident.told_at is None or wait is None:
        return False
    if incident.escalated_at is not None and incident.n_escalations:
        return now - incident.escalated_at >= settings.incidents.repeat_interval
    return now - incident.told_at >= wait
