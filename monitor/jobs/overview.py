"""Answers people who ask in Slack how their keys stand: the typed command, and the app's home. Fails closed: in doubt a key is
nobody's, and nobody sees the names of keys that are not theirs.

1. whose keys: those created by the asker (creator → e-mail → Slack), those routed to the asker, or to a channel the asker is in;
   operators may ask for all
2. how they stand: inventory, days, incidents and journal, read at once in a thread beside the watch
3. the page, back to where it was asked
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from monitor.domain import ALIVE, Action, ApiKey, Incident, IncidentKind, Receipt
from monitor.errors import DeliveryError, MonitorError
from monitor.jobs import allowed, owners
from monitor.jobs.app import App
from monitor.notify import ops_copy, overview, ranking, routing
from monitor.notify.asked import Asked, Question, Topic, question
from monitor.notify.overview import Fresh
from monitor.notify.pages import Page
from monitor.notify.ranking import MOST_ACTIONS, Standing
from monitor.respond import undoing
from monitor.store.base import Delivery, Store

log = logging.getLogger(__name__)

MEMBERS_LAST: Final = timedelta(minutes=5)
"""How long it is believed who is in a channel: a home is opened more often than channels change."""

MOST_CHANNELS: Final = 40
"""Channels asked about for one answer: Slack allows some hundred a minute."""

USUAL_DAYS: Final = 28
FEWEST_DAYS: Final = 7
"""Fewer known days than this make no usual day."""

MOST_LINKS: Final = 150
LATE: Final = timedelta(minutes=10)
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Theirs:
    """Which keys somebody may see, and whether Slack could not be asked about all."""

    keys: tuple[ApiKey, ...]
    in_doubt: bool = False


class Reception:
    """Answers one question after the other: a person who asks all the time slows down nobody but askers."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = asyncio.Lock()
        self._members: dict[str, tuple[datetime, frozenset[str]]] = {}

    async def answer(self, asked: Asked) -> None:
        """Answers, once. A sink that fails is logged: whoever asked asks again."""
        people = self._app.people
        if people is None:
            return
        async with self._lock:
            try:
                page = await self._page(asked)
            except MonitorError as error:
                log.error("question_not_answered", extra={"by": asked.by, "error": str(error)})
                page = overview.trouble_page()
        try:
            if asked.reply_to:
                await people.reply(page, to=asked.reply_to)
            else:
                await people.put_home(page, user=asked.user_id)
        except DeliveryError as error:
            log.warning("answer_not_sent", extra={"by": asked.by, "error": str(error)})

    async def _page(self, asked: Asked) -> Page:
        """Raises StoreError."""
        app, wanted = self._app, question(asked.text)
        is_operator = await allowed.is_operator(app, asked.user_id)
        if not asked.reply_to:
            wanted = Question(Topic.KEYS, of_all=is_operator)
        if wanted.topic is Topic.HELP:
            return overview.help_page(is_operator=is_operator)
        if wanted.of_all and not is_operator:
            log.warning("question_refused", extra={"by": asked.by, "what": wanted.topic.value})
            return overview.operators_only_page(allowed.operators(app.settings))
        # a single key is looked for among all keys by operators: they may see it anyway
        sees_all = is_operator and (wanted.of_all or wanted.topic is Topic.KEY)
        theirs = await self._all() if sees_all else await self._theirs(asked.user_id)
        log.info(
            "question_asked", extra={"by": asked.by, "what": wanted.topic.value, "all": sees_all, "n": len(theirs.keys)}
        )
        if not theirs.keys and not sees_all:
            refused = overview.refusal_page(allowed.operators(app.settings), is_operator=is_operator)
            return overview.doubted(refused) if theirs.in_doubt else refused
        page = await self._told(wanted, theirs, is_operator=is_operator)
        return overview.doubted(page) if theirs.in_doubt else page

    async def _told(self, wanted: Question, theirs: Theirs, *, is_operator: bool) -> Page:
        app = self._app
        standings, fresh = await asyncio.to_thread(read, app.store, theirs.keys, app.now())
        if wanted.topic is Topic.KEY:
            found = await self._linked(overview.find(standings, wanted.about), is_operator=is_operator)
            return overview.key_page(found, fresh, asked=wanted.about)
        linked = await self._linked(ranking.ordered(standings, fresh.as_of), is_operator=is_operator)
        make = overview.keys_page if wanted.topic is Topic.KEYS else overview.incidents_page
        return make(linked, fresh, of_all=wanted.of_all)

    async def _all(self) -> Theirs:
        return Theirs(await asyncio.to_thread(self._app.store.keys.keys))

    async def _theirs(self, user_id: str) -> Theirs:
        addresses = await asyncio.to_thread(_addresses, self._app)
        channels = sorted({each for _, own in addresses for each in own if not routing.is_person(each)})
        mine, in_doubt = {user_id}, len(channels) > MOST_CHANNELS
        for channel in channels[:MOST_CHANNELS]:
            try:
                members = await self._members_of(channel)
            except DeliveryError as error:
                log.warning("members_not_readable", extra={"channel": channel, "error": str(error)})
                in_doubt = True
                if not error.permanent:  # slow or down: asking about the others would only keep everybody waiting
                    break
                continue
            mine |= {channel} if user_id in members else set()
        return Theirs(tuple(key for key, own in addresses if own & mine), in_doubt)

    async def _members_of(self, channel: str) -> frozenset[str]:
        """Raises DeliveryError where it cannot be told now."""
        now = self._app.clock.now()
        known = self._members.get(channel)
        if known is None or now - known[0] >= MEMBERS_LAST:
            assert self._app.people is not None
            known = self._members[channel] = now, await self._app.people.members_of(channel)
        return known[1]

    async def _linked(self, standings: Sequence[Standing], *, is_operator: bool) -> tuple[Standing, ...]:
        """With the address of each incident's alert, for the first ones: more are never shown. Operators are led to their own copy
        of what went to one person: others cannot open that."""
        board = self._app.board
        if board is None:
            return tuple(standings)
        wanted = [incident for each in standings for incident, _ in each.incidents][:MOST_LINKS]
        receipts = await asyncio.to_thread(_receipts, self._app.store, wanted, is_operator=is_operator)
        try:
            urls = {incident_id: await board.link(receipt) for incident_id, receipt in receipts.items()}
        except DeliveryError as error:
            log.warning("alerts_not_linked", extra={"error": str(error)})
            return tuple(standings)
        return tuple(
            replace(each, incidents=tuple((one, urls.get(one.incident_id, "")) for one, _ in each.incidents))
            for each in standings
        )


