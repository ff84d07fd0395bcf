"""The outbox pump: takes messages one by one, delivers each, and writes down what became of it.

One message at a time, so that a kill leaves at most one in doubt, and an urgent one that arrives meanwhile goes first:
1. claim the most urgent message that is due;
2. if an earlier attempt may have arrived, look it up at the sink; found: done;
3. send it, in the thread of the first delivered message of its incident;
4. refused for good: by the channel, then to the default channel with the reason; because of its content, then in plain
   words; because of our credentials, then everything waits and a person is called;
5. refused for now: later, at the time the sink names or with growing patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from monitor.domain import Clock, Message, MessageKind, Receipt
from monitor.errors import ChannelRefused, DeliveryError, SinkUnauthorized
from monitor.notify.base import Notifier
from monitor.wording import one_line, shorten

FIRST_WAIT: Final = timedelta(seconds=5)
MAX_WAIT: Final = timedelta(minutes=5)
UNAUTHORIZED_WAIT: Final = timedelta(minutes=5)
MAX_UNAUTHORIZED_WAIT: Final = timedelta(minutes=30)
REFUSED_FOR: Final = timedelta(hours=1)
"""How long a channel that refused a message is not asked again."""

_IN_DOUBT: Final = frozenset({"sending", "unknown"})
_ON_ITS_WAY: Final = _IN_DOUBT | {"waiting"}


class Entry(Protocol):
    """A message on its way; `state` is one of waiting, sending, unknown, delivered, dead."""

    @property
    def message(self) -> Message: ...  # noqa: D102 - described by its type

    @property
    def state(self) -> str: ...  # noqa: D102 - as above

    @property
    def n_attempts(self) -> int: ...  # noqa: D102 - as above

    @property
    def receipt(self) -> Receipt | None: ...  # noqa: D102 - as above


class Outbox(Protocol):
    """What the pump needs of the store's outbox. Synchronous and safe to call from worker threads."""

    def claim(self, now: datetime, *, limit: int) -> Sequence[Entry]:
        """Marks up to `limit` due entries as being sent, urgent first; returns them with the state they had before."""
        ...

    def delivered(self, message_id: str, receipt: Receipt, at: datetime) -> None:
        """Marks an entry delivered."""
        ...

    def postponed(self, message_id: str, *, until: datetime, error: str, is_outcome_unknown: bool) -> None:
        """Due again at `until`."""
        ...

    def dead(self, message_id: str, error: str) -> None:
        """Gives a message up."""
        ...

    def entries(self, *, thread: str | None = None) -> Sequence[Entry]:
        """Entries of a thread."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What one run did. `n_found`: had arrived before, not sent again. `n_blind`: sent although an earlier attempt may have
    arrived and could not be looked up. `n_rerouted`: to the default channel instead of their own. `unauthorized`: why the
    sink refuses us altogether, empty if it does not. `errors`: one line a message that was not delivered."""

    n_delivered: int = 0
    n_found: int = 0
    n_blind: int = 0
    n_rerouted: int = 0
    n_postponed: int = 0
    n_dead: int = 0
    unauthorized: str = ""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A channel that refused a message: until when it is not asked again, and what it said."""

    until: datetime
    why: str


@dataclass(slots=True)
class _Tally:
    """The report under construction, and what this run has learned."""

    counts: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    unauthorized: str = ""
    held: dict[str, datetime] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    is_down: bool = False

    def add(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def report(self) -> DeliveryReport:
        return DeliveryReport(**self.counts, unauthorized=self.unauthorized, errors=tuple(self.errors))


async def deliver_due(
    outbox: Outbox,
    notifier: Notifier,
    *,
    clock: Clock,
    default_channel: str,
    limit: int = 50,
    refused: dict[str, Refusal] | None = None,
) -> DeliveryReport:
    """Delivers up to `limit` messages that are due; returns when none is, or when the sink is down or refuses us.

    `refused`: channels that refused lately, to which messages are not even tried; what this run learns is added to it.
    Never raises DeliveryError; errors of the store pass through. `clock` must be the one that messages are queued by."""
    tally = _Tally(refused=refused if refused is not None else {})
    for _ in range(limit):
        now = clock.now()
        claimed = await asyncio.to_thread(outbox.claim, now, limit=1)
        if not claimed:
            break
        await _one(claimed[0], outbox, notifier, clock=clock, default_channel=default_channel, tally=tally)
        if tally.is_down:
            break
    return tally.report()


async def _one(
    entry: Entry, outbox: Outbox, notifier: Notifier, *, clock: Clock, default_channel: str, tally: _Tally
) -> None:
    message = entry.message if entry.message.channel else replace(entry.message, channel=default_channel)
    is_in_doubt = entry.state in _IN_DOUBT
    held_until = tally.held.get(message.channel)
    if held_until is not None and held_until > clock.now():
        await _postpone(outbox, message, held_until, error="its channel is being paced", is_in_doubt=is_in_doubt)
        tally.add("n_postponed")
        return
    if await _waits_for_headline(outbox, message):
        until = clock.now() + FIRST_WAIT
        await _postpone(outbox, message, until, error="its headline is not delivered yet", is_in_doubt=is_in_doubt)
        tally.add("n_postponed")
        return
    thread = await _parent(outbox, message)
    try:
        receipt = None
        if is_in_doubt:
            receipt = await _look_up(notifier, message, thread=thread, default_channel=default_channel, tally=tally)
            tally.add("n_found") if receipt else None
        if receipt is None:
            is_in_doubt = False
            receipt = await _send(
                notifier, message, thread=thread, default_channel=default_channel, tally=tally, now=clock.now()
            )
            tally.add("n_delivered")
    except DeliveryError as error:
        await _failed(entry, message, error, outbox, clock=clock, is_in_doubt=is_in_doubt, tally=tally)
        return
    await asyncio.to_thread(outbox.delivered, message.message_id, receipt, clock.now())


async def _waits_for_headline(outbox: Outbox, message: Message) -> bool:
    """A digest's details are a reply: they wait while their headline is still on its way. An alert waits for nothing."""
    if message.kind is not MessageKind.DIGEST or message.thread is None:
        return False
    first = next(iter(await asyncio.to_thread(outbox.entries, thread=message.thread)), None)
    if first is None or first.message.message_id == message.message_id:
        return False
    return first.state in _ON_ITS_WAY


