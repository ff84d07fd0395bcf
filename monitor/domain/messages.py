"""What people are told."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from monitor.domain.actions import Action, Verdict
from monitor.domain.findings import Severity
from monitor.domain.incidents import Incident


class MessageKind(enum.StrEnum):
    """What a message is about."""

    ALERT = "alert"
    ACTION = "action"
    ACTION_FAILED = "action_failed"
    RESOLVED = "resolved"
    ESCALATION = "escalation"
    SOURCE = "source"
    DIGEST = "digest"
    TEST = "test"
    PROPOSAL = "proposal"
    REHEARSAL = "rehearsal"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people must be told; the notify stage gives it words. `detail` is for kinds without an incident.

    `incidents` are those that one notice tells of together (a crowd of keys, a blown fuse), most dollars at risk first.
    `thread`: of the event they belong to; without it, that of `incident`."""

    kind: MessageKind
    at: datetime
    incident: Incident | None = None
    action: Action | None = None
    verdict: Verdict | None = None
    detail: str = ""
    incidents: tuple[Incident, ...] = ()
    thread: str | None = None


class Choice(enum.StrEnum):
    """What people may decide about an incident, from within a message."""

    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    EXPECTED = "expected"
    PLANNED = "planned"
    ABUSE = "abuse"
    DISABLE = "disable"
    RESTORE = "restore"
    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a message asks people to decide. Bound to the incident and its step: an answer to an older step is stale. One about a
    proposal is bound to that, and to its `version` (`actions.version_of`)."""

    incident_id: str
    step: int
    key_hash: str
    choices: tuple[Choice, ...]
    action_id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that the sink already holds: its own id of the file, and what is read out for it."""

    file_id: str
    alt_text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message in words, plain text throughout: each notifier escapes for its own sink.

    `message_id` is unique and stable for what it says (`INC-…:2:alert`), so that delivery can be deduplicated and
    looked up. `channel` is where it should go; `thread` groups messages of one incident. `ask`: what people may decide, for
    sinks that can be answered. `about`: ids of the incidents it tells of together."""

    message_id: str
    kind: MessageKind
    channel: str
    severity: Severity
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...] = ()
    evidence: tuple[str, ...] = ()
    sections: tuple[tuple[str, tuple[str, ...]], ...] = ()
    undo: str = ""
    footer: str = ""
    thread: str | None = None
    created_at: datetime | None = None
    ask: Ask | None = None
    picture: Picture | None = None
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of delivery: where, and the sink's own id of the message (Slack: `ts`)."""

    channel: str
    reference: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing `check` looked at; `detail` names the remedy where it is not ok."""

    what: str
    is_ok: bool
    detail: str
