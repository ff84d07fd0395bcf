"""What a notifier is: it delivers one message to one kind of sink."""

from __future__ import annotations

from typing import Protocol

from monitor.domain import Message, Receipt
from monitor.notify.pages import Page


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


class Board(Protocol):
    """A sink whose messages can be changed after they were sent, and that holds pictures. Every method makes one attempt and
    raises DeliveryError."""

    async def update(self, message: Message, at: Receipt) -> None:
        """Puts this message in the place of one delivered earlier; doing it twice is doing it once."""
        ...

    async def attach(self, picture: bytes, *, file_name: str, alt_text: str, thread: Receipt) -> str:
        """Puts a PNG into the thread of a message; returns the sink's id of the file. Raises DeliveryError with
        `is_outcome_unknown` where it may be there nevertheless: see `find_attached`."""
        ...

    async def find_attached(self, file_name: str, thread: Receipt) -> str | None:
        """The id of a file of that name in a thread; None if there is surely none."""
        ...

    async def link(self, at: Receipt) -> str:
        """Where a person finds that message; empty where the sink does not tell."""
        ...


class People(Protocol):
    """Who is who at a sink. Every method makes one attempt and raises DeliveryError."""

    async def whisper(self, text: str, *, channel: str, user: str, thread: str | None = None) -> None:
        """Tells one person something in a channel that nobody else sees."""
        ...

    async def members(self, group: str) -> frozenset[str]:
        """Ids of the users of a group."""
        ...

    async def user_of(self, email: str) -> str | None:
        """The id of the active user with that address; None if there is none."""
        ...

    async def members_of(self, channel: str) -> frozenset[str]:
        """Ids of the users in a channel, by its id or name."""
        ...

    async def reply(self, page: Page, *, to: str) -> None:
        """Answers a question where it was asked; only who asked sees it."""
        ...

    async def put_home(self, page: Page, *, user: str) -> None:
        """Puts a page into that person's home; doing it twice is doing it once."""
        ...
