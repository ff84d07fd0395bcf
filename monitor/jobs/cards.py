"""Keeps what Slack shows of each incident true: the alert is edited in place, and its picture follows it.

Nothing here is queued: each run compares what is shown with what should be, and mends the difference. So nothing is lost by a
kill, an older version never overwrites a newer one, and text never waits for a picture.

1. an incident whose alert was delivered and that has no picture yet: draw it, put it into the thread
2. what should be shown differs from what was shown last: edit the alert
3. an incident that is over: the picture of all of it, into the thread (`ending`)
4. the same for the one message of many keys that turned unusual together (`storms`)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from monitor.domain import Incident, IncidentState, Message, MessageKind, Picture, Reason, Receipt, Verb
from monitor.errors import DeliveryError, SinkUnauthorized
from monitor.jobs import ending, owners, pictures, storms
from monitor.jobs.app import App
from monitor.notify import ops_copy, slack_blocks
from monitor.notify.base import Board
from monitor.notify.card import Story, card
from monitor.store.base import Card, Delivery, Outcome

log = logging.getLogger(__name__)

LOOK_BACK: Final = timedelta(days=2)
"""Incidents resolved longer ago than this are left as they are shown."""

QUIET: Final = timedelta(minutes=5)
"""Dollars that go on counting are shown anew no sooner than this; steps, states, actions and decisions at once."""

SETTLED: Final = timedelta(hours=1)
"""After an end that was shown, a key's restore is still shown for so long."""

RETRY: Final = timedelta(minutes=1)
MAX_TRIES: Final = 5
MAX_REFUSALS: Final = 3
"""Slack may need a moment before a picture can stand inside a message; after so many refusals it stays in the thread alone."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An incident's alert at the sink. `card_id`: what is remembered of it by; that of the incident, or of the operators' copy."""

    incident: Incident
    root: Message
    at: Receipt
    card_id: str


async def refresh(app: App) -> int:
    """One run; returns how many alerts were edited. A sink that fails is logged and tried again later. Raises StoreError."""
    async with app.showing:  # a press asks for a run beside the beat's own: never two pictures of one incident
        if app.board is None:
            return 0
        return await _refresh(app, app.board) + await storms.refresh(app, app.board)


async def _refresh(app: App, board: Board) -> int:
    n_edited = 0
    everything = await asyncio.to_thread(_shown, app)
    for no, shown in enumerate(everything):
        before = await asyncio.to_thread(app.store.cards.card, shown.card_id)
        if (before.due_at is not None and before.due_at > app.clock.now()) or _is_settled(app, shown.incident, before):
            continue
        try:
            with_picture = await _with_picture(app, board, shown, before)
            n_edited += await _edited(app, board, shown, with_picture)
            await ending.put_picture(app, board, shown.incident, shown.at, card_id=shown.card_id)
        except DeliveryError as error:
            log.warning("alert_not_edited", extra={"incident": shown.incident.incident_id, "error": str(error)})
            until = app.clock.now() + max(RETRY, timedelta(seconds=error.retry_after or 0))
            # a sink that is slow or down: the others would fare no better, and would only make it slower
            await asyncio.to_thread(_put_off, app, everything[no:], until)
            break
    return n_edited


def _put_off(app: App, waiting: Sequence[Shown], until: datetime) -> None:
    for each in waiting:
        card_now = app.store.cards.card(each.card_id)
        app.store.cards.put(replace(card_now, due_at=until))


def _is_settled(app: App, incident: Incident, before: Card) -> bool:
    """Whether its end was shown and nothing more is expected: most of the incidents of a day."""
    ended = incident.resolved_at
    if incident.state is not IncidentState.RESOLVED or ended is None or before.shown_at is None:
        return False
    return before.shown_at > ended and app.now() - ended > SETTLED


def _shown(app: App) -> list[Shown]:
    """Incidents that may still move and whose own alert was delivered, the worst first."""
    ledger, since = app.store.ledger, app.now() - LOOK_BACK
    alive = [state for state in IncidentState if state is not IncidentState.RESOLVED]
    found = (*ledger.incidents(states=alive), *ledger.incidents(states={IncidentState.RESOLVED}, since=since))
    worst_first = sorted(found, key=lambda each: (-each.severity, each.incident_id))
    threads = ((each, thread) for each in worst_first for thread in _threads(each))
    shown = (_root(app, incident, thread) for incident, thread in threads)
    return [each for each in shown if each is not None]


def _threads(incident: Incident) -> tuple[str, str]:
    """Where its alert may stand: its own thread, and that of the operators' copy."""
    return incident.incident_id, ops_copy.thread_of(incident.incident_id)


def _root(app: App, incident: Incident, thread: str) -> Shown | None:
    """The first message of a thread of the incident, if it is its own alert."""
    entries = app.store.outbox.entries(states={Delivery.DELIVERED}, thread=thread)
    delivered = [(each.receipt, each.message) for each in entries if each.receipt is not None]
    if not delivered:
        return None
    receipt, root = min(delivered, key=lambda each: each[0].reference)
    return Shown(incident, root, receipt, thread) if root.kind is MessageKind.ALERT else None


