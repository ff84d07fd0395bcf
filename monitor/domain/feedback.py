"""What a person says of a key's usage."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class Opinion(enum.StrEnum):
    """What a person says. EXPECTED: that was us. PLANNED: that will be us, until a time. ABUSE: that was not us."""

    EXPECTED = "expected"
    PLANNED = "planned"
    ABUSE = "abuse"


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing a person said of one key. It counts from `said_at` to `until`, and never before it was said.

    `said_by`: `cli:<user>`, `slack:<user id>`. `incident_id`: the open incident it was said of. `note` is text from outside."""

    feedback_id: str
    key_hash: str
    opinion: Opinion
    said_at: datetime
    said_by: str
    until: datetime
    incident_id: str | None = None
    note: str = ""

    def is_in_force(self, now: datetime) -> bool:
        """Whether it counts at `now`."""
        return self.said_at <= now < self.until
