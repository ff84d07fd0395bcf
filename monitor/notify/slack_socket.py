"""Socket Mode: Slack tells of pressed buttons, typed commands and opened homes through a connection that we open, so that no
door of ours is open.

A loop of our own over aiohttp. slack_sdk's client (3.47, read and measured) tries again at a fixed beat with no growing
patience, uses an expired ticket again and again when the connection fails, connects to whatever address it is told,
in the clear where the port is not 443, reads proxies from the environment, and closes the old connection before the new one
stands. Here:

1. ask for an address (apps.connections.open, a rare call: patience grows), look whether it is Slack's and encrypted
2. connect; acknowledge every envelope before anything else is done with it: Slack waits three seconds
3. told to refresh: the next connection is opened while the old one is still read
4. broken, silent or refused: again, with growing patience; an envelope not acknowledged comes again
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp

from monitor.domain import Clock
from monitor.errors import DeliveryError, MonitorError
from monitor.notify.asked import Asked, read_command, read_opened
from monitor.notify.pressed import Pressed, read_presses
from monitor.notify.slack_door import SlackDoor

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 1.0
MAX_WAIT_S: Final = 300.0
SHORT_LIFE_S: Final = 10.0
"""A connection that ends sooner than this counts as a failure, however politely it ended."""

HEARTBEAT_S: Final = 20.0
"""A peer that does not answer a ping within half of this is gone: no half-open connection lasts."""

MAX_ENVELOPE_BYTES: Final = 1 << 20

Handler = Callable[[Pressed], Awaitable[None]]
Answerer = Callable[[Asked], Awaitable[None]]


class SlackListener:
    """Listens until closed. `handle` gets each press and `answer` each question, once acknowledged; Slack may tell of either
    twice."""

    def __init__(
        self,
        door: SlackDoor,
        clock: Clock,
        handle: Handler,
        *,
        answer: Answerer | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """`door`: that of the app-level token."""
        self._door, self._clock, self._handle, self._heartbeat_s = door, clock, handle, heartbeat_s
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.n_connected = 0
        self.last_problem = ""

    async def run(self) -> None:
        """Keeps a connection until cancelled."""
        n_failures = 0
        while not self._is_closed:
            began = self._clock.monotonic()
            try:
                socket = await self._connect()
            except DeliveryError as error:
                n_failures += 1
                wait_s = max(_patience(n_failures), error.retry_after or 0.0)
                if error.permanent:
                    wait_s = MAX_WAIT_S
                self._problem(str(error), wait_s)
                await self._clock.sleep(wait_s)
                continue
            wants_next = asyncio.Event()
            self._spawn(self._read(socket, wants_next))
            await wants_next.wait()
            is_short = self._clock.monotonic() - began < SHORT_LIFE_S
            n_failures = n_failures + 1 if is_short else 0
            if n_failures > 1:
                wait_s = _patience(n_failures - 1)
                self._problem("the connection ends as soon as it stands", wait_s)
                await self._clock.sleep(wait_s)

    async def close(self) -> None:
        """Ends connections; presses under way are finished first, for a moment."""
        self._is_closed = True
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=0.2)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._door.close()

    async def check(self) -> tuple[str, ...]:
        """What keeps buttons from working, in sentences; asks for an address, connects to none."""
        try:
            await self._address()
        except DeliveryError as error:
            return (str(error),)
        return ()

    async def _address(self) -> str:
        """A ticket that works once. Raises DeliveryError."""
        call = self._door.sdk.api_call("apps.connections.open")
        answer = await self._door.call("apps.connections.open", call, has_effect=False)
        url = answer.get("url")
        if not isinstance(url, str) or not self._door.is_ours(url, scheme="wss"):
            raise DeliveryError("apps.connections.open names an address that is not Slack's own", permanent=True)
        return url

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """One attempt, with a ticket of its own. Raises DeliveryError."""
        url = await self._address()
        connecting = self._door.session.ws_connect(url, heartbeat=self._heartbeat_s, max_msg_size=MAX_ENVELOPE_BYTES)
        socket = await self._door.call("connect", connecting, has_effect=False)
        self.n_connected += 1
        log.info("buttons_connected", extra={"n": self.n_connected})
        return socket

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, wants_next: asyncio.Event) -> None:
        """Reads one connection to its end. Sets `wants_next` as soon as another one is needed."""
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                envelope = _parsed(message.data)
                if envelope.get("type") == "disconnect":
                    if envelope.get("reason") == "link_disabled":
                        self._problem("Socket Mode is turned off for this Slack app", MAX_WAIT_S)
                    wants_next.set()
                    continue
                await self._acknowledge(socket, envelope)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self.last_problem = f"the connection to Slack broke ({type(error).__name__})"
        finally:
            wants_next.set()
            await socket.close()

    async def _acknowledge(self, socket: aiohttp.ClientWebSocketResponse, envelope: Mapping[str, Any]) -> None:
        envelope_id, payload = envelope.get("envelope_id"), envelope.get("payload")
        if not isinstance(envelope_id, str):
            return
        await socket.send_str(json.dumps({"envelope_id": envelope_id}))
        if not isinstance(payload, Mapping):
            return
        if envelope.get("type") == "interactive":
            for pressed in read_presses(payload):
                self._spawn(self._handled(pressed))
            return
        asked = _READERS.get(str(envelope.get("type")), _nobody)(payload)
        if asked is not None and self._answer is not None:
            self._spawn(self._answered(asked, self._answer))

    async def _handled(self, pressed: Pressed) -> None:
        try:
            await self._handle(pressed)
        except MonitorError as error:
            log.error("press_failed", extra={"by": pressed.by, "choice": pressed.choice, "error": str(error)})

    async def _answered(self, asked: Asked, answer: Answerer) -> None:
        try:
            await answer(asked)
        except MonitorError as error:
            log.error("answer_failed", extra={"by": asked.by, "error": str(error)})

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _problem(self, text: str, wait_s: float) -> None:
        self.last_problem = text
        log.warning("buttons_not_connected", extra={"error": text, "next_try_s": round(wait_s, 1)})


def _nobody(_payload: Mapping[str, Any]) -> Asked | None:
    return None


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Asked | None]]] = {
    "slash_commands": read_command,
    "events_api": read_opened,
}


def _patience(n_failures: int) -> float:
    return min(MAX_WAIT_S, FIRST_WAIT_S * float(2 ** min(n_failures - 1, 16)))


def _parsed(text: object) -> Mapping[str, Any]:
    """The envelope; an empty one for what is none."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
