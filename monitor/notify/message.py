"""Notice -> Message: what people are told, in words. Pure.

A message reads from the top: one sentence that says it all, why, what happens, how to undo it, the few facts a responder acts
on, and how far the figures can be trusted. Usage alone cannot tell a leak from a runaway job, so nobody is ever accused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from monitor.domain import ApiKey, Message, MessageKind, Notice, short_id
from monitor.notify import incident as incident_words
from monitor.notify import outcome, plain, proposal
from monitor.notify.facts import About
from monitor.notify.wording import QUALITIES, RESTORE
from monitor.notify.words import Words
from monitor.wording import duration, one_line, shorten

LIST: Final = "LIST"
"""How the thread of a message begins that tells of several incidents which are no event of their own."""


def compose(
    notice: Notice,
    key: ApiKey | None,
    *,
    channel: str,
    owner: str,
    workspace_name: str | None,
    now: datetime,
    data_as_of: datetime | None,
    restore_command: str = RESTORE,
    routed: str = "",
) -> Message:
    """The message for a notice. `routed`: which rule chose the channel, told where that is nobody's own.

    `key` is the key as last seen, None where the notice is about none or the key is gone. `data_as_of`: how fresh the usage
    behind the figures is, None where unknown. The `message_id` depends on what is told, never on `now`: a notice composed
    again after a crash is the same message."""
    about = About(key, owner, workspace_name, now, restore_command, routed)
    writer = _WRITERS.get(notice.kind)
    words = (writer(notice, about) if writer else None) or plain.words(notice)
    return Message(
        message_id=message_id(notice),
        kind=notice.kind,
        channel=channel,
        severity=words.severity,
        title=words.title,
        summary=words.summary,
        facts=words.facts,
        evidence=words.evidence,
        sections=words.sections,
        undo=words.undo,
        footer=_footer(notice, now=now, data_as_of=data_as_of),
        thread=_thread(notice),
        created_at=now,
        ask=words.ask,
        about=tuple(each.incident_id for each in notice.incidents),
    )


def _thread(notice: Notice) -> str | None:
    """An event of many keys, keys told of in one list, an incident, or the incident of an action. A call for a wider audience goes
    to another channel, so that its thread is its own."""
    if notice.kind is MessageKind.ESCALATION and notice.incident is not None:
        return f"{notice.incident.incident_id}:{notice.kind.value}"
    if notice.thread is None and len(notice.incidents) > 1:
        return short_id(LIST, message_id(notice))
    if notice.thread is not None or notice.incident is None:
        return notice.thread or (notice.action.incident_id if notice.action else None)
    return notice.incident.incident_id


def message_id(notice: Notice) -> str:
    """`INC-…:2:alert`. Actions add their own id, so that disable, restore and disable again at one step are three messages;
    notices without incident are told apart by when and what they say."""
    incident, action, kind = notice.incident, notice.action, notice.kind
    if kind in {MessageKind.ACTION, MessageKind.ACTION_FAILED} and action is not None:
        base = f"{incident.incident_id}:{incident.step}" if incident else f"{action.incident_id or 'NONE'}:0"
        return f"{base}:{kind.value}:{action.action_id}"
    if kind is MessageKind.PROPOSAL and action is not None:  # whatever step it is at by now: it is edited in place
        return f"{action.incident_id or 'NONE'}:0:{kind.value}:{action.action_id}"
    if kind is MessageKind.ESCALATION and incident is not None:
        return f"{incident.incident_id}:{incident.step}:{kind.value}:{incident.n_escalations}"
    if incident is not None:
        return f"{incident.incident_id}:{incident.step}:{kind.value}"
    return f"{short_id('MSG', kind.value, notice.at.isoformat(), notice.detail)}:0:{kind.value}"


_WRITERS: Final[Mapping[MessageKind, Callable[[Notice, About], Words | None]]] = {
    MessageKind.ALERT: incident_words.alert,
    MessageKind.ACTION: outcome.done,
    MessageKind.ACTION_FAILED: outcome.failed,
    MessageKind.RESOLVED: incident_words.resolved,
    MessageKind.ESCALATION: incident_words.escalated,
    MessageKind.REHEARSAL: incident_words.rehearsal,
    MessageKind.PROPOSAL: proposal.words,
}
"""None where the notice lacks what its kind is about."""


def _footer(notice: Notice, *, now: datetime, data_as_of: datetime | None) -> str:
    """Identity and honesty: which incident, how old the data is, and what is wrong with it."""
    incident = notice.incident
    parts = []
    if incident is not None:
        parts += [incident.incident_id, f"step {incident.step}"]
    elif notice.action is not None and notice.action.incident_id:
        parts.append(notice.action.incident_id)
    if notice.action is not None:
        parts.append(notice.action.action_id)
    if incident is not None:
        as_of = data_as_of or incident.quality.as_of
        parts.append(f"data {duration(now - as_of)} old" if as_of else "age of the data unknown")
        parts += [QUALITIES[incident.quality.state]] if QUALITIES[incident.quality.state] else []
        parts += ["not certain which key"] if incident.quality.is_ambiguous else []
        parts += [shorten(one_line(note), 200) for note in incident.quality.notes]
    return " · ".join(part for part in parts if part)
