"""The service: beats, gaps, stop, readiness."""

from __future__ import annotations

import asyncio
import itertools
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.errors import Unavailable
from monitor.service import Beat, Pulse, Service
from monitor.systemd import Notify


class SettableClock:
    """Real monotonic time of the loop, wall time that can be set back."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def run_until(service: Service, done: asyncio.Event) -> None:
    running = asyncio.create_task(service.run())
    await asyncio.wait_for(done.wait(), timeout=20)
    service.stop()
    await asyncio.wait_for(running, timeout=20)


def test_a_gap_is_counted_once_until_a_cycle_completes() -> None:
    class Hands:
        at = 0.0

        def monotonic(self) -> float:
            return self.at

        def now(self) -> datetime:
            return datetime(2026, 1, 1, tzinfo=UTC)

        async def sleep(self, seconds: float) -> None:
            self.at += seconds

    hands = Hands()
    pulse = Pulse(hands, timedelta(seconds=60))
    hands.at = 121
    assert pulse.is_late() and pulse.is_late() and pulse.n_gaps == 1
    pulse.completed()
    assert not pulse.is_late() and pulse.n_cycles == 1


async def test_the_watchdog_is_fed_by_completed_cycles_only(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(address)
    manager.setblocking(False)
    clock, done, runs = SettableClock(), asyncio.Event(), []

    async def fails_twice() -> None:
        runs.append(1)
        if len(runs) <= 2:
            raise Unavailable("down")
        if len(runs) == 4:
            done.set()

    watch = Beat("watch", fails_twice, every=timedelta(milliseconds=100))
    await run_until(Service(watch, (), clock=clock, notify=Notify({"NOTIFY_SOCKET": address})), done)
    received = []
    while True:
        try:
            received.append(manager.recv(4096).decode())
        except BlockingIOError:
            break
    manager.close()
    assert received[0].startswith("READY=1") and received[-1] == "STOPPING=1"
    assert sum("WATCHDOG=1" in text for text in received) == len(runs) - 2


async def test_polling_goes_on_when_the_clock_is_set_back() -> None:
    clock, done, runs = SettableClock(), asyncio.Event(), []

    async def cycle() -> None:
        runs.append(clock.monotonic())
        if len(runs) == 2:
            clock.offset = -timedelta(hours=2)
        if len(runs) == 5:
            done.set()

    watch = Beat("watch", cycle, every=timedelta(seconds=0.2))
    service = Service(watch, (), clock=clock, notify=Notify({}))
    await run_until(service, done)
    assert max(later - earlier for earlier, later in itertools.pairwise(runs)) < 2.0


async def test_a_slow_cycle_is_never_run_twice_at_once_and_finishes_before_the_stop() -> None:
    clock, started, finished, parallel = SettableClock(), asyncio.Event(), [], []

    async def slow() -> None:
        parallel.append(1)
        assert len(parallel) == 1
        started.set()
        await asyncio.sleep(0.5)
        parallel.pop()
        finished.append(1)

    watch = Beat("watch", slow, every=timedelta(seconds=0.1))
    await run_until(Service(watch, (), clock=clock, notify=Notify({})), started)
    assert finished == [1]


async def test_a_failing_beat_does_not_keep_the_others_from_running() -> None:
    clock, done, runs = SettableClock(), asyncio.Event(), []

    async def broken() -> None:
        raise Unavailable("down")

    async def watch_cycle() -> None:
        runs.append(1)
        if len(runs) == 3:
            done.set()

    beats = (Beat("broken", broken, every=timedelta(seconds=0.05)),)
    watch = Beat("watch", watch_cycle, every=timedelta(seconds=0.1))
    await run_until(Service(watch, beats, clock=clock, notify=Notify({})), done)
    assert len(runs) >= 3
