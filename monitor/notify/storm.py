"""The one message of many keys at once, as it stands now: what they come to, the dearest with their owners, and in its thread every
key with its state.

It takes the place of the first message of its thread. The same facts give the same messages. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from monitor.domain import ApiKey, Incident, IncidentKind, IncidentState, Message, MessageKind
from monitor.notify.parts import paged
from monitor.notify.wording import RESTORE, REVOKE, short_hash
from monitor.wording import count, duration, moment, money, name, one_line, shorten

SHOWN: Final = 8
"""So many keys are shown in the message itself; of more the `TOP` dearest, and all of them in its thread."""

TOP: Final = 5

FULL: Final = 40
"""In the thread, of up to so many the dollars and owners are told too; of more only name and hash."""

BEGAN: Final = "What happened"

_NAME: Final = 60
"""Letters of a name in a line of its own: two lines of a telephone."""

MOST_LINES: Final = 100
"""Keys in one message of the thread."""

_NAMES: Final = (40, 24, 12, 6, 0)
"""Letters of a name among many: the fewer, the more names there are. The hash says which key it is."""

_MOST: Final = 24_000
"""Characters of all lines of the thread, as the narrowest sink counts: some four messages."""

_STATES: Final = {
    IncidentState.OPEN: "open",
    IncidentState.ACKNOWLEDGED: "looked after",
    IncidentState.SILENCED: "snoozed",
    IncidentState.RESOLVED: "over",
}
_ORDER: Final = tuple(_STATES)
_DISABLED: Final = "key disabled"
_COUNTED: Final = ("open", "disabled", "looked after", "snoozed", "over")


@dataclass(frozen=True, slots=True)
class Member:
    """One incident of those told together, and its key; None where the key is not known any more. `owner`: empty where nobody is
    known."""

    incident: Incident
    key: ApiKey | None
    owner: str = ""

    @property
    def is_disabled(self) -> bool:
        """Whether its key is out of service now."""
        return self.key is not None and self.key.settings.is_disabled

    @property
    def state(self) -> str:
        """Where it stands, in few words."""
        said = _STATES[self.incident.state]
        if not self.is_disabled:
            return said
        return _DISABLED if self.incident.state is IncidentState.OPEN else f"{said}, {_DISABLED}"

    @property
    def needs_somebody(self) -> bool:
        """Whether nothing was done about it yet, by anybody."""
        return self.incident.state is IncidentState.OPEN and not self.is_disabled


def pages(root: Message, event: Incident, members: Sequence[Member]) -> tuple[Message, ...]:
    """`root` as it stands now, and its continuations, however many: every key is named in one of them."""
    thread = root.thread or root.message_id
    ordered = sorted(members, key=_rank)
    first = _first(root, event, ordered)
    if len(members) <= SHOWN:
        return (first,)
    listed = list(_listed(ordered))
    return (
        replace(first, thread=thread),
        *(
            replace(
                first,
                message_id=f"{root.message_id}~{number}",
                title=f"All {count(len(members), 'key')}{f' ({number - 1} of {len(listed)})' if len(listed) > 1 else ''}",
                summary="By state, the dearest first.",
                sections=sections,
                thread=thread,
            )
            for number, sections in enumerate(listed, start=2)
        ),
    )


def rooted(message: Message) -> Message:
    """The first message as `pages` takes it: what it says of the whole event is kept as what happened."""
    return replace(message, sections=((BEGAN, (message.summary,)),))


def as_one(event_id: str, incidents: Sequence[Incident]) -> Incident:
    """Incidents told together, as one that is over with the last of them: for those that are no event of their own."""
    worst = max(incidents, key=lambda each: (each.severity, each.at_risk_nusd, each.incident_id))
    alive = [each for each in incidents if each.is_alive]
    ends = [each.resolved_at for each in incidents if each.resolved_at is not None]
    return replace(
        worst,
        incident_id=event_id,
        key_hash="",
        kind=IncidentKind.PLATFORM,
        state=IncidentState.OPEN if alive else IncidentState.RESOLVED,
        opened_at=max(each.noticed_at for each in incidents),
        onset_at=min(each.onset_at for each in incidents),
        last_seen_at=max(each.last_seen_at for each in incidents),
        resolved_at=None if alive else max(ends, default=worst.last_seen_at),
        resolution=None,
        spent_nusd=sum(each.spent_nusd for each in incidents),
        per_hour_nusd=sum(each.per_hour_nusd for each in alive),
        at_risk_nusd=sum(each.at_risk_nusd for each in alive),
        members=tuple(each.incident_id for each in incidents),
    )


def emptied(page: Message) -> Message:
    """What a continuation says that is needed no more: the keys it held are named above it."""
    return replace(
        page, title="Continued above", summary="All keys are listed above.", sections=(), facts=(), evidence=()
    )


def states(event: Incident, members: Sequence[Member]) -> tuple[str, ...]:
    """What people must see at once when it changes; dollars may wait."""
    return (event.state.value, *sorted(f"{each.incident.incident_id} {each.state}" for each in members))


def _first(root: Message, event: Incident, ordered: Sequence[Member]) -> Message:
    told = next((lines for heading, lines in root.sections if heading == BEGAN), (root.summary,))
    began = tuple(one_line(line).replace("`", "") for line in told)  # sinks escape them: they would only be in the way
    is_all = len(ordered) <= SHOWN
    dearest = sorted(ordered, key=_dearest)
    shown = [_full(each, event) for each in (dearest if is_all else dearest[:TOP])]
    shown += [] if is_all else [f"All {len(ordered):,} keys by state: in this thread."]
    sections = [("Keys" if is_all else f"The {TOP} dearest", tuple(shown)), (BEGAN, began)]
    if not event.is_alive:
        sections.insert(1, ("In all", _ending(event, ordered)))
    elif not any(REVOKE in line for line in began):
        sections.append(("What to do", (f"To stop one by hand: {REVOKE} KEY",)))
    return replace(
        root,
        kind=root.kind if event.is_alive else MessageKind.RESOLVED,
        severity=event.severity,
        title=_title(event, ordered),
        summary=_headline(event, ordered),
        facts=(),
        evidence=(),
        sections=tuple(sections),
        undo="",
        footer=f"{event.incident_id} · last seen {moment(event.last_seen_at)}",
        ask=None,
        picture=None,
    )


def _title(event: Incident, members: Sequence[Member]) -> str:
    keys = count(len({each.incident.key_hash for each in members}), "key")
    spent = f"{money(_spent(members))} above usual"
    if not event.is_alive:
        return f"Over: {keys} at once, {spent} in all"
    n_left = sum(each.needs_somebody for each in members)
    if n_left == len(members):
        return f"{keys} at once: {spent}"
    return f"{keys} at once, {f'{n_left:,} still' if n_left else 'none left'} open: {spent}"


def _headline(event: Incident, members: Sequence[Member]) -> str:
    """What the title does not say: since when, how fast, and where they stand."""
    counted = Counter("disabled" if each.state == _DISABLED else _STATES[each.incident.state] for each in members)
    said = ", ".join(f"{counted[state]:,} {state}" for state in _COUNTED if counted[state])
    if not event.is_alive:
        span = f"From {moment(event.onset_at)} to {moment(event.last_seen_at)}"
        return f"{span}." if set(counted) == {"over"} else f"{span}: {said}."
    rate = f"{money(event.per_hour_nusd)}/h now, {money(event.at_risk_nusd)} at risk"
    return f"{rate}, since {moment(event.onset_at)}: {said}."


def _spent(members: Sequence[Member]) -> int:
    return sum(each.incident.spent_nusd for each in members)


def _rank(member: Member) -> tuple[int, bool, int, str]:
    incident = member.incident
    return _ORDER.index(incident.state), member.is_disabled, -incident.spent_nusd, incident.incident_id


def _dearest(member: Member) -> tuple[bool, int, str]:
    """What still needs somebody first, then by dollars."""
    return not member.needs_somebody, -member.incident.spent_nusd, member.incident.incident_id


def _listed(ordered: Sequence[Member]) -> Iterator[tuple[tuple[str, tuple[str, ...]], ...]]:
    """The sections of each message that lists all keys: one a state, a key on each line."""
    members = list(ordered)
    for lines in paged(_lines(ordered), most=MOST_LINES):
        by_state: dict[str, list[str]] = {}
        for each, line in zip(members, lines, strict=False):
            by_state.setdefault(each.state, []).append(line)
        members = members[len(lines) :]
        counted = Counter(each.state for each in ordered)
        yield tuple((_capital(f"{state}: {counted[state]:,}"), tuple(theirs)) for state, theirs in by_state.items())


def _lines(ordered: Sequence[Member]) -> list[str]:
    if len(ordered) <= FULL:
        return [_dollars(each) for each in ordered]
    shown: list[str] = []
    for length in _NAMES:
        shown = [_named(each, length) for each in ordered]
        if sum(len(json.dumps(line)) for line in shown) <= _MOST:
            break
    return shown


def _named(member: Member, length: int) -> str:
    called = shorten(one_line(member.key.key_name), length) if member.key else ""
    return f"{called} {short_hash(member.incident.key_hash)}".strip()


def _full(member: Member, event: Incident) -> str:
    """With its state; of an event that is over only what is not over with it."""
    if event.is_alive or member.incident.is_alive:
        return f"{_dollars(member)}, {member.state}"
    return f"{_dollars(member)}, {_DISABLED}" if member.is_disabled else _dollars(member)


def _dollars(member: Member) -> str:
    """Dollars first, then which key it is and whose."""
    incident = member.incident
    now = f", {money(incident.per_hour_nusd)}/h now" if incident.is_alive else ""
    called = shorten(name(member.key.key_name), _NAME) if member.key else "(not in the inventory)"
    owner = f", {shorten(one_line(member.owner), _NAME)}" if one_line(member.owner) else ""
    return f"{money(incident.spent_nusd)}{now}: {called} {short_hash(incident.key_hash)}{owner}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ending(event: Incident, members: Sequence[Member]) -> tuple[str, ...]:
    """The lines it closes with."""
    noticed = duration(max(timedelta(), event.opened_at - event.onset_at))
    lines = [f"Total damage {money(_spent(members))} above usual; noticed {noticed} after it began."]
    lines += [f"Why: {one_line(event.resolution)}"] if event.resolution else []
    if any(each.is_disabled for each in members):
        lines.append(f"To put a disabled key back: {RESTORE} KEY")
    return tuple(lines)
