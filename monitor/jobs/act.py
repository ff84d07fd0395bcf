"""Carries out what the plan intends, and puts notices into words for the outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.domain import Action, ActionState, ApiKey, Incident, Message, MessageKind, Notice, Reason, Verb
from monitor.errors import ActionFailed
from monitor.jobs import auditing, owners, storms, withheld
from monitor.jobs.app import App, Office, SourceClock
from monitor.notify import further, message, ops_copy
from monitor.notify.parts import parts
from monitor.respond import executor
from monitor.wording import duration

log = logging.getLogger(__name__)

LEFT_ALONE = timedelta(minutes=2)
"""An intent this old without outcome is nobody's any more: a new action on its key would wait for it for ever."""


async def carry_out(app: App, actions: Sequence[Action]) -> tuple[Action, ...]:
    """Carries out intents that are already journalled, one after the other; each outcome is written before the next begins.

    Left out are proposals, and what somebody denied since the intent was written. Raises StoreError."""
    done = []
    for action in actions:
        if action.state is not ActionState.INTENDED or await asyncio.to_thread(_is_denied, app, action):
            continue
        why_not = await asyncio.to_thread(withheld.why, app, action)
        if why_not:
            finished = replace(action, state=ActionState.EXPIRED, finished_at=app.now(), detail=why_not)
        else:
            finished = await executor.carry_out(action, app.responders[action.verb], clock=SourceClock(app))
        await _finish(app, finished)
        done.append(finished)
    return tuple(done)


async def resolve_open(
    app: App, *, older_than: timedelta = timedelta(0), reason: Reason | None = None
) -> tuple[Action, ...]:
    """Intents left without outcome by a crash, or whose key could not be read then: resolved by reading the key. What has not
    happened yet, and is forbidden by now, never happens.

    `older_than` leaves alone what a person may be carrying out at this moment; `reason`: only what was done for it. Raises
    StoreError."""
    found = await asyncio.to_thread(app.store.ledger.actions, states={ActionState.INTENDED})
    left = [action for action in found if abs(app.now() - action.intended_at) >= older_than]  # a clock may be set back
    left = [action for action in left if reason is None or action.reason is reason]

    async def forbidden(action: Action) -> str:
        return await asyncio.to_thread(withheld.why, app, action)

    finished = await executor.resolve_open(left, app.responders, clock=SourceClock(app), forbidden=forbidden)
    for action in finished:
        await _finish(app, action)
    return finished


async def settle(app: App, key_hash: str) -> None:
    """Before a person has a key put back: what a crash left open on it is settled by reading the key, and not carried out any more.

    Raises ActionFailed where one of them may be under way at this moment, or cannot be settled; StoreError."""
    found = await asyncio.to_thread(app.store.ledger.actions, states={ActionState.INTENDED}, key_hash=key_hash)
    for action in (each for each in found if each.verb is not Verb.RESTORE):
        said = f"{action.action_id} ({action.verb}) of key {key_hash[:12]}"
        if abs(app.now() - action.intended_at) < LEFT_ALONE:
            wait = f"look again when it has an outcome, or in {duration(LEFT_ALONE)}"
            raise ActionFailed(f"{said} is under way: {wait}", permanent=False)
        settled = await executor.resolve_open((action,), app.responders, clock=SourceClock(app), forbidden=_overtaken)
        if not settled:
            raise ActionFailed(f"{said} has no outcome, and the key cannot be read now: try again", permanent=False)
        await _finish(app, settled[0])


async def _overtaken(action: Action) -> str:
    return "a person asked to put the key back; nothing was touched"


def _is_denied(app: App, action: Action) -> bool:
    """Whether a person said no to what was a proposal, at the very moment it became an intent."""
    if action.not_before is None and not action.decided_by:
        return False
    mine = app.store.ledger.actions(key_hash=action.key_hash)
    return any(each.action_id == action.action_id and each.state is ActionState.DENIED for each in mine)


async def _finish(app: App, action: Action) -> None:
    level = logging.ERROR if action.state is ActionState.FAILED else logging.WARNING
    log.log(
        level,
        "action_finished",
        extra={
            "action": action.action_id,
            "verb": action.verb.value,
            "key": action.key_hash[:12],
            "state": action.state.value,
            "detail": action.detail,
        },
    )
    now = app.now()
    incident = await asyncio.to_thread(_incident, app, action.incident_id)
    notice = executor.outcome_notice(action, at=now, incident=incident)
    messages = await asyncio.to_thread(compose, app, () if notice is None else (notice,), now)
    await asyncio.to_thread(app.store.ledger.finish, action, messages)
    await asyncio.to_thread(auditing.publish, app.store)


def _incident(app: App, incident_id: str | None) -> Incident | None:
    if incident_id is None:
        return None
    return next((one for one in app.store.ledger.incidents() if one.incident_id == incident_id), None)


def compose(app: Office, notices: Iterable[Notice], now: datetime) -> tuple[Message, ...]:
    """Words for each notice, routed to the team that owns the key; several messages where one cannot hold all names. Behind them
    copies for further channels, and for the operators of what goes to one person."""
    notices = storms.without_ends_shown(app, tuple(notices))
    if not notices:
        return ()
    everything = app.store.keys.keys(include_vanished=True)
    keys, workspaces = {key.key_hash: key for key in everything}, app.store.keys.workspaces()
    worded = [(notice, part) for notice in notices for part in _parted(app, notice, keys, workspaces, now)]
    settings = app.settings.further
    told = further.copies((part for _, part in worded), settings.addresses, min_severity=settings.min_severity)
    copies = (
        ops_copy.copy_of(
            part, severity=notice.incident.severity if notice.incident else part.severity, settings=app.settings.slack
        )
        for notice, part in worded
    )
    return (*told, *(each for each in copies if each is not None))


def _parted(
    app: Office, notice: Notice, keys: Mapping[str, ApiKey], workspaces: Mapping[str, str], now: datetime
) -> tuple[Message, ...]:
    """Several where one message cannot hold all names. A notice that lists keys is told as it will be edited later."""
    whole = _worded(app, notice, keys, workspaces, now)
    is_list = len(notice.incidents) > 1 and bool(whole.sections)
    return storms.told(app, whole, notice.incidents, keys) if is_list else parts(whole)


def _worded(
    app: Office, notice: Notice, keys: Mapping[str, ApiKey], workspaces: Mapping[str, str], now: datetime
) -> Message:
    about = notice.incident or notice.action or notice.verdict
    key = keys.get(about.key_hash) if about else None
    to = owners.where(app.store, app.settings, key, workspaces)
    settings = app.settings
    is_call = notice.kind is MessageKind.ESCALATION
    channel = settings.incidents.escalate_to if is_call and settings.incidents.escalate_to else to.channel
    return message.compose(
        notice,
        key,
        channel=channel,
        owner=to.owner,
        workspace_name=workspaces.get(key.workspace_id or "") if key else None,
        now=now,
        data_as_of=notice.incident.quality.as_of if notice.incident else None,
        routed=to.why,
    )
