"""The weekly digest: made from the store, sent once a week through the outbox: one message for the
organisation with its details in the thread, and one an owner.

Exactly once across restarts, daylight saving and long downtime: what is due is computed from the last digest sent, not from
when the scheduler happened to fire, and the weeks told of (hence the message id) are those of the time it was due.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.triggers.cron import CronTrigger

from monitor.config import Settings
from monitor.domain import Message
from monitor.jobs import weekly
from monitor.jobs.app import App
from monitor.report import render
from monitor.report.figures import Digest
from monitor.store.base import Store

log = logging.getLogger(__name__)

_LOOKS_BACK: Final = (timedelta(days=8), timedelta(days=62), timedelta(days=800))


def messages(store: Store, settings: Settings, now: datetime) -> tuple[Message, ...]:
    """The digest of the seven whole days before `now`'s day, as messages. Raises StoreError."""
    return messages_of(weekly.make(store, settings, now), settings, now)


def messages_of(digest: Digest, settings: Settings, now: datetime, *, owner: str | None = None) -> tuple[Message, ...]:
    """A digest as messages: to `digest.channel`, and to each owner in the channel of the owner's first route; only to `owner`
    where one is named."""
    channels: dict[str, str] = {}
    for each in settings.routes if settings.digest.owners or owner is not None else ():
        channels.setdefault(each.owner or each.channel, each.channel)
    if owner is not None:
        found = (part for part in digest.owners if part.owner == owner and owner in channels)
        return tuple(render.owner_message(digest, part, channel=channels[owner], now=now) for part in found)
    return render.to_messages(
        digest,
        channel=settings.digest.channel or settings.slack.default_channel,
        now=now,
        top=settings.digest.top,
        owner_channels=channels,
    )


async def send_due(app: App) -> bool:
    """Queues the digest if its time has come since the last one; of several times missed while nothing ran, the last one's.

    The first start marks the moment without sending: there is no week to tell of yet. All messages are queued in one
    transaction; a kill between the queue and the mark queues the same ones again, which the outbox keeps once."""
    now = app.clock.now()
    last = await asyncio.to_thread(app.store.state.get, "digest")
    if last is None:
        await asyncio.to_thread(app.store.state.put, "digest", {"at": now.isoformat()})
        return False
    due = last_due(app.settings, after=datetime.fromisoformat(str(last["at"])), now=now)
    if due is None:
        return False
    made = await asyncio.to_thread(messages, app.store, app.settings, due)
    made = tuple(replace(each, created_at=now) for each in made)
    await asyncio.to_thread(app.store.outbox.add, made, now)
    await asyncio.to_thread(app.store.state.put, "digest", {"at": due.isoformat(), "message_id": made[0].message_id})
    log.info("digest_queued", extra={"message_id": made[0].message_id, "messages": len(made)})
    return True


def next_due(settings: Settings, after: datetime) -> datetime | None:
    """The first time of `schedule.digest_cron` (read in `digest.timezone`) later than a moment; UTC, since local times
    cannot be stepped through in an hour that comes twice."""
    trigger = CronTrigger.from_crontab(settings.schedule.digest_cron, timezone=settings.digest.zone)
    due: datetime | None = trigger.get_next_fire_time(None, after.astimezone(UTC) + timedelta(microseconds=1))
    return None if due is None else due.astimezone(UTC)


def last_due(settings: Settings, *, after: datetime, now: datetime) -> datetime | None:
    """The last time of `schedule.digest_cron` in (after, now], None if there is none."""
    for back in _LOOKS_BACK:
        found, due = None, next_due(settings, max(after, now - back))
        while due is not None and due <= now:
            found, due = due, next_due(settings, due)
        if found is not None:
            return found
    return None
