"""What a person asks for: restore, revoke and delete, journalled and carried out like any automatic action."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from monitor.domain import Action, ApiKey, Plan, Reason
from monitor.errors import ActionFailed, NotFound
from monitor.jobs import act
from monitor.jobs.app import App
from monitor.respond import requests
from monitor.respond.base import KeyDeletion
from monitor.respond.delete import DeleteKey


async def restore(app: App, key: ApiKey, *, requested_by: str, is_forced: bool = False) -> Action:
    """Puts a key back exactly as it was before the first of our changes still in force.

    Raises ActionFailed where there is nothing to put back, where the key is gone, where something is being done to it at this
    moment, or where somebody changed its settings since and not `is_forced`; SourceError where the key cannot be read."""
    await act.resolve_open(app, reason=Reason.REHEARSAL)  # cut off a moment ago, perhaps, and of this key
    await act.settle(app, key.key_hash)
    journal = await asyncio.to_thread(app.store.ledger.actions, key_hash=key.key_hash)
    try:
        fresh = await app.control.read(key.key_hash)
    except NotFound as error:
        raise ActionFailed(
            f"key {key.key_hash[:12]} no longer exists at the issuer and cannot be restored; create a new one",
            permanent=True,
        ) from error
    now, ttl = app.now(), app.settings.response.intent_ttl
    request = requests.restore_request(fresh, journal, requested_by=requested_by, now=now, ttl=ttl, is_forced=is_forced)
    return await _do(app, request)


async def delete(app: App, key: ApiKey, deletion: KeyDeletion, *, requested_by: str) -> Action:
    """Deletes a key for good; who calls has had its name typed. Raises SourceError if the key cannot be read first."""
    fresh = await app.control.read(key.key_hash)
    request = requests.delete_request(
        fresh, requested_by=requested_by, now=app.now(), ttl=app.settings.response.intent_ttl
    )
    responder = DeleteKey(app.control, deletion)
    able = replace(app, responders={**app.responders, responder.verb: responder})
    return await _do(able, request)


async def revoke(app: App, key: ApiKey, *, requested_by: str, incident_id: str | None = None) -> Action:
    """Disables a key because a person says so. Raises SourceError if the key cannot be read first: what is put back later
    must be exact."""
    fresh = await app.control.read(key.key_hash)
    journal = await asyncio.to_thread(app.store.ledger.actions, key_hash=key.key_hash)
    now, ttl = app.now(), app.settings.response.intent_ttl
    request = requests.revoke_request(
        fresh, journal, requested_by=requested_by, now=now, ttl=ttl, incident_id=incident_id
    )
    return await _do(app, request)


async def _do(app: App, action: Action) -> Action:
    await asyncio.to_thread(app.store.ledger.commit, (), Plan(at=action.intended_at, actions=(action,)), ())
    (finished,) = await act.carry_out(app, (action,))
    return finished
