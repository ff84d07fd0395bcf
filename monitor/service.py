"""The service: APScheduler jobs, signals, readiness and watchdog. No business rule.

APScheduler's defaults drop a run that is a second late, and an interval job stalls while a wall clock that was set back
catches up. So every job says what happens to late runs (run once, however late), the watch job is guarded by a monotonic
alarm that fires it by hand, and the watchdog is fed by a *completed* cycle alone.

An error of ours is survived: the job's next beat tries again. So is any other, which is a fault in this program; but where the
watch does nothing but fail by one, the service tells people and ends, so that a fresh process takes over.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from monitor.domain import Clock
from monitor.errors import MonitorError, ServiceBroken
from monitor.systemd import Notify

log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]
Tell = Callable[[Exception], Awaitable[None]]

MAX_FAULTS: Final = 3
"""So many faults of the watch in a row end the service: at a cycle a minute, before the watchdog would without a word."""

AGAIN_S: Final = 300.0
"""Work beside the beats that ended by a fault is begun anew after this long."""


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


@dataclass(slots=True)
class Faults:
    """Errors that this program did not raise on purpose: how many in all, and by job in a row since its last completed run."""

    n: int = 0
    in_a_row: dict[str, int] = field(default_factory=dict)

    def note(self, name: str, error: Exception) -> int:
        """Logs one with its traceback; returns how many of this job came in a row."""
        self.n += 1
        self.in_a_row[name] = self.in_a_row.get(name, 0) + 1
        fields = {"job": name, "kind": type(error).__name__, "in_a_row": self.in_a_row[name], "faults": self.n}
        log.error("job_fault", extra=fields, exc_info=error)
        return self.in_a_row[name]

    def completed(self, name: str) -> None:
        """A run of this job has completed."""
        self.in_a_row.pop(name, None)

    async def survived(self, name: str, work: Awaitable[object]) -> None:
        """Awaits work that somebody asked for; a fault in it is noted. Raises MonitorError."""
        try:
            await work
        except MonitorError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault in one answer must not end the listener, nor end unsaid
            self.note(name, error)
        else:
            self.completed(name)


async def kept_alive(name: str, work: Job, *, clock: Clock, faults: Faults) -> None:
    """Work beside the beats until it returns; where it ends by a fault it is begun anew after a while."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a fault in one job must not end another, nor end this one unsaid
            faults.note(name, error)
            await clock.sleep(AGAIN_S)
        else:
            return


class Service:
    """Runs beats until told to stop. `watch` is the beat that must never stall; `tell`: called once with the error by which it
    failed MAX_FAULTS times in a row, before `run` raises ServiceBroken."""

    def __init__(
        self, watch: Beat, beats: tuple[Beat, ...], *, clock: Clock, notify: Notify, tell: Tell | None = None
    ) -> None:
        assert watch.every is not None
        self._watch, self._beats, self._clock, self._notify = watch, beats, clock, notify
        self._tell = tell
        self._broken: Exception | None = None
        self.faults = Faults()
        self._stop = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._running: set[str] = set()
        self.pulse = Pulse(clock, watch.every, last_completed=clock.monotonic())

    def stop(self) -> None:
        """Asks for a graceful stop: what is under way finishes, nothing new starts."""
        self._stop.set()

    async def run(self) -> None:
        """Schedules everything and waits for `stop`, SIGTERM or SIGINT. Raises ServiceBroken where the watch only fails."""
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
        if self._broken is not None:
            raise ServiceBroken(
                f"the watch failed {MAX_FAULTS} times in a row by a fault in this program ({type(self._broken).__name__}); "
                "its traceback is in the log (job_fault): please report it"
            ) from self._broken

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
        except Exception as error:  # noqa: BLE001 - a fault in one job must not end the others, nor end this one unsaid
            await self._survive(beat, error)
        else:
            self.faults.completed(beat.name)
            if beat is self._watch:
                self.pulse.completed()
                counts = f"{self.pulse.n_cycles} cycles, {self.pulse.n_gaps} gaps, {self.faults.n} faults"
                self._notify.send(WATCHDOG="1", STATUS=counts)
        finally:
            self._running.discard(beat.name)
            if task is not None:
                self._background.discard(task)
            log.debug("job_ran", extra={"job": beat.name, "seconds": round(self._clock.monotonic() - started, 3)})

    async def _survive(self, beat: Beat, error: Exception) -> None:
        """A fault is logged, and the beat goes on; where the watch only fails, people are told and the service ends."""
        if self.faults.note(beat.name, error) < MAX_FAULTS or beat is not self._watch or self._stop.is_set():
            return
        try:
            if self._tell is not None:
                await self._tell(error)
        except Exception as untold:  # whatever keeps us from telling must not keep us from ending
            log.critical("fault_not_told", exc_info=untold)
        self._broken = error
        self.stop()

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
