"""The fake's keys, workspaces and account endpoints: as strict as the documentation, or stricter."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from monitor.demo.clock import ManualClock
from monitor.demo.server import FakeOpenRouter
from monitor.demo.world import World

NOW = datetime(2026, 11, 23, 19, 20, 30, tzinfo=UTC)  # as in conftest
MANAGEMENT_KEY = "sk-or-v1-management-of-the-demo"


async def pages(client: httpx.AsyncClient, **params: str) -> list[dict]:
    found: list[dict] = []
    while True:
        page = (await client.get("/keys", params={**params, "offset": len(found)})).json()["data"]
        found += page
        if len(page) < 100:
            return found


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param({}, "Missing Authentication header", id="no header"),
        pytest.param({"Authorization": "Basic abc"}, "Missing Authentication header", id="no bearer"),
        pytest.param({"Authorization": "Bearer sk-or-v1-nobody"}, "User not found.", id="unknown token"),
    ],
)
async def test_nobody_without_a_known_key_gets_in(api: FakeOpenRouter, headers: dict, message: str) -> None:
    async with httpx.AsyncClient(base_url=api.base_url, headers=headers) as stranger:
        answer = await stranger.get("/keys")

    assert answer.status_code == 401
    assert answer.json() == {"error": {"code": 401, "message": message}}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/key", 200),
        ("/keys", 401),
        ("/workspaces", 401),
        ("/credits", 403),
        ("/activity", 403),
        ("/analytics/meta", 403),
    ],
)
async def test_an_inference_key_may_only_look_at_itself(
    api: FakeOpenRouter, world: World, path: str, status: int
) -> None:
    key = world.busy("service")[0]
    headers = {"Authorization": f"Bearer sk-or-v1-{key.key_hash}"}
    async with httpx.AsyncClient(base_url=api.base_url, headers=headers) as program:
        answer = await program.get(path)

    assert answer.status_code == status
    assert status != 200 or answer.json()["data"]["is_management_key"] is False


async def test_the_management_key_says_that_it_is_one(client: httpx.AsyncClient) -> None:
    assert (await client.get("/key")).json()["data"]["is_management_key"] is True


async def test_without_a_workspace_only_the_default_one_is_listed(client: httpx.AsyncClient, world: World) -> None:
    default, other = world.fleet.workspaces

    listed = await pages(client, include_disabled="true")
    elsewhere = await pages(client, include_disabled="true", workspace_id=other.workspace_id)

    assert {key["workspace_id"] for key in listed} == {default.workspace_id}
    assert {key["hash"] for key in listed + elsewhere} == {key.key_hash for key in world.fleet.keys}


async def test_disabled_keys_are_left_out_unless_asked_for(client: httpx.AsyncClient, world: World) -> None:
    world.set_disabled(world.fleet.keys[5], is_disabled=True, now=NOW)
    workspace = world.fleet.keys[5].workspace_id

    shown = await pages(client, workspace_id=workspace)
    every = await pages(client, workspace_id=workspace, include_disabled="true")

    assert not any(key["disabled"] for key in shown)
    assert world.fleet.keys[5].key_hash in {key["hash"] for key in every}


async def test_keys_come_newest_first_a_hundred_a_page(clock: ManualClock) -> None:
    world = World.build(n_keys=230, n_workspaces=1, founded_at=NOW, history_days=1)
    async with (
        FakeOpenRouter(world, clock=clock, management_key="m") as api,
        httpx.AsyncClient(base_url=api.base_url, headers={"Authorization": "Bearer m"}) as client,
    ):
        sizes = [len((await client.get("/keys/", params={"offset": n, "include_disabled": True})).json()["data"])
                 for n in (0, 100, 200, 300)]  # fmt: skip
        listed = await pages(client, include_disabled="true")

    assert sizes == [100, 100, 30, 0]
    created = {key.key_hash: key.created_at for key in world.fleet.keys}
    assert [key["hash"] for key in listed] == sorted(created, key=lambda one: created[one], reverse=True)


async def test_a_key_created_between_two_pages_shifts_the_second(clock: ManualClock) -> None:
    world = World.build(n_keys=150, n_workspaces=1, founded_at=NOW, history_days=1)
    async with (
        FakeOpenRouter(world, clock=clock, management_key="m") as api,
        httpx.AsyncClient(base_url=api.base_url, headers={"Authorization": "Bearer m"}) as client,
    ):
        api.between_pages.append(lambda w: w.create_key("just now", now=NOW))
        listed = await pages(client, include_disabled="true")

    hashes = [key["hash"] for key in listed]
    assert len(hashes) == len(set(hashes)) + 1
    assert world.fleet.keys[-1].key_hash not in hashes


async def test_a_key_deleted_between_two_pages_hides_another(clock: ManualClock) -> None:
    world = World.build(n_keys=150, n_workspaces=1, founded_at=NOW, history_days=1)
    newest = max(world.fleet.keys, key=lambda key: key.created_at)
    async with (
        FakeOpenRouter(world, clock=clock, management_key="m") as api,
        httpx.AsyncClient(base_url=api.base_url, headers={"Authorization": "Bearer m"}) as client,
    ):
        api.between_pages.append(lambda w: w.delete_key(newest))
        listed = {key["hash"] for key in await pages(client, include_disabled="true")}
        gone = await client.get(f"/keys/{newest.key_hash}")
        missed = {key.key_hash for key in world.fleet.keys} - listed
        there = [(await client.get(f"/keys/{key_hash}")).status_code for key_hash in missed]

    assert gone.status_code == 404
    assert there == [200]


@pytest.mark.parametrize(
    "params",
    [{"limit": "5"}, {"offset": "-1"}, {"offset": "ten"}, {"include_disabled": "yes"}, {"workspace_id": "default"}],
    ids=str,
)
async def test_parameters_it_does_not_know_are_refused(client: httpx.AsyncClient, params: dict) -> None:
    assert (await client.get("/keys", params=params)).status_code == 400


async def test_a_patch_changes_what_it_names_and_returns_the_whole_key(
    client: httpx.AsyncClient, world: World, clock: ManualClock
) -> None:
    key = world.fleet.keys[7]
    before = (await client.get(f"/keys/{key.key_hash}")).json()["data"]
    clock.advance(60)

    after = (await client.patch(f"/keys/{key.key_hash}", json={"disabled": True, "limit": 12.5})).json()["data"]

    assert (after["disabled"], after["limit"]) == (True, 12.5)
    assert after["updated_at"] != before["updated_at"]
    untouched = {"hash", "name", "label", "limit_reset", "include_byok_in_limit", "created_at", "workspace_id"}
    assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
    assert after == (await client.get(f"/keys/{key.key_hash}")).json()["data"]


@pytest.mark.parametrize(
    "body",
    [
        {"disabled": "yes"},
        {"disabled": 1},
        {"disabled": None},
        {"limit": -1},
        {"limit": "10"},
        {"limit": True},
        {"limit_reset": "yearly"},
        {"name": ""},
        {"is_disabled": True},
        {"disabled": True, "reason": "stolen"},
        {},
        [],
    ],
    ids=str,
)
async def test_a_patch_that_does_not_fit_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, world: World, body: object
) -> None:
    key = world.fleet.keys[7]
    before = (await client.get(f"/keys/{key.key_hash}")).json()

    answer = await client.patch(f"/keys/{key.key_hash}", json=body)

    assert answer.status_code == 400
    assert (await client.get(f"/keys/{key.key_hash}")).json() == before


async def test_what_the_program_must_never_do_does_not_exist(client: httpx.AsyncClient, world: World) -> None:
    key = world.fleet.keys[7]

    assert (await client.post("/keys", json={"name": "mine"})).status_code == 405
    assert (await client.put(f"/keys/{key.key_hash}", json={})).status_code == 405
    assert (await client.get("/models")).status_code == 404


async def test_both_forms_of_time_stamps_occur(client: httpx.AsyncClient) -> None:
    created = [key["created_at"] for key in await pages(client, include_disabled="true")]

    assert any(re.fullmatch(r"[\d-]+T[\d:]+Z", text) for text in created)
    assert any(re.fullmatch(r"[\d-]+T[\d:]+\.\d{6}\+00:00", text) for text in created)


async def test_counters_follow_the_clock_of_the_world(
    client: httpx.AsyncClient, world: World, clock: ManualClock
) -> None:
    key = world.busy("service")[0]
    before = (await client.get(f"/keys/{key.key_hash}")).json()["data"]
    clock.advance(3600)

    after = (await client.get(f"/keys/{key.key_hash}")).json()["data"]

    assert after["usage"] > before["usage"]
    assert after["usage_daily"] - before["usage_daily"] == pytest.approx(after["usage"] - before["usage"])


async def test_credits_are_the_sum_of_the_keys(client: httpx.AsyncClient, world: World) -> None:
    shown = (await client.get("/credits")).json()["data"]

    assert shown["total_usage"] == pytest.approx(world.shown_counters(NOW).credits[0].sum() / 1e9)
    assert shown["total_credits"] > shown["total_usage"]


async def test_the_date_header_is_the_clock_s_and_can_be_skewed(client: httpx.AsyncClient, api: FakeOpenRouter) -> None:
    assert (await client.get("/key")).headers["Date"] == "Mon, 23 Nov 2026 19:20:30 GMT"
    api.date_skew = timedelta(minutes=10)

    assert (await client.get("/key")).headers["Date"] == "Mon, 23 Nov 2026 19:30:30 GMT"


async def test_requests_are_recorded_without_the_token(client: httpx.AsyncClient, world: World) -> None:
    await client.patch(f"/keys/{world.fleet.keys[7].key_hash}", json={"disabled": True})

    record = world.requests[-1]

    assert (record.method, record.path, record.body, record.status) == (
        "PATCH",
        f"/keys/{world.fleet.keys[7].key_hash}",
        b'{"disabled":true}',
        200,
    )
    assert MANAGEMENT_KEY not in str(world.requests)


async def test_activity_is_thirty_completed_days_and_adds_up(client: httpx.AsyncClient, world: World) -> None:
    rows = (await client.get("/activity")).json()["data"]
    yesterday = (NOW - timedelta(days=1)).timestamp() // 86_400 * 86_400

    days = {row["date"][:10] for row in rows}
    usage = world.usage(yesterday, yesterday + 86_400, in_minutes=False, now=NOW)

    assert max(days) == "2026-11-22"
    of_yesterday = [row for row in rows if row["date"].startswith("2026-11-22")]
    assert sum(row["requests"] for row in of_yesterday) == usage["n"].sum()
    spent = sum(row["usage"] + row["byok_usage_inference"] for row in of_yesterday)
    is_byok = [key.is_byok for key in world.fleet.keys]
    fees = sum(cost // 20 for no, cost in zip(usage["key"], usage["cost"], strict=True) if is_byok[no])
    assert spent == pytest.approx((usage["cost"].sum() + fees) / 1e9)


async def test_activity_filters_by_key_day_and_workspace(client: httpx.AsyncClient, world: World) -> None:
    key = world.busy("service")[0]
    filtered = {"api_key_hash": key.key_hash, "date": "2026-11-21", "group_by": "workspace"}

    rows = (await client.get("/activity", params=filtered)).json()["data"]

    assert {row["date"][:10] for row in rows} == {"2026-11-21"}
    assert {row["workspace_id"] for row in rows} == {key.workspace_id}
    assert (await client.get("/activity", params={"date": "2026-11-23"})).status_code == 400
    assert (await client.get("/activity", params={"api_key_hash": "0" * 64})).status_code == 404


def test_the_demo_world_listens_on_this_machine_only(world: World, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="this machine only"):
        FakeOpenRouter(world, clock=clock, management_key="m", host="0.0.0.0")
