"""Money, times, reasons and text from outside, made readable for people. Pure; every sink still escapes for itself.

Both messages and the digest speak with these words, and stages may not import each other: hence one module below them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from monitor.domain import NUSD, Reason, Severity

MAX_NAME: Final = 150
"""Longest text from outside shown anywhere: a key's name is a label, its hash says which key it is."""

_SPACES: Final = frozenset({"Cc", "Zl", "Zp", "Zs"})
_INVISIBLE: Final = frozenset({"Cf", "Cs", "Co", "Cn"})
_MAX_MARKS: Final = 3
_K: Final = 1_000
_MORE: Final = re.compile(r"and ([1-9][\d,]{0,12}) more", re.ASCII)


SEVERITIES: Final[Mapping[Severity, str]] = {
    Severity.NOTICE: "notice",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}

REASONS: Final[Mapping[Reason, str]] = {
    Reason.CROSSED_THRESHOLD: "its usage crossed the threshold for disabling",
    Reason.HARD_RULE: "it broke a rule that says disable",
    Reason.STILL_SPENDING: "it goes on spending although it is disabled",
    Reason.BELOW_NOTICE: "the policy of this key asks for more before people are told",
    Reason.BELOW_THRESHOLD: "the evidence is below the threshold for disabling",
    Reason.POLICY: "the policy of this key does not allow more",
    Reason.OBSERVE_MODE: "response.mode is observe: the monitor alerts and never acts",
    Reason.DRY_RUN: "response.mode is dry-run: in enforce mode it would be done now",
    Reason.SHADOW_DETECTOR: "the detector that found it is in shadow mode",
    Reason.PROBED: "somebody tried models with it for cents: recorded, and watched more closely for 48 hours",
    Reason.PLANNED: "people had announced this use (`feedback KEY planned`): recorded, not told",
    Reason.PROTECTED_KEY: "the key is protected (response.protected_keys)",
    Reason.KILL_SWITCH: "the kill switch is set: nothing automatic happens",
    Reason.QUIET_HOURS: "in quiet hours people decide (response.quiet_hours)",
    Reason.FUSE_RUN: "the fuse for one cycle is blown (response.max_per_run)",
    Reason.FUSE_HOUR: "the fuse for one hour is blown (response.max_per_hour)",
    Reason.FUSE_DAY: "the fuse for 24 hours is blown (response.max_per_day)",
    Reason.FUSE_SHARE: "the fuse for the share of keys is blown (response.max_share_of_keys)",
    Reason.FUSE_SPEND: "the fuse for the share of spend is blown (response.max_share_of_spend)",
    Reason.CANARY: "of several keys one is disabled first, to see that it helps",
    Reason.CANARY_UNPROVEN: "the key that was disabled first was not seen to stop, so the others are left to people",
    Reason.STALE_DATA: "the usage data is too old to act on",
    Reason.PARTIAL_DATA: "the usage data is incomplete",
    Reason.AMBIGUOUS_DATA: "the usage could not be tied to one key for certain",
    Reason.CORRELATED: "many keys turned unusual together: that is left to people",
    Reason.COOLDOWN: "the key was restored recently and is in its cooldown",
    Reason.REENABLED: "people switched the key on again and again: it is left to them",
    Reason.ALREADY_DISABLED: "the key is disabled already",
    Reason.ALREADY_CAPPED: "the key's limit is as low already",
    Reason.ACTION_PENDING: "an earlier action on this key is still under way",
    Reason.HELD: "it is held, so that its owner may object",
    Reason.AWAITING_APPROVAL: "it waits for a person to approve it",
    Reason.DENIED: "a person denied it",
    Reason.KEY_GONE: "the key does not exist any more",
    Reason.FALSE_ALARM: "a person called this a false alarm",
    Reason.SILENCED: "a person silenced this for a time",
    Reason.REQUESTED: "a person asked for it",
    Reason.REHEARSAL: "a person rehearses: no theft, and it is put back at once",
}


_DETECTORS: Final[Mapping[str, str]] = {"contrast": "like a simulated theft", "forest": "unlike its habits"}


def one_line(text: str) -> str:
    """Text from outside on one line: controls and line ends become single spaces; direction marks, zero-width
    characters, surrogates and unassigned code points are dropped; at most three combining marks follow a character."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept: list[str] = []
    n_marks = 0
    for char in text:
        category = unicodedata.category(char)
        n_marks = n_marks + 1 if category in {"Mn", "Me"} else 0
        if category in _SPACES:
            kept.append(" ")
        elif category not in _INVISIBLE and n_marks <= _MAX_MARKS:
            kept.append(char)
    return " ".join("".join(kept).split())


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, the last an ellipsis where something was cut."""
    if limit <= 0:
        return ""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def name(text: str, *, fallback: str = "(no name)") -> str:
    """A name from outside: one line, at most 150 characters, `fallback` where nothing visible is left."""
    return shorten(one_line(text), MAX_NAME) or fallback


