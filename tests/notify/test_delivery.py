"""The outbox pump: nothing lost, nothing doubled that can be looked up, and the urgent first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from build import NOW
from fake_clock import FakeClock

from monitor.domain import Message, MessageKind, Receipt, Severity
from monitor.errors import ChannelRefused, DeliveryError, SinkUnauthorized
from monitor.notify.delivery import DeliveryReport, deliver_due


@dataclass
class Row:
    message: Message
    state: str = "waiting"
    n_attempts: int = 0
    due_at: datetime = NOW
    receipt: Receipt | None = None
    last_error: str = ""


class FakeOutbox:
    """The store's outbox in memory, by its contract."""

    def __init__(self, *messages: Message, state: str = "waiting") -> None:
        self.rows = {each.message_id: Row(each, state) for each in messages}

    def claim(self, now: datetime, *, limit: int) -> tuple[Row, ...]:
        due = [row for row in self.rows.values() if row.state in {"waiting", "unknown"} and row.due_at <= now]
        due.sort(key=lambda row: -row.message.severity)
        claimed = tuple(replace(row) for row in due[:limit])
        for row in due[:limit]:
            row.state, row.n_attempts = "sending", row.n_attempts + 1
        return claimed

    def delivered(self, message_id: str, receipt: Receipt, at: datetime) -> None:
        row = self.rows[message_id]
        row.state, row.receipt = "delivered", receipt

    def postponed(self, message_id: str, *, until: datetime, error: str, is_outcome_unknown: bool) -> None:
        row = self.rows[message_id]
        row.state, row.due_at, row.last_error = "unknown" if is_outcome_unknown else "waiting", until, error

    def dead(self, message_id: str, error: str) -> None:
        row = self.rows[message_id]
        row.state, row.last_error = "dead", error

    def entries(self, *, thread: str | None = None) -> tuple[Row, ...]:
        return tuple(row for row in self.rows.values() if thread is None or row.message.thread == thread)

    def states(self) -> list[str]:
        return [row.state for row in self.rows.values()]


class FakeSink:
    """Takes messages; `errors` are raised one after the other, "lost answer" ones after taking the message."""

    name = "fake"

    def __init__(self, *errors: DeliveryError | None, bad_channels: tuple[str, ...] = ()) -> None:
        self.errors, self.bad_channels = list(errors), bad_channels
        self.arrived: list[tuple[Message, Receipt | None]] = []
        self.find_error: DeliveryError | None = None
        self.keeps_when_unclear = True

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        if (thread.channel if thread else message.channel) in self.bad_channels:
            raise ChannelRefused("Slack refused chat.postMessage: is_archived")
        error = self.errors.pop(0) if self.errors else None
        if error is None or (error.is_outcome_unknown and self.keeps_when_unclear):
            self.arrived.append((message, thread))
        if error is not None:
            raise error
        return Receipt(message.channel, f"{len(self.arrived):06d}")

    async def find(self, message: Message, *, thread: Receipt | None = None) -> Receipt | None:
        if self.find_error is not None:
            raise self.find_error
        for number, (each, _) in enumerate(self.arrived, start=1):
            if (each.message_id, each.channel) == (message.message_id, message.channel):
                return Receipt(each.channel, f"{number:06d}")
        return None

    async def check(self, channel: str) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        pass

    def ids(self) -> list[str]:
        return [message.message_id for message, _ in self.arrived]


def a_message(message_id: str = "INC-1:1:alert", **changes: Any) -> Message:
    message = Message(message_id, MessageKind.ALERT, "#team", Severity.WARNING, "Title", "Summary")
    return replace(message, **changes)


UNCLEAR = DeliveryError("the connection to Slack broke", permanent=False, is_outcome_unknown=True)


async def pump(outbox: FakeOutbox, sink: FakeSink, clock: FakeClock | None = None) -> DeliveryReport:
    return await deliver_due(outbox, sink, clock=clock or FakeClock(NOW), default_channel="#ops")


async def test_due_messages_are_delivered_urgent_first() -> None:
    outbox = FakeOutbox(a_message("a"), a_message("b", severity=Severity.CRITICAL), a_message("c"))
    sink = FakeSink()

    report = await pump(outbox, sink)

    assert sink.ids() == ["b", "a", "c"]
    assert outbox.states() == ["delivered"] * 3
    assert report == DeliveryReport(n_delivered=3)


async def test_an_answer_lost_after_delivery_is_looked_up_and_not_sent_again() -> None:
    outbox, sink, clock = FakeOutbox(a_message()), FakeSink(UNCLEAR), FakeClock(NOW)

    first = await pump(outbox, sink, clock)
    clock.pass_time(10)
    second = await pump(outbox, sink, clock)

    assert first.n_postponed == 1 and second.n_found == 1
    assert sink.ids() == ["INC-1:1:alert"]
    assert outbox.states() == ["delivered"]


