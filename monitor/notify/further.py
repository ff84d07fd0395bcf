"""Further channels through the library Apprise: e-mail, pagers, Teams, SMS and some hundred others by an address each.

The same messages, the same outbox: a copy for each channel with an id of its own (`INC-…:1:alert@pager`), so that one channel
that is down neither holds up nor doubles another. Apprise says yes or no and nothing more, knows no threads, no edits, and
cannot be asked what arrived: a copy whose outcome is unknown is sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from pydantic import SecretStr

from monitor.domain import Clock, Message, MessageKind, Receipt, Severity
from monitor.errors import DeliveryError
from monitor.notify.terminal import plain_text
from monitor.wording import one_line, shorten

DEADLINE_S: Final = 30.0
MAX_BODY: Final = 8_000

_KINDS: Final = {Severity.NOTICE: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


def copies(messages: Iterable[Message], names: Iterable[str], *, min_severity: Severity) -> tuple[Message, ...]:
    """The messages, and behind each its copies for further channels where it is severe enough."""
    names = tuple(names)
    return tuple(
        each
        for message in messages
        for each in (
            message,
            *(_copy(message, name) for name in names if message.severity >= min_severity),
        )
    )


def _copy(message: Message, name: str) -> Message:
    return replace(
        message, message_id=f"{message.message_id}@{name}", channel=name, thread=None, ask=None, picture=None
    )


class FurtherNotifier:
    """Implements `notify.base.Notifier` for one address."""

    def __init__(self, name: str, address: SecretStr, clock: Clock, *, deadline_s: float = DEADLINE_S) -> None:
        self._name, self._address, self._clock, self._deadline_s = name, address, clock, deadline_s

    @property
    def name(self) -> str:
        """What the settings call the channel."""
        return self._name

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        """One attempt. Raises DeliveryError; its text never holds the address."""
        import apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its warnings quote addresses
        target = apprise.Apprise()
        if not target.add(self._address.get_secret_value()):
            raise DeliveryError(f"further channel {self._name}: its address is none that Apprise knows", permanent=True)
        lines = plain_text(message)[:MAX_BODY]
        try:
            async with asyncio.timeout(self._deadline_s):
                is_taken = await target.async_notify(
                    body=lines,
                    title=shorten(one_line(message.title), 200),
                    notify_type=_KINDS[message.severity] if message.kind is not MessageKind.RESOLVED else "success",
                    body_format="text",
                    interpret_escapes=False,
                )
        except TimeoutError:
            problem = f"further channel {self._name} did not answer within {self._deadline_s:g} s"
            raise DeliveryError(problem, permanent=False, is_outcome_unknown=True) from None
        if not is_taken:
            raise DeliveryError(f"further channel {self._name} did not take the message", permanent=False)
        return Receipt(self._name, message.message_id)

    async def find(self, message: Message, *, thread: Receipt | None = None) -> Receipt | None:
        """Never possible."""
        raise DeliveryError(f"further channel {self._name} cannot be asked what arrived", permanent=True)

    async def check(self, channel: str) -> tuple[str, ...]:
        """Whether Apprise knows that kind of address; sends nothing."""
        import apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        if apprise.Apprise().add(self._address.get_secret_value()):
            return ()
        return (f"the address of {self._name} is none that Apprise knows; see github.com/caronc/apprise/wiki",)

    async def close(self) -> None:
        """Nothing to release."""


def notifiers(addresses: Mapping[str, SecretStr], clock: Clock) -> tuple[FurtherNotifier, ...]:
    """One for each address."""
    return tuple(FurtherNotifier(name, address, clock) for name, address in addresses.items())
