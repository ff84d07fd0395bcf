"""The service: APScheduler jobs, signals, readiness and watchdog. No business rule.

APScheduler's defaults drop a run that is a second late, and an interval job stalls while a wall clock that was set back
catches up. So every job says what happens to late runs (run once, however late), the watch job is guarded by a monotonic
alarm that fires it by hand, and the watchdog is fed by a *completed* cycle alone.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from monitor.domain import Clock
from monitor.errors import MonitorError
from monitor.systemd import Notify

log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Beat:
    """One scheduled job: a name, what it does, and how often (or when, by cron)."""

    name: str
    job: Job
    every: timedelta | None = None
    cron: CronTrigger | None = None
    is_first_at_once: bool = True


@dataclass(slots=True)
class Pulse:
    """When the watch cycle last completed, by the monotonic clock, and how many gaps there were."""

    clock: Clock
    every: timedelta
    last_completed: float = 0.0
    n_cycles: int = 0
    n_gaps: int = 0
    _is_gap: bool = field(default=False, repr=False)

    def completed(self) -> None:
        """A watch cycle has completed."""
        self.last_completed, self._is_gap = self.clock.monotonic(), False
        self.n_cycles += 1

    def is_late(self) -> bool:
        """Whether two intervals have gone by without a completed cycle; a gap is counted once."""
        late = self.clock.monotonic() - self.last_completed > 2 * self.every.total_seconds()
        if late and not self._is_gap:
            self._is_gap, self.n_gaps = True, self.n_gaps + 1
        return late


class Service:
    """Runs beats until told to stop. `watch` is the beat that must never stall."""

    def __init__(self, watch: Beat, beats: tuple[Beat, ...], *, clock: Clock, notify: Notify) -> None:
        assert watch.every is not None
        self._watch, self._beats, self._clock, self._notify = watch, beats, clock, notify
        self._stop = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._running: set[str] = set()
        self.pulse = Pulse(clock, watch.every, last_completed=clock.monotonic())

    def stop(self) -> None:
        """Asks for a graceful stop: what is under way finishes, nothing new starts."""
        self._stop.set()

    async def run(self) -> None:
        """Schedules everything and waits for `stop`, SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        scheduler = AsyncIOScheduler(
            timezone="UTC",
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        for beat in (self._watch, *self._beats):
            self._schedule(scheduler, beat)
        scheduler.start()
        self._notify.send(READY="1", STATUS="watching")
        log.info("service_ready", extra={"jobs": len(self._beats) + 1})
        try:
            await self._guard(scheduler)
        finally:
            self._notify.send(STOPPING="1")
            scheduler.pause()  # shutdown() would cancel what is under way
            await self._drain()
            scheduler.shutdown(wait=False)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _schedule(self, scheduler: AsyncIOScheduler, beat: Beat) -> None:
        trigger = beat.cron or IntervalTrigger(seconds=beat.every.total_seconds() if beat.every else 60, timezone="UTC")
        first = {"next_run_time": self._clock.now()} if beat.is_first_at_once and beat.cron is None else {}
        scheduler.add_job(self._run_beat, trigger, args=[beat], id=beat.name, **first)

    async def _run_beat(self, beat: Beat) -> None:
        """One run of one job: never two at once, failures logged and survived, duration on record."""
        if beat.name in self._running or self._stop.is_set():
            return
        self._running.add(beat.name)
        task = asyncio.current_task()
        if task is not None:
            self._background.add(task)
        started = self._clock.monotonic()
        try:
            await beat.job()
        except MonitorError as error:
            log.error("job_failed", extra={"job": beat.name, "error": str(error), "kind": type(error).__name__})
        else:
            if beat is self._watch:
                self.pulse.completed()
                self._notify.send(WATCHDOG="1", STATUS=f"{self.pulse.n_cycles} cycles, {self.pulse.n_gaps} gaps")
        finally:
            self._running.discard(beat.name)
            if task is not None:
                self._background.discard(task)
            log.debug("job_ran", extra={"job": beat.name, "seconds": round(self._clock.monotonic() - started, 3)})

    async def _guard(self, scheduler: AsyncIOScheduler) -> None:
        """The gap alarm: sees by the monotonic clock that the watch beat is late, and runs it by hand."""
        tick = min(5.0, self.pulse.every.total_seconds())
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self._stop.wait(), timeout=tick)
            except TimeoutError:
                if self.pulse.is_late() and self._watch.name not in self._running:
                    log.warning("watch_gap", extra={"gaps": self.pulse.n_gaps})
                    scheduler.modify_job(self._watch.name, next_run_time=self._clock.now())

    async def _drain(self) -> None:
        """Lets running jobs finish within systemd's stop time-out; the journal makes whatever is cut off safe."""
        current = asyncio.current_task()
        pending = {task for task in self._background if task is not current and not task.done()}
        if pending:
            _, unfinished = await asyncio.wait(pending, timeout=20)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