async def test_a_sink_without_channels_is_asked_too_before_anything_is_sent_again() -> None:
    outbox, sink, clock = FakeOutbox(a_message(channel=""), state="unknown"), FakeSink(), FakeClock(NOW)
    sink.arrived.append((a_message(channel=""), None))

    report = await deliver_due(outbox, sink, clock=clock, default_channel="")

    assert (report.n_found, len(sink.arrived)) == (1, 1)


async def test_a_message_lost_before_delivery_is_sent_again() -> None:
    outbox, sink, clock = FakeOutbox(a_message()), FakeSink(UNCLEAR), FakeClock(NOW)
    sink.keeps_when_unclear = False

    await pump(outbox, sink, clock)
    clock.pass_time(10)
    report = await pump(outbox, sink, clock)

    assert sink.ids() == ["INC-1:1:alert"]
    assert report.n_delivered == 1 and report.n_found == 0


async def test_a_message_in_doubt_waits_while_the_look_up_fails_for_now() -> None:
    outbox, sink = FakeOutbox(a_message(), state="unknown"), FakeSink()
    sink.find_error = DeliveryError("no connection to Slack", permanent=False)

    await pump(outbox, sink)

    assert outbox.states() == ["unknown"]
    assert sink.arrived == []


async def test_a_message_that_can_never_be_looked_up_is_rather_sent_twice_than_lost() -> None:
    outbox, sink = FakeOutbox(a_message(), state="unknown"), FakeSink()
    sink.find_error = DeliveryError("missing_scope (channels:history)", permanent=True)

    report = await pump(outbox, sink)

    assert outbox.states() == ["delivered"]
    assert report.n_blind == 1


async def test_a_message_that_arrived_in_the_default_channel_is_found_there() -> None:
    outbox, sink = FakeOutbox(a_message(), state="unknown"), FakeSink()
    sink.arrived.append((a_message(channel="#ops"), None))

    report = await pump(outbox, sink)

    assert report.n_found == 1
    assert outbox.rows["INC-1:1:alert"].receipt == Receipt("#ops", "000001")


async def test_slow_down_is_honored_and_other_channels_go_on() -> None:
    outbox = FakeOutbox(a_message("a"), a_message("b"), a_message("c", channel="#other"))
    sink = FakeSink(DeliveryError("429", permanent=False, retry_after=40.0))

    await pump(outbox, sink)

    assert outbox.states() == ["waiting", "waiting", "delivered"]
    assert outbox.rows["a"].due_at == NOW + timedelta(seconds=40)
    assert outbox.rows["b"].due_at == NOW + timedelta(seconds=40)


async def test_three_times_slow_down_delivers_once() -> None:
    slow = [DeliveryError("429", permanent=False, retry_after=2.0) for _ in range(3)]
    outbox, sink, clock = FakeOutbox(a_message()), FakeSink(*slow), FakeClock(NOW)

    for _ in range(4):
        await pump(outbox, sink, clock)
        clock.pass_time(60)

    assert sink.ids() == ["INC-1:1:alert"]
    assert outbox.states() == ["delivered"]


async def test_patience_grows_and_ends_at_five_minutes() -> None:
    down = [DeliveryError("no connection to Slack", permanent=False) for _ in range(12)]
    outbox, sink, clock = FakeOutbox(a_message()), FakeSink(*down), FakeClock(NOW)
    waits = []

    for _ in range(12):
        await pump(outbox, sink, clock)
        due = outbox.rows["INC-1:1:alert"].due_at
        waits.append((due - clock.now()).total_seconds())
        clock.at = due

    assert waits[0] == 5 and waits[-1] == 300
    assert waits == sorted(waits)


async def test_a_sink_that_is_down_is_not_asked_for_every_message() -> None:
    outbox = FakeOutbox(a_message("a"), a_message("b"), a_message("c"))
    sink = FakeSink(DeliveryError("no connection to Slack", permanent=False))

    report = await pump(outbox, sink)

    assert report.n_postponed == 1
    assert outbox.states() == ["waiting"] * 3
    assert sink.arrived == []


async def test_a_refused_channel_falls_back_to_the_default_one_and_says_why() -> None:
    outbox, sink = FakeOutbox(a_message()), FakeSink(bad_channels=("#team",))

    report = await pump(outbox, sink)

    ((arrived, _),) = sink.arrived
    assert arrived.channel == "#ops"
    assert arrived.sections[-1] == (
        "Why you see this here",
        ("Meant for #team: Slack refused chat.postMessage: is_archived",),
    )
    assert (report.n_delivered, report.n_rerouted) == (1, 1)


