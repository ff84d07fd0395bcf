"""Hours of the week in which nothing automatic happens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_FORM: Final = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? )?(?P<since>\d{1,2}:\d{2})-(?P<until>\d{1,2}:\d{2})"
)
_EXAMPLES: Final = 'write for example "22:00-06:00" or "sat-sun 00:00-24:00"'


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of each of `days` (Monday is 0), in minutes since midnight. One that ends before it begins goes on into the next
    day; equal ends mean the whole day."""

    days: frozenset[int]
    since: int
    until: int

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """From "22:00-06:00", "sat 00:00-24:00" or "mon-fri 18:00-08:00". Raises ValueError that says what is allowed."""
        found = _FORM.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(f"not hours; {_EXAMPLES}")
        return cls(_days(found["first"], found["last"]), _minutes(found["since"]), _minutes(found["until"]) % (24 * 60))

    def covers(self, local: datetime) -> bool:
        """Whether this moment, in the time zone meant, lies within; the end does not."""
        at, day = local.hour * 60 + local.minute, local.weekday()
        if self.since < self.until:
            return day in self.days and self.since <= at < self.until
        return (day in self.days and at >= self.since) or ((day - 1) % 7 in self.days and at < self.until)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    if {first, last or first} - set(DAYS):
        raise ValueError(f"a day is one of {', '.join(DAYS)}; {_EXAMPLES}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _minutes(text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if (hour, minute) != (24, 0):
        try:
            time(hour, minute)
        except ValueError as error:
            raise ValueError(f"{text} is no time of day; {_EXAMPLES}") from error
    return hour * 60 + minute
