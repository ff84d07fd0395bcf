"""Digest -> Markdown (GitHub's): everything, every key by name, in tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from monitor.report import words
from monitor.report.digest import Digest, KeyWeek, OwnerWeek
from monitor.wording import change, money, name, one_line, to_the_cent

_ACTIVE: Final = re.compile(r"([\\`*_{}\[\]<>#|~&@!]|\$(?!\d))")
_LINKS: Final = re.compile(r"(?i)(\b(?:https?|ftp|mailto|xmpp))(:)|(\bwww)(\.)")
_LINE_START: Final = re.compile(r"^([-+=]|\d+(?=[.)]))")


def escape(text: str) -> str:
    """Text from outside as literal Markdown, also at the start of a line: nothing in it formats, links, or begins a list.

    Rendering gives the text back as it was, on one line."""
    return _LINE_START.sub(_inert_start, escape_cell(text))


def escape_cell(text: str) -> str:
    """Like `escape`, for a table's cell: nothing breaks the row, and a dash or a sign at its start means nothing."""
    plain = _ACTIVE.sub(r"\\\1", one_line(text))
    return _LINKS.sub(lambda found: rf"{found[1] or found[3]}\{found[2] or found[4]}", plain)


def _inert_start(found: re.Match[str]) -> str:
    """A dash or number at the start of a line would begin a list."""
    return rf"\{found[1]}" if not found[1][0].isdigit() else f"&#{ord(found[1][0])};{found[1][1:]}"


def to_markdown(digest: Digest, *, top: int) -> str:
    """The digest as a document. Lists of the account as a whole hold at most `top` rows; each owner's part holds every key
    with all figures, so that no key is left out."""
    parts = [
        f"# Usage digest, {escape(digest.weeks.days)}",
        escape(words.headline(digest)),
        *_listing(words.ATTENTION, digest.warnings),
        _summary(digest),
        *_listing("Hours not fully known", words.gap_lines(digest)),
        "## Biggest changes",
        _keys_table(digest.movers(top)),
        *_listing(
            "Incidents",
            [words.incident_line(each, words.key_name_of(digest, each.key_hash)) for each in digest.incidents],
        ),
        *_listing(
            "Actions", [words.action_line(each, words.key_name_of(digest, each.key_hash)) for each in digest.actions]
        ),
        *_listing(
            "Probed keys", [words.probe_line(each, words.key_name_of(digest, each.key_hash)) for each in digest.probes]
        ),
        *_listing(f"Live keys without a limit ({len(digest.without_limit)})", words.names(digest.without_limit)),
        *_listing(f"Live keys without an owner ({len(digest.unowned)})", words.names(digest.unowned)),
        *_listing(f"Live keys unused for two weeks ({len(digest.dormant)})", words.names(digest.dormant)),
    ]
    for part in digest.owners:
        parts += _owner(part, top)
    if digest.audit_head:
        parts.append(escape(digest.audit_head))
    return "\n\n".join(parts) + "\n"


def _summary(digest: Digest) -> str:
    total = digest.account_total_nusd
    gap = digest.gap_nusd
    rows = [
        ("Sum of keys", to_the_cent(digest.spent_nusd)),
        ("Unattributed (rows no single key could be given)", to_the_cent(digest.unattributed_nusd)),
        ("Account total by its counters", "not known" if total is None else to_the_cent(total)),
        ("Gap", "not known" if gap is None else to_the_cent(gap)),
        (
            "Week before, sum of keys",
            f"{to_the_cent(digest.before_nusd)} ({change(digest.spent_nusd, digest.before_nusd)})",
        ),
        ("Data", words.completeness(digest)),
    ]
    return _table(("", ""), rows)


def _owner(part: OwnerWeek, top: int) -> list[str]:
    models = [
        (name(each.model), *_money(each.spent_nusd, each.before_nusd), f"{each.n_requests:,}") for each in part.models
    ]
    parts = [
        f"## {escape(words.owner_name(part.owner))}: {escape(words.spend(part.spent_nusd, part.before_nusd))}",
        _keys_table(part.keys),
    ]
    if models:
        parts.append(_table(("Model", "This week", "Last week", "Change", "Requests"), models[:top]))
    if len(models) > top:
        parts.append(f"and {len(models) - top:,} more models")
    return parts


def _keys_table(lines: Sequence[KeyWeek]) -> str:
    if not lines:
        return "None."
    rows = [
        (
            words.key_name(each),
            words.owner_name(each.owner),
            *_money(each.spent_nusd, each.before_nusd),
            name(each.top_model, fallback="-"),
            words.limit(each.key),
            "disabled" if each.key and each.key.settings.is_disabled else "live" if each.key else "gone",
            f"{each.n_unknown_hours} h" if each.n_unknown_hours else "-",
        )
        for each in lines
    ]
    return _table(
        ("Key", "Owner", "This week", "Last week", "Change", "Most spent on", "Limit", "State", "Unknown"), rows
    )


def _money(spent_nusd: int, before_nusd: int) -> tuple[str, str, str]:
    return money(spent_nusd), money(before_nusd), change(spent_nusd, before_nusd)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(columns), _row(["---"] * len(columns))]
    return "\n".join([*lines, *(_row([escape_cell(cell) for cell in row]) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listing(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"## {heading}", "\n".join(f"- {escape(line)}" for line in lines)] if lines else []
