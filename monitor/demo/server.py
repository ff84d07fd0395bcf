"""A strict, stateful fake of OpenRouter's management API on loopback, over a `World`.

Stricter than the real one where its documentation is silent: unknown fields and parameters are refused, every documented
limit holds, `end` is inclusive or not by a coin, equal names are one in analytics.
"""

from __future__ import annotations

import hmac
import random
import re
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from monitor.demo import analytics, wire
from monitor.demo.activity import activity
from monitor.demo.counters import LIFETIME, PERIOD_OF_RESET
from monitor.demo.faults import Action, Fault, Handler, apply
from monitor.demo.fleet import Key
from monitor.demo.loopback import Entered, LoopbackServer
from monitor.demo.query import parse
from monitor.demo.record import RecordedRequest
from monitor.demo.wire import Refused
from monitor.demo.world import World
from monitor.domain import NUSD, Clock, Member

PAGE: Final = 100
ANALYTICS_PER_MINUTE: Final = 64
BASE_PATH: Final = "/api/v1"

_PATCHABLE: Final = {"disabled", "limit", "limit_reset", "name", "include_byok_in_limit"}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class FakeOpenRouter(Entered):
    """The API over `world`; time is `clock`'s. Controls, all usable while it runs:

    `faults` (shown to matching requests, first match wins), `between_pages` (each entry is called once, after the next
    full page of keys), `members`, `date_skew` (the `Date` header is this far ahead), `freeze_analytics`, `cache_s`."""

    def __init__(
        self,
        world: World,
        *,
        clock: Clock,
        management_key: str,
        host: str = "127.0.0.1",
        port: int = 0,
        coin_seed: int = 0,
        balance_usd: float = 5_000.0,
    ) -> None:
        self.world = world
        self.faults: list[Fault] = []
        self.between_pages: deque[Callable[[World], object]] = deque()
        self.date_skew = timedelta(0)
        self.cache_s = 0.0
        self.members: list[Member] = []
        self._clock = clock
        self._management_key = management_key
        self._coin = random.Random(coin_seed)
        self._frozen_at: datetime | None = None
        self._cache: dict[bytes, tuple[datetime, dict[str, Any]]] = {}
        self._analytics_calls: deque[float] = deque()
        spent_nusd = int(world.shown_counters(clock.now()).credits[LIFETIME].sum())
        self._total_credits_usd = round(spent_nusd / NUSD + balance_usd, 2)
        self._server = LoopbackServer(self._app(), host=host, port=port)

    # --- life

    @property
    def base_url(self) -> str:
        """What a client takes as `openrouter.base_url`."""
        return self._server.origin + BASE_PATH

    async def start(self) -> None:
        """Serves; after `stop` again on the same port."""
        await self._server.start()

    async def stop(self) -> None:
        """Ends all connections."""
        await self._server.stop()

    def freeze_analytics(self, at: datetime | None = None) -> None:
        """From now on analytics answers show the world as it was at `at` (default: now), and say so in `cachedAt`."""
        self._frozen_at = at or self._clock.now()

    def thaw_analytics(self) -> None:
        """Analytics answers are fresh again."""
        self._frozen_at = None

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._recorded], client_max_size=1 << 20)
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/workspaces", self._workspaces),
            ("GET", "/keys", self._keys),
            ("GET", "/keys/{hash}", self._one_key),
            ("PATCH", "/keys/{hash}", self._patch_key),
            ("DELETE", "/keys/{hash}", self._delete_key),
            ("GET", "/key", self._calling_key),
            ("GET", "/credits", self._credits),
            ("GET", "/organization/members", self._members),
            ("GET", "/activity", self._activity),
            ("GET", "/analytics/meta", self._meta),
            ("POST", "/analytics/query", self._query),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, BASE_PATH + path, handler)
            app.router.add_route(method, BASE_PATH + path + "/", handler)  # the guides write /keys/
        return app

    @web.middleware
    async def _recorded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Records, checks the token, shows faults, turns refusals into error answers, sets `Date`."""
        record = RecordedRequest(
            at=self._clock.now(),
            method=request.method,
            path=request.path.removeprefix(BASE_PATH),
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items() if name.lower() != "authorization"},
            body=await request.read(),
        )
        self.world.requests.append(record)
        response = await apply(self.faults, request, lambda req: self._answered(req, handler))
        record.status = response.status
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            record.answer = response.body
        if not response.prepared:
            response.headers["Date"] = format_datetime(self._clock.now() + self.date_skew, usegmt=True)
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._authorize(request)
            return await handler(request)
        except Refused as refusal:
            return wire.error(refusal.status, refusal.message, refusal.headers)
        except web.HTTPNotFound:
            return wire.error(404, "Not Found")
        except web.HTTPMethodNotAllowed:
            return wire.error(405, "Method Not Allowed")

    def _authorize(self, request: web.Request) -> None:
        """401 without a known token; an inference key gets 403 where the OpenAPI document lists it, else 401."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Refused(401, "Missing Authentication header")
        if hmac.compare_digest(token.encode(), self._management_key.encode()):
            return
        if self._owner_of(token) is None:
            raise Refused(401, "User not found.")
        path = request.path.removeprefix(BASE_PATH).rstrip("/")
        if path != "/key":
            lists_403 = path.startswith(("/analytics", "/activity", "/credits"))
            raise Refused(403 if lists_403 else 401, "Only management keys can perform this operation")

    def _owner_of(self, token: str) -> Key | None:
        """The key an inference token belongs to: tokens of the demo world are `sk-or-v1-<hash>`."""
        key = self.world.key(token.removeprefix("sk-or-v1-"))
        return key if key is not None and not key.is_disabled else None

    # --- keys

    async def _workspaces(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, {"offset", "limit"})
        offset = wire.whole(request.query, "offset", 0, low=0)
        limit = wire.whole(request.query, "limit", 50, low=1, high=100)
        every = self.world.fleet.workspaces
        created_at = min(key.created_at for key in self.world.fleet.keys)
        page = [wire.workspace_json(workspace, created_at) for workspace in every[offset : offset + limit]]
        return wire.ok({"data": page, "total_count": len(every)})

    async def _members(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, {"offset", "limit"})
        offset = wire.whole(request.query, "offset", 0, low=0)
        limit = wire.whole(request.query, "limit", 50, low=1, high=100)
        page = [wire.member_json(member) for member in self.members[offset : offset + limit]]
        return wire.ok({"data": page, "total_count": len(self.members)})

    async def _keys(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, {"include_disabled", "offset", "workspace_id"})
        include = request.query.get("include_disabled", "false")
        if include not in ("true", "false"):
            raise Refused(400, "include_disabled: Invalid input: expected boolean")
        offset = wire.whole(request.query, "offset", 0, low=0)
        workspace_id = request.query.get("workspace_id", self.world.fleet.workspaces[0].workspace_id)
        if not _UUID.fullmatch(workspace_id) or all(
            w.workspace_id != workspace_id for w in self.world.fleet.workspaces
        ):
            raise Refused(400, "workspace_id: Invalid UUID, or no workspace of this account")
        listed = [
            key
            for key in self.world.fleet.keys
            if key.workspace_id == workspace_id and not key.is_deleted and (include == "true" or not key.is_disabled)
        ]
        listed.sort(key=lambda key: (key.created_at, key.no), reverse=True)
        page = listed[offset : offset + PAGE]
        counters = self.world.shown_counters(self._clock.now())
        answer = wire.ok({"data": [wire.key_json(key, self.world, counters) for key in page]})
        if len(page) == PAGE and self.between_pages:
            self.between_pages.popleft()(self.world)
        return answer

    def _named(self, request: web.Request) -> Key:
        key = self.world.key(request.match_info["hash"])
        if key is None:
            raise Refused(404, "API key not found")
        return key

    def _whole_key(self, key: Key) -> web.Response:
        return wire.ok({"data": wire.key_json(key, self.world, self.world.shown_counters(self._clock.now()))})

    async def _one_key(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, set())
        return self._whole_key(self._named(request))

    async def _patch_key(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, set())
        key = self._named(request)
        body = await self._json(request)
        _check_patch(body)
        now = self._clock.now()
        self.world.advance(now)
        if "disabled" in body:
            self.world.set_disabled(key, is_disabled=body["disabled"], now=now)
        if "limit" in body:
            key.limit_nusd = None if body["limit"] is None else round(body["limit"] * NUSD)
        key.limit_reset = body.get("limit_reset", key.limit_reset)
        key.name = body.get("name", key.name)
        key.include_byok_in_limit = body.get("include_byok_in_limit", key.include_byok_in_limit)
        key.updated_at = now
        return self._whole_key(key)

    async def _delete_key(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, set())
        self.world.delete_key(self._named(request))
        return wire.ok({"deleted": True})

    async def _calling_key(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, set())
        counters = self.world.shown_counters(self._clock.now())
        owner = self._owner_of(request.headers["Authorization"].partition(" ")[2])
        of_owner = wire.key_json(owner, self.world, counters) if owner is not None else _MANAGEMENT_KEY
        shown = {name: value for name, value in of_owner.items() if name in _MANAGEMENT_KEY}
        rate_limit = {"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."}
        extra = {"is_free_tier": False, "is_management_key": owner is None, "is_provisioning_key": owner is None}
        return wire.ok({"data": {**shown, **extra, "rate_limit": rate_limit}})

    async def _credits(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, set())
        counters = self.world.shown_counters(self._clock.now())
        spent_usd = int(counters.credits[LIFETIME].sum()) / NUSD
        return wire.ok({"data": {"total_credits": self._total_credits_usd, "total_usage": spent_usd}})

    # --- usage

    async def _activity(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, {"date", "api_key_hash", "user_id", "group_by", "workspace_id"})
        return wire.ok({"data": activity(self.world, dict(request.query), now=self._clock.now(), coin=self._coin)})

    async def _meta(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, set())
        self._spend_analytics_call()
        return wire.ok(analytics.meta())

    async def _query(self, request: web.Request) -> web.Response:
        wire.only_parameters(request.query, set())
        self._spend_analytics_call()
        body = await self._json(request)
        now = self._clock.now()
        shown_at = self._frozen_at or now
        content = await request.read()
        cached = self._cache.get(content)
        if cached is not None and (now - cached[0]).total_seconds() < self.cache_s:
            return wire.ok({"data": {**cached[1], "cachedAt": int(cached[0].timestamp() * 1000)}})
        data = analytics.answer(self.world, parse(body, now=now), now=shown_at, coin=self._coin)
        if self.cache_s:
            self._cache = {
                key: entry for key, entry in self._cache.items() if (now - entry[0]).total_seconds() < self.cache_s
            }
            self._cache[content] = (now, data)
        if self._frozen_at is not None:
            data["cachedAt"] = int(shown_at.timestamp() * 1000)
        return wire.ok({"data": data})

    def _spend_analytics_call(self) -> None:
        """64 requests in any 60 seconds; a refused one does not count."""
        at = self._clock.monotonic()
        calls = self._analytics_calls
        while calls and calls[0] <= at - 60:
            calls.popleft()
        if len(calls) < ANALYTICS_PER_MINUTE:
            calls.append(at)
            return
        wait_s = max(1, int(calls[0] + 60 - at) + 1)
        reset_ms = int((self._clock.now().timestamp() + wait_s) * 1000)
        headers = {
            "Retry-After": str(wait_s),
            "X-RateLimit-Limit": str(ANALYTICS_PER_MINUTE),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(reset_ms),
        }
        raise Refused(429, "Rate limit exceeded: 64 requests per minute", headers)

    async def _json(self, request: web.Request) -> Any:
        if request.content_type != "application/json":
            raise Refused(400, "Content-Type must be application/json")
        try:
            return msgspec.json.decode(await request.read())
        except msgspec.DecodeError as problem:
            raise Refused(400, "Malformed JSON") from problem


