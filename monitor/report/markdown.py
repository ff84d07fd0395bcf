"""Digest -> Markdown (GitHub's): everything, every key by name, in tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from monitor.report import care, response_times, words
from monitor.report.figures import Digest, KeyWeek, ModelWeek, OwnerWeek
from monitor.wording import and_more, change, money, name, one_line, to_the_cent

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
    """The digest as a document, most important first. Lists of the account as a whole hold at most `top` rows; each owner's
    part holds every key with all figures, so that no key is left out."""
    changed = [words.mover(each) for each in digest.movers if each.delta_nusd]
    limits = [words.limit_line(digest, each) for each in words.limits_on_their_way(digest)]
    whose = "" if digest.owner is None else f"{escape(words.owner_name(digest.owner))}: usage"
    parts = [
        f"# {whose or 'Usage'} digest, {escape(digest.weeks.days)}",
        escape(words.headline(digest)),
        *_listing(words.ATTENTION, care.attention(digest)),
        _summary(digest),
        *_listing("What changed", and_more(changed, top)),
        *_listing("Limits likely to be reached", and_more(limits, top)),
        *_listing("Incidents", words.incident_lines(digest)),
        *_listing("Actions", words.action_lines(digest)),
        *_listing("Probed keys", words.probe_lines(digest)),
        *_listing("To mend", care.debt_lines(digest)),
        *_listing(f"Live keys without a limit ({len(digest.without_limit)})", words.names(digest.without_limit)),
        *_listing(f"Live keys without an owner ({len(digest.unowned)})", words.names(digest.unowned)),
        *_listing(f"Live keys nobody used for 30 days ({len(digest.unused)})", words.names(digest.unused)),
    ]
    for part in digest.owners:
        parts += _owner(digest, part, top)
    if digest.owner is None:
        parts += ["## The monitor itself", _table(("", ""), care.health_facts(digest))]
        parts += _listing("Not watching", care.silence_lines(digest.health))
        parts += _listing("Troubles now", digest.health.troubles)
    parts += _listing("Hours not fully known", words.gap_lines(digest))
    parts += [escape(digest.audit_head)] if digest.audit_head else []
    return "\n\n".join(parts) + "\n"


def _summary(digest: Digest) -> str:
    rows = [
        ("Sum of keys", to_the_cent(digest.spent_nusd)),
        *(_account(digest) if digest.owner is None else ()),
        ("Week before", f"{to_the_cent(digest.before_nusd)} ({change(digest.spent_nusd, digest.before_nusd)})"),
        ("A usual week", words.norm(digest)),
        (f"Month to {words.month_end(digest)}", words.forecast(digest.month)),
    ]
    if digest.owner is None:
        rows += [
            ("Alerts", care.alert_line(digest.alerts)),
            ("Saved", care.saved_line(digest.alerts)),
        ]
    rows += response_times.rows(digest.times)
    return _table(("", ""), [*rows, ("Data", words.completeness(digest))])


def _account(digest: Digest) -> list[tuple[str, str]]:
    """The rows that make the sum of the keys the account's total."""
    parts = (
        ("Unattributed (rows no single key could be given)", digest.unattributed_nusd),
        ("Gap", digest.gap_nusd),
        ("Account total by its counters", digest.account_total_nusd),
    )
    return [(what, "not known" if nusd is None else to_the_cent(nusd)) for what, nusd in parts]


def _owner(digest: Digest, part: OwnerWeek, top: int) -> list[str]:
    models = [
        (name(each.model), *_money(digest, each), f"{each.n_requests:,}") for each in part.models if not each.is_past
    ]
    led = words.led_by(digest, part)
    parts = [
        f"## {escape(words.owner_name(part.owner))}: {escape(words.spend(part.spent_nusd, part.before_nusd))}",
        *([f"The change is {escape(led)}"] if led else []),
        _keys_table(digest, [each for each in part.keys if not each.is_past]),
    ]
    if models:
        parts.append(_table(("Model", "This week", "Last week", "Change", "Usual week", "Requests"), models[:top]))
    if len(models) > top:
        parts.append(f"and {len(models) - top:,} more models")
    return parts


def _keys_table(digest: Digest, lines: Sequence[KeyWeek]) -> str:
    if not lines:
        return "None."
    rows = [
        (
            words.key_name(each),
            *_money(digest, each),
            name(each.top_model, fallback="-"),
            words.limit(each.key),
            words.state(each),
            f"{each.n_unknown_hours} h" if each.n_unknown_hours else "-",
        )
        for each in lines
    ]
    return _table(
        ("Key", "This week", "Last week", "Change", "Usual week", "Most spent on", "Limit", "State", "Unknown"), rows
    )


def _money(digest: Digest, each: KeyWeek | ModelWeek) -> tuple[str, str, str, str]:
    usual = digest.norm_of(each.norm_nusd)
    told = (money(each.spent_nusd), money(each.before_nusd), change(each.spent_nusd, each.before_nusd))
    return (*told, "?" if usual is None else money(usual))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(columns), _row(["---"] * len(columns))]
    return "\n".join([*lines, *(_row([escape_cell(cell) for cell in row]) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listing(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"## {heading}", "\n".join(f"- {escape(line)}" for line in lines)] if lines else []
