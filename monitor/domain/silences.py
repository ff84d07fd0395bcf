"""A time during which people do not want to hear of some incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.domain.findings import Severity
from monitor.domain.incidents import Incident
from monitor.domain.keys import ApiKey
from monitor.domain.matching import is_in_workspace, is_named

LONGEST_SILENCE: Final = timedelta(days=30)
"""A silence never lasts longer: what is silenced for good is a blind spot nobody remembers."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Incidents that match every condition given (at least one) are recorded, but neither told of nor acted upon.

    `key_name` is a regular expression searched in the key's name; `severity` covers incidents up to that one. `detector` is one
    that found the incident, or a value among its causes. `ended_at`: when a person ended it before `expires_at`."""

    silence_id: str
    created_at: datetime
    expires_at: datetime
    created_by: str
    comment: str
    key_hash: str | None = None
    key_name: str | None = None
    owner: str | None = None
    workspace: str | None = None
    detector: str | None = None
    severity: Severity | None = None
    ended_at: datetime | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it covers this moment."""
        ends = min(self.expires_at, self.ended_at or self.expires_at, self.created_at + LONGEST_SILENCE)
        return self.created_at <= now < ends

    @property
    def conditions(self) -> dict[str, str]:
        """What it matches, by name, as text."""
        given = {
            "key_hash": self.key_hash,
            "key_name": self.key_name,
            "owner": self.owner,
            "workspace": self.workspace,
            "detector": self.detector,
            "severity": None if self.severity is None else self.severity.name.lower(),
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Belonging:
    """Whose keys are whose: owner by key hash, workspace name by id."""

    owners: Mapping[str, str]
    workspaces: Mapping[str, str]


def covers(silence: Silence, incident: Incident, key: ApiKey | None, belonging: Belonging) -> bool:
    """Whether every condition of the silence holds. What is not known of the key never matches."""
    if not silence.conditions:
        return False
    values = {*incident.detectors, *(cause.value for cause in incident.causes)}
    return (
        (silence.key_hash is None or silence.key_hash == incident.key_hash)
        and (silence.key_name is None or (key is not None and is_named(key, silence.key_name)))
        and (silence.owner is None or silence.owner == belonging.owners.get(incident.key_hash))
        and (
            silence.workspace is None
            or (key is not None and is_in_workspace(key, silence.workspace, belonging.workspaces))
        )
        and (silence.detector is None or silence.detector in values)
        and (silence.severity is None or incident.severity <= silence.severity)
    )
