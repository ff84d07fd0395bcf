"""S7: the connection that buttons come through survives whatever Slack and the network do, and believes no address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from build import NOW
from pydantic import SecretStr

from monitor.demo import faults
from monitor.demo.clock import ManualClock
from monitor.demo.faults import Fault
from monitor.demo.slack import FakeSlack
from monitor.domain import Ask, Choice, Message, MessageKind, Severity
from monitor.errors import MonitorError
from monitor.notify import asking, slack_blocks
from monitor.notify.pressed import Pressed, read_presses
from monitor.notify.slack_door import SlackDoor
from monitor.notify.slack_socket import SlackListener

APP = "app-token-of-the-tests"
ASK = Ask("INC-1", 2, "ab" * 32, tuple(each for each in Choice if each not in asking.ABOUT_A_PROPOSAL))


@dataclass
class Waits(ManualClock):
    """Notes how long it was asked to wait; moves time by that and lets others run."""

    waits: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await super().sleep(seconds)
        await asyncio.sleep(0.001)


@dataclass
class Heard:
    presses: list[Pressed] = field(default_factory=list)
    error: MonitorError | None = None

    async def __call__(self, pressed: Pressed) -> None:
        self.presses.append(pressed)
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def listening(slack: FakeSlack, clock: Waits, heard: Heard, **more: Any) -> AsyncIterator[SlackListener]:
    door = SlackDoor(SecretStr(APP), slack.base_url, clock, place="slack.app_token", deadline_s=2)
    listener = SlackListener(door, clock, heard, **more)
    running = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await listener.close()


@pytest.fixture
def clock() -> Waits:
    return Waits(NOW)


@pytest.fixture
async def slack(clock: Waits) -> AsyncIterator[FakeSlack]:
    async with FakeSlack(clock=clock, token="bot", app_token=APP) as fake:
        yield fake


async def a_question(slack: FakeSlack) -> Any:
    """A message with every button."""
    message = Message("INC-1:2:alert", MessageKind.ALERT, "#alerts", Severity.CRITICAL, "Title", "Summary", ask=ASK)
    text, blocks, metadata = slack_blocks.render(message, has_buttons=True)
    slack.conversations._post({"channel": "#alerts", "text": text, "blocks": blocks, "metadata": metadata})
    return slack.messages()[-1]


async def test_every_button_comes_back_as_what_was_asked(slack: FakeSlack, clock: Waits) -> None:
    heard = Heard()
    async with listening(slack, clock, heard):
        await slack.socket.connected()
        message = await a_question(slack)
        for choice in ASK.choices:
            await slack.socket.press(message, choice.value, user="U0ANN00001", option=1)
        await asyncio.sleep(0)

    found = [asking.read(pressed.choice, pressed.value) for pressed in heard.presses]
    assert [answer.choice for answer in found if answer] == list(ASK.choices)
    assert {(answer.incident_id, answer.step, answer.key_prefix) for answer in found if answer} == {
        ("INC-1", 2, "ab" * 6)
    }
    assert {answer.choice: answer.span for answer in found if answer and answer.span} == {
        choice: spans[1][1] for choice, spans in asking.SPANS.items()
    }
    assert {pressed.by for pressed in heard.presses} == {"slack:U0ANN00001 (u0ann00001)"}


async def test_a_press_right_after_each_of_two_refreshes_is_acknowledged_at_once(
    slack: FakeSlack, clock: Waits
) -> None:
    heard = Heard()
    async with listening(slack, clock, heard):
        await slack.socket.connected()
        message = await a_question(slack)
        for n_opened in (2, 3):
            await slack.socket.refresh()
            await slack.socket.press(message, "acknowledge", user="U0ANN00001")  # on the old connection: still read
            await slack.socket.connected(n_opened)
            await slack.socket.press(message, "acknowledge", user="U0ANN00001")
            clock.advance(60)

    assert len(heard.presses) == 4
    assert max(slack.socket.latency_s) < 0.5


async def test_the_next_connection_stands_before_the_old_one_ends(slack: FakeSlack, clock: Waits) -> None:
    async with listening(slack, clock, Heard()):
        await slack.socket.connected()
        clock.advance(60)
        await slack.socket.refresh()
        await slack.socket.connected(2)

        assert len(slack.socket.connections) == 2


async def test_after_a_broken_connection_presses_arrive_again(slack: FakeSlack, clock: Waits) -> None:
    heard = Heard()
    async with listening(slack, clock, heard):
        await slack.socket.connected()
        clock.advance(60)
        await slack.socket.drop()
        await slack.socket.connected(2)
        await slack.socket.press(await a_question(slack), "disable", user="U0ANN00001")
        await asyncio.sleep(0)

    assert [pressed.choice for pressed in heard.presses] == ["disable"]


async def test_a_server_that_goes_away_is_waited_for_with_growing_patience(slack: FakeSlack, clock: Waits) -> None:
    async with listening(slack, clock, Heard()):
        await slack.socket.connected()
        clock.advance(60)
        await slack.stop()
        while len(clock.waits) < 5:
            await asyncio.sleep(0.005)
        await slack.start()
        await slack.socket.connected(2)

    assert clock.waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]


async def test_a_connection_that_ends_as_soon_as_it_stands_is_not_hammered(slack: FakeSlack, clock: Waits) -> None:
    async with listening(slack, clock, Heard()):
        for n_opened in range(1, 6):
            await slack.socket.connected(n_opened)
            await slack.socket.refresh("too_many_websockets")
            await slack.socket.drop()

    assert clock.waits[:3] == [1.0, 2.0, 4.0]


async def test_a_rate_limit_is_waited_out_as_told(slack: FakeSlack, clock: Waits) -> None:
    slack.socket.refusals.append("ratelimited")
    async with listening(slack, clock, Heard()):
        await slack.socket.connected()

    assert clock.waits == [7.0]


@pytest.mark.parametrize("word", ["invalid_auth", "missing_scope", "not_allowed_token_type"])
async def test_a_refused_token_is_tried_again_seldom_and_said(slack: FakeSlack, clock: Waits, word: str) -> None:
    slack.socket.refusals.append(word)
    async with listening(slack, clock, Heard()) as listener:
        await slack.socket.connected()
        assert word in listener.last_problem

    assert clock.waits == [300.0]


@pytest.mark.parametrize(
    "address",
    [
        "wss://evil.example/link?ticket=x",
        "ws://wss-primary.slack.com/link",
        "wss://wss-primary.slack.com:8443/link",
        "wss://slack.com.evil.example/",
        "wss://user@wss-primary.slack.com/",
        "ws://127.0.0.1:1/link",
        "ws://127.0.0.1:99999999/link",
        "not an address",
    ],
)
async def test_an_address_that_is_not_slacks_own_is_never_connected_to(
    slack: FakeSlack, clock: Waits, address: str
) -> None:
    slack.socket.address = address
    async with listening(slack, clock, Heard()) as listener:
        while not clock.waits:
            await asyncio.sleep(0.005)
        assert "not Slack's own" in listener.last_problem
        assert listener.n_connected == 0

    door = SlackDoor(SecretStr(APP), "https://slack.com/api/", clock, place="slack.app_token")
    assert not door.is_ours(address, scheme="wss")


@pytest.mark.parametrize("address", ["wss://wss-primary.slack.com/link/?ticket=x", "wss://wss-backup.slack.com:443/"])
def test_slacks_own_addresses_are_taken(clock: Waits, address: str) -> None:
    door = SlackDoor(SecretStr(APP), "https://slack.com/api/", clock, place="slack.app_token")

    assert door.is_ours(address, scheme="wss")
    assert not door.is_ours(address, scheme="https")


async def test_a_half_open_connection_is_noticed(slack: FakeSlack, clock: Waits) -> None:
    slack.socket.answers_pings = False
    async with listening(slack, clock, Heard(), heartbeat_s=0.05):
        await slack.socket.connected()
        await slack.socket.connected(2)


async def test_what_is_no_envelope_of_ours_is_passed_over(slack: FakeSlack, clock: Waits) -> None:
    heard = Heard()
    async with listening(slack, clock, heard):
        await slack.socket.connected()
        peer = slack.socket.connections[0]
        for text in ("", "[]", "{", "null", '{"type": 3}', '{"envelope_id": 7}', "[" * 100_000):
            await peer.send_str(text)
        await slack.socket.tell({"type": "view_submission"})
        await slack.socket.press(await a_question(slack), "restore", user="U0ANN00001")
        await asyncio.sleep(0)

    assert [pressed.choice for pressed in heard.presses] == ["restore"]


async def test_a_handler_that_fails_does_not_end_the_listening(slack: FakeSlack, clock: Waits) -> None:
    heard = Heard(error=MonitorError("the store is locked"))
    async with listening(slack, clock, heard):
        await slack.socket.connected()
        message = await a_question(slack)
        for _ in range(2):
            await slack.socket.press(message, "acknowledge", user="U0ANN00001")
        await asyncio.sleep(0)

    assert len(heard.presses) == 2


async def test_a_slow_answer_to_the_open_call_ends_at_the_deadline(slack: FakeSlack, clock: Waits) -> None:
    slack.faults.append(Fault(faults.hang(), path="/apps.connections.open", times=1))
    async with listening(slack, clock, Heard()):
        await slack.socket.connected()

    assert clock.waits == [1.0]


async def test_the_ticket_is_never_logged(slack: FakeSlack, clock: Waits, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with listening(slack, clock, Heard()):
        await slack.socket.connected()
        clock.advance(60)
        await slack.socket.drop()
        await slack.socket.connected(2)

    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("monitor", "slack_sdk"))]
    assert not any("ticket-" in line or APP in line for line in ours)


PAYLOAD = {
    "type": "block_actions",
    "user": {"id": "U0ANN00001", "username": "ann"},
    "channel": {"id": "C0TEAM01"},
    "message": {"ts": "1.2", "thread_ts": "1.0"},
    "actions": [{"type": "button", "action_id": "disable", "value": "INC-1|1|abc", "action_ts": "2.0"}],
}


def test_a_press_is_read_with_its_thread() -> None:
    (pressed,) = read_presses(PAYLOAD)

    assert (pressed.thread_ts, pressed.value, pressed.by) == ("1.0", "INC-1|1|abc", "slack:U0ANN00001 (ann)")
    assert pressed.press_id == "C0TEAM01:1.2:U0ANN00001:disable:2.0"


@pytest.mark.parametrize("part", ["user", "channel", "message", "actions"])
@pytest.mark.parametrize("value", [None, [], {}, "x", [None], [{}]])
def test_a_press_that_lacks_a_part_is_none(part: str, value: Any) -> None:
    assert read_presses({**PAYLOAD, part: value}) == ()
