"""The one message of many keys that turned unusual together, as it stands now: every key with its state, and what it comes to.

It takes the place of the first message of the event's thread; what does not fit goes on in that thread (`parts`). Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from monitor.domain import ApiKey, Incident, IncidentState, Message, MessageKind
from monitor.notify.message import RESTORE, REVOKE
from monitor.notify.wording import short_hash
from monitor.wording import count, duration, moment, money, name, one_line, shorten

FULL: Final = 40
"""Up to so many incidents have a line each; of more, the worst `WORST` have, and the others are named together by their state."""

WORST: Final = 15
_LINE: Final = 500
"""Of a line with many names, in UTF-16 units as sinks count that write & < > as entities: none is cut."""

_NAMES: Final = (24, 12, 6, 0)
"""Letters of a name among many: the fewer, the more names there are. The hash says which key it is."""

_MOST: Final = 24_000
"""Characters of all lines with many names, as the narrowest sink counts: some four messages."""

_STATES: Final = {
    IncidentState.OPEN: "open",
    IncidentState.ACKNOWLEDGED: "looked after",
    IncidentState.SILENCED: "snoozed",
    IncidentState.RESOLVED: "over",
}
_ORDER: Final = tuple(_STATES)


@dataclass(frozen=True, slots=True)
class Member:
    """One incident of the event, and its key; None where the key is not known any more."""

    incident: Incident
    key: ApiKey | None

    @property
    def is_disabled(self) -> bool:
        """Whether its key is out of service now."""
        return self.key is not None and self.key.settings.is_disabled

    @property
    def state(self) -> str:
        """Where it stands, in few words."""
        said = _STATES[self.incident.state]
        return f"{said}, key disabled" if self.is_disabled else said


def card(root: Message, event: Incident, members: Sequence[Member]) -> Message:
    """The message as it stands, however long: `parts` makes messages of it. The same facts give the same message."""
    ordered = sorted(members, key=_rank)
    n_alive = sum(each.incident.is_alive for each in members)
    n_keys = count(len({each.incident.key_hash for each in members}), "key")
    title = (
        f"{n_keys} together: {n_alive:,} not over" if event.is_alive else f"Over: {n_keys} that turned unusual together"
    )
    return replace(
        root,
        kind=root.kind if event.is_alive else MessageKind.RESOLVED,
        severity=event.severity,
        title=title,
        summary=f"{_counted(members)}. {_money(event, members)}",
        facts=(),
        evidence=(),
        sections=(
            ("Keys", tuple(_lines(ordered))),
            ("What to do", (f"To stop one by hand: {REVOKE} KEY",))
            if event.is_alive
            else ("In all", _total(event, members)),
            ("How it began", (one_line(root.summary),)),
        ),
        undo="",
        footer=f"{event.incident_id} · last seen {moment(event.last_seen_at)}",
        ask=None,
        picture=None,
    )


def emptied(page: Message) -> Message:
    """What a continuation says that is needed no more: the keys it held are named above it."""
    return replace(
        page, title="Continued above", summary="All keys are listed above.", sections=(), facts=(), evidence=()
    )


def states(event: Incident, members: Sequence[Member]) -> tuple[str, ...]:
    """What people must see at once when it changes; dollars may wait."""
    return (event.state.value, *sorted(f"{each.incident.incident_id} {each.state}" for each in members))


def _rank(member: Member) -> tuple[int, int, str]:
    incident = member.incident
    return _ORDER.index(incident.state), -incident.at_risk_nusd, incident.incident_id


def _lines(ordered: Sequence[Member]) -> list[str]:
    n_full = len(ordered) if len(ordered) <= FULL else WORST
    full = [_full(each) for each in ordered[:n_full]]
    by_state: dict[str, list[Member]] = {}
    for each in ordered[n_full:]:
        by_state.setdefault(each.state, []).append(each)
    for length in _NAMES:
        together = [
            line
            for state, theirs in by_state.items()
            for line in _named_together(f"{state} ({len(theirs):,}): ", theirs, length)
        ]
        if sum(len(json.dumps(line)) for line in together) <= _MOST:
            break
    return [*full, *together]


def _full(member: Member) -> str:
    incident = member.incident
    now = f", {money(incident.per_hour_nusd)}/h now" if incident.is_alive else ""
    called = name(member.key.key_name) if member.key else "(not in the inventory)"
    return (
        f"{member.state}: {called} {short_hash(incident.key_hash)}: {money(incident.spent_nusd)} above usual{now},"
        f" {incident.incident_id}"
    )


def _named_together(head: str, members: Sequence[Member], length: int) -> Iterator[str]:
    """By name and hash, many to a line, each line with the state in front."""
    line = head
    for each in members:
        called = shorten(one_line(each.key.key_name), length) if each.key else ""
        entry = f"{called} {short_hash(each.incident.key_hash)}".strip()
        if line != head and _units(line) + _units(entry) + 2 > _LINE:
            yield line
            line = head
        line = f"{line}{entry}" if line == head else f"{line}, {entry}"
    yield line


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2 + 4 * sum(text.count(char) for char in "&<>")


def _counted(members: Sequence[Member]) -> str:
    states = Counter(_STATES[each.incident.state] for each in members)
    said = ", ".join(f"{states[each]:,} {each}" for each in _STATES.values() if states[each])
    n_disabled = len({each.incident.key_hash for each in members if each.is_disabled})
    disabled = f"; {count(n_disabled, 'key')} disabled" if n_disabled else ""
    return f"{count(len(members), 'incident')}: {said}{disabled}"


def _money(event: Incident, members: Sequence[Member]) -> str:
    spent = money(sum(each.incident.spent_nusd for each in members))
    if not event.is_alive:
        return f"{spent} above usual in all."
    return f"{spent} above usual so far, {money(event.per_hour_nusd)}/h now, {money(event.at_risk_nusd)} at risk."


def _total(event: Incident, members: Sequence[Member]) -> tuple[str, ...]:
    """The line it closes with."""
    lines = [f"{_counted(members)}. {_money(event, members)}"]
    noticed = duration(max(timedelta(), event.opened_at - event.onset_at))
    lines.append(f"From {moment(event.onset_at)} to {moment(event.last_seen_at)}; noticed {noticed} after it began.")
    lines += [f"Why: {one_line(event.resolution)}"] if event.resolution else []
    if any(each.is_disabled for each in members):
        lines.append(f"To put a disabled key back: {RESTORE} KEY")
    return tuple(lines)
