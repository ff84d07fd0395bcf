"""What a detector flags, with its evidence."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from monitor.domain.usage import DataQuality, Dimension

PROBE = "probe"
"""`Finding.detector` of somebody who tries what a key can do, for cents: recorded in shadow, told with what comes next."""


PLANNED = "planned"
"""`Cause.value` of the note that a person had announced this use: recorded in shadow, unless it is what only thieves do."""

TWIN = "twin"
"""`Cause.value` of the note that a finding looks like a benign twin."""


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


@dataclass(frozen=True, slots=True)
class Cause:
    """One ranked cause of a finding, in dollars over the finding's window.

    `dimension` None: spend, price or rhythm as a whole. `value` is text from outside: escape it per sink. `credit`: share of
    the detector's score that it explains, 0 where no detector was asked. `twin`: of a note that it looks like a benign twin, which."""

    dimension: Dimension | None
    value: str
    cost_nusd: int
    share: float
    is_first_seen: bool
    usual_nusd: int
    sentence: str
    credit: float = 0.0
    twin: Twin | None = None


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

    @property
    def unusual_per_hour_nusd(self) -> int:
        """Dollars of the trailing hour that the key's habits do not explain, never negative.

        The largest of spend above expectation, spend on values new to the key (a thief inside its ordinary volume shows
        only there), and counter spend that no usage row accounts for yet."""
        excess = self.per_hour_nusd - self.expected_per_hour_nusd
        return max(0, excess, self.novel_per_hour_nusd, self.unexplained_nusd)


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