async def _parent(outbox: Outbox, message: Message) -> Receipt | None:
    """The receipt of the first delivered message of the thread: references of one sink sort by time of arrival."""
    if message.thread is None:
        return None
    entries = await asyncio.to_thread(outbox.entries, thread=message.thread)
    receipts = [entry.receipt for entry in entries if entry.state == "delivered" and entry.receipt is not None]
    return min(receipts, key=lambda receipt: receipt.reference, default=None)


async def _look_up(
    notifier: Notifier, message: Message, *, thread: Receipt | None, default_channel: str, tally: _Tally
) -> Receipt | None:
    """Where an attempt in doubt arrived; None if it did not, or if nobody will ever be able to tell: twice is better than
    never. Raises DeliveryError if it cannot be told yet."""
    is_blind = False
    channels = [channel for channel in (message.channel, default_channel) if channel]
    for channel in dict.fromkeys(channels or [""]):  # a sink without channels is asked as well
        try:
            receipt = await notifier.find(replace(message, channel=channel), thread=thread)
        except SinkUnauthorized:
            raise
        except DeliveryError as error:
            if not error.permanent:
                raise
            is_blind = True
        else:
            if receipt is not None:
                return receipt
    tally.add("n_blind") if is_blind else None
    return None


async def _send(
    notifier: Notifier,
    message: Message,
    *,
    thread: Receipt | None,
    default_channel: str,
    tally: _Tally,
    now: datetime,
) -> Receipt:
    """Sends; a refusal for good by the channel or because of the content is answered with the next best message. A channel
    that refused lately is not asked again for a while."""
    known = tally.refused.get(message.channel) if thread is None and message.channel != default_channel else None
    if known is not None and known.until > now and default_channel:
        receipt = await notifier.send(_rerouted(message, default_channel, why=known.why))
        tally.add("n_rerouted")
        return receipt
    try:
        return await notifier.send(message, thread=thread)
    except SinkUnauthorized:
        raise
    except ChannelRefused as error:
        if not default_channel or (thread is None and message.channel == default_channel):
            raise
        if thread is None:
            tally.refused[message.channel] = Refusal(now + REFUSED_FOR, str(error))
        receipt = await notifier.send(_rerouted(message, default_channel, why=str(error)))
        tally.add("n_rerouted")
        return receipt
    except DeliveryError as error:
        if not error.permanent:
            raise
        return await notifier.send(_plain(message, why=str(error)), thread=thread)


def _rerouted(message: Message, channel: str, *, why: str) -> Message:
    """The same message for another channel, saying why it is there."""
    note = f"Meant for {one_line(message.channel) or 'no channel'}: {shorten(one_line(why), 300)}"
    return replace(message, channel=channel, sections=(*message.sections, ("Why you see this here", (note,))))


def _plain(message: Message, *, why: str) -> Message:
    """What is left of a message whose content the sink refuses: its sentence. A short alert beats a lost one."""
    note = f"details could not be delivered ({shorten(one_line(why), 200)}); see `openrouter-monitor incidents`"
    bare = replace(message, facts=(), evidence=(), sections=())
    return replace(bare, footer=f"{shorten(message.footer, 200)} · {note}")


async def _failed(
    entry: Entry,
    message: Message,
    error: DeliveryError,
    outbox: Outbox,
    *,
    clock: Clock,
    is_in_doubt: bool,
    tally: _Tally,
) -> None:
    tally.errors.append(f"{message.message_id}: {error}")
    if error.permanent and not isinstance(error, SinkUnauthorized | ChannelRefused):
        await asyncio.to_thread(outbox.dead, message.message_id, str(error))
        tally.add("n_dead")
        return
    until = clock.now() + _wait(entry.n_attempts, error)
    if isinstance(error, SinkUnauthorized):
        tally.unauthorized, tally.is_down = str(error), True
    elif error.retry_after is not None:
        tally.held[message.channel] = until
    elif not error.permanent:
        tally.is_down = True
    in_doubt = is_in_doubt or error.is_outcome_unknown
    await _postpone(outbox, message, until, error=str(error), is_in_doubt=in_doubt)
    tally.add("n_postponed")


def _wait(n_attempts: int, error: DeliveryError) -> timedelta:
    """Doubling with each attempt; never sooner than the sink asks. A person has to mend a permanent error: no hurry."""
    first, most = (UNAUTHORIZED_WAIT, MAX_UNAUTHORIZED_WAIT) if error.permanent else (FIRST_WAIT, MAX_WAIT)
    patience = min(most, first * (1 << min(max(n_attempts - 1, 0), 10)))
    return max(patience, timedelta(seconds=error.retry_after)) if error.retry_after is not None else patience


async def _postpone(outbox: Outbox, message: Message, until: datetime, *, error: str, is_in_doubt: bool) -> None:
    await asyncio.to_thread(
        outbox.postponed, message.message_id, until=until, error=error, is_outcome_unknown=is_in_doubt
    )
