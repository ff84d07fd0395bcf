"""Message -> Slack's Block Kit, within all of its limits whatever the text from outside holds. Pure.

Limits (docs.slack.dev/reference/block-kit, and slackapi/bolt-js#2509 for the undocumented sum): 50 blocks; header 150;
section text 3000, 10 fields of 2000; context element 2000; all blocks together about 13,000 characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from monitor.domain import Ask, Choice, Message, MessageKind, Picture, Severity
from monitor.notify import asking
from monitor.wording import and_more, one_line, shorten

Block = dict[str, Any]

EVENT_TYPE: Final = "openrouter_monitor"
MAX_BLOCKS: Final = 50
MAX_HEADER: Final = 150
MAX_SECTION: Final = 2_900
MAX_FIELDS: Final = 10
MAX_TEXT: Final = 1_200
MAX_SIZE: Final = 12_800
"""Of all blocks, measured as ASCII JSON plus `_OVERHEAD` for each: never less than however Slack counts. A divider was seen
to cost 125 characters of the sum; four bytes of emoji are twelve characters of JSON."""

_OVERHEAD: Final = 60

SYMBOLS: Final[Mapping[Severity, str]] = {
    Severity.NOTICE: "\N{LARGE BLUE CIRCLE}",
    Severity.WARNING: "\N{LARGE ORANGE CIRCLE}",
    Severity.CRITICAL: "\N{LARGE RED CIRCLE}",
}

_QUIET_SYMBOLS: Final[Mapping[MessageKind, str]] = {
    MessageKind.RESOLVED: "\N{LARGE GREEN CIRCLE}",
    MessageKind.DIGEST: "\N{BAR CHART}",
    MessageKind.REHEARSAL: "\N{PERFORMING ARTS}",
}

_SAYS_IT_ALL: Final = frozenset({MessageKind.ALERT, MessageKind.ACTION})
"""Kinds whose summary names the key and the money: a notification has room for some hundred letters."""

_LOOK_ALIKES: Final = str.maketrans(
    {"*": "\N{ASTERISK OPERATOR}", "~": "\N{TILDE OPERATOR}", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"}
)
_EDGE_UNDERSCORE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_EMOJI: Final = re.compile(r":(?=[\w+'-]+:)")


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a message is shown: lines of each list, characters of each line, value, summary; facts; sections."""

    lines: int
    line: int
    value: int
    summary: int
    facts: int = 20
    sections: int = 20


_DETAILS: Final = (
    *(Detail(lines, 600, 300, MAX_SECTION) for lines in (100, 60, 40, 25, 15, 10, 6)),
    *(Detail(lines, 300, 160, 1_500) for lines in (10, 6, 4)),
    Detail(3, 160, 100, 800, 10, 8),
    Detail(1, 100, 60, 400, 10, 4),
    Detail(0, 60, 40, 200, 4, 2),
)


def render(message: Message, *, has_buttons: bool = False) -> tuple[str, list[Block], dict[str, Any]]:
    """(text, blocks, metadata) for chat.postMessage. `has_buttons`: somebody listens for answers to what the message asks.

    `text` is what notifications and screen readers show; `metadata` carries the message_id, by which a message whose delivery
    is in doubt is looked up. Lists that do not fit are cut to the most that does, and end in "and N more"."""
    tidy = _tidied(message if has_buttons else replace(message, ask=None))
    said = tidy.summary if message.kind in _SAYS_IT_ALL else f"{tidy.title}: {tidy.summary}"
    text = fit(f"{_symbol(tidy)} {said}", MAX_TEXT)
    return text, _blocks_that_fit(tidy), metadata(message)


def _tidied(message: Message) -> Message:
    """Every text on one line and no longer than it can ever be shown, so that trying several lengths stays cheap."""
    most = _DETAILS[0]

    def lines(texts: Sequence[str]) -> tuple[str, ...]:
        shown = [_cut(text, most.line) for text in texts[: most.lines]]
        return (
            *shown,
            *[""] * (len(texts) - len(shown) - 1),
            *[_cut(text, most.line) for text in texts[len(shown) :][-1:]],
        )

    return replace(
        message,
        title=_cut(message.title, MAX_HEADER),
        summary=_cut(message.summary, MAX_SECTION),
        facts=tuple((_cut(label, most.line), _cut(value, most.line)) for label, value in message.facts[: most.facts]),
        evidence=lines(message.evidence),
        sections=tuple((_cut(heading, most.line), lines(texts)) for heading, texts in message.sections),
        undo=_cut(message.undo, 4 * most.line),
        footer=_cut(message.footer, 4 * most.line),
    )


def _cut(text: str, limit: int) -> str:
    return shorten(one_line(text), limit)


def metadata(message: Message) -> dict[str, Any]:
    """What `find` looks for."""
    return {"event_type": EVENT_TYPE, "event_payload": {"message_id": message.message_id}}


def size(blocks: Sequence[Block]) -> int:
    """An upper bound of what Slack counts towards its limit on the sum of all blocks."""
    return len(json.dumps(blocks)) + _OVERHEAD * len(blocks)


