"""The service: beats, gaps, stop, readiness."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_clock import FakeClock

from monitor.errors import ServiceBroken, Unavailable
from monitor.service import Beat, Faults, Pulse, Service, kept_alive
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


def a_watch_that(*outcomes: BaseException | None) -> tuple[Beat, list[int]]:
    """A watch every few milliseconds with these outcomes in turn, the last one for ever; and a list with an entry a run."""
    runs: list[int] = []

    async def cycle() -> None:
        runs.append(1)
        outcome = outcomes[min(len(runs), len(outcomes)) - 1]
        if outcome is not None:
            raise outcome

    return Beat("watch", cycle, every=timedelta(milliseconds=20)), runs


async def test_a_fault_in_a_job_ends_neither_it_nor_the_service_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done, n_jobs = asyncio.Event(), []

    async def job() -> None:
        n_jobs.append(1)
        if len(n_jobs) == 5:
            done.set()
        if len(n_jobs) <= 4:
            raise KeyError("a bug")

    watch, runs = a_watch_that(None)
    beat = Beat("cards", job, every=timedelta(milliseconds=20))
    service = Service(watch, (beat,), clock=SettableClock(), notify=Notify({}))
    await run_until(service, done)

    faults = [record for record in caplog.records if record.message == "job_fault"]
    assert [record.in_a_row for record in faults] == [1, 2, 3, 4]
    assert all(record.exc_info and record.job == "cards" for record in faults)
    assert service.faults.n == 4
    assert runs


async def test_a_watch_that_only_fails_by_a_fault_is_told_of_once_and_ends_the_service() -> None:
    told: list[Exception] = []

    async def tell(error: Exception) -> None:
        told.append(error)

    watch, runs = a_watch_that(None, KeyError("a bug"))
    with pytest.raises(ServiceBroken, match=r"3 times in a row.*KeyError"):
        await asyncio.wait_for(Service(watch, (), clock=SettableClock(), notify=Notify({}), tell=tell).run(), 20)

    assert len(runs) == 4
    assert [type(error) for error in told] == [KeyError]


async def test_a_watch_that_also_cannot_tell_ends_the_service_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async def tell(_: Exception) -> None:
        raise OSError("the disk is gone")

    watch, _ = a_watch_that(ValueError("a bug"))
    with pytest.raises(ServiceBroken):
        await asyncio.wait_for(Service(watch, (), clock=SettableClock(), notify=Notify({}), tell=tell).run(), 20)
    assert "fault_not_told" in [record.message for record in caplog.records]


async def test_a_completed_cycle_in_between_and_troubles_outside_do_not_end_the_service() -> None:
    bug, down = KeyError("a bug"), Unavailable("down")
    done = asyncio.Event()
    watch, runs = a_watch_that(bug, bug, None, bug, down, bug, None, None)

    async def look() -> None:
        if len(runs) >= 8:
            done.set()

    service = Service(
        watch, (Beat("look", look, every=timedelta(milliseconds=20)),), clock=SettableClock(), notify=Notify({})
    )
    await run_until(service, done)
    assert service.faults.n == 4


async def test_the_watchdog_is_not_fed_by_a_cycle_with_a_fault(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(address)
        manager.setblocking(False)
        watch, _ = a_watch_that(None, ValueError("a bug"))
        service = Service(watch, (), clock=SettableClock(), notify=Notify({"NOTIFY_SOCKET": address}))
        with pytest.raises(ServiceBroken):
            await asyncio.wait_for(service.run(), 20)
        received = []
        with contextlib.suppress(BlockingIOError):
            while True:
                received.append(manager.recv(4096).decode())
    assert sum("WATCHDOG=1" in text for text in received) == 1


async def test_work_beside_the_beats_that_ended_by_a_fault_is_begun_anew() -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)
        if len(begun) < 3:
            raise KeyError("a bug")

    clock, faults = FakeClock(), Faults()
    await kept_alive("history", work, clock=clock, faults=faults)

    assert len(begun) == 3 and faults.n == 2
    assert clock.slept == [300.0, 300.0]


async def test_a_fault_in_what_somebody_asked_for_is_noted_and_a_trouble_passes() -> None:
    async def failing(error: Exception) -> None:
        raise error

    faults = Faults()
    await faults.survived("press", failing(KeyError("a bug")))
    with pytest.raises(Unavailable):
        await faults.survived("press", failing(Unavailable("down")))
    assert faults.n == 1 and faults.in_a_row == {"press": 1}
