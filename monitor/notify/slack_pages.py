"""Page -> Slack's blocks, for an answer to a command and for the app's home, within all limits whatever names hold. Pure.

Limits: a message as in `slack_blocks`; a home 100 blocks and 250 kB (docs.slack.dev/reference/methods/views.publish)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from monitor.domain import Severity
from monitor.notify.pages import Code, Entry, Link, Mark, Mention, Page, Words, left_out
from monitor.notify.slack_blocks import (
    MAX_BLOCKS,
    MAX_HEADER,
    MAX_SECTION,
    MAX_SIZE,
    MAX_TEXT,
    SYMBOLS,
    Block,
    fit,
    size,
)
from monitor.wording import one_line, shorten

MAX_PIECE: Final = 400
MAX_TITLE: Final = 200
MARKS: Final[Mapping[Mark, str]] = {
    Mark.NONE: "",
    Mark.FINE: "\N{LARGE GREEN CIRCLE} ",
    Mark.OFF: "\N{MEDIUM BLACK CIRCLE} ",
    Mark.NOTICE: f"{SYMBOLS[Severity.NOTICE]} ",
    Mark.WARNING: f"{SYMBOLS[Severity.WARNING]} ",
    Mark.CRITICAL: f"{SYMBOLS[Severity.CRITICAL]} ",
}
_MEMBER: Final = re.compile(r"[UWS][A-Z0-9]{5,}")
_URL: Final = re.compile(r"https://[a-zA-Z0-9./_-]{1,500}")


@dataclass(frozen=True, slots=True)
class Room:
    """How much there is room for."""

    blocks: int
    size: int


MESSAGE: Final = Room(MAX_BLOCKS, MAX_SIZE)
HOME: Final = Room(100, 100_000)


def message(page: Page) -> tuple[str, list[Block]]:
    """(text, blocks) of an answer; `text` is for notifications and screen readers."""
    return fit(f"{page.title}. {_plain(page.summary)}", MAX_TEXT), blocks(page, MESSAGE)


def home(page: Page) -> dict[str, Any]:
    """The view of the app's home."""
    return {"type": "home", "blocks": blocks(page, HOME)}


def blocks(page: Page, room: Room) -> list[Block]:
    """As many entries as there is room for, the first ones, under their headings; then how many were left out and how to see them,
    and what is folded."""
    head = [_header(page.title), _section(_mrkdwn(page.summary) or "-")]
    feet = [_context(text) for text in map(_mrkdwn, (*page.folded, *page.notes)) if text.strip()]
    n_free = room.blocks - len(head) - len(feet) - 1
    left = room.size - size([*head, *feet, _left_out(page, 10**6)])
    shown: list[Block] = []
    n_shown, group = 0, ""
    for each in page.entries:
        added = [*([_header(each.group)] if each.group not in {"", group} else []), _section(_entry(each))]
        left -= size(added)
        if left < 0 or len(shown) + len(added) > n_free:
            break
        shown += added
        n_shown, group = n_shown + 1, each.group
    n_left = len(page.entries) - n_shown + page.n_more
    return [*head, *shown, *([_left_out(page, n_left)] if n_left else []), *feet]


def _entry(each: Entry) -> str:
    """Whole lines, as many as a section holds: never half a link."""
    text = f"{MARKS[each.mark]}*{fit(each.title, MAX_TITLE) or '-'}*"
    for words in each.lines:
        line = _mrkdwn(words)
        if _units(text) + _units(line) + 3 > MAX_SECTION:
            return f"{text}\n…"
        text = f"{text}\n{line}"
    return text


def _left_out(page: Page, n: int) -> Block:
    return _section(f"*{left_out(page, n).replace(', not', '*, not')}{_mrkdwn(page.rest)}")


def _mrkdwn(words: Words) -> str:
    """Pieces one after the other; what is text from outside is inert."""
    parts = []
    for piece in words:
        match piece:
            case Link(label, url) if _URL.fullmatch(url):
                parts.append(f"<{url}|{fit(label, 100)}>")
            case Link(label, _):
                parts.append(fit(label, 100))
            case Code(text):
                parts.append(f"`{fit(text, MAX_PIECE)}`")
            case Mention(member_id) if _MEMBER.fullmatch(member_id):
                parts.append(f"<!subteam^{member_id}>" if member_id.startswith("S") else f"<@{member_id}>")
            case Mention(_):
                parts.append("an operator")
            case str(text):
                parts.append(_kept_spaces(text))
    return "".join(parts)


def _kept_spaces(text: str) -> str:
    """`fit` on one line, but for the single spaces that part it from its neighbors."""
    body = fit(text, MAX_PIECE)
    if not body:
        return " " if text else ""
    return f"{' ' if text.startswith(' ') else ''}{body}{' ' if text.endswith(' ') else ''}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _plain(words: Words) -> str:
    return "".join(each if isinstance(each, str) else each.text for each in words if isinstance(each, str | Code))


def _header(title: str) -> Block:
    text = shorten(one_line(title), MAX_HEADER // 2)  # at most two UTF-16 units a character
    return {"type": "header", "text": {"type": "plain_text", "text": text or "-", "emoji": False}}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}