async def _with_picture(app: App, board: Board, shown: Shown, before: Card) -> Card:
    """The card with its picture, if there is one by now. A try is written down before it is made, and looked up before it is
    made again: a kill in between leaves one picture, not two."""
    if before.file_id is not None or before.n_tries >= MAX_TRIES or shown.incident.state is IncidentState.RESOLVED:
        return before
    if before.picture_due_at is not None and before.picture_due_at > app.clock.now():
        return before
    file_name = f"{shown.card_id}.png"
    try:
        found = await board.find_attached(file_name, shown.at) if before.n_tries else None
        tried = replace(before, n_tries=before.n_tries + 1)
        await asyncio.to_thread(app.store.cards.put, tried)
        picture, alt_text = await asyncio.to_thread(pictures.draw, app.store, shown.incident, app.now())
        if found is None:
            found = await board.attach(picture, file_name=file_name, alt_text=alt_text, thread=shown.at)
    except DeliveryError as error:
        log.warning("picture_not_sent", extra={"incident": shown.incident.incident_id, "error": str(error)})
        is_mendable = isinstance(error, SinkUnauthorized) and "missing_scope" not in str(error)
        n_tries = MAX_TRIES if error.permanent and not is_mendable else before.n_tries + 1
        later = app.clock.now() + max(RETRY, timedelta(seconds=error.retry_after or 0))
        failed = replace(before, n_tries=n_tries, picture_due_at=later)
        await asyncio.to_thread(app.store.cards.put, failed)
        return failed
    with_picture = replace(tried, file_id=found, alt_text=alt_text)
    await asyncio.to_thread(app.store.cards.put, with_picture)
    return with_picture


async def _edited(app: App, board: Board, shown: Shown, before: Card) -> bool:
    """Edits the alert if what should be shown is not what is shown; whether it did."""
    message = await asyncio.to_thread(current, app, shown, before)
    urgent, whole = _digests(message)
    was_urgent, _, was_whole = before.shown.partition(":")
    now = app.clock.now()
    is_soon = before.shown_at is not None and now - before.shown_at < QUIET
    if was_whole == whole or (was_urgent == urgent and is_soon):
        return False
    if not before.shown and whole == _digests(shown.root)[1]:
        return False
    try:
        await board.update(message, shown.at)
    except DeliveryError as error:
        if not error.permanent or isinstance(error, SinkUnauthorized):
            raise
        n_refused = before.n_refused + 1
        log.warning("edit_refused", extra={"incident": shown.incident.incident_id, "error": str(error)})
        is_hopeless = message.picture is None or n_refused > MAX_REFUSALS
        refused = replace(before, n_refused=n_refused, due_at=now + RETRY / 4)
        if is_hopeless:  # shown as well as it ever will be
            refused = replace(refused, shown=f"{urgent}:{whole}", shown_at=now, due_at=None)
        await asyncio.to_thread(app.store.cards.put, refused)
        return False
    done = replace(before, shown=f"{urgent}:{whole}", shown_at=now, due_at=None)
    await asyncio.to_thread(app.store.cards.put, done)
    return True


def current(app: App, shown: Shown, before: Card) -> Message:
    """The alert as it should be shown now."""
    incident, store = shown.incident, app.store
    everything = {key.key_hash: key for key in store.keys.keys(include_vanished=True)}
    key, workspaces = everything.get(incident.key_hash), store.keys.workspaces()
    verdicts = [
        each
        for each in store.ledger.verdicts(incident.opened_at, key_hash=incident.key_hash)
        if each.incident_id == incident.incident_id
    ]
    actions = tuple(
        each
        for each in store.ledger.actions(since=incident.opened_at, key_hash=incident.key_hash)
        if each.verb in {Verb.DISABLE, Verb.RESTORE} and each.reason is not Reason.REHEARSAL
    )
    decided = [each for each in store.cards.presses(incident.incident_id) if each.outcome is Outcome.DONE]
    to = owners.where(store, app.settings, key, workspaces)
    is_embedded = before.file_id is not None and before.n_refused < MAX_REFUSALS
    return card(
        shown.root,
        Story(
            incident=incident,
            key=key,
            verdict=verdicts[-1] if verdicts else None,
            actions=actions,
            decisions=tuple((each.at, f"{each.detail} ({each.by})") for each in decided),
        ),
        owner=to.owner,
        routed=to.why,
        workspace_name=workspaces.get(key.workspace_id or "") if key else None,
        picture=Picture(before.file_id or "", before.alt_text) if is_embedded else None,
    )


def _digests(message: Message) -> tuple[str, str]:
    """(of what people must see at once, of everything)."""
    stands = [line for heading, lines in message.sections if heading == "Where it stands" for line in lines]
    picture = message.picture.file_id if message.picture else ""
    urgent = [message.title, message.kind.value, int(message.severity), *stands, message.undo, picture]
    text, blocks, _ = slack_blocks.render(message, has_buttons=True)
    return _digest(urgent), _digest([text, blocks])


def _digest(values: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:24]
