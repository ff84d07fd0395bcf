"""Findings of one cause, with a life."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.domain.findings import Cause, Rung, Severity
from monitor.domain.usage import DataQuality


class IncidentState(enum.StrEnum):
    """Life of an incident. One that was reopened is OPEN again; `Incident.spells` tells of its earlier lives."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


ALIVE = frozenset(IncidentState) - {IncidentState.RESOLVED}
"""States of an incident that is not over."""


class IncidentKind(enum.StrEnum):
    """What an incident is about."""

    KEY = "key"  # one key
    PLATFORM = "platform"  # many keys that turned unusual together
    SOURCE = "source"  # the data itself: nothing automatic follows from it


@dataclass(frozen=True, slots=True)
class Spell:
    """An earlier life of a reopened incident: from the first unusual bucket to the last, and when it was resolved."""

    onset_at: datetime
    last_seen_at: datetime
    resolved_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """Since when the conditions of a rung, but for the time, have held without a break, and when they last were seen to."""

    rung: Rung
    since: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """Findings of one cause on one key, with a life.

    `fingerprint` says what makes two findings the same cause. `step` grows by one with each severity step or rung reached, and
    when it is reopened or its silence ends; at most one message is sent for each (incident_id, step), and `told_step` is the
    last one that people were told of (`told_at`: since when they know of this spell). `spent_nusd` is the key's spend above
    expectation since `onset_at`; `at_risk_nusd` what it may still spend until a person is expected to look. `onset_at` is that
    of the first spell, `opened_at` when the monitor noticed it.

    What people decided: `revision` grows with each such change; the state while not OPEN, `silenced_until`, who acknowledged
    or resolved it. `part_of` names the platform or source incident that explains this one; `members` the other way round.
    `n_escalations` counts calls for a wider audience in this spell. `held`: of rungs that ask for time, since when they could be
    reached (decide/sustained.py)."""

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
    kind: IncidentKind = IncidentKind.KEY
    told_step: int = 0
    revision: int = 0
    resolved_by: str = ""
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    silenced_until: datetime | None = None
    spells: tuple[Spell, ...] = ()
    reopened_at: datetime | None = None
    spell_since: datetime | None = None
    told_at: datetime | None = None
    escalated_at: datetime | None = None
    n_escalations: int = 0
    part_of: str | None = None
    members: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()

    @property
    def is_alive(self) -> bool:
        """Whether it is not over."""
        return self.state is not IncidentState.RESOLVED

    @property
    def noticed_at(self) -> datetime:
        """When the monitor noticed the present spell."""
        return self.reopened_at or self.opened_at

    @property
    def spell_onset_at(self) -> datetime:
        """When the present spell began: the onset, or of a reopened incident the first unusual bucket after the pause."""
        return self.spell_since or self.onset_at


_PEOPLES = (
    "state",
    "revision",
    "resolved_at",
    "resolution",
    "resolved_by",
    "acknowledged_at",
    "acknowledged_by",
    "silenced_until",
    "spells",
    "reopened_at",
    "spell_since",
    "escalated_at",
    "n_escalations",
)


def with_peoples(planned: Incident, stored: Incident) -> Incident:
    """`planned`, but for what a person changed meanwhile: people decide while a pass is under way, and their word stands."""
    if stored.revision <= planned.revision:
        return planned
    return replace(planned, **{name: getattr(stored, name) for name in _PEOPLES})
