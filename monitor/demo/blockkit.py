"""Slack's Block Kit limits, checked as its server does (docs.slack.dev/reference/block-kit; slackapi/bolt-js#2509)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

MAX_BLOCKS: Final = 50
MAX_VIEW_BLOCKS: Final = 100
MAX_VIEW_BYTES: Final = 250_000
MAX_SUM: Final = 13_200
"""Characters of all blocks together at which `msg_blocks_too_long` was seen; a divider counted as 125."""

_DIVIDER: Final = 125
_TEXTS: Final = ("mrkdwn", "plain_text")

Check = Callable[[Mapping[str, Any], str], list[str]]


def problems(blocks: Any, *, most: int = MAX_BLOCKS) -> list[str]:
    """What is wrong with the `blocks` of a message, or of a view (`most` blocks), as Slack words it in
    `response_metadata.messages`; empty if nothing."""
    if not isinstance(blocks, list):
        return ["[ERROR] must be an array of blocks [json-pointer:/blocks]"]
    if len(blocks) > most:
        return [f"[ERROR] no more than {most} items allowed [json-pointer:/blocks]"]
    found: list[str] = []
    for no, block in enumerate(blocks):
        where = f"/blocks/{no}"
        if not isinstance(block, dict) or block.get("type") not in _BLOCKS:
            kind = block.get("type") if isinstance(block, dict) else None
            found.append(f"[ERROR] unsupported type: {kind} [json-pointer:{where}/type]")
            continue
        fields, check = _BLOCKS[block["type"]]
        found += _unknown(block, {"type", "block_id", *fields}, where) + check(block, where)
    ids = [block.get("block_id") for block in blocks if isinstance(block, dict) and block.get("block_id") is not None]
    found += [f"[ERROR] block_id must be at most 255 characters: {id_!r:.40}" for id_ in ids if not _is_text(id_, 255)]
    if len(set(map(str, ids))) < len(ids):
        found.append("[ERROR] `block_id` must be unique [json-pointer:/blocks]")
    return found


def length(node: Any) -> int:
    """Characters of all texts of blocks, as far as the limit on their sum is known."""
    if isinstance(node, list):
        return sum(length(each) for each in node)
    if not isinstance(node, dict):
        return 0
    own = _DIVIDER if node.get("type") == "divider" else 0
    return own + sum(units(value) if isinstance(value, str) and name in ("text", "alt_text") else length(value)
                     for name, value in node.items())  # fmt: skip


def units(text: str) -> int:
    """Length in UTF-16 units: never less than characters."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_text(value: Any, limit: int) -> bool:
    return isinstance(value, str) and 1 <= units(value) <= limit


def _unknown(node: Mapping[str, Any], allowed: set[str], where: str) -> list[str]:
    return [
        f"[ERROR] additional property {name!r} is not allowed [json-pointer:{where}]" for name in set(node) - allowed
    ]


def _text(node: Any, where: str, *, limit: int, kinds: Sequence[str] = _TEXTS) -> list[str]:
    """A text object."""
    if not isinstance(node, dict) or node.get("type") not in kinds:
        return [f"[ERROR] must be a text object of type {'|'.join(kinds)} [json-pointer:{where}]"]
    allowed = {"type", "text", *(("emoji",) if node["type"] == "plain_text" else ("verbatim",))}
    found = _unknown(node, allowed, where)
    if not isinstance(node.get("text"), str) or not node["text"]:
        return [*found, f"[ERROR] must be more than 0 characters [json-pointer:{where}/text]"]
    if units(node["text"]) > limit:
        found.append(f"[ERROR] must be less than {limit + 1} characters [json-pointer:{where}/text]")
    return found


def _section(block: Mapping[str, Any], where: str) -> list[str]:
    found: list[str] = []
    if "text" not in block and "fields" not in block:
        found.append(f"[ERROR] missing required field: text or fields [json-pointer:{where}]")
    if "text" in block:
        found += _text(block["text"], f"{where}/text", limit=3000)
    if "fields" in block:
        fields = block["fields"]
        if not isinstance(fields, list) or not 1 <= len(fields) <= 10:
            return [*found, f"[ERROR] must have 1 to 10 items [json-pointer:{where}/fields]"]
        for no, each in enumerate(fields):
            found += _text(each, f"{where}/fields/{no}", limit=2000)
    if "accessory" in block:
        found += _element(block["accessory"], f"{where}/accessory")
    return found


def _header(block: Mapping[str, Any], where: str) -> list[str]:
    return _text(block.get("text"), f"{where}/text", limit=150, kinds=("plain_text",))


def _divider(block: Mapping[str, Any], where: str) -> list[str]:
    return []


