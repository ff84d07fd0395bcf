"""What is done to a key, or not, and why."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from datetime import datetime

from monitor.domain.findings import Rung
from monitor.domain.keys import KeySettings


class Reason(enum.StrEnum):
    """Why a key is, or is not, acted upon. Every member is documented in docs/runbook.md."""

    CROSSED_THRESHOLD = "crossed_threshold"
    HARD_RULE = "hard_rule"
    STILL_SPENDING = "still_spending"
    BELOW_NOTICE = "below_notice"
    BELOW_THRESHOLD = "below_threshold"
    POLICY = "policy"
    OBSERVE_MODE = "observe_mode"
    DRY_RUN = "dry_run"
    SHADOW_DETECTOR = "shadow_detector"
    PROBED = "probed"
    PLANNED = "planned"
    PROTECTED_KEY = "protected_key"
    KILL_SWITCH = "kill_switch"
    QUIET_HOURS = "quiet_hours"
    FUSE_RUN = "fuse_run"
    FUSE_HOUR = "fuse_hour"
    FUSE_DAY = "fuse_day"
    FUSE_SHARE = "fuse_share"
    FUSE_SPEND = "fuse_spend"
    CANARY = "canary"
    CANARY_UNPROVEN = "canary_unproven"
    STALE_DATA = "stale_data"
    PARTIAL_DATA = "partial_data"
    AMBIGUOUS_DATA = "ambiguous_data"
    CORRELATED = "correlated"
    COOLDOWN = "cooldown"
    REENABLED = "reenabled"
    ALREADY_DISABLED = "already_disabled"
    ALREADY_CAPPED = "already_capped"
    ACTION_PENDING = "action_pending"
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    DENIED = "denied"
    KEY_GONE = "key_gone"
    FALSE_ALARM = "false_alarm"
    SILENCED = "silenced"
    REQUESTED = "requested"
    REHEARSAL = "rehearsal"


class Verb(enum.StrEnum):
    """What can be done to a key. ZERO sets the limit to 0, for a disable without effect. DELETE is for people only."""

    DISABLE = "disable"
    CAP = "cap"
    ZERO = "zero"
    RESTORE = "restore"
    DELETE = "delete"


class ActionState(enum.StrEnum):
    """Where an action stands. INTENDED is written before the effect; an action found in it at start is resolved by reading.

    An action that people must approve, or may object to, begins as PROPOSED: nothing is done until it is INTENDED, and that is
    decided only where the evidence still stands. APPROVED and DENIED are what people say to it."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DENIED = "denied"
    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


WAITING = frozenset({ActionState.PROPOSED, ActionState.APPROVED})
"""Nothing was touched yet, and it still may be."""


@dataclass(frozen=True, slots=True)
class Action:
    """One change of one key: an intent, later with its outcome. `prior` is what `restore` puts back, exactly.

    `limit_usd`: what a cap lowers the limit to. `not_before`: until when its owner may object; a proposal without it needs
    approval. `decided_by`: who approved or denied it."""

    action_id: str
    verb: Verb
    key_hash: str
    incident_id: str | None
    requested_by: str
    reason: Reason
    prior: KeySettings | None
    intended_at: datetime
    expires_at: datetime
    state: ActionState = ActionState.INTENDED
    finished_at: datetime | None = None
    detail: str = ""
    limit_usd: float | None = None
    not_before: datetime | None = None
    decided_by: str = ""


def version_of(action: Action) -> str:
    """Eight digits of what people are asked to approve: another key, verb, limit or time is another question."""
    asked = (action.action_id, action.verb, action.key_hash, action.limit_usd, action.intended_at, action.not_before)
    return hashlib.sha256(repr(tuple(map(str, asked))).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Act or not, for one key, and the enumerated why. Kept also when nothing was done."""

    key_hash: str
    incident_id: str
    at: datetime
    rung: Rung
    is_act: bool
    reason: Reason
    detail: str = ""
