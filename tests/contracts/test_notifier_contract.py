"""What every notifier must keep: one delivery a call, typed errors, look-ups by message_id, no secret anywhere."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from build import NOW
from fake_clock import FakeClock
from fake_slack import TOKEN, FakeSlack, Fault, running_slack
from pydantic import SecretStr
from rich.console import Console

from monitor import config
from monitor.domain import Message, MessageKind, Severity
from monitor.errors import DeliveryError
from monitor.notify.base import Notifier
from monitor.notify.slack import SlackNotifier
from monitor.notify.terminal import TerminalNotifier


class BrokenPipe(io.StringIO):
    """A console whose reader went away."""

    is_broken = False

    def write(self, text: str) -> int:
        if self.is_broken:
            raise BrokenPipeError
        return super().write(text)


@dataclass
class Bench:
    """A notifier, and the sink behind it as a test can see and break it."""

    notifier: Notifier
    slack: FakeSlack | None = None
    console: BrokenPipe | None = None

    def n_arrived(self, mark: str) -> int:
        if self.slack is not None:
            return sum(mark in str(each) for each in self.slack.messages)
        assert self.console is not None
        return self.console.getvalue().count(mark)

    def break_sink(self) -> None:
        if self.slack is not None:
            self.slack.fail("chat.postMessage", Fault(503))
        if self.console is not None:
            self.console.is_broken = True


@pytest.fixture(params=["slack", "terminal"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    clock = FakeClock()
    if request.param == "terminal":
        console = BrokenPipe()
        yield Bench(TerminalNotifier(clock, Console(file=console)), console=console)
        return
    async with running_slack() as slack:
        notifier = SlackNotifier(SecretStr(TOKEN), config.Slack(base_url=slack.base_url), clock)
        yield Bench(notifier, slack=slack)
        await notifier.close()


def a_message(message_id: str = "INC-1:1:alert", mark: str = "MARK") -> Message:
    return Message(message_id, MessageKind.ALERT, "C0TEAM01", Severity.WARNING, mark, "Summary", created_at=NOW)


async def test_one_send_delivers_once(bench: Bench) -> None:
    await bench.notifier.send(Message("m", MessageKind.TEST, "C0TEAM01", Severity.NOTICE, "T", "ONLY-HERE-ONCE"))

    posted = bench.n_arrived("ONLY-HERE-ONCE")
    assert posted == 1


async def test_what_was_sent_is_found_by_its_message_id(bench: Bench) -> None:
    receipt = await bench.notifier.send(a_message())
    await bench.notifier.send(a_message("INC-2:1:alert"))

    assert await bench.notifier.find(a_message()) == receipt


async def test_receipts_of_later_messages_sort_later(bench: Bench) -> None:
    first = await bench.notifier.send(a_message("a"))
    second = await bench.notifier.send(a_message("b"), thread=first)

    assert first.reference <= second.reference
    assert first.channel == second.channel


async def test_what_was_never_sent_is_not_claimed_as_found(bench: Bench) -> None:
    try:
        found = await bench.notifier.find(a_message())
    except DeliveryError as error:
        assert error.permanent
    else:
        assert found is None


async def test_a_broken_sink_is_a_temporary_delivery_error(bench: Bench) -> None:
    bench.break_sink()

    with pytest.raises(DeliveryError) as caught:
        await bench.notifier.send(a_message())

    assert not caught.value.permanent
    assert TOKEN not in repr(caught.value)


async def test_a_check_sends_nothing(bench: Bench) -> None:
    assert await bench.notifier.check("C0TEAM01") == ()

    assert bench.n_arrived("MARK") == 0


async def test_closing_twice_is_closing_once(bench: Bench) -> None:
    await bench.notifier.send(a_message())

    await bench.notifier.close()
    await bench.notifier.close()


def test_a_notifier_has_a_name(bench: Bench) -> None:
    assert bench.notifier.name in {"slack", "terminal"}