def _context(block: Mapping[str, Any], where: str) -> list[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 10:
        return [f"[ERROR] must have 1 to 10 items [json-pointer:{where}/elements]"]
    found: list[str] = []
    for no, each in enumerate(elements):
        place = f"{where}/elements/{no}"
        is_image = isinstance(each, dict) and each.get("type") == "image"
        found += _image(each, place) if is_image else _text(each, place, limit=2000)
    return found


def _actions(block: Mapping[str, Any], where: str) -> list[str]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
        return [f"[ERROR] must have 1 to 25 items [json-pointer:{where}/elements]"]
    return [problem for no, each in enumerate(elements) for problem in _element(each, f"{where}/elements/{no}")]


def _element(node: Any, where: str) -> list[str]:
    """A button, a select menu, or an image beside a section; this fake knows no other element."""
    if isinstance(node, dict) and node.get("type") == "image":
        return _image(node, where)
    kind = node.get("type") if isinstance(node, dict) else None
    if kind not in _ELEMENTS:
        return [f"[ERROR] unsupported element [json-pointer:{where}]"]
    found = _unknown(node, {"type", "action_id", "confirm", *_ELEMENTS[kind]}, where)
    for name, limit in (("action_id", 255), ("url", 3000), ("value", 2000)):
        if name in node and not _is_text(node[name], limit):
            found.append(f"[ERROR] must be less than {limit + 1} characters [json-pointer:{where}/{name}]")
    if "confirm" in node:
        found += _confirm(node["confirm"], f"{where}/confirm")
    return found + (_button(node, where) if kind == "button" else _select(node, where))


_ELEMENTS: Final = {
    "button": ("text", "url", "value", "style", "accessibility_label"),
    "static_select": ("placeholder", "options", "initial_option", "focus_on_load"),
}


def _button(node: Mapping[str, Any], where: str) -> list[str]:
    found = _text(node.get("text"), f"{where}/text", limit=75, kinds=("plain_text",))
    if node.get("style", "primary") not in ("primary", "danger"):
        found.append(f"[ERROR] must be primary or danger [json-pointer:{where}/style]")
    return found


def _select(node: Mapping[str, Any], where: str) -> list[str]:
    found = _text(node.get("placeholder"), f"{where}/placeholder", limit=150, kinds=("plain_text",))
    options = node.get("options")
    if not isinstance(options, list) or not 1 <= len(options) <= 100:
        return [*found, f"[ERROR] must have 1 to 100 items [json-pointer:{where}/options]"]
    for no, each in enumerate(options):
        place = f"{where}/options/{no}"
        if not isinstance(each, dict) or not _is_text(each.get("value"), 150):
            found.append(f"[ERROR] must be less than 151 characters [json-pointer:{place}/value]")
            continue
        found += _unknown(each, {"text", "value", "description"}, place)
        found += _text(each.get("text"), f"{place}/text", limit=75)
    return found


def _confirm(node: Any, where: str) -> list[str]:
    if not isinstance(node, dict):
        return [f"[ERROR] must be a confirm object [json-pointer:{where}]"]
    found = _unknown(node, {"title", "text", "confirm", "deny", "style"}, where)
    for name, limit in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        kinds = _TEXTS if name == "text" else ("plain_text",)
        found += _text(node.get(name), f"{where}/{name}", limit=limit, kinds=kinds)
    return found


def _image(node: Mapping[str, Any], where: str) -> list[str]:
    found: list[str] = []
    file = node.get("slack_file")
    if "slack_file" in node:
        if not isinstance(file, dict) or len(set(file) & {"id", "url"}) != 1 or "image_url" in node:
            found.append(f"[ERROR] must name one file, by id or url [json-pointer:{where}/slack_file]")
        elif "id" in file and not re.fullmatch(r"F[A-Z0-9]{8,}", str(file["id"])):
            found.append(
                f"[ERROR] input must match regex pattern: ^[F][A-Z0-9]{{8,}}$ [json-pointer:{where}/slack_file/id]"
            )
    elif not _is_text(node.get("image_url"), 3000):
        found.append(f"[ERROR] must be less than 3001 characters [json-pointer:{where}/image_url]")
    if not _is_text(node.get("alt_text"), 2000):
        found.append(f"[ERROR] missing required field: alt_text [json-pointer:{where}]")
    return found


def _markdown(block: Mapping[str, Any], where: str) -> list[str]:
    if not _is_text(block.get("text"), 12_000):
        return [f"[ERROR] must be less than 12001 characters [json-pointer:{where}/text]"]
    return []


def _table(block: Mapping[str, Any], where: str) -> list[str]:
    rows = block.get("rows")
    if not isinstance(rows, list) or not 1 <= len(rows) <= 100:
        return [f"[ERROR] must have 1 to 100 items [json-pointer:{where}/rows]"]
    if any(not isinstance(row, list) or not 1 <= len(row) <= 20 for row in rows):
        return [f"[ERROR] rows must have 1 to 20 cells [json-pointer:{where}/rows]"]
    return []


def _rich_text(block: Mapping[str, Any], where: str) -> list[str]:
    if not isinstance(block.get("elements"), list) or not block["elements"]:
        return [f"[ERROR] missing required field: elements [json-pointer:{where}]"]
    return []


_BLOCKS: Final[Mapping[str, tuple[tuple[str, ...], Check]]] = {
    "section": (("text", "fields", "accessory", "expand"), _section),
    "header": (("text",), _header),
    "divider": ((), _divider),
    "context": (("elements",), _context),
    "actions": (("elements",), _actions),
    "image": (("image_url", "slack_file", "alt_text", "title"), _image),
    "markdown": (("text",), _markdown),
    "table": (("rows", "column_settings"), _table),
    "rich_text": (("elements",), _rich_text),
}
"""Fields (beside type and block_id) and check of each block this fake knows; others are refused."""
