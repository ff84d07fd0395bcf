"""What people may decide about an incident from within a message, and how an answer finds its way back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from monitor.domain import Action, ApiKey, Ask, Choice, Incident, IncidentState, version_of
from monitor.notify.wording import short_hash

LABELS: Final[Mapping[Choice, str]] = {
    Choice.ACKNOWLEDGE: "Acknowledge",
    Choice.SNOOZE: "Snooze…",
    Choice.EXPECTED: "Expected",
    Choice.PLANNED: "Planned until…",
    Choice.ABUSE: "It is abuse",
    Choice.DISABLE: "Disable now",
    Choice.RESTORE: "Restore",
    Choice.APPROVE: "Approve",
    Choice.DENY: "Deny",
}

ABOUT_A_PROPOSAL: Final = frozenset({Choice.APPROVE, Choice.DENY})
"""Answers to a proposal; all others are about an incident."""

CONFIRMS: Final[Mapping[Choice, str]] = {
    Choice.ABUSE: "Says that somebody else uses this key: its usage since then teaches nothing, and the key is judged more strictly.",
    Choice.DISABLE: "Whatever uses this key gets errors from now on. Its settings are kept: Restore puts them back.",
    Choice.APPROVE: "The evidence is judged once more, then the monitor acts: whatever uses this key may get errors from then on.",
    Choice.DENY: "Nothing automatic happens to this key for response.cooldown, whatever it spends.",
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
    """What somebody chose, as the sink gave it back: not yet checked against anything. `action_id`, `version`: of a proposal."""

    choice: Choice
    incident_id: str
    step: int
    key_prefix: str
    span: timedelta | None = None
    action_id: str = ""
    version: str = ""

    @property
    def question(self) -> str:
        """What is answered only once at a step: the choice, of a proposal with its id."""
        return f"{self.choice.value}:{self.action_id}" if self.action_id else self.choice.value


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


def ask_to_approve(action: Action, incident: Incident) -> Ask:
    """Yes or no to a proposal."""
    choices = (Choice.APPROVE, Choice.DENY)
    return Ask(incident.incident_id, incident.step, action.key_hash, choices, action.action_id, version_of(action))


def ask_to_object(action: Action, incident: Incident) -> Ask:
    """No, to what is done by itself after its hold."""
    return replace(ask_to_approve(action, incident), choices=(Choice.DENY,))


def written(ask: Ask, span: timedelta | None = None) -> str:
    """What a button carries; at most 75 characters."""
    parts = [ask.incident_id, str(ask.step), short_hash(ask.key_hash)]
    if ask.action_id:
        return "|".join([*parts, ask.action_id, ask.version])
    return "|".join([*parts, f"{int(span.total_seconds())}"] if span else parts)


def read(choice: str, text: str) -> Answer | None:
    """The inverse; None for what no button of ours carries."""
    parts = text.split("|")
    if choice not in set(Choice) or not all(parts) or len(text) > 150:
        return None
    known = Choice(choice)
    n_parts = 5 if known in ABOUT_A_PROPOSAL else 4 if known in SPANS else 3
    if len(parts) != n_parts or not (parts[1].isascii() and parts[1].isdigit()):
        return None
    if known in ABOUT_A_PROPOSAL:
        return Answer(known, parts[0], int(parts[1]), parts[2], None, parts[3], parts[4])
    span = None
    if len(parts) == 4:
        span = next((span for _, span in SPANS[known] if parts[3] == f"{int(span.total_seconds())}"), None)
        if span is None:
            return None
    return Answer(known, parts[0], int(parts[1]), parts[2], span)


def _ask(incident: Incident, *choices: Choice) -> Ask:
    return Ask(incident.incident_id, incident.step, incident.key_hash, choices)