def read(store: Store, keys: Sequence[ApiKey], now: datetime) -> tuple[tuple[Standing, ...], Fresh]:
    """How these keys stand. Raises StoreError."""
    usual, workspaces = _usual(store, keys, now), store.keys.workspaces()
    alive: dict[str, list[Incident]] = {}
    for incident in store.ledger.incidents(states=ALIVE):
        if incident.kind is IncidentKind.KEY:
            alive.setdefault(incident.key_hash, []).append(incident)
    actions: dict[str, list[Action]] = {}
    for action in store.ledger.actions():
        actions.setdefault(action.key_hash, []).append(action)
    standings = tuple(
        Standing(
            key,
            workspaces.get(key.workspace_id or "", ""),
            usual.get(key.key_hash),
            tuple((one, "") for one in sorted(alive.get(key.key_hash, ()), key=_by_dollars)),
            tuple(reversed(actions.get(key.key_hash, ())[-MOST_ACTIONS:])),
            stopped(key, actions.get(key.key_hash, ())),
        )
        for key in keys
    )
    return standings, _fresh(store, now)


def stopped(key: ApiKey, journal: Sequence[Action]) -> Action | None:
    """Our latest action on this key, where a setting still is as we left it and a restore would change it; None where somebody put
    all of them back."""
    undo = undoing.undo_of(journal)
    if undo is None:
        return None
    is_ours = any(
        getattr(key.settings, name) in {getattr(each, name) for each in undo.left} - {getattr(undo.settings, name)}
        for name in undoing.NAMES
    )
    return undo.latest if is_ours else None


def _usual(store: Store, keys: Sequence[ApiKey], now: datetime) -> dict[str, int]:
    """Nano-dollars of a usual UTC day by key_hash, of keys with enough known days since they were created."""
    today = int(now.timestamp()) // DAY_S
    catalog = store.keys.catalog
    daily = store.days.read(today - USUAL_DAYS, today, n_keys=catalog.n_keys)
    found = {}
    for key in keys:
        key_no = catalog.known_key_no(key.key_hash)
        if key_no is None or key_no >= daily.shape[1]:
            continue
        age = today - int(key.created_at.timestamp()) // DAY_S  # the day of its creation is no whole day
        own = daily[-min(USUAL_DAYS, age - 1) :, key_no] if age > 1 else daily[:0, key_no]
        own = own[np.isfinite(own)]
        if len(own) >= FEWEST_DAYS:
            found[key.key_hash] = round(float(own.mean()))
    return found


def _fresh(store: Store, now: datetime) -> Fresh:
    """When the keys' counters were read last."""
    status: Mapping[str, object] = store.state.get("status") or {}
    lanes = status.get("lanes")
    read_at = [
        each["last_ok_at"]
        for each in (lanes if isinstance(lanes, list) else [])
        if isinstance(each, Mapping) and each.get("lane") == "keys" and each.get("last_ok_at")
    ]
    text = str(read_at[0] if read_at else status.get("at") or "")
    if not text:
        return Fresh(None)
    at = datetime.fromisoformat(text).astimezone(UTC)
    return Fresh(at, is_late=now - at > LATE)


def _addresses(app: App) -> list[tuple[ApiKey, frozenset[str]]]:
    store, settings = app.store, app.settings
    known, workspaces, known_keys = owners.creators(store, settings), store.keys.workspaces(), store.keys.keys()
    return [
        (key, routing.addresses(key, routes=settings.routes, workspaces=workspaces, creators=known))
        for key in known_keys
    ]


def _receipts(store: Store, incidents: Sequence[Incident], *, is_operator: bool) -> dict[str, Receipt]:
    """The first delivered message of each incident, or of the event it is part of."""
    found = {}
    for incident in incidents:
        copies = ops_copy.thread_of(incident.incident_id) if is_operator else None
        for thread in (copies, incident.incident_id, incident.part_of):
            entries = store.outbox.entries(states={Delivery.DELIVERED}, thread=thread) if thread else ()
            receipts = [each.receipt for each in entries if each.receipt is not None]
            if receipts:
                found[incident.incident_id] = min(receipts, key=lambda each: each.reference)
                break
    return found


def _by_dollars(incident: Incident) -> tuple[int, int, str]:
    return -incident.severity, -incident.at_risk_nusd, incident.incident_id
