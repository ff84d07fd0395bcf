"""The words messages are made of, and what a person can type; severities and reasons are in `monitor.wording`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from monitor.domain import Action, ApiKey, Cause, Dimension, Quality, Reason, Rung, Verb, Verdict
from monitor.wording import REASONS, money, name, one_line, share, shorten

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

DONE: Final[Mapping[Verb, str]] = {
    Verb.DISABLE: "disabled",
    Verb.CAP: "capped",
    Verb.ZERO: "limited to $0",
    Verb.RESTORE: "restored",
    Verb.DELETE: "deleted",
}

"""What a key then is."""

MEANS: Final[Mapping[Verb, str]] = {
    Verb.DISABLE: "Whatever uses this key gets errors from now on. Its settings are kept and can be put back exactly.",
    Verb.CAP: "It works on until the new limit is used; then whatever uses it gets errors. Its settings can be put back exactly.",
    Verb.ZERO: "It was disabled and spent on all the same. Look whether it stops now; its settings can be put back exactly.",
    Verb.DELETE: "It is gone for good; nothing can put it back.",
}
"""What that means for whoever uses it, for what takes something away."""

_FOR_A_CAP: Final = "its usage crossed the threshold for a cap"

RESTORE: Final = "openrouter-monitor restore"
REVOKE: Final = "openrouter-monitor revoke"
EXPLAIN: Final = "openrouter-monitor explain"
"""What a person types."""

MOST_CAUSES: Final = 5
"""More are not read on a telephone; `explain` tells all."""

_MAX_TITLE_NAME: Final = 80

SHORT_HASH: Final = 12
"""Digits of a key's hash that people see and type."""


def short_hash(key_hash: str) -> str:
    """The first digits of a key's hash."""
    return one_line(key_hash)[:SHORT_HASH]


def called(key: ApiKey | None, key_hash: str) -> str:
    """How a sentence names a key: “prod-web”, or its short hash where it has no name."""
    visible = name(key.key_name, fallback="") if key else ""
    return f"“{visible}”" if visible else f"key {short_hash(key_hash)}"


def title_name(key: ApiKey | None, key_hash: str) -> str:
    """How a title names a key: by its name, cut, or by its short hash where it has none."""
    visible = name(key.key_name, fallback="") if key else ""
    return shorten(visible, _MAX_TITLE_NAME) or short_hash(key_hash)


def sentence(text: str) -> str:
    """Text of our own or from outside as a sentence."""
    plain = one_line(text)
    return plain if plain.endswith((".", "!", "?", "…")) else f"{plain}."


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


def cause_lines(causes: Sequence[Cause]) -> tuple[str, ...]:
    """The causes that an alert tells, ranked. The one that sums the others up is left out where they stand below it anyway."""
    sums_up = bool(causes) and causes[0].dimension is None and causes[0].value == "spend"
    by_dimension = sum(each.dimension is not None for each in causes)
    told = causes[1:] if sums_up and by_dimension >= 2 else causes
    return tuple(cause_line(each) for each in told[:MOST_CAUSES])


def why(action: Action) -> str:
    """Why an action was done, in words."""
    return _reason(action.verb, action.reason)


def acted_on(verdict: Verdict) -> tuple[Verb, str]:
    """What a verdict to act does, and why in words."""
    verb = Verb.CAP if verdict.rung is Rung.CAP else Verb.DISABLE
    return verb, _reason(verb, verdict.reason)


def _reason(verb: Verb, reason: Reason) -> str:
    is_cap = verb is Verb.CAP and reason is Reason.CROSSED_THRESHOLD
    return _FOR_A_CAP if is_cap else REASONS[reason]
