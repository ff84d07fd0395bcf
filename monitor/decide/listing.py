"""Many keys in one notice: the dearest with their dollars, and every other by name, within what one message holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from monitor.domain import NUSD, ApiKey, Incident
from monitor.wording import MAX_NAME, one_line, shorten

LISTED: Final = 40
"""Keys that get a line of their own with dollars."""

BUDGET: Final = 9_000
"""Characters of all lines together as ASCII JSON: what a Slack message holds beside its head (notify/slack_blocks.py)."""

_LINE: Final = 560
"""Of one line, in UTF-16 units: sinks cut longer ones."""

_BULLET: Final = 10
_NAMES: Final = (60, 40, 24, 12, 0)
_HASH: Final = 12
_MORE: Final = "and {} more: openrouter-monitor incidents"


def lines(
    told: Sequence[Incident], before: Sequence[Incident], keys: Mapping[str, ApiKey], *, budget: int = BUDGET
) -> list[str]:
    """A line for each of the first incidents (`before`: told of already, named behind the others), then the rest by name and
    hash, many to a line; the names the shorter the more there are. Only where even bare hashes do not fit are keys counted."""
    ordered = [*((each, "") for each in told), *((each, ", told of before") for each in before)]
    full = [f"{_full(each, keys)}{note}" for each, note in ordered[:LISTED]]
    if len(ordered) <= LISTED and _size(full) <= budget:
        return full
    everyone = [each for each, _ in ordered]
    for n_full in (LISTED, 20, 10, 5, 0):
        for length in _NAMES:
            shown = full[:n_full] + _compact(everyone[n_full:], keys, length)
            if _size(shown) <= budget:
                return shown
    n_fit = budget // (_HASH + 4)
    return [*_compact(everyone[:n_fit], keys, 0), _MORE.format(len(everyone) - n_fit)]


def _full(incident: Incident, keys: Mapping[str, ApiKey]) -> str:
    per_hour, at_risk = incident.per_hour_nusd / NUSD, incident.at_risk_nusd / NUSD
    money = f"{per_hour:,.2f} USD/h, {at_risk:,.2f} USD at risk"
    return f"{incident.key_hash[:_HASH]} {_name(incident, keys, MAX_NAME)}: {money}, {incident.incident_id}"


def _compact(incidents: Sequence[Incident], keys: Mapping[str, ApiKey], length: int) -> list[str]:
    shown: list[str] = []
    for incident in incidents:
        entry = f"{incident.key_hash[:_HASH]} {_name(incident, keys, length)}".rstrip()
        if shown and _units(shown[-1]) + _units(entry) + 2 <= _LINE:
            shown[-1] = f"{shown[-1]}, {entry}"
        else:
            shown.append(entry)
    return shown


def _name(incident: Incident, keys: Mapping[str, ApiKey], length: int) -> str:
    key = keys.get(incident.key_hash)
    return shorten(one_line(key.key_name), length) if key else "(not in the inventory)"[: max(length, 0)]


def _units(text: str) -> int:
    """UTF-16 units, as a sink counts a line that escapes & < >."""
    return len(text.encode("utf-16-le", "replace")) // 2 + _escapes(text)


def _size(shown: Sequence[str]) -> int:
    """Of all lines as ASCII JSON, each with its bullet."""
    return sum(len(json.dumps(line)) + _BULLET + _escapes(line) for line in shown)


def _escapes(text: str) -> int:
    return 4 * sum(text.count(char) for char in "&<>")
