"""A small Slack on loopback: stores what is posted, and misbehaves once for each entry of `faults`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from monitor.notify.scopes import SCOPES

TOKEN = "xoxb-canary-0123456789-secret"
BOT_SCOPES = ",".join(SCOPES)


@dataclass
class Fault:
    """One misbehavior: `is_stored` whether the message is kept nevertheless."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_stored: bool = False
    is_drop: bool = False
    drip_s: float = 0.0


def refusal(code: str, **more: Any) -> Fault:
    return Fault(
        body=json.dumps({"ok": False, "error": code, **more}).encode(), headers={"Content-Type": "application/json"}
    )


@dataclass
class FakeSlack:
    base_url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    scopes: str = BOT_SCOPES
    channels: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "C0TEAM01": {"name": "team"},
            "C0OPS001": {"name": "ops"},
            "G0SECRET": {"name": "secret", "is_private": True},
        }
    )
    page_size: int = 200
    n_dripped_dry: int = 0  # drips that nobody cut short

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults.setdefault(method, []).extend(faults)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        self.calls.append(method)
        given = await request.json() if request.content_type == "application/json" else dict(request.query)
        planned = self.faults.get(method)
        if planned:
            return await self.misbehave(planned.pop(0), request, given)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer({"ok": False, "error": "invalid_auth"})
        return self.answer(getattr(self, method.replace(".", "_"))(given))

    async def misbehave(self, fault: Fault, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        if fault.is_stored:
            self.chat_postMessage(given)
        if fault.is_drop:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0)
        if not fault.drip_s:
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(200):
            await response.write(b" ")
            await asyncio.sleep(fault.drip_s)
        self.n_dripped_dry += 1
        return response

    def answer(self, body: dict[str, Any]) -> web.Response:
        return web.json_response(body, headers={"x-oauth-scopes": self.scopes} if self.scopes else {})

    def resolve(self, channel: str) -> str | None:
        if channel in self.channels:
            return channel
        return next((each for each, info in self.channels.items() if info["name"] == channel.lstrip("#")), None)

    def chat_postMessage(self, given: dict[str, Any]) -> dict[str, Any]:
        channel = self.resolve(given["channel"])
        if channel is None:
            return {"ok": False, "error": "channel_not_found"}
        ts = f"{1_800_000_000 + len(self.messages)}.000100"
        self.messages.append({**given, "channel": channel, "ts": ts})
        return {"ok": True, "channel": channel, "ts": ts}

    def auth_test(self, _given: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "bot_id": "B0", "team": "T0"}

    def conversations_info(self, given: dict[str, Any]) -> dict[str, Any]:
        info = self.channels.get(given["channel"])
        if info is None:
            return {"ok": False, "error": "channel_not_found"}
        return {"ok": True, "channel": {"id": given["channel"], "is_member": True, **info}}

    def conversations_list(self, given: dict[str, Any]) -> dict[str, Any]:
        listed = [{"id": each, **info} for each, info in self.channels.items()]
        return self.page("channels", listed, given)

    def conversations_history(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["channel"] not in self.channels:
            return {"ok": False, "error": "channel_not_found"}
        found = [each for each in self.messages if each["channel"] == given["channel"] and not each.get("thread_ts")]
        return self.page("messages", self.shown(found, given), given)

    def conversations_replies(self, given: dict[str, Any]) -> dict[str, Any]:
        ts = given["ts"]
        found = [each for each in self.messages if ts in {each["ts"], each.get("thread_ts")}]
        return self.page("messages", self.shown(found, given), given)

    def shown(self, found: list[dict[str, Any]], given: dict[str, Any]) -> list[dict[str, Any]]:
        late = [each for each in reversed(found) if float(each["ts"]) >= float(given["oldest"])]
        return late if given.get("include_all_metadata") == "1" else [{"ts": each["ts"]} for each in late]

    def page(self, name: str, listed: list[Any], given: dict[str, Any]) -> dict[str, Any]:
        first = int(given.get("cursor") or 0)
        rest = first + self.page_size < len(listed)
        cursor = str(first + self.page_size) if rest else ""
        return {"ok": True, name: listed[first : first + self.page_size], "response_metadata": {"next_cursor": cursor}}


@asynccontextmanager
async def running_slack() -> AsyncIterator[FakeSlack]:
    fake = FakeSlack()
    app = web.Application()
    app.router.add_route("*", "/api/{method}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.base_url = f"http://{host}:{port}/api/"
    try:
        yield fake
    finally:
        await runner.cleanup()
