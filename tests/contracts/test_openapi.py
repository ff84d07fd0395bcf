"""What we send and what our fake answers is what the published OpenAPI document says."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import openapi_file
import pytest
from pydantic import SecretStr

from monitor.collect.account import OpenRouterSource
from monitor.config import Settings
from monitor.demo import faults
from monitor.demo.clock import ManualClock
from monitor.demo.faults import Fault
from monitor.demo.server import FakeOpenRouter
from monitor.demo.world import World
from monitor.domain import KeySettings
from monitor.errors import NotFound, Unauthorized
from monitor.frames import Catalog
from monitor.openrouter.analytics import AnalyticsApi
from monitor.openrouter.calls import DELETION
from monitor.openrouter.control import OpenRouterControl, OpenRouterDeletion
from monitor.openrouter.keys_api import KeysApi
from monitor.openrouter.transport import Transport

pytestmark = openapi_file.needs_document()

NOW = datetime(2026, 11, 23, 19, 20, 30, tzinfo=UTC)
KEY = "sk-or-v1-management-of-the-demo"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def world() -> World:
    return World.build(seed=3, n_keys=160, founded_at=NOW, history_days=3)


@pytest.fixture
async def api(world: World, clock: ManualClock) -> AsyncIterator[FakeOpenRouter]:
    async with FakeOpenRouter(world, clock=clock, management_key=KEY) as server:
        yield server


@pytest.fixture
async def transport(api: FakeOpenRouter, clock: ManualClock) -> AsyncIterator[Transport]:
    settings = Settings(openrouter={"base_url": api.base_url})
    opened = Transport(None, settings.openrouter, SecretStr(KEY), clock, random.Random(1))
    yield opened
    await opened.close()


def problems_of(world: World) -> list[str]:
    """Of all requests so far and their answers."""
    return [
        f"{each.method} {each.path} {each.status}: {problem}"
        for each in world.requests
        for problem in (
            *openapi_file.request_problems(each.method, each.path, each.query, each.body),
            *openapi_file.answer_problems(each.method, each.path, each.status, each.answer),
        )
    ]


async def test_everything_the_source_asks_is_in_the_document(
    transport: Transport, world: World, clock: ManualClock
) -> None:
    source = OpenRouterSource(transport, Catalog(), Settings(), clock)
    one, _ = world.twins()

    inventory = await source.inventory(("0" * 64,))
    await source.recent(NOW - timedelta(minutes=30), NOW)
    await source.hourly(NOW - timedelta(days=1), NOW - timedelta(hours=2))
    await source.history(NOW - timedelta(days=2), NOW - timedelta(days=1))
    await source.drilldown((one.key_hash,), NOW - timedelta(hours=1), NOW)
    await source.check()

    assert len(inventory.keys) == 160
    asked = {(each.method, each.path.split("/")[1]) for each in world.requests}
    assert asked >= {
        ("GET", "workspaces"),
        ("GET", "keys"),
        ("GET", "key"),
        ("GET", "analytics"),
        ("POST", "analytics"),
    }
    assert problems_of(world) == []


async def test_every_other_call_is_in_the_document(transport: Transport, world: World) -> None:
    key = world.busy("service")[0]
    control, keys_api = OpenRouterControl(transport), KeysApi(transport)

    await keys_api.own_key()
    await keys_api.credits()
    await AnalyticsApi(transport).activity(key.key_hash)
    await control.set_disabled(key.key_hash, is_disabled=True)
    await control.put_settings(
        key.key_hash, KeySettings(is_disabled=False, limit_usd=12.5, limit_reset="weekly", include_byok_in_limit=True)
    )
    await control.put_settings(
        key.key_hash, KeySettings(is_disabled=False, limit_usd=None, limit_reset=None, include_byok_in_limit=False)
    )

    assert [each.method for each in world.requests].count("PATCH") == 3
    assert problems_of(world) == []


@pytest.mark.parametrize("limit_reset", ["daily", "weekly", "monthly", None])
@pytest.mark.parametrize("limit_usd", [0.0, 0.01, 12.34, 1e6])
async def test_a_cap_and_a_limit_of_nothing_are_requests_of_the_document(
    transport: Transport, world: World, limit_usd: float, limit_reset: str | None
) -> None:
    key = world.busy("service")[0]
    settings = KeySettings(
        is_disabled=False, limit_usd=limit_usd, limit_reset=limit_reset, include_byok_in_limit=limit_usd > 1
    )

    await OpenRouterControl(transport).put_limit(key.key_hash, settings)

    (sent,) = world.requests
    assert (sent.method, sent.path) == ("PATCH", f"/keys/{key.key_hash}")
    assert json.loads(sent.body).keys() == {"limit", "limit_reset", "include_byok_in_limit"}, "disabled is not sent"
    assert problems_of(world) == []


async def test_lifting_a_limit_is_a_request_of_the_document(transport: Transport, world: World) -> None:
    key = world.busy("service")[0]
    settings = KeySettings(is_disabled=True, limit_usd=None, limit_reset=None, include_byok_in_limit=False)

    await OpenRouterControl(transport).put_limit(key.key_hash, settings)

    assert json.loads(world.requests[0].body)["limit"] is None
    assert problems_of(world) == []


async def test_deleting_a_key_is_a_request_of_the_document_without_query_or_body(
    api: FakeOpenRouter, world: World, clock: ManualClock
) -> None:
    key = world.busy("service")[0]
    settings = Settings(openrouter={"base_url": api.base_url})
    deleting = Transport(None, settings.openrouter, SecretStr(KEY), clock, random.Random(1), allowed=DELETION)

    await OpenRouterDeletion(deleting).delete(key.key_hash)
    with pytest.raises(NotFound):
        await OpenRouterDeletion(deleting).delete(key.key_hash)
    await deleting.close()

    assert [(each.method, each.path, each.status) for each in world.requests] == [
        ("DELETE", f"/keys/{key.key_hash}", 200),
        ("DELETE", f"/keys/{key.key_hash}", 404),
    ]
    assert all(not each.query and not each.body for each in world.requests)
    assert problems_of(world) == []


@pytest.mark.parametrize(
    "body", [{"limit": "12"}, {"limit_reset": "hourly"}, {"disabled": None}, {"cap": 3}], ids=lambda body: str(body)
)
def test_a_change_the_document_does_not_know_would_be_found_out(body: dict[str, object]) -> None:
    assert openapi_file.request_problems("PATCH", f"/keys/{'0' * 64}", {}, json.dumps(body).encode()) != []
    assert openapi_file.request_problems("DELETE", f"/keys/{'0' * 64}", {"force": "1"}, b"") != []


async def test_refusals_are_answers_of_the_document(
    transport: Transport, api: FakeOpenRouter, world: World, clock: ManualClock
) -> None:
    key_hash = world.fleet.keys[0].key_hash
    headers = {"Authorization": f"Bearer {KEY}"}
    with pytest.raises(NotFound):
        await KeysApi(transport).key("0" * 64)
    settings = Settings(openrouter={"base_url": api.base_url})
    stranger = Transport(None, settings.openrouter, SecretStr("sk-or-v1-nobody"), clock, random.Random(1))
    with pytest.raises(Unauthorized):
        await KeysApi(stranger).own_key()
    await stranger.close()
    async with httpx.AsyncClient(base_url=api.base_url, headers=headers) as http:
        await http.patch(f"/keys/{key_hash}", json={"disabled": "yes"})
        await http.post("/analytics/query", json={"metrics": []})
        api.faults += [Fault(faults.status(500)), Fault(faults.rate_limited("2"))]
        await http.get("/keys")
        await http.get("/keys")
        inference = {"Authorization": f"Bearer sk-or-v1-{world.busy('service')[0].key_hash}"}
        await http.get("/credits", headers=inference)

    assert sorted(each.status for each in world.requests) == [400, 400, 401, 403, 404, 429, 500]
    for each in world.requests:
        assert openapi_file.answer_problems(each.method, each.path, each.status, each.answer) == []


WRONG_REQUESTS = {
    "three dimensions": ("POST", "/analytics/query", {}, b'{"metrics": ["x"], "dimensions": ["a", "b", "c"]}'),
    "no metrics": ("POST", "/analytics/query", {}, b'{"dimensions": ["model"]}'),
    "unknown field": ("POST", "/analytics/query", {}, b'{"metrics": ["x"], "dimension": ["a"]}'),
    "a time without zone": (
        "POST",
        "/analytics/query",
        {},
        b'{"metrics": ["x"], "time_range": {"start": "2026-11-23T10:00:00", "end": "2026-11-23T11:00:00Z"}}',
    ),
    "disabled as text": ("PATCH", "/keys/abc", {}, b'{"disabled": "yes"}'),
    "unknown parameter": ("GET", "/keys", {"page": "2"}, b""),
    "negative offset": ("GET", "/keys", {"offset": "-1"}, b""),
    "workspace that is no UUID": ("GET", "/keys", {"workspace_id": "default"}, b""),
    "unknown operation": ("GET", "/keys/abc/secrets", {}, b""),
}


@pytest.mark.parametrize("request_", WRONG_REQUESTS.values(), ids=WRONG_REQUESTS.keys())
def test_the_judge_sees_what_is_wrong_with_a_request(request_: tuple) -> None:
    assert openapi_file.request_problems(*request_)


@pytest.mark.parametrize(
    "body",
    [b'{"data": [{"hash": "x"}]}', b'{"keys": []}', b'{"data": [], "total": 1}', b"[]"],
    ids=["fields missing", "another name", "a field too many", "no object"],
)
def test_the_judge_sees_what_is_wrong_with_an_answer(body: bytes) -> None:
    assert openapi_file.answer_problems("GET", "/keys", 200, body)
    assert openapi_file.answer_problems("GET", "/keys", 200, b'{"data": []}') == []
