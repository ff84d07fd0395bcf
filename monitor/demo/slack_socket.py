"""Slack's Socket Mode on loopback: tickets, envelopes, refreshes; and people who press buttons.

Sources: docs.slack.dev/apis/events-api/using-socket-mode, docs.slack.dev/reference/interaction-payloads."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from monitor.demo import blockkit
from monitor.demo.conversations import Conversations
from monitor.demo.slack_values import SlackError, SlackMessage
from monitor.domain import Clock

PATIENCE_S: Final = 3.0
"""How long Slack waits for an acknowledgement before it counts the press as failed."""

MAX_REPLIES: Final = 5
"""How often a response_url can be used."""


class Socket:
    """The other end of the app's connections. `refusals`: error words for the next calls of apps.connections.open;
    `address`: what is told instead of our own, for a client that must not believe it. `answers_pings` off: connections to come
    stand half open."""

    def __init__(
        self, conversations: Conversations, clock: Clock, *, app_token: str, origin: Callable[[], str]
    ) -> None:
        self.refusals: list[str] = []
        self.address: str | None = None
        self.answers_pings = True
        self.opened: list[str] = []
        self.connections: list[web.WebSocketResponse] = []
        self.latency_s: list[float] = []
        self.replies: dict[str, list[dict[str, Any]]] = {}
        self._conversations, self._clock, self._token, self._origin = conversations, clock, app_token, origin
        self._tickets: set[str] = set()
        self._acknowledged: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()

    def open(self, token: str) -> dict[str, Any]:
        """apps.connections.open: a ticket that works once. Raises SlackError."""
        if self.refusals:
            word = self.refusals.pop(0)
            is_slow = word == "ratelimited"
            raise SlackError(word, status=429 if is_slow else 200, headers={"Retry-After": "7"} if is_slow else None)
        if not self._token or not hmac.compare_digest(token.encode(), self._token.encode()):
            raise SlackError("not_allowed_token_type" if token else "not_authed")
        ticket = f"ticket-{len(self.opened)}"
        self.opened.append(ticket)
        self._tickets.add(ticket)
        own = f"{self._origin().replace('http', 'ws', 1)}/link?ticket={ticket}"
        return {"url": self.address or own}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": len(self.connections) + 1})
        self.connections.append(socket)
        self._changed.set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    told = msgspec.json.decode(message.data)
                    if (event := self._acknowledged.get(told.get("envelope_id", ""))) is not None:
                        event.set()
        finally:
            self.connections.remove(socket)
        return socket

    async def connected(self, n_opened: int = 1) -> None:
        """Waits until so many tickets were used and a connection stands."""
        async with asyncio.timeout(5):
            while len(self.opened) < n_opened or not self.connections or self._tickets:
                self._changed.clear()
                await self._changed.wait()

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Asks the app to connect anew; the old connection stays for a while."""
        await self.connections[-1].send_json({"type": "disconnect", "reason": reason, "debug_info": {}})

    async def drop(self) -> None:
        """Breaks every connection."""
        for socket in list(self.connections):
            await socket.close()

    async def press(
        self, message: SlackMessage, choice: str, *, user: str, option: int = 0, action_ts: str | None = None
    ) -> dict[str, Any]:
        """Somebody presses a button of a message as it stands; returns the payload once it was acknowledged."""
        at = action_ts or f"{self._clock.now().timestamp() + len(self.latency_s) / 1e5:.6f}"
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": "T0DEMOTEAM"},
            "container": {"type": "message", "message_ts": message.ts, "channel_id": message.channel},
            "channel": {"id": message.channel, "name": "alerts"},
            "message": message.json(with_metadata=True),
            "response_url": "https://hooks.slack.com/actions/none",
            "actions": [_action(message, choice, option) | {"action_ts": at, "block_id": "b0"}],
        }
        await self.tell(payload)
        return payload

    async def command(self, text: str, *, user: str, response_url: str | None = None) -> str:
        """Somebody types the app's command; returns under which number `replies` will hold the answers."""
        number = str(len(self.replies))
        self.replies[number] = []
        payload = {
            "command": "/openrouter-monitor",
            "text": text,
            "user_id": user,
            "user_name": user.lower(),
            "team_id": "T0DEMOTEAM",
            "channel_id": "C0ANYWHERE",
            "channel_name": "directmessage",
            "response_url": response_url or f"{self._origin()}/commands/{number}",
            "trigger_id": "1.2.abc",
            "is_enterprise_install": "false",
        }
        await self.tell(payload, kind="slash_commands")
        return number

    async def open_home(self, user: str, *, tab: str = "home") -> None:
        """Somebody opens the app's home."""
        event = {"type": "app_home_opened", "user": user, "channel": "D0HOME", "tab": tab, "event_ts": "1.2"}
        await self.tell({"type": "event_callback", "event_id": "Ev1", "event": event}, kind="events_api")

    def take_reply(self, number: str, body: Any) -> str:
        """An answer to a command; Slack's word where it is none."""
        if number not in self.replies or len(self.replies[number]) >= MAX_REPLIES:
            return "used_url"
        if not isinstance(body, dict) or not body.get("text") or body.get("response_type", "ephemeral") != "ephemeral":
            return "invalid_payload"
        blocks = body.get("blocks", [])
        if blockkit.problems(blocks) or blockkit.length(blocks) > blockkit.MAX_SUM:
            return "invalid_blocks"
        self.replies[number].append(body)
        return ""

    async def tell(self, payload: dict[str, Any], *, connection: int = -1, kind: str = "interactive") -> None:
        """Sends an interaction and waits for its acknowledgement. Raises TimeoutError where none comes in time."""
        envelope_id = f"envelope-{len(self._acknowledged)}"
        event = self._acknowledged[envelope_id] = asyncio.Event()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.connections[connection].send_json(
            {"type": kind, "envelope_id": envelope_id, "payload": payload, "accepts_response_payload": False}
        )
        await asyncio.wait_for(event.wait(), PATIENCE_S)
        self.latency_s.append(loop.time() - began)


def _action(message: SlackMessage, choice: str, option: int) -> dict[str, Any]:
    """The element of that action as Slack tells of it. Raises LookupError where the message has none."""
    for element in message.controls():
        if element["action_id"] == choice:
            told = {"type": element["type"], "action_id": choice}
            if element["type"] == "static_select":
                return told | {"selected_option": element["options"][option]}
            return told | {"text": element["text"], "value": element["value"]}
    raise LookupError(f"the message has no {choice} button")