_MANAGEMENT_KEY: Final[dict[str, Any]] = {
    "label": "sk-or-v1-mgm...key",
    "limit": None,
    "limit_remaining": None,
    "limit_reset": None,
    "include_byok_in_limit": False,
    **{
        f"{family}{window}": 0 for family in ("usage", "byok_usage") for window in ("", "_daily", "_weekly", "_monthly")
    },
    "creator_user_id": None,
    "expires_at": None,
}


def _check_patch(body: Any) -> None:
    if not isinstance(body, dict) or not body:
        raise Refused(400, "Expected object with at least one field")
    unknown = sorted(set(body) - _PATCHABLE)
    if unknown:
        raise Refused(400, f"Unrecognized key(s) in object: {', '.join(map(repr, unknown))}")
    for name in ("disabled", "include_byok_in_limit"):
        if name in body and not isinstance(body[name], bool):
            raise Refused(400, f"{name}: Invalid input: expected boolean")
    limit = body.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0):
        raise Refused(400, "limit: Invalid input: expected number >=0")
    if body.get("limit_reset") not in PERIOD_OF_RESET:
        raise Refused(400, "limit_reset: Invalid option: expected one of daily|weekly|monthly")
    if "name" in body and (not isinstance(body["name"], str) or not body["name"].strip()):
        raise Refused(400, "name: Invalid input: expected non-empty string")


def accepted_without_effect(world: World) -> Action:
    """For PATCH: the answer shows the change, but the key stays as it was."""

    async def act(request: web.Request, handler: Handler) -> web.StreamResponse:
        key = world.key(request.path.rstrip("/").rsplit("/", 1)[-1])
        if key is None:
            return await handler(request)
        before = (key.is_disabled, key.limit_nusd, key.limit_reset, key.name, key.include_byok_in_limit, key.updated_at)
        response = await handler(request)
        world.set_disabled(key, is_disabled=before[0], now=world.founded_at)
        _, key.limit_nusd, key.limit_reset, key.name, key.include_byok_in_limit, key.updated_at = before
        return response

    return act
