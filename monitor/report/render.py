"""Digest -> Messages: a short one for the organisation with the details in its thread, and a short one an owner. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from monitor.domain import Message, MessageKind, Severity, short_id
from monitor.report import care, response_times, words
from monitor.report.figures import Digest, KeyWeek, ModelWeek, OwnerWeek
from monitor.report.owners import part_of
from monitor.wording import and_more, count, money, name, shorten

Sections = tuple[tuple[str, tuple[str, ...]], ...]

SHORT: Final = 4
"""Rows of a list in a short message, the last one saying how many more there are."""

_KEYS_OF_OWNER: Final = 3


def to_messages(
    digest: Digest, *, channel: str, now: datetime, top: int, owner_channels: Mapping[str, str] | None = None
) -> tuple[Message, ...]:
    """All messages of a week: the organisation's headline, its details in the thread, then one an owner, where
    `owner_channels` names another channel and there is anything to say.

    Their ids are made of the weeks and the owner alone: the same digest is delivered once, whenever it is made."""
    messages = [
        headline_message(digest, channel=channel, now=now),
        details_message(digest, channel=channel, now=now, top=top),
    ]
    for part in digest.owners:
        own = (owner_channels or {}).get(part.owner, "")
        if part.owner and own and own != channel and _has_news(part):
            messages.append(owner_message(digest, part, channel=own, now=now))
    return tuple(messages)


def headline_message(digest: Digest, *, channel: str, now: datetime) -> Message:
    """What a manager reads: the figures, what changed most, what needs somebody."""
    return Message(
        message_id=f"{_week(digest)}:0:digest",
        kind=MessageKind.DIGEST,
        channel=channel,
        severity=Severity.NOTICE,
        title=f"{digest.weeks.days}: {words.spend(digest.spent_nusd, digest.before_nusd)}",
        summary=words.beside_the_total(digest),
        facts=(
            ("A usual week", words.norm(digest)),
            (f"By {words.month_end(digest)}", words.forecast(digest.month)),
            ("Alerts", care.alert_line(digest.alerts)),
            ("Saved", care.saved_line(digest.alerts)),
            ("Response times", response_times.short_line(digest.times)),
        ),
        sections=_kept(
            (
                (words.ATTENTION, care.attention(digest)),
                ("What changed", [words.mover(each) for each in digest.movers if each.delta_nusd]),
                ("Limits", [words.limit_line(digest, each) for each in words.limits_on_their_way(digest)]),
                ("To mend", care.debt_lines(digest)),
            ),
            SHORT,
        ),
        footer=f"Account: {words.balance(digest)} · Data: {words.completeness(digest)} · Details in the thread",
        thread=_week(digest),
        created_at=now,
    )


def details_message(digest: Digest, *, channel: str, now: datetime, top: int) -> Message:
    """Everything else, at most `top` rows a list, each list saying how many it leaves out."""
    return Message(
        message_id=f"{_week(digest)}:1:digest",
        kind=MessageKind.DIGEST,
        channel=channel,
        severity=Severity.NOTICE,
        title=f"Details, {digest.weeks.days}",
        summary=f"Account: {words.balance(digest)}.",
        facts=(*response_times.rows(digest.times), *care.health_facts(digest)),
        sections=_kept(_details(digest), top),
        footer=" · ".join(part for part in _footer(digest) if part),
        thread=_week(digest),
        created_at=now,
    )


def owner_message(digest: Digest, part: OwnerWeek, *, channel: str, now: datetime) -> Message:
    """One owner's week."""
    own = part_of(digest, part)
    usual = own.norm_of(part.norm_nusd)
    facts = [("A usual week", money(usual))] if usual is not None else []
    facts.append((f"By {words.month_end(digest)}", words.forecast(part.month)))
    facts.append(("Response times", response_times.short_line(own.times)))
    return Message(
        message_id=f"{_week(digest)}:{short_id('OWNER', part.owner)}:digest",
        kind=MessageKind.DIGEST,
        channel=channel,
        severity=Severity.NOTICE,
        title=f"{words.owner_name(part.owner)}, {words.spend(part.spent_nusd, part.before_nusd)}",
        summary=f"{digest.weeks.days}: {words.beside_the_total(own)}",
        facts=tuple(facts),
        sections=_kept(
            (
                ("What changed", [words.mover(each) for each in own.movers if each.delta_nusd]),
                ("Limits", [words.limit_line(own, each) for each in words.limits_on_their_way(own)]),
                ("Incidents", words.incident_lines(own)),
                ("Actions", words.action_lines(own)),
                ("Probed keys", words.probe_lines(own)),
                ("To mend", care.debt_lines(own)),
            ),
            SHORT,
        ),
        footer=f"Data: {words.completeness(own)}",
        created_at=now,
    )


def _footer(digest: Digest) -> tuple[str, ...]:
    return (
        f"Data: {words.completeness(digest)}",
        "whole tables: openrouter-monitor digest --html FILE",
        digest.audit_head,
    )


def _week(digest: Digest) -> str:
    current = digest.weeks.current
    return f"DIGEST-{current.since:%Y%m%dT%H}-{current.until:%Y%m%dT%H}"


def _has_news(part: OwnerWeek) -> bool:
    is_kept = any(line.key is not None for line in part.keys)
    return bool(part.spent_nusd or part.before_nusd or part.incidents or part.actions or is_kept)


def _details(digest: Digest) -> Sequence[tuple[str, Sequence[str]]]:
    """Money, what happened, what to mend, the monitor itself."""
    spenders = [each for each in digest.keys if each.spent_nusd]
    return (
        ("Owners", [_owner(each) for each in digest.owners]),
        ("What changed", [words.mover(each) for each in digest.movers if each.delta_nusd]),
        ("Keys that spent most", [_key(each) for each in spenders]),
        ("Models", [_model(each) for each in digest.models if not each.is_past]),
        ("Limits", [words.limit_line(digest, each) for each in words.limits_on_their_way(digest)]),
        ("Incidents", words.incident_lines(digest)),
        ("Actions", words.action_lines(digest)),
        ("Probed keys", words.probe_lines(digest)),
        (_counted("Live keys without a limit", digest.without_limit), words.names(digest.without_limit)),
        (_counted("Live keys without an owner", digest.unowned), words.names(digest.unowned)),
        (_counted("Live keys nobody used for 30 days", digest.unused), words.names(digest.unused)),
        ("Hours not fully known", words.gap_lines(digest)),
        ("Not watching", care.silence_lines(digest.health)),
        ("Troubles now", digest.health.troubles),
    )


def _kept(lists: Sequence[tuple[str, Sequence[str]]], top: int) -> Sections:
    """Empty lists are left out."""
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


def _model(line: ModelWeek) -> str:
    return f"{name(line.model)}: {words.spend(line.spent_nusd, line.before_nusd)}"
