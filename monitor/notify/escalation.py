"""Words of a call for a wider audience. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from monitor.domain import Incident, IncidentKind
from monitor.notify.wording import command
from monitor.wording import duration, money

ACKNOWLEDGE: Final = "openrouter-monitor incidents ack"
SILENCE: Final = "openrouter-monitor incidents silence"


def title(incident: Incident, key_name: str) -> str:
    """What nobody took."""
    return f"Nobody has acknowledged: {key_name if incident.kind is IncidentKind.KEY else incident.incident_id}"


def summary(incident: Incident, who: str, now: datetime) -> str:
    """How long ago people were told, and what it costs meanwhile."""
    what = who if incident.kind is IncidentKind.KEY else f"{incident.kind.value} incident {incident.incident_id}"
    waited = duration(now - (incident.told_at or incident.noticed_at))
    again = f" This is call {incident.n_escalations}." if incident.n_escalations > 1 else ""
    figures = f"{money(incident.spent_nusd)} above usual so far, {money(incident.per_hour_nusd)}/h now"
    return f"The incident of {what} was told of {waited} ago and nobody took it: {figures}.{again}"


def what_to_do(incident: Incident, revoke: str) -> tuple[str, ...]:
    """Commands, the first of which ends the calls."""
    stop = f"Stop the key: {command(revoke, incident.key_hash)}" if incident.kind is IncidentKind.KEY else ""
    lines = (
        f"Say that you look at it: {ACKNOWLEDGE} {incident.incident_id}",
        stop,
        f"Known for now: {SILENCE} {incident.incident_id} --for 2h",
    )
    return tuple(line for line in lines if line)
