"""A page of entries, in words that are not yet of any sink: each renders it for itself. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from monitor.wording import count


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead somewhere; `url` is made by us, never text from outside. Without one they are plain."""

    label: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Something to type."""

    text: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A person or a group by the sink's id, as the settings name them."""

    member_id: str


Words = tuple[str | Link | Code | Mention, ...]


class Mark(enum.Enum):
    """How an entry looks from afar."""

    NONE = "none"
    FINE = "fine"
    OFF = "off"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key, or one incident. `mark` is for the eye: the words say the same. `group`: the heading it stands under, with those
    before and after it that have the same."""

    title: str
    lines: tuple[Words, ...]
    mark: Mark = Mark.NONE
    group: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer. Where not all entries fit, `rest` follows how many were left out, `n_more` that were never entries among them.
    `folded`: what is told in a line each, however full it is."""

    title: str
    summary: Words
    entries: tuple[Entry, ...] = ()
    noun: str = "key"
    n_more: int = 0
    folded: tuple[Words, ...] = ()
    rest: Words = ()
    notes: tuple[Words, ...] = ()


def plain(page: Page) -> tuple[str, ...]:
    """All of a page as lines of text."""
    lines, group = [page.title, _said(page.summary)], ""
    for each in page.entries:
        lines += ["", f"== {each.group} =="] if each.group != group else []
        lines += ["", each.title, *(f"  {_said(words)}" for words in each.lines)]
        group = each.group
    lines += ["", left_out(page, page.n_more) + _said(page.rest)] if page.n_more else []
    lines += ["", *(_said(words) for words in page.folded)] if page.folded else []
    return (*lines, "", *(_said(words) for words in page.notes))


def left_out(page: Page, n: int) -> str:
    """How many entries are not shown."""
    return f"and {n:,} more {count(n, page.noun).partition(' ')[2]}, not shown here."


def _said(words: Words) -> str:
    parts = []
    for piece in words:
        match piece:
            case Link(label, url):
                parts.append(f"{label} ({url})" if url else label)
            case Code(text) | str(text):
                parts.append(text)
            case Mention(member_id):
                parts.append(member_id)
    return "".join(parts)
