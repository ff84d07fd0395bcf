"""What people may decide about an incident from within a message, and how an answer finds its way back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from monitor.domain import ApiKey, Ask, Choice, Incident, IncidentState
from monitor.notify.wording import short_hash

LABELS: Final[Mapping[Choice, str]] = {
    Choice.ACKNOWLEDGE: "Acknowledge",
    Choice.SNOOZE: "Snooze…",
    Choice.EXPECTED: "Expected",
    Choice.PLANNED: "Planned until…",
    Choice.ABUSE: "It is abuse",
    Choice.DISABLE: "Disable now",
    Choice.RESTORE: "Restore",
}

CONFIRMS: Final[Mapping[Choice, str]] = {
    Choice.ABUSE: "Says that somebody else uses this key: its usage since then teaches nothing, and the key is judged more strictly.",
    Choice.DISABLE: "Whatever uses this key gets errors from now on. Its settings are kept: Restore puts them back.",
    Choice.RESTORE: "The key works again at once, exactly as it was before. Restore it only if it is in your hands.",
}
"""What a person is asked before anything changes a key."""

SPANS: Final[Mapping[Choice, tuple[tuple[str, timedelta], ...]]] = {
    Choice.SNOOZE: (
        ("for 1 hour", timedelta(hours=1)),
        ("for 4 hours", timedelta(hours=4)),
        ("for 24 hours", timedelta(hours=24)),
    ),
    Choice.PLANNED: (
        ("for 4 hours", timedelta(hours=4)),
        ("for 24 hours", timedelta(hours=24)),
        ("for 3 days", timedelta(days=3)),
        ("for 7 days", timedelta(days=7)),
    ),
}
"""The times that can be chosen: few enough for a thumb, and never for ever."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody chose, as the sink gave it back: not yet checked against anything."""

    choice: Choice
    incident_id: str
    step: int
    key_prefix: str
    span: timedelta | None = None


def ask_about(incident: Incident, key: ApiKey | None) -> Ask | None:
    """What may be decided now; None where nothing is left to decide."""
    is_disabled = key is not None and key.settings.is_disabled
    last = Choice.RESTORE if is_disabled else Choice.DISABLE
    if incident.state is IncidentState.RESOLVED:
        return _ask(incident, last) if is_disabled else None
    first = (Choice.ACKNOWLEDGE,) if incident.state is IncidentState.OPEN else ()
    return _ask(incident, *first, Choice.SNOOZE, Choice.EXPECTED, Choice.PLANNED, Choice.ABUSE, last)


def ask_only(incident: Incident, *choices: Choice) -> Ask:
    """A question with these answers only."""
    return _ask(incident, *choices)


def written(ask: Ask, span: timedelta | None = None) -> str:
    """What a button carries; at most 75 characters."""
    parts = [ask.incident_id, str(ask.step), short_hash(ask.key_hash)]
    return "|".join([*parts, f"{int(span.total_seconds())}"] if span else parts)


def read(choice: str, text: str) -> Answer | None:
    """The inverse; None for what no button of ours carries."""
    parts = text.split("|")
    if choice not in set(Choice) or len(parts) not in {3, 4} or not all(parts) or len(text) > 150:
        return None
    known = Choice(choice)
    if not (parts[1].isascii() and parts[1].isdigit()) or (len(parts) == 4) is not (known in SPANS):
        return None
    span = None
    if len(parts) == 4:
        span = next((span for _, span in SPANS[known] if parts[3] == f"{int(span.total_seconds())}"), None)
        if span is None:
            return None
    return Answer(known, parts[0], int(parts[1]), parts[2], span)


def _ask(incident: Incident, *choices: Choice) -> Ask:
    return Ask(incident.incident_id, incident.step, incident.key_hash, choices)
