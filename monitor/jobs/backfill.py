"""Reads the history on the first start, newest first; the service watches meanwhile and knows more with each stage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from monitor.collect.backfill import backfill, chunks
from monitor.domain import HOUR_S, floor_to
from monitor.jobs import unattributed
from monitor.jobs.app import App
from monitor.jobs.progress import Progress

log = logging.getLogger(__name__)

STAGES = (timedelta(days=1), timedelta(days=7))
"""After this much history, and at the end, the state of the fleet is built anew from the store."""


async def run_backfill(
    app: App, *, progress: Progress | None = None, on_stage: Callable[[], Awaitable[None]] | None = None
) -> int:
    """Reads what is missing of `collect.history`; returns the windows read. Each is stored before the next is asked for, so
    a kill costs one window. Raises SourceError where the source stays down, StoreError."""
    settings, now = app.settings, app.now()
    until = floor_to(now, HOUR_S)
    since = until - settings.collect.history + timedelta(hours=1)
    covered = await asyncio.to_thread(app.store.usage.coverage, since, until)
    windows = chunks(since, until, covered, longest=app.history.chunk(), settle_after=settings.collect.settle_after)
    stages = list(STAGES)
    n_done = 0
    await _note(app, 0, len(windows), progress)
    per_minute = settings.openrouter.analytics_per_minute
    async for window, batch in backfill(app.history, windows, clock=app.clock, requests_per_minute=per_minute):
        await asyncio.to_thread(app.store.usage.write, batch.usage, batch.coverage)
        await asyncio.to_thread(unattributed.note, app.store, batch, app.now())
        n_done += 1
        await _note(app, n_done, len(windows), progress)
        if stages and until - window[0] >= stages[0] and on_stage is not None:
            stages.pop(0)
            await on_stage()
    if n_done and on_stage is not None:
        await on_stage()
    return n_done


async def _note(app: App, done: int, total: int, progress: Progress | None) -> None:
    if progress is not None:
        progress(done, total)
    if total:
        await asyncio.to_thread(app.store.state.put, "backfill", {"done": done, "total": total})
