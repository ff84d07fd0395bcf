"""What a person asks for: restore and revoke, journalled and carried out like any automatic action."""

from __future__ import annotations

import asyncio

from monitor.domain import Action, ApiKey, Plan
from monitor.jobs import act
from monitor.jobs.app import App
from monitor.respond import requests


async def restore(app: App, key: ApiKey, *, requested_by: str) -> Action:
    """Puts a key back exactly as it was before its latest disable. Raises ActionFailed where there is nothing to put back."""
    journal = await asyncio.to_thread(app.store.ledger.actions, key_hash=key.key_hash)
    now = app.now()
    ttl = app.settings.response.intent_ttl
    return await _do(app, requests.restore_request(key.key_hash, journal, requested_by=requested_by, now=now, ttl=ttl))


async def revoke(app: App, key: ApiKey, *, requested_by: str, incident_id: str | None = None) -> Action:
    """Disables a key because a person says so. Raises SourceError if the key cannot be read first: what is put back later
    must be exact."""
    fresh = await app.control.read(key.key_hash)
    now, ttl = app.now(), app.settings.response.intent_ttl
    request = requests.revoke_request(fresh, requested_by=requested_by, now=now, ttl=ttl, incident_id=incident_id)
    return await _do(app, request)


async def _do(app: App, action: Action) -> Action:
    await asyncio.to_thread(app.store.ledger.commit, (), Plan(at=action.intended_at, actions=(action,)), ())
    (finished,) = await act.carry_out(app, (action,))
    return finished
