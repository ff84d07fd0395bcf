"""What the audit trail holds: who did what, when and why, each row chained to the one before."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from monitor.domain.incidents import Incident

GENESIS: Final = "0" * 64
"""What the first row is chained to."""


class AuditKind(enum.StrEnum):
    """What a row of the trail tells of."""

    INTENT = "intent"
    OUTCOME = "outcome"
    PROPOSED = "proposed"
    DECIDED = "decided"
    OPENED = "opened"
    STEPPED = "stepped"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    ESCALATED = "escalated"
    SILENCE_ADDED = "silence_added"
    SILENCE_ENDED = "silence_ended"
    FEEDBACK = "feedback"
    PRESSED = "pressed"
    SETTINGS = "settings"
    ARMED = "armed"
    DISARMED = "disarmed"
    KILL_SWITCH = "kill_switch"
    DETECTOR = "detector"
    REHEARSAL = "rehearsal"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something to be written down. `detail` holds text values only, none of them a secret."""

    at: datetime
    kind: AuditKind
    by: str
    subject: str
    key_hash: str = ""
    incident_id: str = ""
    why: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


def incident_entry(
    incident: Incident, kind: AuditKind, *, at: datetime, by: str, why: str, detail: Mapping[str, str]
) -> AuditEntry:
    """What happened to one incident."""
    return AuditEntry(
        at, kind, by, incident.incident_id, incident.key_hash, incident.incident_id, why=why, detail=detail
    )


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry as it stands in the trail: its number from 1 on without gaps, and the hash over it and all before it."""

    number: int
    at_us: int
    kind: str
    by: str
    subject: str
    key_hash: str
    incident_id: str
    why: str
    detail: str
    chain: str


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Up to where the trail goes: its last row's number and hash. Kept outside the store, it shows a tail that was cut."""

    number: int
    chain: str

    def __str__(self) -> str:
        return f"{self.number}:{self.chain}"


EMPTY_TRAIL: Final = AuditHead(0, GENESIS)


def chained(before: str, row: AuditRow) -> str:
    """The hash of a row: SHA-256 over the hash before it and all its fields, none of which can run into the next."""
    fields = [
        row.number, row.at_us, row.kind, row.by, row.subject, row.key_hash, row.incident_id, row.why, row.detail,
    ]  # fmt: skip
    return hashlib.sha256(f"{before}\n{json.dumps(fields, ensure_ascii=True)}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Verified:
    """What walking the trail showed. `bad_number`: the first row that is wrong, None where all is well."""

    head: AuditHead
    bad_number: int | None = None
    problem: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the trail is as it was written."""
        return self.bad_number is None


def verified(rows: Iterable[AuditRow], *, outside: AuditHead | None = None) -> Verified:
    """Walks rows in order of number. `outside`: a head kept elsewhere; only it shows that rows are missing at the end."""
    head, seen = EMPTY_TRAIL, outside is None or outside.number == 0
    for row in rows:
        if row.number != head.number + 1:
            return Verified(
                head, head.number + 1, f"row {head.number + 1} is missing: row {row.number} follows {head.number}"
            )
        chain = chained(head.chain, row)
        if chain != row.chain:
            return Verified(head, row.number, f"row {row.number} was altered, or the row before it")
        head = AuditHead(row.number, chain)
        if outside is not None and row.number == outside.number:
            if chain != outside.chain:
                return Verified(head, row.number, f"row {row.number} is not the one whose hash was kept outside")
            seen = True
    if not seen and outside is not None:
        return Verified(
            head, head.number + 1, f"the trail ends at row {head.number}; it once reached row {outside.number}"
        )
    return Verified(head)


def head_line(head: AuditHead) -> str:
    """The head for people: what to hold `audit verify --head` against."""
    return f"Audit trail: row {head.number}, head {head}" if head.number else "Audit trail: no row yet"
