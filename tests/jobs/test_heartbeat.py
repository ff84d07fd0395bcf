"""X6: the sign of life to a receiver outside is given only while keys are watched and people can be told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from jobs_build import NOW, an_app
from pydantic import SecretStr

from monitor import daemon
from monitor.demo.loopback import LoopbackServer
from monitor.domain import Message, MessageKind, Receipt, Severity
from monitor.errors import DeliveryError, Unavailable
from monitor.jobs.app import App
from monitor.jobs.heartbeat import STUCK_AFTER_S, Heartbeat
from monitor.jobs.timing import Look
from monitor.jobs.watch import CycleReport
from monitor.notify.heartbeat import HeartbeatSender

WHOLE = CycleReport(NOW)
BLIND = CycleReport(NOW, errors={"keys": Unavailable("down")})
IN_DOUBT = CycleReport(NOW, time=Look("the clock went back"))
MESSAGE = Message("INC-1:1:alert", MessageKind.ALERT, "#alerts", Severity.CRITICAL, "Unusual spend", "Summary")


@dataclass
class Receiver:
    """Counts what it hears; can be deaf."""

    n_heard: int = 0
    is_deaf: bool = False

    async def send(self) -> None:
        if self.is_deaf:
            raise DeliveryError("the heartbeat's receiver answers 500", permanent=False)
        self.n_heard += 1


async def minute(app: App, heart: Heartbeat, report: CycleReport) -> None:
    """One cycle, and the looks of a minute."""
    heart.note(report)
    for _ in range(4):
        await heart.beat()
        app.clock.pass_time(15)


async def test_the_receiver_hears_of_complete_cycles_only(tmp_path: Path) -> None:
    app, receiver = an_app(tmp_path), Receiver()
    heart = Heartbeat(app, receiver)

    heard = []
    for report in (WHOLE, WHOLE, BLIND, IN_DOUBT, WHOLE):
        await minute(app, heart, report)
        heard.append(receiver.n_heard)
    for _ in range(8):  # no cycle completes any more
        await heart.beat()
        app.clock.pass_time(15)

    assert heard == [1, 2, 2, 2, 3]
    assert receiver.n_heard == 3


async def test_a_cycle_that_is_blind_takes_back_the_news_of_the_one_before(tmp_path: Path) -> None:
    app, receiver = an_app(tmp_path), Receiver()
    heart = Heartbeat(app, receiver)
    heart.note(WHOLE)
    heart.note(BLIND)

    await heart.beat()

    assert receiver.n_heard == 0


async def test_a_message_that_reaches_nobody_silences_the_sign_of_life(tmp_path: Path) -> None:
    app, receiver = an_app(tmp_path), Receiver()
    heart = Heartbeat(app, receiver)
    app.store.outbox.add([MESSAGE], app.now())

    for _ in range(int(STUCK_AFTER_S // 60)):
        await minute(app, heart, WHOLE)
    n_before = receiver.n_heard
    for _ in range(3):
        await minute(app, heart, WHOLE)
    n_stuck = receiver.n_heard
    app.store.outbox.delivered(MESSAGE.message_id, Receipt("#alerts", "1.1"), app.now())
    await minute(app, heart, WHOLE)

    assert n_before == STUCK_AFTER_S // 60
    assert n_stuck <= n_before + 1
    assert receiver.n_heard == n_stuck + 1


async def test_a_receiver_that_is_down_is_said_once_and_hears_the_news_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app, receiver = an_app(tmp_path), Receiver(is_deaf=True)
    heart = Heartbeat(app, receiver)

    with caplog.at_level(logging.INFO, logger="monitor.jobs.heartbeat"):
        for _ in range(3):
            await minute(app, heart, WHOLE)
        receiver.is_deaf = False
        await heart.beat()

    assert receiver.n_heard == 1
    assert [record.message for record in caplog.records] == ["heartbeat_trouble", "heartbeat_works_again"]


@dataclass
class Door:
    """A receiver as it is on the wire."""

    status: int = 200
    is_hanging: bool = False
    n_asked: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.n_asked += 1
        if self.is_hanging:
            await asyncio.sleep(30)
        return web.Response(status=self.status, headers={"Location": "/elsewhere"} if self.status == 302 else {})


@pytest.fixture
async def door() -> AsyncIterator[tuple[Door, SecretStr]]:
    fake = Door()
    app = web.Application()
    app.router.add_get("/{anything:.*}", fake.take)
    async with LoopbackServer(app) as server:
        yield fake, SecretStr(f"{server.origin}/ping/hush")


async def test_the_service_gives_the_sign_where_an_address_is_set(tmp_path: Path, door: tuple[Door, SecretStr]) -> None:
    fake, address = door
    silent = an_app(tmp_path / "a")
    heard = an_app(tmp_path / "b", heartbeat={"address": address.get_secret_value()})

    for app in (silent, heard):
        heart = daemon.make_heartbeat(app)
        heart.note(WHOLE)
        await heart.beat()

    assert fake.n_asked == 1


async def test_one_get_is_one_sign_of_life(door: tuple[Door, SecretStr]) -> None:
    fake, address = door

    await HeartbeatSender(address).send()

    assert fake.n_asked == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"status": 500}, "answers 500"), ({"status": 302}, "answers 302"), ({"is_hanging": True}, "cannot be reached")],
    ids=["an error", "a redirect, which is not followed", "no answer"],
)
async def test_anything_but_a_plain_answer_is_an_error_that_hides_the_address(
    door: tuple[Door, SecretStr], changes: dict[str, object], said: str
) -> None:
    fake, address = door
    for name, value in changes.items():
        setattr(fake, name, value)

    with pytest.raises(DeliveryError, match=said) as caught:
        await HeartbeatSender(address, deadline_s=0.2).send()

    assert "hush" not in str(caught.value) and caught.value.__cause__ is None
    assert fake.n_asked == 1


async def test_a_receiver_that_is_gone_is_an_error_that_hides_the_address() -> None:
    with pytest.raises(DeliveryError, match="cannot be reached") as caught:
        await HeartbeatSender(SecretStr("http://127.0.0.1:9/hush")).send()

    assert "hush" not in str(caught.value)
