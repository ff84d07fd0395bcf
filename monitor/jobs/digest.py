"""The weekly digest: made from the store, sent once a week through the outbox.

Exactly once across restarts, daylight saving and long downtime: what is due is computed from the last digest sent, not from
when the scheduler happened to fire, and a digest's message id is that of its weeks.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from apscheduler.triggers.cron import CronTrigger

from monitor.config import Settings
from monitor.domain import Message
from monitor.jobs.app import App
from monitor.notify import routing
from monitor.report import digest as digests
from monitor.report import render
from monitor.report.digest import Digest
from monitor.report.weeks import weeks_before
from monitor.store.base import Store

log = logging.getLogger(__name__)


def make(store: Store, settings: Settings, now: datetime) -> Digest:
    """The digest of the seven whole days before `now`'s day. Raises StoreError."""
    weeks = weeks_before(now, settings.digest.zone)
    since, until = weeks.previous.since, weeks.current.until
    keys = store.keys.keys()
    owners = routing.owners(keys, routes=settings.routes, workspaces=store.keys.workspaces())
    return digests.build(
        store.usage.read_hourly(since, until),
        weeks=weeks,
        keys=keys,
        catalog=store.keys.catalog,
        owners=owners,
        incidents=store.ledger.incidents(since=weeks.current.since),
        actions=store.ledger.actions(since=weeks.current.since),
        coverage=store.usage.coverage(since, until),
    )


def message(store: Store, settings: Settings, now: datetime) -> Message:
    """The digest as a message for `digest.channel`."""
    channel = settings.digest.channel or settings.slack.default_channel
    return render.to_message(make(store, settings, now), channel=channel, now=now, top=settings.digest.top)


async def send_due(app: App) -> bool:
    """Queues the digest if its time has come since the last one; a time missed while nothing ran is made up for, once.

    The first start marks the moment without sending: there is no week to tell of yet."""
    now = app.clock.now()
    last = await asyncio.to_thread(app.store.state.get, "digest")
    if last is None:
        await asyncio.to_thread(app.store.state.put, "digest", {"at": now.isoformat()})
        return False
    due = next_due(app.settings, datetime.fromisoformat(str(last["at"])))
    if due is None or due > now:
        return False
    made = await asyncio.to_thread(message, app.store, app.settings, now)
    await asyncio.to_thread(app.store.outbox.add, (made,), now)
    await asyncio.to_thread(app.store.state.put, "digest", {"at": now.isoformat(), "message_id": made.message_id})
    log.info("digest_queued", extra={"message_id": made.message_id})
    return True


def next_due(settings: Settings, after: datetime) -> datetime | None:
    """The first time of `schedule.digest_cron` after a moment, in `digest.timezone`."""
    trigger = CronTrigger.from_crontab(settings.schedule.digest_cron, timezone=settings.digest.zone)
    due: datetime | None = trigger.get_next_fire_time(after, after)
    return due
