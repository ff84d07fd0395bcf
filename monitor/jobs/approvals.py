"""What people say to a proposal: the one way in, for the command line, for Slack and for whatever comes.

Saying yes does nothing to a key. The next cycle judges the evidence again, behind every check and fuse, and only then acts; a yes
that finds no evidence within `response.intent_ttl` lapses. Whoever is not named in `response.approvers` approves nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from monitor.config import Response
from monitor.domain import WAITING, Action, ActionState, Plan
from monitor.errors import ActionFailed
from monitor.jobs.app import App
from monitor.store.base import Store


def pending(store: Store, now: datetime) -> tuple[Action, ...]:
    """Proposals that still can be approved or denied, and those approved that are not carried out yet, oldest first."""
    found = store.ledger.actions(states=WAITING)
    return tuple(action for action in found if now < action.expires_at)


async def approve(app: App, action_id: str, *, by: str) -> Action:
    """Lets an action be carried out, if the evidence still stands in the next cycle. `by`: "cli:NAME" or "slack:MEMBER-ID".

    Approving twice is approving once. Raises ActionFailed where `by` may not, or there is nothing (any more) to approve."""
    found = await _find(app, action_id)
    _may(app.settings.response, found, by)
    if found.state is ActionState.APPROVED:
        return found
    now = app.now()
    approved = replace(
        found,
        state=ActionState.APPROVED,
        decided_by=by,
        finished_at=None,
        expires_at=now + app.settings.response.intent_ttl,
        detail=f"approved by {by}",
    )
    return await _say(app, approved, now)


async def deny(app: App, action_id: str, *, by: str) -> Action:
    """Says no: nothing is done to this key for `response.cooldown`. Also how an owner objects to what is only held.

    Raises ActionFailed where `by` may not, or it is too late."""
    found = await _find(app, action_id)
    if found.not_before is None:
        _may(app.settings.response, found, by)
    now = app.now()
    denied = replace(found, state=ActionState.DENIED, decided_by=by, finished_at=now, detail=f"denied by {by}")
    return await _say(app, denied, now)


async def _find(app: App, action_id: str) -> Action:
    everything = await asyncio.to_thread(app.store.ledger.actions)
    found = next((action for action in everything if action.action_id == action_id), None)
    if found is None:
        raise ActionFailed(
            f"there is no action {action_id}; `openrouter-monitor approvals` lists what waits", permanent=True
        )
    if found.state not in WAITING or app.now() >= found.expires_at:
        state = "expired" if found.state in WAITING else found.state.value
        by = f" by {found.decided_by}" if found.decided_by else ""
        raise ActionFailed(f"{action_id} does not wait any more: it is {state}{by}", permanent=True)
    return found


def _may(response: Response, action: Action, by: str) -> None:
    """Raises ActionFailed for a person who is not on the list. An empty list is nobody."""
    if by not in response.approvers:
        raise ActionFailed(
            f"{by} may not decide about {action.action_id}: response.approvers names"
            f" {', '.join(response.approvers) or 'nobody'}",
            permanent=True,
        )


async def _say(app: App, said: Action, now: datetime) -> Action:
    await asyncio.to_thread(app.store.ledger.commit, (), Plan(at=now, actions=(said,)), ())
    after = await asyncio.to_thread(app.store.ledger.actions, key_hash=said.key_hash)
    stands = next(action for action in after if action.action_id == said.action_id)
    if stands.state is not said.state:
        raise ActionFailed(f"{said.action_id} was {stands.state.value} before your answer came", permanent=True)
    return stands
