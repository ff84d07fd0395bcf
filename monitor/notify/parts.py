"""A message with more lines than one message holds, as several in one thread: in a storm of keys no name is lost. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from monitor.domain import Message
from monitor.notify.slack_blocks import mrkdwn
from monitor.wording import count, one_line, shorten

MOST_LINES: Final = 40
"""Lines of one part: more are not read at once."""

MOST_CHARACTERS: Final = 7_500
"""Of one part's lines as the narrowest sink counts them (Slack's sum of all blocks, see `slack_blocks`)."""

_LONGEST_LINE: Final = 600


def is_continuation(message: Message) -> bool:
    """Whether it is a further part of another message: it stays in the thread, which that one points to."""
    return "~" in message.message_id


def parts(message: Message) -> tuple[Message, ...]:
    """The message itself where its first section fits into it, else with as many of that section's lines as fit, followed by
    messages that hold the rest, in the same thread. Ids follow from that of the message: made again they are the same."""
    if not message.sections:
        return (message,)
    (heading, lines), *others = message.sections
    pages = list(paged(lines))
    if len(pages) <= 1:
        return (message,)
    thread = message.thread or message.message_id
    n_left = len(lines) - len(pages[0])
    first = (*pages[0], f"{count(n_left, 'more line')} in this thread")
    return (
        replace(message, sections=((heading, first), *others), thread=thread),
        *(
            replace(
                message,
                message_id=f"{message.message_id}~{number}",
                title=f"{shorten(one_line(message.title), 100)}, continued ({number} of {len(pages)})",
                summary=f"{message.summary} This is part {number} of {len(pages)}."[:600],
                facts=(),
                evidence=(),
                sections=((heading, page),),
                undo="",
                thread=thread,
                ask=None,
            )
            for number, page in enumerate(pages[1:], start=2)
        ),
    )


def paged(lines: Sequence[str], *, most: int = MOST_LINES) -> Iterator[tuple[str, ...]]:
    """The lines, as many at a time as one message holds."""
    page: list[str] = []
    size = 0
    for line in lines:
        shown = shorten(one_line(line), _LONGEST_LINE)
        n_characters = len(json.dumps(mrkdwn(shown))) + 10
        if page and (len(page) == most or size + n_characters > MOST_CHARACTERS):
            yield tuple(page)
            page, size = [], 0
        page.append(shown)
        size += n_characters
    if page:
        yield tuple(page)
