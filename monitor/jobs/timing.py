"""Whether time can be believed: where it goes back nothing is judged, and so nothing done, until it is clear what holds.

Our own clock may be wrong, and until the first answers of a process nothing corrects it. A clock that was set back, or ran ahead
and was put right, is behind what was judged before. Either it comes back (a slip, or answers correct it), or it goes on like
that: then it is right, and a state of the fleet that is ahead of it is made anew from the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from monitor.decide.sources import Symptom
from monitor.domain import HOUR_S
from monitor.features import FleetState

TIME: Final = "time"

SLACK: Final = timedelta(minutes=2)
"""So much a clock may go back, or be corrected, without a word."""

BELIEVED_AFTER: Final = 3
"""In so many cycles in a row must time be behind until that is believed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one cycle knows of its time. `doubt`: why it is in doubt, empty where it is not. `is_stale`: the state of the fleet was
    made by a time that was wrong."""

    doubt: str = ""
    is_stale: bool = False


@dataclass(slots=True)
class Timing:
    """`judged_at`: the time of the last cycle, of this process or one before. `n_doubted`: cycles in a row that were behind it."""

    judged_at: datetime | None = None
    n_doubted: int = 0

    def look(self, state: FleetState, now: datetime, *, corrected: timedelta, is_first: bool) -> Look:
        """`corrected`: by how much the answers of this cycle moved `now`. `is_first`: when the state was brought up nothing but
        our own clock said how late it is; what the first answers say of it is believed at once, against a state made by it."""
        head = datetime.fromtimestamp(state.head_hour * HOUR_S, UTC)
        is_ahead = head - now > SLACK
        known = max(head, self.judged_at or head)
        is_corrected = is_first and abs(corrected) > SLACK
        is_stale = is_corrected and state.head_hour != -(-int(now.timestamp()) // HOUR_S) - 1
        if is_corrected or known - now <= SLACK:
            self.judged_at, self.n_doubted = now, 0
            return Look(is_stale=is_stale)
        self.n_doubted += 1
        if self.n_doubted >= BELIEVED_AFTER:
            self.judged_at, is_stale = None, is_ahead
        said = f"the clock says {now:%Y-%m-%d %H:%M} UTC, but it was {known:%Y-%m-%d %H:%M} UTC before"
        return Look(said, is_stale)


def symptom(look: Look) -> Symptom | None:
    """What people are told while time is in doubt."""
    return Symptom(TIME, f"nobody knows how late it is: {look.doubt}", is_urgent=True) if look.doubt else None