def mrkdwn(text: str) -> str:
    """Text from outside, inert in Slack's mrkdwn: on one line, & < > as entities, characters that format replaced by
    look-alikes. An underscore between letters or digits formats nothing and stays, so that prod_web_1 can be copied."""
    plain = _EDGE_UNDERSCORE.sub("\N{MODIFIER LETTER LOW MACRON}", one_line(text).translate(_LOOK_ALIKES))
    plain = _EMOJI.sub("\N{RATIO}", plain)
    if plain.startswith(">"):  # quotes, even as an entity, at the start of a line
        plain = f"\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}{plain[1:]}"
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fit(text: str, limit: int) -> str:
    """`mrkdwn` of as much of `text` as gives at most `limit` UTF-16 units, an ellipsis where it was cut, no entity in two."""
    plain = shorten(one_line(text), limit)
    while _units(escaped := mrkdwn(plain)) > limit:
        plain = shorten(plain, min(len(plain) - 1, max(1, len(plain) * limit // _units(escaped))))
    return escaped


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _blocks_that_fit(message: Message) -> list[Block]:
    for detail in _DETAILS:
        blocks = _blocks(message, detail)
        if len(blocks) <= MAX_BLOCKS and size(blocks) <= MAX_SIZE:
            return blocks
    bare = replace(message, facts=(), evidence=(), sections=(), title=message.title[:60], footer="", undo="")
    return _blocks(bare, _DETAILS[-1])


def _blocks(message: Message, detail: Detail) -> list[Block]:
    blocks = [_header(message), _section(fit(message.summary, min(detail.summary, MAX_SECTION)) or "-")]
    blocks += [_picture(message.picture)] if message.picture else []
    blocks += _list("Why", message.evidence, detail)
    for heading, lines in message.sections[: detail.sections]:
        blocks += _list(heading, lines, detail)
    if len(message.sections) > detail.sections:
        blocks.append(_section(f"and {len(message.sections) - detail.sections} more sections"))
    if undo := fit(message.undo, 4 * detail.line):
        blocks.append(_section(f"*To undo*\n`{undo}`"))
    blocks += [_buttons(message.ask)] if message.ask and message.ask.choices else []
    blocks += _facts(message.facts[: detail.facts], detail)  # last: on a telephone they would push the buttons away
    if footer := fit(message.footer, 2 * detail.line):
        blocks.append({"type": "context", "elements": [_text(footer)]})
    return blocks


def _header(message: Message) -> Block:
    """Plain text: nothing in it can format, and `emoji` off keeps :skull: as it was written."""
    title = shorten(one_line(f"{_symbol(message)} {message.title}"), MAX_HEADER - 10)
    while _units(title) > MAX_HEADER:
        title = shorten(title, len(title) - 1)
    return {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}


def _symbol(message: Message) -> str:
    is_loud = message.kind is MessageKind.REHEARSAL and message.severity > Severity.NOTICE  # it failed
    return SYMBOLS[message.severity] if is_loud else _QUIET_SYMBOLS.get(message.kind, SYMBOLS[message.severity])


def _facts(facts: Iterable[tuple[str, str]], detail: Detail) -> list[Block]:
    fields = [_text(f"*{fit(label, 60)}*\n{fit(value, detail.value) or '-'}") for label, value in facts]
    return [
        {"type": "section", "fields": fields[first : first + MAX_FIELDS]} for first in range(0, len(fields), MAX_FIELDS)
    ]


def _list(heading: str, lines: Sequence[str], detail: Detail) -> list[Block]:
    """A heading and its lines, in as many sections as they need."""
    if not lines:
        return []
    bullets = [f"• {fit(line, detail.line)}" for line in and_more(lines, detail.lines)]
    texts = [f"*{fit(heading, 100)}*"]
    for bullet in bullets:
        if _units(texts[-1]) + _units(bullet) + 1 > MAX_SECTION:
            texts.append(bullet)
        else:
            texts[-1] = f"{texts[-1]}\n{bullet}"
    return [_section(text) for text in texts]


def _picture(picture: Picture) -> Block:
    alt_text = shorten(one_line(picture.alt_text), 1_000) or "hourly spend"
    return {"type": "image", "slack_file": {"id": picture.file_id}, "alt_text": alt_text}


def _buttons(ask: Ask) -> Block:
    """No `block_id`: Slack wants a new one whenever a message is edited, and makes one itself."""
    return {"type": "actions", "elements": [_element(ask, choice) for choice in ask.choices]}


def _element(ask: Ask, choice: Choice) -> Block:
    label = _plain(asking.LABELS[choice])
    if choice in asking.SPANS:
        options = [{"text": _plain(said), "value": asking.written(ask, span)} for said, span in asking.SPANS[choice]]
        return {"type": "static_select", "action_id": choice.value, "placeholder": label, "options": options}
    button: Block = {"type": "button", "action_id": choice.value, "text": label, "value": asking.written(ask)}
    if choice in asking.CONFIRMS:
        button["confirm"] = {
            "title": _plain(f"{asking.LABELS[choice]}?"),
            "text": _plain(asking.CONFIRMS[choice]),
            "confirm": _plain(asking.LABELS[choice]),
            "deny": _plain("Cancel"),
        }
    if choice in {Choice.DISABLE, Choice.ABUSE, Choice.APPROVE}:
        button["style"] = "danger"
    return button


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _section(text: str) -> Block:
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> Block:
    """`verbatim`: Slack must not turn addresses and channel names inside names into links."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
