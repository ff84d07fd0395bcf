"""Proposals in Slack: who may answer them, what an answer does, and the message that is edited as things move.

Whoever is not named in `response.approvers` approves nothing here, whatever buttons they may press elsewhere; to what is only held, more
people may say no. An answer is bound to the proposal it was asked about (a no to what is held also to the step of its incident), once; what
is over says so. It is carried out by `approvals`, like one from the command line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from monitor.domain import WAITING, Action, ActionState, Choice, Message, MessageKind, Notice, version_of
from monitor.errors import DeliveryError
from monitor.jobs import act, allowed, answers, approvals
from monitor.jobs.answers import StaleAnswer
from monitor.jobs.app import App
from monitor.notify import ops_copy, routing, slack_blocks
from monitor.notify.asking import Answer
from monitor.notify.message import message_id
from monitor.notify.pressed import Pressed
from monitor.store.base import Delivery, OutboxEntry
from monitor.wording import one_line

log = logging.getLogger(__name__)

LOOK_BACK: Final = timedelta(days=2)
"""Proposals made longer ago are left as they are shown."""

RETRY: Final = timedelta(minutes=1)

_OVER: Final = frozenset({ActionState.DENIED, ActionState.DONE, ActionState.FAILED, ActionState.EXPIRED})

_MAY_NOT_OBJECT: Final = (
    "You are not allowed to deny this: slack.allowed_users and response.approvers do not name you, nor does the key's route."
    " Nothing was done."
)
_STRANGER: Final = "You are not allowed to approve or deny: response.approvers does not name you. Nothing was done."


async def refusal(app: App, press: Pressed, answer: Answer) -> str:
    """Why an answer to a proposal does nothing; empty where it may. Raises StaleAnswer where the proposal has moved on, StoreError."""
    everything = await asyncio.to_thread(app.store.ledger.actions)
    action = next((each for each in everything if each.action_id == answer.action_id), None)
    is_held = action is not None and action.not_before is not None and answer.choice is Choice.DENY
    if not (await _may_object(app, press, action) if is_held else _identity(press) in app.settings.response.approvers):
        return _MAY_NOT_OBJECT if is_held else _STRANGER
    if app.settings.response.approve != "slack" and not is_held:
        return f'Nothing was done: response.approve is "{app.settings.response.approve}", not "slack".'
    if action is None:
        raise StaleAnswer(f"there is no proposal {one_line(answer.action_id)[:40]} any more")
    if not action.key_hash.startswith(answer.key_prefix) or action.incident_id != answer.incident_id:
        return "Nothing was done: this button is about another key or incident than the proposal."
    if action.state not in WAITING or app.now() >= action.expires_at:
        state = "expired" if action.state in WAITING else action.state.value
        by = f" by {one_line(action.decided_by)}" if action.decided_by else ""
        raise StaleAnswer(f"{action.action_id} does not wait any more, it is {state}{by}")
    if version_of(action) != answer.version:
        raise StaleAnswer(f"{action.action_id} has changed since; look at the newest message")
    if is_held:  # silence acts: whoever says no to it must have seen how bad it is by now
        await asyncio.to_thread(answers.current, app, answer.incident_id, answer.step)
    if answer.choice is Choice.APPROVE and action.state is ActionState.APPROVED:
        return f"{action.action_id} was approved already by {one_line(action.decided_by)}; nothing was done twice."
    return ""


async def answered(app: App, press: Pressed, answer: Answer) -> str:
    """Carries an answer out; returns what was done, in a few words. Raises ActionFailed, StoreError."""
    by = _identity(press)
    if answer.choice is Choice.APPROVE:
        await approvals.approve(app, answer.action_id, by=by)
        return f"{answer.action_id} approved; the next cycle judges the evidence again"
    await approvals.deny(app, answer.action_id, by=by)
    return f"{answer.action_id} denied; nothing automatic happens to this key for response.cooldown"


async def _may_object(app: App, press: Pressed, action: Action | None) -> bool:
    """Operators, approvers, and the person whom the key's route names; a creator that nobody named in the settings may not."""
    if _identity(press) in app.settings.response.approvers or await allowed.is_operator(app, press.user_id):
        return True
    keys = {key.key_hash: key for key in await asyncio.to_thread(app.store.keys.keys)}
    key = keys.get(action.key_hash) if action is not None else None
    if key is None:
        return False
    workspaces = await asyncio.to_thread(app.store.keys.workspaces)
    return press.user_id in routing.addresses(key, routes=app.settings.routes, workspaces=workspaces)


