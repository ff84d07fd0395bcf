"""Keeps each message of many keys at once true, as `cards` does with the alert of a single key: compared and mended, never queued.
That is the one message of an event, and the lists of keys that wait together, behind a blown fuse for example.

Its pages beyond the first are replies in its thread; those that lack are sent through the outbox, once. The first page is edited
only once every further page stands: no name is ever missing from the thread."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.decide.crowd import EVENT
from monitor.domain import ApiKey, Incident, IncidentKind, IncidentState, Message, MessageKind, Notice, Receipt
from monitor.errors import DeliveryError, SinkUnauthorized
from monitor.jobs import owners
from monitor.jobs.app import App, Office
from monitor.notify import slack_blocks, storm
from monitor.notify.base import Board
from monitor.notify.message import LIST
from monitor.notify.parts import is_continuation
from monitor.notify.storm import Member
from monitor.store.base import Delivery, OutboxEntry, Store

log = logging.getLogger(__name__)

LOOK_BACK: Final = timedelta(days=2)
"""What was over longer ago than this is left as it is shown."""

LISTED_FOR: Final = timedelta(days=14)
"""A list of keys that wait is left as it is shown after so long, even where one of them still waits."""

QUIET: Final = timedelta(minutes=5)
"""Dollars that go on counting are shown anew no sooner than this; states at once."""

SETTLED: Final = timedelta(hours=1)
"""After an end that was shown, keys put back are still shown for so long."""

RETRY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Matter:
    """What one message tells of. `event`: as one incident, its id is that of the thread."""

    event: Incident
    incidents: tuple[Incident, ...]


@dataclass(frozen=True, slots=True)
class Pages:
    """What should stand: `edits` of delivered messages, the last page first; `lacking` are to be sent; `is_whole`: all pages
    stand, or never will."""

    root: Message
    edits: tuple[tuple[Message, Receipt], ...]
    lacking: tuple[Message, ...]
    is_whole: bool
    urgent: str


def told(
    app: Office, message: Message, incidents: Sequence[Incident], keys: Mapping[str, ApiKey]
) -> tuple[Message, ...]:
    """The messages that tell first of several incidents: as they will be edited later. Raises StoreError."""
    event = storm.as_one(message.thread or message.message_id, incidents)
    return storm.pages(storm.rooted(message), event, _members(app.store, app.settings, incidents, keys))


def newest(store: Store, settings: Settings) -> tuple[Message, ...]:
    """The newest message of many keys as it stands now, with its pages; nothing where there was none. Raises StoreError."""
    found = [each.message for prefix in (EVENT, LIST) for each in store.outbox.entries(thread_prefix=f"{prefix}-")]
    roots: dict[str, Message] = {}
    for message in found:
        if message.kind is MessageKind.SOURCE and len(message.about) > 1 and not is_continuation(message):
            roots.setdefault(message.thread or message.message_id, message)
    everything = {each.incident_id: each for each in store.ledger.incidents()}
    for thread, root in sorted(roots.items(), key=lambda each: str(each[1].created_at or ""), reverse=True):
        event = everything.get(thread)
        theirs = _those(event.members if event else root.about, everything)
        if theirs:
            keys = {key.key_hash: key for key in store.keys.keys(include_vanished=True)}
            return storm.pages(root, event or storm.as_one(thread, theirs), _members(store, settings, theirs, keys))
    return ()


def without_ends_shown(app: Office, notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """Without the ends of incidents that were told in a list only: it is edited, and a hundred ends would be a hundred messages.
    Raises StoreError."""
    if not any(each.kind is MessageKind.RESOLVED for each in notices):
        return tuple(notices)
    outbox = app.store.outbox
    listed = {about for each in outbox.entries(thread_prefix=f"{LIST}-") for about in each.message.about}

    def is_shown(notice: Notice) -> bool:
        incident = notice.incident
        if notice.kind is not MessageKind.RESOLVED or incident is None or incident.incident_id not in listed:
            return False
        return not outbox.entries(thread=incident.incident_id)

    return tuple(each for each in notices if not is_shown(each))


async def refresh(app: App, board: Board) -> int:
    """One run; returns how many messages were edited. A sink that fails is logged and tried again later. Raises StoreError."""
    n_edited = 0
    for matter in await asyncio.to_thread(_matters, app):
        try:
            n_edited += await _one(app, board, matter)
        except DeliveryError as error:
            log.warning("storm_not_edited", extra={"incident": matter.event.incident_id, "error": str(error)})
            until = app.clock.now() + max(RETRY, timedelta(seconds=error.retry_after or 0))
            card = app.store.cards.card(matter.event.incident_id)
            await asyncio.to_thread(app.store.cards.put, replace(card, due_at=until))
            break
    return n_edited


async def _one(app: App, board: Board, matter: Matter) -> int:
    event, now = matter.event, app.clock.now()
    before = await asyncio.to_thread(app.store.cards.card, event.incident_id)
    if (before.due_at is not None and before.due_at > now) or _is_settled(event, before.shown_at, app.now()):
        return 0
    pages = await asyncio.to_thread(_pages, app, matter)
    if pages is None:
        return 0
    if pages.lacking:
        await asyncio.to_thread(app.store.outbox.add, pages.lacking, app.clock.now())
        return 0
    is_soon = before.shown_at is not None and now - before.shown_at < QUIET
    if not pages.is_whole or (before.shown == pages.urgent and is_soon):
        return 0
    n_edited = 0
    for page, receipt in pages.edits:
        n_edited += await _edited(app, board, page, receipt)
    if n_edited or before.shown != pages.urgent:
        shown = replace(before, shown=pages.urgent, shown_at=now, due_at=None)
        await asyncio.to_thread(app.store.cards.put, shown)
    return n_edited


async def _edited(app: App, board: Board, page: Message, receipt: Receipt) -> bool:
    """Edits one page where it does not show this already. A page that Slack refuses for good is left as it is."""
    shown = await asyncio.to_thread(app.store.cards.card, page.message_id)
    text, blocks, _ = slack_blocks.render(page)
    digest = _digest([text, blocks])
    if shown.shown == digest:
        return False
    try:
        await board.update(page, receipt)
    except DeliveryError as error:
        if not error.permanent or isinstance(error, SinkUnauthorized):
            raise
        log.warning("edit_refused", extra={"message_id": page.message_id, "error": str(error)})
    await asyncio.to_thread(app.store.cards.put, replace(shown, shown=digest, shown_at=app.clock.now()))
    return True


def _matters(app: App) -> list[Matter]:
    """Events that may still move, and lists of keys that wait."""
    ledger, now = app.store.ledger, app.now()
    alive = [state for state in IncidentState if state is not IncidentState.RESOLVED]
    found = (*ledger.incidents(states=alive), *ledger.incidents(states={IncidentState.RESOLVED}, since=now - LOOK_BACK))
    events = [each for each in found if each.kind is IncidentKind.PLATFORM]
    sent = app.store.outbox.entries(states={Delivery.DELIVERED}, thread_prefix=f"{LIST}-")
    roots = [each.message for each in sent if not is_continuation(each.message) and _at(each, now) >= now - LISTED_FOR]
    began = [each.onset_at for each in events] + [each.created_at or now for each in roots]
    if not began:
        return []
    everything = {each.incident_id: each for each in ledger.incidents(since=min(began) - LOOK_BACK)}
    lists = ((root, _those(root.about, everything)) for root in roots)
    waiting = [Matter(storm.as_one(root.thread or "", theirs), theirs) for root, theirs in lists if theirs]
    return [
        *(Matter(each, _those(each.members, everything)) for each in events),
        *(each for each in waiting if each.event.is_alive or each.event.last_seen_at >= now - LOOK_BACK),
    ]


def _at(entry: OutboxEntry, now: datetime) -> datetime:
    return entry.message.created_at or now


def _those(ids: Sequence[str], everything: Mapping[str, Incident]) -> tuple[Incident, ...]:
    return tuple(everything[each] for each in ids if each in everything)


def _is_settled(event: Incident, shown_at: datetime | None, now: datetime) -> bool:
    ended = event.resolved_at
    if event.is_alive or ended is None or shown_at is None:
        return False
    return shown_at > ended and now - ended > SETTLED


def _pages(app: App, matter: Matter) -> Pages | None:
    """None where the matter's own message was not delivered (yet)."""
    store, event = app.store, matter.event
    entries = store.outbox.entries(thread=event.incident_id)
    delivered = [each for each in entries if each.state is Delivery.DELIVERED and each.receipt is not None]
    first = min(delivered, key=lambda each: each.receipt.reference if each.receipt else "", default=None)
    if first is None or first.message.kind is not MessageKind.SOURCE:
        return None
    root, by_id = first.message, {each.message.message_id: each for each in entries}
    keys = {key.key_hash: key for key in store.keys.keys(include_vanished=True)}
    members = _members(store, app.settings, matter.incidents, keys)
    pages = storm.pages(root, event, members)
    ours = {page.message_id for page in pages}
    unneeded = [
        storm.emptied(each.message)
        for each in delivered
        if each.message.message_id.startswith(f"{root.message_id}~") and each.message.message_id not in ours
    ]
    lacking = tuple(replace(page, created_at=app.clock.now()) for page in pages if page.message_id not in by_id)
    return Pages(
        root=root,
        edits=tuple(_delivered([*reversed(pages), *unneeded], by_id)),
        lacking=lacking,
        is_whole=all(_has_ended(by_id.get(page.message_id)) for page in pages),
        urgent=_digest(storm.states(event, members)),
    )


def _members(
    store: Store, settings: Settings, incidents: Sequence[Incident], keys: Mapping[str, ApiKey]
) -> list[Member]:
    theirs = [keys[each.key_hash] for each in incidents if each.key_hash in keys]
    named = owners.named(store, settings, theirs) or {}
    return [Member(each, keys.get(each.key_hash), named.get(each.key_hash, "")) for each in incidents]


def _delivered(pages: Sequence[Message], by_id: Mapping[str, OutboxEntry]) -> list[tuple[Message, Receipt]]:
    found = ((page, by_id[page.message_id].receipt) for page in pages if page.message_id in by_id)
    return [(page, receipt) for page, receipt in found if receipt is not None]


def _has_ended(entry: OutboxEntry | None) -> bool:
    return entry is not None and entry.state in {Delivery.DELIVERED, Delivery.DEAD}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:24]
