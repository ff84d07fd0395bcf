"""The second picture: when an incident is over, its thread gets the whole of it, with what was done to the key marked.

The words that close the incident go through the outbox and never wait for it; what cannot be drawn or sent within an hour is left
out."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Final

from monitor.domain import Incident, Receipt
from monitor.errors import DeliveryError
from monitor.jobs import pictures
from monitor.jobs.app import App
from monitor.notify.base import Board

log = logging.getLogger(__name__)

WITHIN: Final = timedelta(hours=1)
RETRY: Final = timedelta(minutes=1)
MAX_TRIES: Final = 5


async def put_picture(app: App, board: Board, incident: Incident, thread: Receipt, *, card_id: str) -> bool:
    """Whether it was put there now. A try is written down before it is made, and looked up before it is made again: one picture for
    each end of an incident. A sink that fails is logged and tried again. Raises StoreError."""
    ended = incident.resolved_at
    if incident.is_alive or ended is None or app.now() - ended > WITHIN:
        return False
    name = f"{card_id}-end-{len(incident.spells) + 1}"
    before = await asyncio.to_thread(app.store.cards.card, name)
    is_due = before.picture_due_at is None or before.picture_due_at <= app.clock.now()
    if before.file_id is not None or before.n_tries >= MAX_TRIES or not is_due:
        return False
    tried = replace(before, n_tries=before.n_tries + 1)
    try:
        found = await board.find_attached(f"{name}.png", thread) if before.n_tries else None
        await asyncio.to_thread(app.store.cards.put, tried)
        picture, alt_text = await asyncio.to_thread(pictures.draw, app.store, incident, app.now())
        if found is None:
            found = await board.attach(picture, file_name=f"{name}.png", alt_text=alt_text, thread=thread)
    except DeliveryError as error:
        log.warning("picture_not_sent", extra={"incident": incident.incident_id, "error": str(error)})
        n_tries = MAX_TRIES if error.permanent else tried.n_tries
        later = app.clock.now() + max(RETRY, timedelta(seconds=error.retry_after or 0))
        await asyncio.to_thread(app.store.cards.put, replace(tried, n_tries=n_tries, picture_due_at=later))
        return False
    await asyncio.to_thread(app.store.cards.put, replace(tried, file_id=found, alt_text=alt_text))
    return True
