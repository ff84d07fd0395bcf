"""Frozen values every stage speaks in. No I/O, no clock, no frames.

Money inside the program is int64 **nano-dollars** (`*_nusd`, 1 USD = 10**9): sums are exact in any order.
Floats in dollars (`*_usd`) appear only in values made for people and in settings at the key issuer.
All times are aware UTC `datetime`; a window is half-open `[since, until)`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

NUSD = 1_000_000_000
"""Nano-dollars in a dollar."""

BUCKET_S = 600
"""Seconds of a detection bucket: minute rows are summed into ten-minute buckets aligned to UTC."""

HOUR_S = 3600


PROBE = "probe"
"""`Finding.detector` of somebody who tries what a key can do, for cents: recorded in shadow, told with what comes next."""


class Clock(Protocol):
    """Time, as the edges see it. `now` may be set back; `monotonic` never is."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


class Dimension(enum.IntEnum):
    """What usage is split by. Each dimension is a full marginal: never add up dimensions."""

    MODEL = 0
    PROVIDER = 1
    COUNTRY = 2
    APP = 3


class Quality(enum.StrEnum):
    """What is known of one (key, dimension, bucket). No data is never zero usage."""

    KNOWN = "known"
    PARTIAL = "partial"  # bucket not over yet, not settled yet, truncated, or served from an old cache
    UNKNOWN = "unknown"


class Twin(enum.IntEnum):
    """Ordinary events that look like theft of a key, and what tells them apart (features/twins.py)."""

    FAILOVER = 1  # other keys went to the same provider with the same model
    PRICE = 2  # the model costs more on most keys
    COMMON = 3  # the new value is new on many keys
    MIGRATION = 4  # a new model takes the place of an old one
    REGION = 5  # only the country is new
    EXPERIMENT = 6  # new models for little money
    CATCH_UP = 7  # more after a pause, the day as usual
    BATCH = 8  # more of the same, for some hours
    GROWTH = 9  # more of the same, for longer


TWIN = "twin"
"""`Cause.value` of the note that a finding looks like a benign twin."""


class Severity(enum.IntEnum):
    """How much a person should care; follows from dollars at risk and confidence."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


class Rung(enum.IntEnum):
    """The response ladder."""

    NONE = 0
    NOTIFY = 1
    CAP = 2
    DISABLE = 3


class Reason(enum.StrEnum):
    """Why a key is, or is not, acted upon. Every member is documented in docs/runbook.md."""

    CROSSED_THRESHOLD = "crossed_threshold"
    HARD_RULE = "hard_rule"
    BELOW_THRESHOLD = "below_threshold"
    OBSERVE_MODE = "observe_mode"
    DRY_RUN = "dry_run"
    SHADOW_DETECTOR = "shadow_detector"
    PROBED = "probed"
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
    REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class KeySettings:
    """The settings of a key that a response may change, exactly as the issuer returned them."""

    is_disabled: bool
    limit_usd: float | None
    limit_reset: str | None
    include_byok_in_limit: bool


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key as last seen in the inventory.

    `key_hash` is the only identity; `key_name` is free text, not unique. Counters are int nano-dollars,
    None where the issuer did not send them. `settings.limit_usd` None means no limit."""

    key_hash: str
    key_name: str
    label: str
    workspace_id: str | None
    creator_user_id: str | None
    settings: KeySettings
    limit_remaining_usd: float | None
    usage_nusd: int | None
    usage_daily_nusd: int | None
    usage_weekly_nusd: int | None
    usage_monthly_nusd: int | None
    byok_usage_nusd: int | None
    created_at: datetime
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    byok_usage_daily_nusd: int | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace of the account."""

    workspace_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every key of every workspace at `taken_at`. `is_complete` is False where a listing failed or looked cut off;
    `vanished` are hashes known before that the issuer now confirms as gone (404)."""

    taken_at: datetime
    keys: tuple[ApiKey, ...]
    workspaces: tuple[Workspace, ...]
    vanished: tuple[str, ...] = ()
    is_complete: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataQuality:
    """How far one key's usage can be trusted right now, over all four dimensions.

    `complete_until`: end of the newest bucket that is known in every dimension (None: nothing is).
    `as_of`: when the issuer computed the newest data (the oldest `cachedAt` of the answers used)."""

    state: Quality
    complete_until: datetime | None
    as_of: datetime | None
    is_ambiguous: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """One ranked cause of a finding, in dollars over the finding's window.

    `dimension` None: spend, price or rhythm as a whole. `value` is text from outside: escape it per sink. `credit`: share of
    the detector's score that it explains, 0 where no detector was asked."""

    dimension: Dimension | None
    value: str
    cost_nusd: int
    share: float
    is_first_seen: bool
    usual_nusd: int
    sentence: str
    credit: float = 0.0


@dataclass(frozen=True, slots=True)
class Spend:
    """The money of one key around `at`, int nano-dollars. `per_hour` is the trailing hour; `expected_per_hour` the key's
    own robust expectation for this hour; `unexplained` is counter spend that no usage row accounts for yet."""

    per_hour_nusd: int
    expected_per_hour_nusd: int
    last_day_nusd: int
    novel_per_hour_nusd: int
    unexplained_nusd: int
    limit_remaining_nusd: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One bucket of one key that a detector flags, with evidence.

    `score` higher is more anomalous; `p_value` in (0, 1] is its calibrated rarity, None for hard rules.
    `rung` is the highest response this finding's evidence supports; policy and fuses come later."""

    key_hash: str
    at: datetime
    onset_at: datetime
    detector: str
    is_shadow: bool
    score: float
    p_value: float | None
    severity: Severity
    rung: Rung
    spend: Spend
    causes: tuple[Cause, ...]
    quality: DataQuality


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


class MessageKind(enum.StrEnum):
    """What a message is about."""

    ALERT = "alert"
    ACTION = "action"
    ACTION_FAILED = "action_failed"
    RESOLVED = "resolved"
    SOURCE = "source"
    DIGEST = "digest"
    TEST = "test"


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


@dataclass(frozen=True, slots=True)
class Message:
    """One message in words, plain text throughout: each notifier escapes for its own sink.

    `message_id` is unique and stable for what it says (`INC-…:2:alert`), so that delivery can be deduplicated and
    looked up. `channel` is where it should go; `thread` groups messages of one incident."""

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


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of delivery: where, and the sink's own id of the message (Slack: `ts`)."""

    channel: str
    reference: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What `decide` wants done. `incidents` are those new or changed; nothing in here has happened yet."""

    at: datetime
    incidents: tuple[Incident, ...] = ()
    actions: tuple[Action, ...] = ()
    notices: tuple[Notice, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class LaneHealth:
    """How one kind of data is doing, for `status`: `plan` says in words what the planner chose."""

    lane: str
    plan: str
    last_ok_at: datetime | None
    complete_until: datetime | None
    last_error: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing `check` looked at; `detail` names the remedy where it is not ok."""

    what: str
    is_ok: bool
    detail: str


def short_id(prefix: str, *parts: str) -> str:
    """A deterministic identifier from its parts, so that a replayed decision gets the same one: `INC-1f0c9a2b7d`."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{prefix}-{digest[:10]}"
