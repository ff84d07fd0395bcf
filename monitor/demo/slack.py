"""A strict fake of Slack's Web API on loopback: what `chat.postMessage` and its neighbors check, and what they keep.

Answers are 200 with `"ok": false` and Slack's own error words; only rate limits are 429. Sources: docs.slack.dev/reference.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from monitor.demo.conversations import SCOPES, Conversations
from monitor.demo.faults import Fault, apply
from monitor.demo.loopback import Entered, LoopbackServer
from monitor.demo.record import RecordedRequest
from monitor.demo.slack_files import Files
from monitor.demo.slack_socket import Socket
from monitor.demo.slack_values import Channel, SlackError, SlackMessage
from monitor.domain import Clock


class FakeSlack(Entered):
    """Slack's Web API at `base_url`. Controls, usable while it runs: `faults`, `is_token_valid`,
    `conversations` with its `channels`, `scopes` and `groups`, `files`, and `socket` with its buttons."""

    def __init__(
        self,
        *,
        clock: Clock,
        token: str,
        app_token: str = "",
        channels: tuple[Channel, ...] = (Channel("alerts"),),
        members: Mapping[str, str] | None = None,
        scopes: tuple[str, ...] = SCOPES,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`members`: user id by e-mail address. `app_token`: opens Socket Mode; empty: nobody can."""
        self.faults: list[Fault] = []
        self.requests: list[RecordedRequest] = []
        self.is_token_valid = True
        self.conversations = Conversations(clock=clock, channels=channels, members=members or {}, scopes=scopes)
        self.files = Files(self.conversations, origin=lambda: self._server.origin)
        self.socket = Socket(self.conversations, clock, app_token=app_token, origin=lambda: self._server.origin)
        self._methods = {**self.conversations.methods, **self.files.methods}
        self._clock = clock
        self._token = token
        self._server = LoopbackServer(self._app(), host=host, port=port)

    # --- life

    @property
    def base_url(self) -> str:
        """What a client takes as `slack.base_url`."""
        return f"{self._server.origin}/api/"

    async def start(self) -> None:
        """Serves; after `stop` again on the same port, with all messages kept."""
        await self._server.start()

    async def stop(self) -> None:
        """Ends all connections."""
        await self._server.stop()

    def messages(self, channel: str | None = None) -> tuple[SlackMessage, ...]:
        """Messages delivered so far, oldest first; of one channel (id or name) or of all."""
        return self.conversations.messages(channel)

    # --- answering

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_route("*", "/api/{method}", self._handle)
        app.router.add_post("/upload/{file_id}", self._handle_upload)
        app.router.add_post("/commands/{number}", self._handle_reply)
        app.router.add_get("/link", self.socket.serve)
        return app

    async def _handle_upload(self, request: web.Request) -> web.StreamResponse:
        """The address a file is uploaded to: knows no token, and refuses to be handed one."""

        async def taken(request: web.Request) -> web.Response:
            is_ours = "Authorization" not in request.headers
            is_ours = is_ours and self.files.receive(request.match_info["file_id"], await request.read())
            return web.Response(text="OK" if is_ours else "refused", status=200 if is_ours else 400)

        return await apply(self.faults, request, taken)

    async def _handle_reply(self, request: web.Request) -> web.StreamResponse:
        """The response_url of a command: knows no token, and refuses to be handed one."""

        async def taken(request: web.Request) -> web.Response:
            try:
                body = msgspec.json.decode(await request.read())
            except msgspec.DecodeError:
                return web.Response(text="invalid_payload", status=400)
            problem = "invalid_token" if "Authorization" in request.headers else ""
            problem = problem or self.socket.take_reply(request.match_info["number"], body)
            return web.Response(text=problem or "ok", status=400 if problem else 200)

        return await apply(self.faults, request, taken)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items() if name.lower() != "authorization"}
        record = RecordedRequest(
            self._clock.now(),
            request.method,
            request.path.removeprefix("/api"),
            dict(request.query),
            headers,
            await request.read(),
        )
        self.requests.append(record)
        response = await apply(self.faults, request, self._answered)
        record.status = response.status
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            record.answer = response.body
        return response

    async def _answered(self, request: web.Request) -> web.Response:
        try:
            arguments = await self._arguments(request)
            if request.match_info["method"] == "apps.connections.open":
                return self._json({"ok": True, **self.socket.open(_bearer(request))})
            self._authorize(request, arguments)
            known = self._methods.get(request.match_info["method"])
            if known is None:
                raise SlackError("unknown_method", req_method=request.match_info["method"])
            scope, method, allowed = known
            if scope is not None:
                self.conversations.needs(scope)
            unknown = sorted(set(arguments) - allowed)
            if unknown:
                raise SlackError("invalid_arguments", response_metadata={"messages": [f"[ERROR] unknown: {unknown}"]})
            return self._json({"ok": True, **method(arguments)})
        except SlackError as error:
            return self._json(
                {"ok": False, "error": error.error, **error.more}, status=error.status, headers=error.headers
            )

    def _json(
        self, body: dict[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        scopes = {"x-oauth-scopes": ",".join(self.conversations.scopes), **(headers or {})}
        return web.Response(
            body=msgspec.json.encode(body), status=status, content_type="application/json", headers=scopes
        )

    async def _arguments(self, request: web.Request) -> dict[str, Any]:
        """From query, form or JSON; in a form, structured arguments are JSON texts."""
        arguments: dict[str, Any] = dict(request.query)
        if request.content_type == "application/json":
            try:
                body = msgspec.json.decode(await request.read() or b"{}")
            except msgspec.DecodeError as problem:
                raise SlackError("invalid_json") from problem
            if not isinstance(body, dict):
                raise SlackError("json_not_object")
            return arguments | body
        arguments |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        for name in ("blocks", "metadata", "files", "view"):
            if isinstance(arguments.get(name), str):
                try:
                    arguments[name] = msgspec.json.decode(arguments[name].encode())
                except msgspec.DecodeError as problem:
                    raise SlackError(
                        "invalid_blocks_format" if name == "blocks" else "invalid_metadata_format"
                    ) from problem
        return arguments

    def _authorize(self, request: web.Request, arguments: dict[str, Any]) -> None:
        token = _bearer(request) or str(arguments.pop("token", ""))
        arguments.pop("token", None)
        if not token:
            raise SlackError("not_authed")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise SlackError("invalid_auth")
        if not self.is_token_valid:
            raise SlackError("token_revoked")


def _bearer(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")
