"""The words messages are made of, and what a person can type; severities and reasons are in `monitor.wording`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from monitor.domain import ApiKey, Cause, Dimension, Quality
from monitor.wording import money, name, one_line, share

QUALITIES: Final[Mapping[Quality, str]] = {
    Quality.KNOWN: "",
    Quality.PARTIAL: "data incomplete: figures are a lower bound",
    Quality.UNKNOWN: "usage data missing: figures come from the key's counter",
}

DIMENSIONS: Final[Mapping[Dimension, str]] = {
    Dimension.MODEL: "model",
    Dimension.PROVIDER: "provider",
    Dimension.COUNTRY: "country",
    Dimension.APP: "app",
}

SHORT_HASH: Final = 12
"""Digits of a key's hash that people see and type."""


def short_hash(key_hash: str) -> str:
    """The first digits of a key's hash."""
    return one_line(key_hash)[:SHORT_HASH]


def called(key: ApiKey | None, key_hash: str) -> str:
    """How a sentence names a key: “prod-web”, or its short hash where it has no name."""
    visible = name(key.key_name, fallback="") if key else ""
    return f"“{visible}”" if visible else f"key {short_hash(key_hash)}"


def command(verb: str, key_hash: str) -> str:
    """A command line to copy into a shell: the hash is quoted, should it ever hold more than letters and digits."""
    return f"{verb} {shlex.quote(short_hash(key_hash))}"


def cause_line(cause: Cause) -> str:
    """One ranked cause with its dollars. The detector's own sentence says it best; without one, the fields do."""
    if cause.sentence:
        said = one_line(cause.sentence)
        return said if cause.dimension is None else f"{money(cause.cost_nusd)}: {said}"
    what = one_line(cause.value) or "(none)"
    noun = "" if cause.dimension is None else f"{DIMENSIONS[cause.dimension]} "
    habit = "never used by this key before" if cause.is_first_seen else f"usually {money(cause.usual_nusd)}/h"
    return f"{money(cause.cost_nusd)}: {share(cause.share)} on {noun}{what}, {habit}"
