"""Small apps behind `httpx.MockTransport`, a transport in front of them, and rows as the management API sends them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
from build import NOW, a_hash
from fake_keys import FakeClock
from pydantic import SecretStr

from monitor.config import OpenRouter
from monitor.openrouter.calls import ALLOWED
from monitor.openrouter.transport import Transport

SECRET = "sk-or-v1-" + "planted" * 4
BASE_URL = "http://127.0.0.1:9/api/v1"

App = Callable[[httpx.Request], httpx.Response]


def a_row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A key as `GET /keys` lists it."""
    return {
        "hash": a_hash(number),
        "name": "search-prod",
        "label": "sk-or-v1-abc...xyz",
        "disabled": False,
        "limit": None,
        "limit_remaining": None,
        "limit_reset": None,
        "include_byok_in_limit": False,
        "usage": 25.5,
        "usage_daily": 1.5,
        "usage_weekly": 3.5,
        "usage_monthly": 9.5,
        "byok_usage": 0.5,
        "byok_usage_daily": 0.25,
        "byok_usage_weekly": 0.25,
        "byok_usage_monthly": 0.25,
        "created_at": "2025-08-24T10:30:00Z",
        "updated_at": "2025-02-19T20:52:27.363244+00:00",
        "expires_at": None,
        "creator_user_id": "user-1",
        "workspace_id": "ws-1",
    } | changes


def an_error(status: int, message: str = "no", *, headers: dict[str, str] | None = None) -> httpx.Response:
    """An error as documented."""
    return httpx.Response(status, json={"error": {"code": status, "message": message}}, headers=headers)


def ok(data: Any = None, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": [] if data is None else data} | more)


class Script:
    """Answers requests in turn, the last answer for ever; an exception is raised. Keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception | App) -> None:
        self.answers: Sequence[httpx.Response | Exception | App] = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)


def a_transport(app: App, *, clock: FakeClock | None = None, secret: str = SECRET, **settings: Any) -> Transport:
    """A transport in front of an app; time passes only in its own sleeps."""
    allowed = settings.pop("allowed", ALLOWED)
    return Transport(
        httpx.MockTransport(app),
        OpenRouter(base_url=BASE_URL, request_timeout=settings.pop("timeout", timedelta(seconds=5)), **settings),
        SecretStr(secret),
        clock or FakeClock(NOW),
        random.Random(7),
        allowed=allowed,
    )
