"""What usage is split by, and how far it can be trusted."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


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
class LaneHealth:
    """How one kind of data is doing, for `status`: `plan` says in words what the planner chose."""

    lane: str
    plan: str
    last_ok_at: datetime | None
    complete_until: datetime | None
    last_error: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
