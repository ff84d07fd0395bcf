"""The alert as it stands now: what is put in the place of the first message of an incident as things move. Pure.

It keeps the message's identity, so that it is found and answered like before; the updates of the thread stay beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from monitor.domain import (
    Action,
    ActionState,
    ApiKey,
    Incident,
    IncidentState,
    Message,
    MessageKind,
    Notice,
    Picture,
    Verb,
    Verdict,
)
from monitor.notify.facts import AT_RISK, evidence
from monitor.notify.message import compose
from monitor.notify.wording import QUALITIES, RESTORE, called, command
from monitor.wording import moment, money, one_line, shorten

STATES: Final = {
    IncidentState.OPEN: "Open: nobody has acknowledged it yet",
    IncidentState.ACKNOWLEDGED: "Acknowledged: somebody looks after it",
    IncidentState.RESOLVED: "Resolved",
}

_DONE: Final = {Verb.DISABLE: "disabled", Verb.RESTORE: "restored"}
_MAX_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Story:
    """An incident as it stands: what was decided and done, oldest first. `decisions`: of people, in words."""

    incident: Incident
    key: ApiKey | None
    verdict: Verdict | None = None
    actions: tuple[Action, ...] = ()
    decisions: tuple[tuple[datetime, str], ...] = ()


def card(
    root: Message, story: Story, *, owner: str, workspace_name: str | None, picture: Picture | None, routed: str = ""
) -> Message:
    """The message that takes the place of `root`. The same story gives the same card, whatever the time."""
    incident = story.incident
    now = incident.resolved_at or incident.last_seen_at
    is_over = incident.state is IncidentState.RESOLVED
    kind = MessageKind.RESOLVED if is_over else MessageKind.ALERT
    told = compose(
        Notice(kind, now, incident=incident, verdict=story.verdict),
        story.key,
        channel=root.channel,
        owner=owner,
        workspace_name=workspace_name,
        now=now,
        data_as_of=incident.quality.as_of,
        routed=routed,
    )
    finished = [each for each in story.actions if each.state is not ActionState.INTENDED]
    what_happens = () if is_over or finished else tuple(told.sections)
    is_disabled = story.key is not None and story.key.settings.is_disabled
    if is_disabled and incident.is_alive:
        told = _stopped(story, told)
    return replace(
        told,
        message_id=root.message_id,
        severity=incident.severity,
        evidence=told.evidence or evidence(incident),
        sections=(("Where it stands", _stands(story, finished)), *what_happens),
        undo=command(RESTORE, incident.key_hash) if is_disabled else told.undo,
        footer=_footer(incident),
        thread=root.thread,
        created_at=root.created_at,
        picture=picture,
    )


def _stopped(story: Story, told: Message) -> Message:
    """Title and sentence of an alert whose key is out of service: nobody must read that it still spends."""
    incident = story.incident
    since = f"It spent {money(incident.spent_nusd)} above its usual, from {moment(incident.onset_at)} on"
    return replace(
        told,
        title=told.title.replace("Unusual spend", "Key disabled", 1),
        summary=f"{called(story.key, incident.key_hash)} is disabled. {since}. A leak or a runaway job.",
        facts=tuple(fact for fact in told.facts if fact[0] != AT_RISK),
    )


def _stands(story: Story, finished: Sequence[Action]) -> tuple[str, ...]:
    incident = story.incident
    state = STATES.get(incident.state, incident.state.value.replace("_", " ").capitalize())
    if incident.silenced_until is not None and incident.is_alive:
        state = f"Snoozed until {moment(incident.silenced_until)}"
    if incident.state is IncidentState.RESOLVED:
        why = f": {one_line(incident.resolution)}" if incident.resolution else ""
        state = f"Resolved {moment(incident.resolved_at or incident.last_seen_at)}{why}"
    lines = [(action.finished_at or action.intended_at, _acted(action)) for action in finished]
    lines += [(at, said) for at, said in story.decisions]
    lines.sort(key=lambda each: each[0])
    return (state, *(f"{moment(at)}: {said}" for at, said in lines[-_MAX_LINES:]))


def _acted(action: Action) -> str:
    who = one_line(action.requested_by)
    by = "automatically" if who in {"", "monitor"} else f"by {shorten(who, 80)}"
    if action.state is ActionState.DONE:
        return f"key {_DONE.get(action.verb, action.verb.value)} {by}"
    return f"COULD NOT {action.verb.value.upper()} the key ({by}): {shorten(one_line(action.detail), 200)}"


def _footer(incident: Incident) -> str:
    quality = incident.quality
    parts = [incident.incident_id, f"step {incident.step}"]
    parts.append(f"data as of {moment(quality.as_of)}" if quality.as_of else "age of the data unknown")
    parts += [QUALITIES[quality.state]] if QUALITIES[quality.state] else []
    parts += ["not certain which key"] if quality.is_ambiguous else []
    return " · ".join(parts)
