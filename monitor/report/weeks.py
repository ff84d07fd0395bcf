"""Which hours a digest speaks about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [since, until), aware UTC, in whole hours."""

    since: datetime
    until: datetime

    @property
    def n_hours(self) -> int:
        """Hours in it: 167 or 169 in a week in which clocks change."""
        return round((self.until - self.since) / timedelta(hours=1))

    def __contains__(self, at: datetime) -> bool:
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True)
class Weeks:
    """The week a digest is about and the one before, which it compares with; `zone` is where its days begin."""

    current: Window
    previous: Window
    zone: ZoneInfo

    @property
    def days(self) -> str:
        """First and last day of the current week, in the zone: 16 Nov to 22 Nov."""
        first = self.current.since.astimezone(self.zone)
        last = self.current.until.astimezone(self.zone) - timedelta(hours=1)
        return f"{first.day} {first:%b} to {last.day} {last:%b}"


def weeks_before(now: datetime, zone: ZoneInfo) -> Weeks:
    """The seven whole days before `now`'s day, and the seven before those, by the zone's calendar.

    Usage comes in UTC hours: where a zone's midnight falls within one, the window begins with that hour."""
    today = now.astimezone(zone).date()
    edges = [
        datetime.combine(today - n_weeks * WEEK, time(), tzinfo=zone).astimezone(UTC).replace(minute=0)
        for n_weeks in (2, 1, 0)
    ]
    return Weeks(Window(edges[1], edges[2]), Window(edges[0], edges[1]), zone)
