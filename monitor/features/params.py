"""What the fleet state keeps and how habits fade: the frozen parameters of a `FleetState`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from monitor.config import Detection
from monitor.domain import BUCKET_S, HOUR_S

FINE_PER_HOUR: Final = HOUR_S // BUCKET_S
FINE_HOURS: Final = 4
"""Hours of ten-minute cells kept: the longest overlap of a poll (3 h) and the running hour."""

WEEK_H: Final = 168
LEVEL_HOURS: Final = 5 * WEEK_H
"""Hourly totals kept a key: five of each hour of the week."""

FORGET_H: Final = 90 * 24
"""A value not seen for so long is forgotten, and counts as never seen when it comes back."""


@dataclass(frozen=True, slots=True)
class HabitParams:
    """Shape and pace of the fleet state; two states with different parameters cannot be mixed.

    `half_life_h`: how fast habits fade. `quarantine_h`: an hour teaches once it is this old. `ring_hours`: hourly cells
    kept a slot; at least a day, and what waits in quarantine."""

    half_life_h: float
    quarantine_h: int
    ring_hours: int

    def __post_init__(self) -> None:
        """Raises ValueError where learned hours could leave the ring before they were learned."""
        if self.half_life_h <= 0 or self.quarantine_h < FINE_HOURS or self.ring_hours < max(25, self.quarantine_h + 3):
            raise ValueError(f"habit parameters do not fit together: {self}")

    @classmethod
    def from_settings(cls, detection: Detection) -> HabitParams:
        """From the settings; a quarantine shorter than the ten-minute ring is lengthened to it."""
        quarantine_h = max(FINE_HOURS, -(-detection.quarantine // timedelta(hours=1)))
        return cls(
            half_life_h=max(detection.half_life / timedelta(hours=1), 1.0),
            quarantine_h=quarantine_h,
            ring_hours=max(26, quarantine_h + 3),
        )
