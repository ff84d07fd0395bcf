"""The jobs on their beats: what `run` starts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from apscheduler.triggers.cron import CronTrigger

from monitor.config import Settings
from monitor.domain import Clock
from monitor.errors import MonitorError
from monitor.jobs import (
    broken,
    buttons,
    cards,
    checkpoint,
    days,
    digest,
    owners,
    proposals,
    rebuild,
    replay,
    startup,
    upkeep,
)
from monitor.jobs.answers import AppDesk
from monitor.jobs.app import App
from monitor.jobs.backfill import run_backfill
from monitor.jobs.deliver import deliver
from monitor.jobs.heartbeat import LOOK_EVERY, Heartbeat
from monitor.jobs.overview import Reception
from monitor.jobs.progress import Progress, logged
from monitor.jobs.watch import Watch
from monitor.notify.asked import Asked
from monitor.notify.base import Notifier
from monitor.notify.heartbeat import HeartbeatSender
from monitor.notify.pressed import Pressed
from monitor.openrouter.lanes import Budget, LaneName
from monitor.pipeline import Pipeline
from monitor.service import Beat, Faults, Service, kept_alive
from monitor.systemd import Notify
from monitor.wiring import make_listener, new_state, open_app, shipped_models

log = logging.getLogger(__name__)

DELIVER_EVERY = timedelta(seconds=2)
CARDS_EVERY = timedelta(seconds=5)
OWNERS_EVERY = timedelta(minutes=5)
RESERVE_EVERY = timedelta(minutes=5)
RETRY_BACKFILL_S = 300.0


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    clock: Clock | None = None,
    notifier: Notifier | None = None,
    budgets: Mapping[LaneName, Budget] | None = None,
) -> AsyncIterator[tuple[App, Watch]]:
    """The app, put right after whatever happened before, and its watch. Raises MonitorError."""
    async with open_app(settings, clock=clock, notifier=notifier, budgets=budgets) as app:
        await startup.start(app, shipped_models())
        watch = Watch(app)
        try:
            yield app, watch
        finally:
            await watch.close()


async def serve(settings: Settings, *, clock: Clock | None = None, notifier: Notifier | None = None) -> None:
    """Runs until stopped. Raises MonitorError where it cannot start."""
    async with opened(settings, clock=clock, notifier=notifier) as (app, watch):
        service = service_of(app, watch)

        async def read() -> None:
            await read_history(app, watch)

        history = asyncio.create_task(kept_alive("history", read, clock=app.clock, faults=service.faults))
        try:
            async with listening(app, service.faults):
                await service.run()
        finally:
            history.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await history
            await asyncio.to_thread(checkpoint.save, app)
            await deliver(app, limit=5)


@asynccontextmanager
async def listening(app: App, faults: Faults | None = None) -> AsyncIterator[None]:
    """Buttons work and questions are answered while this is entered, where `slack.app_token` is set."""
    desk, reception, counted = AppDesk(app), Reception(app), faults or Faults()

    async def handle(press: Pressed) -> None:
        await counted.survived("press", buttons.pressed(app, desk, press))

    async def answer(asked: Asked) -> None:
        await counted.survived("question", reception.answer(asked))

    listener = make_listener(app.settings, app.clock, handle, answer=answer)
    if listener is None:
        yield
        return
    running = asyncio.create_task(kept_alive("buttons", listener.run, clock=app.clock, faults=counted))
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await listener.close()


def service_of(app: App, watch: Watch) -> Service:
    """Every job with its beat."""
    schedule, settings = app.settings.schedule, app.settings
    heartbeat = make_heartbeat(app)

    async def watch_cycle() -> None:
        heartbeat.note(await watch.cycle())

    async def deliver_due() -> None:
        await deliver(app)

    async def retrain() -> None:
        await asyncio.to_thread(startup.retrain, app, app.now(), shipped_models())

    async def care() -> None:
        await upkeep.care(app)
        await watch.weigh_growth(app.now())

    async def back_up() -> None:
        await upkeep.back_up_if_due(app)

    async def hold_reserve() -> None:
        await upkeep.hold_reserve(app)

    async def save() -> None:
        await relearn(app, watch)
        async with watch.pipeline_lock:
            await asyncio.to_thread(checkpoint.save, app)

    async def weekly() -> None:
        await digest.send_due(app)

    cron = CronTrigger.from_crontab(schedule.digest_cron, timezone=settings.digest.zone)
    beats = (
        Beat("deliver", deliver_due, every=DELIVER_EVERY),
        *_people_beats(app),
        Beat("train", retrain, every=timedelta(minutes=30), is_first_at_once=False),
        Beat("upkeep", care, every=timedelta(days=1), is_first_at_once=False),
        Beat("reserve", hold_reserve, every=RESERVE_EVERY),
        Beat("backup", back_up, every=timedelta(hours=1), is_first_at_once=False),
        Beat("checkpoint", save, every=timedelta(minutes=30), is_first_at_once=False),
        Beat("digest", weekly, cron=cron),
        Beat("digest_missed", weekly, every=timedelta(hours=1)),
        Beat("heartbeat", heartbeat.beat, every=LOOK_EVERY),
    )

    async def tell(error: Exception) -> None:
        await broken.tell(app, error, app.now())

    watch_beat = Beat("watch", watch_cycle, every=schedule.keys_every)
    return Service(watch_beat, beats, clock=app.clock, notify=Notify(os.environ), tell=tell)


def make_heartbeat(app: App) -> Heartbeat:
    """The sign of life to somebody outside, who hears it where an address is set."""
    address = app.settings.heartbeat.address
    return Heartbeat(app, None if address is None else HeartbeatSender(address))


def _people_beats(app: App) -> tuple[Beat, ...]:
    """What people see is kept true, and who they are is known."""

    async def edit() -> None:
        await cards.refresh(app)
        await proposals.refresh(app)

    async def find_owners() -> None:
        await owners.refresh(app)

    return Beat("cards", edit, every=CARDS_EVERY), Beat("owners", find_owners, every=OWNERS_EVERY)


async def read_history(app: App, watch: Watch, progress: Progress | None = None) -> None:
    """The backfill beside the running service; tried again until it is complete. The state is built anew at each stage."""

    async def rebuild() -> None:
        await rebuild_state(app, watch, forgets=True)  # what was judged without these habits is no evidence

    await watch.has_read.wait()
    while True:
        try:
            n_windows = await run_backfill(app, progress=progress or logged("backfill"), on_stage=rebuild)
        except MonitorError as error:
            log.warning("backfill_interrupted", extra={"error": str(error)})
            await app.clock.sleep(RETRY_BACKFILL_S)
            continue
        if n_windows:
            await asyncio.to_thread(days.sum_up, app.store, app.settings, app.now())
            await watch.weigh_growth(app.now())
            await asyncio.to_thread(startup.retrain, app, app.now(), shipped_models())
            async with watch.pipeline_lock:
                await asyncio.to_thread(startup.take_up, app)
                await asyncio.to_thread(checkpoint.save, app)
        return


async def relearn(app: App, watch: Watch) -> None:
    """Keys whose learned hours were corrected learn anew: one by one, or all at once where there are many."""
    if rebuild.is_widespread(app):
        await rebuild_state(app, watch)
        return
    n_rebuilt = -1
    while n_rebuilt:
        async with watch.pipeline_lock:
            n_rebuilt = await asyncio.to_thread(rebuild.rebuild_corrected, app)


async def rebuild_state(app: App, watch: Watch, *, forgets: bool = False) -> None:
    """A state of the fleet from all the store has, made beside the running one, then put in its place. `forgets`: what was
    judged so far is not remembered."""
    now = app.now()
    fresh = Pipeline(app.settings, app.store.keys.catalog, new_state(app.settings), app.pipeline.trained)
    await asyncio.to_thread(startup.bring_up, app, now, pipeline=fresh)
    async with watch.lock, watch.pipeline_lock:
        await asyncio.to_thread(replay.take_recent, app.store, fresh, app.now())
        if not forgets:
            fresh.memory, fresh.judged_at = app.pipeline.memory, app.pipeline.judged_at
        app.pipeline = fresh
