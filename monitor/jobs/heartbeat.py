"""When the sign of life is given: only while keys are watched and people can be told.

A process that runs is not enough. The receiver hears from us after a cycle in which everything was read and time was not in
doubt, unless a message has been waiting for a quarter of an hour: then its alarm is the only one that still gets through.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final, Protocol

from monitor.errors import DeliveryError
from monitor.jobs.app import App
from monitor.jobs.watch import CycleReport
from monitor.store.base import Delivery

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(seconds=15)
"""How often it is looked whether there is something to say."""

AT_MOST_EVERY_S: Final = 55.0
"""Receivers count minutes; more than that tells them nothing."""

STUCK_AFTER_S: Final = 900.0
"""A message that waits this long reaches nobody: pauses that a sink asks for are shorter."""

_ON_THE_WAY: Final = (Delivery.WAITING, Delivery.SENDING, Delivery.UNKNOWN)


class Sender(Protocol):
    """Where the sign goes."""

    async def send(self) -> None:
        """One attempt. Raises DeliveryError."""
        ...


class Heartbeat:
    """Remembers whether there is a complete cycle to tell of, and since when messages wait. Without a sender it is silent."""

    def __init__(self, app: App, sender: Sender | None) -> None:
        self._app, self._sender = app, sender
        self._has_news = False
        self._sent_at = float("-inf")
        self._waiting: dict[str, float] = {}
        self._trouble = ""

    def note(self, report: CycleReport) -> None:
        """Takes in what a watch cycle did."""
        self._has_news = not report.errors and not report.time.doubt

    async def beat(self) -> None:
        """Sends the sign if there is one to give; a receiver that does not answer is logged, once. Raises StoreError."""
        if self._sender is None:
            return
        now = self._app.clock.monotonic()
        n_stuck = await asyncio.to_thread(self._n_stuck, now)
        if n_stuck:
            self._say(f"withheld: {n_stuck} messages reach nobody")
            return
        if not self._has_news or now - self._sent_at < AT_MOST_EVERY_S:
            return
        try:
            await self._sender.send()
        except DeliveryError as error:
            self._say(str(error))
            return
        self._has_news, self._sent_at = False, now
        self._say("")

    def _n_stuck(self, now: float) -> int:
        on_the_way = self._app.store.outbox.entries(states=_ON_THE_WAY)
        self._waiting = {
            entry.message.message_id: self._waiting.get(entry.message.message_id, now) for entry in on_the_way
        }
        return sum(now - since > STUCK_AFTER_S for since in self._waiting.values())

    def _say(self, trouble: str) -> None:
        """Logs a trouble when it begins, changes or ends."""
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.warning("heartbeat_trouble", extra={"error": trouble})
            else:
                log.info("heartbeat_works_again")
