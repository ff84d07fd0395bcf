"""The weekly digest: made from the store, sent once a week through the outbox.

Exactly once across restarts, daylight saving and long downtime: what is due is computed from the last digest sent, not from
when the scheduler happened to fire, and the weeks told of (hence the message id) are those of the time it was due.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd
from apscheduler.triggers.cron import CronTrigger

from monitor import frames
from monitor.collect.base import UsageBatch
from monitor.config import Settings
from monitor.domain import HOUR_S, Dimension, Incident, IncidentKind, Message
from monitor.domain.audit import head_line
from monitor.frames import ALL_KEYS, QUALITY_CODES
from monitor.jobs import arming
from monitor.jobs.app import App
from monitor.notify import routing
from monitor.report import digest as digests
from monitor.report import render
from monitor.report.account import account_total
from monitor.report.digest import Digest
from monitor.report.weeks import Window, weeks_before
from monitor.store.base import Store

log = logging.getLogger(__name__)

NEAR: Final = timedelta(minutes=15)
"""A sample of the counters stands for a week's end if it was taken this near to it."""

KEEP: Final = timedelta(days=22)
"""How long unattributed dollars are kept: two weeks, and a digest that is made up for within the third."""

_NOTING: Final = threading.Lock()
"""The backfill and the settle lane read side by side; neither may write over what the other noted."""

_LOOKS_BACK: Final = (timedelta(days=8), timedelta(days=62), timedelta(days=800))


def make(store: Store, settings: Settings, now: datetime) -> Digest:
    """The digest of the seven whole days before `now`'s day. Raises StoreError."""
    weeks = weeks_before(now, settings.digest.zone)
    since, until = weeks.previous.since, weeks.current.until
    keys, everything = store.keys.keys(), store.keys.keys(include_vanished=True)
    owners = routing.owners(everything, routes=settings.routes, workspaces=store.keys.workspaces())
    return digests.build(
        store.usage.read_hourly(since, until),
        weeks=weeks,
        keys=keys,
        catalog=store.keys.catalog,
        owners=owners,
        incidents=_of_keys(store.ledger.incidents(since=weeks.current.since)),
        actions=store.ledger.actions(since=weeks.current.since),
        coverage=store.usage.coverage(since, until),
        unattributed_nusd=unattributed(store, weeks.current),
        account_total_nusd=counted(store, weeks.current),
        verdicts=store.ledger.verdicts(weeks.current.since),
        gone_names={key.key_hash: key.key_name for key in everything},
        warnings=arming.warnings(store, settings, now),
        audit_head=head_line(store.audit.head()),
    )


def _of_keys(incidents: tuple[Incident, ...]) -> tuple[Incident, ...]:
    """Those of keys: a platform event is told of by its keys, and its dollars are theirs."""
    return tuple(each for each in incidents if each.kind is IncidentKind.KEY)


def message(store: Store, settings: Settings, now: datetime) -> Message:
    """The digest as a message for `digest.channel`."""
    channel = settings.digest.channel or settings.slack.default_channel
    return render.to_message(make(store, settings, now), channel=channel, now=now, top=settings.digest.top)


async def send_due(app: App) -> bool:
    """Queues the digest if its time has come since the last one; of several times missed while nothing ran, the last one's.

    The first start marks the moment without sending: there is no week to tell of yet. A kill between the queue and the
    mark queues the same message again, which the outbox keeps once."""
    now = app.clock.now()
    last = await asyncio.to_thread(app.store.state.get, "digest")
    if last is None:
        await asyncio.to_thread(app.store.state.put, "digest", {"at": now.isoformat()})
        return False
    due = last_due(app.settings, after=datetime.fromisoformat(str(last["at"])), now=now)
    if due is None:
        return False
    made = replace(await asyncio.to_thread(message, app.store, app.settings, due), created_at=now)
    await asyncio.to_thread(app.store.outbox.add, (made,), now)
    await asyncio.to_thread(app.store.state.put, "digest", {"at": due.isoformat(), "message_id": made.message_id})
    log.info("digest_queued", extra={"message_id": made.message_id})
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


def note_unattributed(store: Store, batch: UsageBatch, now: datetime) -> None:
    """Keeps the dollars of a reading that no key could be given, by hour. Raises StoreError.

    Only readings of all keys in whole hours speak; each *sets* the hours it knows, so that an hour read again counts once,
    and one that was cleared up since counts no more. An hour that is only partly read can but raise its amount."""
    known, partial = _hours_told(batch.coverage)
    if not known and not partial:
        return
    oldest = int((now - KEEP).timestamp())
    with _NOTING:
        kept = _kept(store)
        hours = {hour: nusd for hour, nusd in kept.items() if hour >= oldest and hour not in known}
        for hour in known | partial:
            nusd = batch.unattributed_by_hour.get(hour, 0)
            if hour >= oldest and (nusd := nusd if hour in known else max(nusd, hours.get(hour, 0))):
                hours[hour] = nusd
        if hours != kept:
            store.state.put("unattributed", {str(hour): nusd for hour, nusd in sorted(hours.items())})


def unattributed(store: Store, window: Window) -> int:
    """Nano-dollars of the window that no key could be given, as last read."""
    since, until = int(window.since.timestamp()), int(window.until.timestamp())
    return sum(nusd for hour, nusd in _kept(store).items() if since <= hour < until)


def counted(store: Store, window: Window) -> int | None:
    """What the counters of all keys rose by in the window, by the samples nearest to its ends; None where they do not tell."""
    numbers = ((store.keys.catalog.known_key_no(key.key_hash), key) for key in store.keys.keys(include_vanished=True))
    born = {number: key.created_at for number, key in numbers if number is not None}
    ends = [_nearest(store.usage.counters(at - NEAR, at + NEAR), at) for at in (window.since, window.until)]
    return account_total(ends[0], ends[1], window=window, created_at=born)


def _nearest(samples: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """Each key's sample nearest to a moment."""
    distance_s = np.abs(frames.epoch_s(samples["sampled_at"]) - int(at.timestamp()))
    return samples.iloc[np.argsort(distance_s, kind="stable")].drop_duplicates("key_no")


def _hours_told(coverage: pd.DataFrame) -> tuple[set[int], set[int]]:
    """(known, partial) hours, by start in epoch seconds, of a reading of all keys in hours."""
    is_ours = (coverage["bucket_s"] == HOUR_S) & (coverage["key_no"] == ALL_KEYS)
    rows = coverage[is_ours & (coverage["dimension"] == int(Dimension.MODEL))]
    told: tuple[set[int], set[int]] = set(), set()
    columns = (frames.epoch_s(rows["since"]), frames.epoch_s(rows["until"]), rows["quality"])
    for since, until, quality in zip(*(column.tolist() for column in columns), strict=True):
        if quality != QUALITY_CODES["unknown"]:
            told[quality != QUALITY_CODES["known"]].update(range(since - since % HOUR_S, until, HOUR_S))
    return told


def _kept(store: Store) -> dict[int, int]:
    return {int(hour): int(str(nusd)) for hour, nusd in (store.state.get("unattributed") or {}).items()}
