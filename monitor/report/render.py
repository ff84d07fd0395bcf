"""Digest -> Message: short, with the rest in the Markdown. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from monitor.domain import Message, MessageKind, Severity
from monitor.report import words
from monitor.report.digest import Digest, KeyWeek, OwnerWeek
from monitor.wording import and_more, count, money, name, shorten

Sections = tuple[tuple[str, tuple[str, ...]], ...]

_KEYS_OF_OWNER = 3


def to_message(digest: Digest, *, channel: str, now: datetime, top: int) -> Message:
    """The digest for a channel, at most `top` rows a list, each list saying how many it leaves out.

    The `message_id` is that of the weeks: the same digest is delivered once."""
    current = digest.weeks.current
    return Message(
        message_id=f"DIGEST-{current.since:%Y%m%dT%H}-{current.until:%Y%m%dT%H}:0:digest",
        kind=MessageKind.DIGEST,
        channel=channel,
        severity=Severity.NOTICE,
        title=f"{digest.weeks.days}: {words.spend(digest.spent_nusd, digest.before_nusd)}",
        summary=words.headline(digest),
        sections=_sections(digest, top),
        footer=" · ".join(part for part in _footer(digest) if part),
        created_at=now,
    )


def _footer(digest: Digest) -> tuple[str, ...]:
    return f"Account: {words.balance(digest)}", f"Data: {words.completeness(digest)}", digest.audit_head


def _sections(digest: Digest, top: int) -> Sections:
    """What to know of the monitor itself, money, what happened, what to mend; empty lists are left out."""
    lists = (
        (words.ATTENTION, digest.warnings),
        ("Owners", [_owner(each) for each in digest.owners]),
        ("Biggest changes", [_key(each) for each in digest.movers(top)]),
        ("Keys that spent most", [_key(each) for each in digest.keys if each.spent_nusd]),
        ("Models", [_model(digest, number) for number in range(len(digest.models))]),
        (
            "Incidents",
            [words.incident_line(each, words.key_name_of(digest, each.key_hash)) for each in digest.incidents],
        ),
        ("Actions", [words.action_line(each, words.key_name_of(digest, each.key_hash)) for each in digest.actions]),
        ("Probed keys", [words.probe_line(each, words.key_name_of(digest, each.key_hash)) for each in digest.probes]),
        (_counted("Live keys without a limit", digest.without_limit), words.names(digest.without_limit)),
        (_counted("Live keys without an owner", digest.unowned), words.names(digest.unowned)),
        (_counted("Live keys unused for two weeks", digest.dormant), words.names(digest.dormant)),
        ("Hours not fully known", words.gap_lines(digest)),
    )
    return tuple((heading, tuple(and_more(lines, top))) for heading, lines in lists if lines)


def _counted(heading: str, lines: Sequence[KeyWeek]) -> str:
    return f"{heading} ({len(lines):,})"


def _owner(part: OwnerWeek) -> str:
    spenders = [each for each in part.keys if each.spent_nusd]
    most = ", ".join(
        f"{shorten(words.key_name(each), 60)} {money(each.spent_nusd)}" for each in spenders[:_KEYS_OF_OWNER]
    )
    said = f"{words.owner_name(part.owner)}: {words.spend(part.spent_nusd, part.before_nusd)}, {count(len(part.keys), 'key')}"
    said = f"{said}, {count(len(part.incidents), 'incident')}" if part.incidents else said
    return f"{said}: {most}" if most else said


def _key(line: KeyWeek) -> str:
    top_model = f", most on {name(line.top_model)}" if line.top_model else ""
    unknown = f", {count(line.n_unknown_hours, 'hour')} unknown" if line.n_unknown_hours else ""
    return f"{words.key_name(line)}: {words.spend(line.spent_nusd, line.before_nusd)}{top_model}{unknown}"


def _model(digest: Digest, number: int) -> str:
    line = digest.models[number]
    return f"{name(line.model)}: {words.spend(line.spent_nusd, line.before_nusd)}"
