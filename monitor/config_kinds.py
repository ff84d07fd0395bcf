"""Kinds of values in the settings, and what a table of them is."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

import durationpy
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from monitor.domain import QuietHours, Severity


def _duration(value: Any) -> Any:
    """ "90s", "5m", "36h", "14d", "2w" (and sums, "1h30m") as a timedelta; a bare number is refused as ambiguous."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('a duration is text with a unit, for example "90s", "5m", "36h" or "14d"')
    try:
        return durationpy.from_str(value)
    except (durationpy.DurationError, ValueError) as error:
        raise ValueError('not a duration; write for example "90s", "5m", "36h" or "14d"') from error


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


@cache
def _zones() -> frozenset[str]:
    """Every zone of this machine: finding them means walking a directory of hundreds of files."""
    return frozenset(available_timezones())


def _severity(value: Any) -> Any:
    if isinstance(value, str) and value.upper() in Severity.__members__:
        return Severity[value.upper()]
    return value


def _zone(value: str) -> str:
    if value != "UTC" and value not in _zones():
        raise ValueError('not a time zone; write for example "Europe/Berlin"')
    return value


def _hours(value: str) -> str:
    QuietHours.parse(value)
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Dollars = Annotated[float, Field(ge=0.0)]
SeverityName = Annotated[Severity, BeforeValidator(_severity)]
Zone = Annotated[str, AfterValidator(_zone)]
Hours = Annotated[str, AfterValidator(_hours)]
Person = Annotated[str, Field(pattern=r"^(cli|slack):\S+$")]


class Section(BaseModel):
    """A table of the TOML file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