async def test_a_thread_whose_channel_is_gone_continues_in_the_default_channel() -> None:
    outbox = FakeOutbox(a_message("a", thread="INC-1"), a_message("b", thread="INC-1"))
    outbox.delivered("a", Receipt("#gone", "000001"), NOW)
    sink = FakeSink(bad_channels=("#gone",))

    await pump(outbox, sink)

    ((arrived, thread),) = sink.arrived
    assert (arrived.channel, thread) == ("#ops", None)


async def test_a_refused_default_channel_keeps_the_message() -> None:
    outbox, sink = FakeOutbox(a_message()), FakeSink(bad_channels=("#team", "#ops"))

    report = await pump(outbox, sink)

    assert outbox.states() == ["waiting"]
    assert "is_archived" in report.errors[0]


async def test_refused_credentials_keep_every_message_and_are_reported() -> None:
    outbox = FakeOutbox(a_message("a"), a_message("b"))
    sink = FakeSink(SinkUnauthorized("Slack refused chat.postMessage: invalid_auth"))

    report = await pump(outbox, sink)

    assert outbox.states() == ["waiting", "waiting"]
    assert outbox.rows["a"].due_at == NOW + timedelta(minutes=5)
    assert "invalid_auth" in report.unauthorized
    assert sink.arrived == []


async def test_refused_content_is_sent_in_plain_words() -> None:
    message = a_message(evidence=("one", "two"), footer="INC-1")
    outbox, sink = FakeOutbox(message), FakeSink(DeliveryError("Slack refused: invalid_blocks", permanent=True))

    await pump(outbox, sink)

    ((arrived, _),) = sink.arrived
    assert (arrived.title, arrived.summary, arrived.evidence) == ("Title", "Summary", ())
    assert "invalid_blocks" in arrived.footer
    assert outbox.states() == ["delivered"]


async def test_content_refused_even_in_plain_words_is_given_up_and_listed() -> None:
    refusals = [DeliveryError("Slack refused: no_text", permanent=True) for _ in range(2)]
    outbox, sink = FakeOutbox(a_message()), FakeSink(*refusals)

    report = await pump(outbox, sink)

    assert outbox.states() == ["dead"]
    assert (report.n_dead, report.errors) == (1, ("INC-1:1:alert: Slack refused: no_text",))


async def test_the_first_delivered_message_of_a_thread_is_the_parent_of_all_others() -> None:
    outbox = FakeOutbox(*(a_message(name, thread="INC-1") for name in ("a", "b", "c")))
    sink = FakeSink()

    await pump(outbox, sink)

    assert [thread for _, thread in sink.arrived] == [None, Receipt("#team", "000001"), Receipt("#team", "000001")]


async def test_a_message_without_channel_goes_to_the_default_one() -> None:
    outbox, sink = FakeOutbox(a_message(channel="")), FakeSink()

    await pump(outbox, sink)

    assert sink.arrived[0][0].channel == "#ops"


async def test_messages_not_due_yet_are_left_alone() -> None:
    outbox, sink = FakeOutbox(a_message()), FakeSink()
    outbox.rows["INC-1:1:alert"].due_at = NOW + timedelta(seconds=1)

    assert await pump(outbox, sink) == DeliveryReport()


async def test_one_run_delivers_no_more_than_its_limit() -> None:
    outbox, sink = FakeOutbox(*(a_message(str(number)) for number in range(9))), FakeSink()

    await deliver_due(outbox, sink, clock=FakeClock(NOW), default_channel="#ops", limit=4)

    assert len(sink.arrived) == 4


@pytest.mark.parametrize("n_faults", range(6))
async def test_whatever_fails_every_message_arrives_exactly_once(n_faults: int) -> None:
    faults = [
        UNCLEAR,
        DeliveryError("429", permanent=False, retry_after=3.0),
        SinkUnauthorized("invalid_auth"),
        DeliveryError("no connection", permanent=False),
        UNCLEAR,
        DeliveryError("429", permanent=False, retry_after=900.0),
    ]
    outbox, clock = FakeOutbox(*(a_message(str(number), thread="INC-1") for number in range(5))), FakeClock(NOW)
    sink = FakeSink(*faults[: n_faults + 1])

    for _ in range(40):
        await pump(outbox, sink, clock)
        clock.pass_time(120)

    assert sorted(sink.ids()) == ["0", "1", "2", "3", "4"]
    assert outbox.states() == ["delivered"] * 5
