"""What goes to one person goes to the operators too, where it is severe: somebody asleep must not be the only one who knows. Pure.

A copy is a message of its own, in a thread of its own in the operators' channel, with the same buttons: they ask for the incident,
not for the message."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from monitor.config import Slack
from monitor.domain import Message, Severity
from monitor.notify import routing

SUFFIX: Final = "+ops"


def copy_of(message: Message, *, severity: Severity, settings: Slack) -> Message | None:
    """The copy for `slack.default_channel`; None where none is wanted. `severity`: that of the incident, so that its end is told
    where its beginning was."""
    wanted = settings.direct_copies
    if wanted == "off" or severity < Severity[wanted.upper()] or not routing.is_person(message.channel):
        return None
    if not settings.default_channel:
        return None
    return replace(
        message,
        message_id=f"{message.message_id}{SUFFIX}",
        channel=settings.default_channel,
        thread=thread_of(message.thread) if message.thread else None,
    )


def thread_of(thread: str) -> str:
    """The thread of the copies of that thread."""
    return f"{thread}{SUFFIX}"
