"""Which hours a digest speaks about. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from monitor.errors import ConfigError

WEEK = timedelta(days=7)

N_NORM: Final = 4
"""Weeks before the one told of that say what is normal."""

N_WEEKS: Final = 8
"""Weeks of days, the one told of among them, that a forecast looks back on."""

_ISO_WEEK: Final = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)


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

    @property
    def edges(self) -> tuple[datetime, ...]:
        """Where the days of the last `N_WEEKS` weeks begin, and where the last one ends: UTC, oldest first."""
        end = self._next_day
        return tuple(_begin(end - timedelta(days=no), self.zone) for no in range(7 * N_WEEKS, -1, -1))

    @property
    def norm(self) -> tuple[Window, ...]:
        """The weeks that say what is normal, oldest first; the last of them is `previous`."""
        edges = self.edges[:-7]
        firsts = range(len(edges) - 1 - 7 * N_NORM, len(edges) - 1, 7)
        return tuple(Window(edges[first], edges[first + 7]) for first in firsts)

    @property
    def month(self) -> Window:
        """The month that the end of the current week lies in: what there is to spend in it is told by a forecast."""
        first = self._next_day.replace(day=1)
        return Window(_begin(first, self.zone), _begin((first + timedelta(days=32)).replace(day=1), self.zone))

    @property
    def _next_day(self) -> date:
        """The day that begins where the current week ends."""
        day = self.current.until.astimezone(self.zone).date()
        is_shared = (
            _begin(day, self.zone) < self.current.until
        )  # the hour that holds midnight still belongs to the day before
        return day + timedelta(days=1) if is_shared else day


def weeks_before(now: datetime, zone: ZoneInfo) -> Weeks:
    """The seven whole days before `now`'s day, and the seven before those, by the zone's calendar.

    Usage comes in UTC hours: where a zone's midnight falls within one, the window begins with that hour."""
    return _ending(now.astimezone(zone).date(), zone)


def weeks_named(text: str, *, zone: ZoneInfo, now: datetime) -> Weeks:
    """The week 2026-W47, or the seven days from 2026-11-16 on. Raises ConfigError where that is none, or is not over."""
    try:
        found = _ISO_WEEK.fullmatch(text)
        first = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else date.fromisoformat(text)
        weeks = _ending(first + WEEK, zone)
        weeks.edges  # noqa: B018 - years in which there are no weeks before
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            "--week", f"{text!r} is no week", remedy="write 2026-W47, or its first day: 2026-11-16"
        ) from error
    if weeks.current.until > now:
        latest = now.astimezone(zone).date() - WEEK
        raise ConfigError(
            "--week", f"{text!r} is not over yet", remedy=f"the latest seven whole days begin with {latest}"
        )
    return weeks


def _ending(end: date, zone: ZoneInfo) -> Weeks:
    edges = [_begin(end - n_weeks * WEEK, zone) for n_weeks in (2, 1, 0)]
    return Weeks(Window(edges[1], edges[2]), Window(edges[0], edges[1]), zone)


def _begin(day: date, zone: ZoneInfo) -> datetime:
    """The UTC hour in which a day of the zone begins."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC).replace(minute=0, second=0)