def detector(called: str) -> str:
    """What a detector looks for, for people who never heard of it; a hard rule is called as the settings call it."""
    meant = _DETECTORS.get(called)
    return f"{meant} ({called})" if meant else one_line(called)


def money(nusd: int) -> str:
    """Nano-dollars for people: $0.0031, $41.20, $1,771, $12.4k, $1.25M. Exact integers up to the last rounding."""
    if nusd < 0:
        return f"-{money(-nusd)}"
    if nusd == 0:
        return "$0"
    if nusd < NUSD // 10:
        return _small_money(nusd)
    cents = _divide(nusd, NUSD // 100)
    if cents < 1_000 * 100:
        return f"${cents // 100:,}.{cents % 100:02d}"
    if (dollars := _divide(nusd, NUSD)) < 10 * _K:
        return f"${dollars:,}"
    if (tenths := _divide(nusd, NUSD * _K // 10)) < 10 * _K:
        return f"${tenths // 10:,}.{tenths % 10}k"
    hundredths = _divide(nusd, NUSD * _K * _K // 100)
    return f"${hundredths // 100:,}.{hundredths % 100:02d}M"


def to_the_cent(nusd: int) -> str:
    """Nano-dollars where figures are added up before the reader's eyes: $1,817.20."""
    cents = _divide(abs(nusd), NUSD // 100)
    return f"{'-' if nusd < 0 else ''}${cents // 100:,}.{cents % 100:02d}"


def _small_money(nusd: int) -> str:
    """Below ten cents: two significant digits, so that a probe of a hundredth of a cent still shows."""
    digits = f"{nusd:09d}"
    first = next(place for place, digit in enumerate(digits) if digit != "0")
    places = min(9, first + 2)
    return f"$0.{_divide(nusd, 10 ** (9 - places)):0{places}d}"


def _divide(amount: int, unit: int) -> int:
    """Rounded half up, in integers."""
    return (2 * amount + unit) // (2 * unit)


def dollars(usd: float | None) -> str:
    """A setting in dollars (a key's limit); None is no limit."""
    return "no limit" if usd is None else money(round(usd * NUSD))


def share(fraction: float) -> str:
    """A share for people: 93%, 0.4%. Never 100% or 0% unless it is."""
    percent = fraction * 100
    if percent == 0 or percent >= 100:
        return f"{percent:.0f}%"
    if percent < 0.1:
        return "under 0.1%"
    if percent < 1 or percent > 99:
        return f"{min(percent, 99.9):.1f}%"
    return f"{percent:.0f}%"


def multiple(now_nusd: int, usual_nusd: int) -> str:
    """How many times the usual: "45 times", "1.7 times", "about 12,000 times"; empty where nothing is usual."""
    if usual_nusd <= 0 or now_nusd < 0:
        return ""
    ratio = now_nusd / usual_nusd
    if ratio < 9.95:
        return f"{ratio:.1f} times"
    return f"{ratio:.0f} times" if ratio < 1_000 else f"about {float(f'{ratio:.2g}'):,.0f} times"


def seconds(span_s: float) -> str:
    """How long something took, as people read it: tenths while it is short."""
    return f"{span_s:.1f} s" if span_s < 60 else duration(timedelta(seconds=span_s))


def duration(span: timedelta) -> str:
    """A span in its two largest units: 45 s, 12 min, 3 h 20 min, 2 d 4 h. Negative spans read as 0 s."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(minutes / 60)
    return _two(hours // 24, "d", hours % 24, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def moment(at: datetime) -> str:
    """A point in time, UTC, to the minute: 23 Nov 18:57 UTC."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%b %H:%M} UTC"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """1 key, 2 keys, 1,204 keys."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def and_more(lines: Sequence[str], limit: int) -> list[str]:
    """At most `limit` lines, the last of them "and N more" where some were left out. A limit below one keeps only that.

    A list cut before, with such a line at its end, is cut again with the right count."""
    if len(lines) <= max(limit, 0):
        return list(lines)
    cut_before = _MORE.fullmatch(lines[-1])
    n_lines = len(lines) if cut_before is None else len(lines) - 1 + int(cut_before[1].replace(",", ""))
    kept = max(0, limit - 1)
    return [*lines[:kept], f"and {n_lines - kept:,} more"]


def change(now_nusd: int, before_nusd: int) -> str:
    """This against last week: +12%, -8%, 45 times as much, new, gone, unchanged."""
    if now_nusd == before_nusd:
        return "unchanged"
    if before_nusd <= 0:
        return "new"
    if now_nusd <= 0:
        return "gone"
    if now_nusd >= 5 * before_nusd:
        return f"{multiple(now_nusd, before_nusd)} as much"
    percent = (now_nusd - before_nusd) / before_nusd * 100
    return f"{percent:+.0f}%" if abs(percent) >= 1 else f"{percent:+.1f}%"
