"""Findings of one cause, with a life."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from monitor.domain.findings import Cause, Rung, Severity
from monitor.domain.usage import DataQuality


class IncidentState(enum.StrEnum):
    """Life of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Incident:
    """Findings of one cause on one key, with a life.

    `fingerprint` says what makes two findings the same cause. `step` grows by one with each severity step or rung reached;
    at most one message is sent for each (incident_id, step). `spent_nusd` is the key's spend above expectation since
    `onset_at`; `at_risk_nusd` what it may still spend until a person is expected to look."""

    incident_id: str
    fingerprint: str
    key_hash: str
    state: IncidentState
    severity: Severity
    step: int
    opened_at: datetime
    onset_at: datetime
    last_seen_at: datetime
    spent_nusd: int
    per_hour_nusd: int
    expected_per_hour_nusd: int
    at_risk_nusd: int
    score: float
    p_value: float | None
    rung: Rung
    detectors: tuple[str, ...]
    causes: tuple[Cause, ...]
    quality: DataQuality
    resolved_at: datetime | None = None
    resolution: str | None = None