def _identity(press: Pressed) -> str:
    """As `response.approvers` names people: the id alone, never a name that its bearer can choose."""
    return f"slack:{press.user_id}"


async def refresh(app: App) -> int:
    """Edits the messages of proposals that have moved; returns how many. A sink that fails is logged and tried again later.
    Raises StoreError."""
    if app.board is None:
        return 0
    n_edited = 0
    async with app.showing:
        for action in await asyncio.to_thread(_recent, app):
            for suffix in ("", ops_copy.SUFFIX):
                n_edited += await _edited(app, action, suffix)
    return n_edited


def _recent(app: App) -> list[Action]:
    """Actions that may have been proposals and whose message may still move."""
    found = app.store.ledger.actions(since=app.now() - LOOK_BACK)
    return [each for each in found if each.incident_id is not None and _was_asked(each)]


def _was_asked(action: Action) -> bool:
    return bool(action.decided_by) or action.not_before is not None or action.state in _ASKED


_ASKED: Final = WAITING | {ActionState.EXPIRED, ActionState.DENIED}


async def _edited(app: App, action: Action, suffix: str) -> bool:
    """`suffix`: of the operators' copy of what went to one person; empty: the message itself."""
    before = await asyncio.to_thread(app.store.cards.card, f"{action.action_id}{suffix}")
    now = app.clock.now()
    if before.shown.startswith(_settled(action)) or (before.due_at is not None and before.due_at > now):
        return False
    entry = await asyncio.to_thread(_sent, app, action, suffix)
    if entry is None or entry.receipt is None or app.board is None:
        return False
    message = await asyncio.to_thread(shown, app, action, entry.message)
    digest = f"{action.state.value}:{_digest(message)}"
    if digest == before.shown or (not before.shown and _digest(message) == _digest(entry.message)):
        return False
    try:
        await app.board.update(message, entry.receipt)
    except DeliveryError as error:
        log.warning("proposal_not_edited", extra={"action": action.action_id, "error": str(error)})
        until = now + max(RETRY, timedelta(seconds=error.retry_after or 0))
        await asyncio.to_thread(app.store.cards.put, replace(before, due_at=until))
        return False
    await asyncio.to_thread(app.store.cards.put, replace(before, shown=digest, shown_at=now, due_at=None))
    return True


def _settled(action: Action) -> str:
    """How a card begins that shows the end of an action; nothing begins so while it has none."""
    return f"{action.state.value}:" if action.state in _OVER else "\0"


def _sent(app: App, action: Action, suffix: str) -> OutboxEntry | None:
    """The message that asked, once it was delivered."""
    entries = app.store.outbox.entries(states={Delivery.DELIVERED}, thread=f"{action.incident_id}{suffix}")
    wanted = message_id(Notice(MessageKind.PROPOSAL, action.intended_at, action=action)) + suffix
    return next((each for each in entries if each.message.message_id == wanted), None)


def shown(app: App, action: Action, asked: Message) -> Message:
    """The message as it should be shown now, in the place of the one that asked."""
    incident = next((each for each in app.store.ledger.incidents() if each.incident_id == action.incident_id), None)
    at: datetime = asked.created_at or action.intended_at
    notice = Notice(MessageKind.PROPOSAL, at, incident=incident, action=action)
    message = act.compose(app, (notice,), at)[0]
    return replace(message, message_id=asked.message_id, thread=asked.thread, footer=asked.footer)


def _digest(message: Message) -> str:
    text, blocks, _ = slack_blocks.render(message, has_buttons=True)
    return hashlib.sha256(json.dumps([text, blocks]).encode()).hexdigest()[:24]
