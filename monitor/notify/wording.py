"""The words messages are made of: severities, reasons, and what a person can type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from monitor.domain import ApiKey, Cause, Dimension, Quality, Reason, Severity
from monitor.wording import money, name, one_line, share

SEVERITIES: Final[Mapping[Severity, str]] = {
    Severity.NOTICE: "notice",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}

REASONS: Final[Mapping[Reason, str]] = {
    Reason.CROSSED_THRESHOLD: "its usage crossed the threshold for disabling",
    Reason.HARD_RULE: "it broke a rule that says disable",
    Reason.BELOW_THRESHOLD: "the evidence is below the threshold for disabling",
    Reason.OBSERVE_MODE: "response.mode is observe: the monitor alerts and never acts",
    Reason.DRY_RUN: "response.mode is dry-run: in enforce mode the key would be disabled now",
    Reason.SHADOW_DETECTOR: "the detector that found it is in shadow mode",
    Reason.PROBED: "somebody tried models with it for cents: recorded, and watched more closely for 48 hours",
    Reason.PROTECTED_KEY: "the key is protected (response.protected_keys)",
    Reason.KILL_SWITCH: "the kill switch is set: nothing automatic happens",
    Reason.FUSE_HOUR: "the fuse for one hour is blown (response.max_per_hour)",
    Reason.FUSE_DAY: "the fuse for 24 hours is blown (response.max_per_day)",
    Reason.FUSE_SHARE: "the fuse for the share of keys is blown (response.max_share_of_keys)",
    Reason.STALE_DATA: "the usage data is too old to act on",
    Reason.PARTIAL_DATA: "the usage data is incomplete",
    Reason.AMBIGUOUS_DATA: "the usage could not be tied to one key for certain",
    Reason.CORRELATED: "many keys turned unusual together: rarely theft",
    Reason.COOLDOWN: "the key was restored recently and is in its cooldown",
    Reason.ALREADY_DISABLED: "the key is disabled already",
    Reason.ACTION_PENDING: "an earlier action on this key is still under way",
    Reason.KEY_GONE: "the key does not exist any more",
    Reason.FALSE_ALARM: "a person called this a false alarm",
    Reason.REQUESTED: "a person asked for it",
}

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
