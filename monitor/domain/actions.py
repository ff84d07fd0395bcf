"""What is done to a key, or not, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from monitor.domain.findings import Rung
from monitor.domain.keys import KeySettings


class Reason(enum.StrEnum):
    """Why a key is, or is not, acted upon. Every member is documented in docs/runbook.md."""

    CROSSED_THRESHOLD = "crossed_threshold"
    HARD_RULE = "hard_rule"
    BELOW_THRESHOLD = "below_threshold"
    OBSERVE_MODE = "observe_mode"
    DRY_RUN = "dry_run"
    SHADOW_DETECTOR = "shadow_detector"
    PROBED = "probed"
    PLANNED = "planned"
    PROTECTED_KEY = "protected_key"
    KILL_SWITCH = "kill_switch"
    FUSE_HOUR = "fuse_hour"
    FUSE_DAY = "fuse_day"
    FUSE_SHARE = "fuse_share"
    STALE_DATA = "stale_data"
    PARTIAL_DATA = "partial_data"
    AMBIGUOUS_DATA = "ambiguous_data"
    CORRELATED = "correlated"
    COOLDOWN = "cooldown"
    ALREADY_DISABLED = "already_disabled"
    ACTION_PENDING = "action_pending"
    KEY_GONE = "key_gone"
    FALSE_ALARM = "false_alarm"
    SILENCED = "silenced"
    REQUESTED = "requested"


class Verb(enum.StrEnum):
    """What can be done to a key."""

    DISABLE = "disable"
    RESTORE = "restore"


class ActionState(enum.StrEnum):
    """Where an action stands. INTENDED is written before the effect; an action found in it at start is resolved by reading."""

    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Action:
    """One change of one key: an intent, later with its outcome. `prior` is what `restore` puts back, exactly."""

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
