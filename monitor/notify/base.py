"""What a notifier is: it delivers one message to one kind of sink."""

from __future__ import annotations

from typing import Protocol

from monitor.domain import Message, Receipt


class Notifier(Protocol):
    """Sends messages. Never retries by itself: the outbox does, so that a kill cannot lose or double a message."""

    @property
    def name(self) -> str:
        """Short, stable: `slack`, `terminal`."""
        ...

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        """Delivers one message, in the thread of an earlier one if given. Raises DeliveryError."""
        ...

    async def find(self, message: Message, *, thread: Receipt | None = None) -> Receipt | None:
        """Looks whether this message (by message_id) already arrived, also in that thread if given; None if surely not.
        Raises DeliveryError where the sink cannot tell: `permanent` if it never will."""
        ...

    async def check(self, channel: str) -> tuple[str, ...]:
        """Problems that would keep messages from this channel (missing scopes, unknown channel); sends nothing."""
        ...

    async def close(self) -> None:
        """Releases connections."""
        ...
