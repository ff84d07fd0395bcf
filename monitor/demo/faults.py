"""Faults a fake server can be told to show: which requests (`Fault`), and what happens to them (the functions below)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Action = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

RETRY_AFTER_FORMS: Final = (None, "2", "0", "1.5", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", "99999999", "")
"""What a 429 may carry in Retry-After: nothing, seconds, a fraction, a date, junk, far too much."""


@dataclass(slots=True)
class Fault:
    """Shows `action` for requests whose method and path match, after letting `skip` of them pass, `times` times (None: always).

    `path` is a regular expression searched in the path, for example `/keys$` or `chat.postMessage`."""

    action: Action
    path: str = ""
    method: str | None = None
    times: int | None = 1
    skip: int = 0
    n_shown: int = field(default=0, init=False)

    def wants(self, request: web.Request) -> bool:
        """Whether this request gets the fault; counts."""
        if self.method is not None and request.method != self.method:
            return False
        if not re.search(self.path, request.path) or (self.times is not None and self.n_shown >= self.times):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.n_shown += 1
        return True


async def apply(faults: list[Fault], request: web.Request, handler: Handler) -> web.StreamResponse:
    """The answer to a request under the first fault that wants it, else the handler's own."""
    for fault in faults:
        if fault.wants(request):
            return await fault.action(request, handler)
    return await handler(request)


def status(code: int, *, message: str = "Internal Server Error", headers: dict[str, str] | None = None) -> Action:
    """An error of this status, in the API's form; nothing is done."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = msgspec.json.encode({"error": {"code": code, "message": message}})
        return web.Response(status=code, body=body, content_type="application/json", headers=headers)

    return act


def slack_error(error: str, *, code: int = 200, headers: dict[str, str] | None = None) -> Action:
    """`{"ok": false, "error": ...}`, Slack's form; nothing is done. Its rate limit is `ratelimited`, 429, Retry-After."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = msgspec.json.encode({"ok": False, "error": error})
        return web.Response(status=code, body=body, content_type="application/json", headers=headers)

    return act


def rate_limited(retry_after: str | None = "2") -> Action:
    """429 with this form of Retry-After (one of RETRY_AFTER_FORMS, or any other text)."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return status(429, message="Rate limit exceeded", headers=headers)


def hang() -> Action:
    """No answer ever; ends when the client gives up or the server stops. Nothing is done."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return act


def slow_drip(*, interval_s: float = 0.2) -> Action:
    """The true answer, one byte every `interval_s` real seconds: each read succeeds, the whole takes minutes."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = _body(await handler(request))
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await response.prepare(request)
        for byte in body:
            await response.write(bytes([byte]))
            await asyncio.sleep(interval_s)
        return response

    return act


def endless(*, chunk: int = 1 << 16) -> Action:
    """A body of spaces without end, as fast as the client reads."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" " * chunk)

    return act


def truncated_json() -> Action:
    """The first half of the true answer, as if it were whole."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = _body(await handler(request))
        return web.Response(body=body[: len(body) // 2], content_type="application/json")

    return act


def html(*, code: int = 200) -> Action:
    """A page for people instead of JSON, as a proxy or a captive portal gives."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.Response(
            status=code, text="<!DOCTYPE html><title>Just a moment...</title>", content_type="text/html"
        )

    return act


def redirect(location: str) -> Action:
    """302 to another place."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return act


def body(content: bytes) -> Action:
    """200 with exactly this body as JSON; nothing is done."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.Response(body=content, content_type="application/json")

    return act


def empty_list() -> Action:
    """200 with `{"data": []}`: as if there were no keys."""
    return body(b'{"data": []}')


def changed(change: Callable[[dict[str, object]], object]) -> Action:
    """The true answer, decoded, changed in place by `change`, and encoded again."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        content = msgspec.json.decode(_body(response), type=dict[str, object])
        change(content)
        return web.Response(status=response.status, body=msgspec.json.encode(content), content_type="application/json")

    return act


def drop_before() -> Action:
    """The connection ends before anything is done."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        return _dropped(request)

    return act


def drop_after() -> Action:
    """Everything is done, then the connection ends without an answer."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        await handler(request)
        return _dropped(request)

    return act


def after(status_code: int) -> Action:
    """Everything is done, but the answer is an error (a gateway that lost patience)."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        await handler(request)
        return await status(status_code, message="Bad Gateway")(request, handler)

    return act


def _body(response: web.StreamResponse) -> bytes:
    assert isinstance(response, web.Response)
    return bytes(response.body) if isinstance(response.body, bytes | bytearray) else b""


def _dropped(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
