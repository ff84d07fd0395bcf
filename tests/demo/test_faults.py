"""What a fake can be told to do to a request."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from monitor.demo import faults
from monitor.demo.faults import RETRY_AFTER_FORMS, Fault
from monitor.demo.server import FakeOpenRouter, accepted_without_effect
from monitor.demo.world import World


async def test_a_fault_shows_as_often_as_it_is_told_and_only_where_it_matches(
    client: httpx.AsyncClient, api: FakeOpenRouter
) -> None:
    api.faults.append(Fault(faults.status(502), path="/keys$", method="GET", times=2, skip=1))

    statuses = [(await client.get("/keys")).status_code for _ in range(5)]

    assert statuses == [200, 502, 502, 200, 200]
    assert (await client.get("/key")).status_code == 200


@pytest.mark.parametrize("form", RETRY_AFTER_FORMS, ids=str)
async def test_a_429_carries_any_form_of_retry_after(
    client: httpx.AsyncClient, api: FakeOpenRouter, form: str | None
) -> None:
    api.faults.append(Fault(faults.rate_limited(form)))

    answer = await client.get("/keys")

    assert answer.status_code == 429
    assert answer.headers.get("Retry-After") == form


@pytest.mark.parametrize("action", [faults.hang(), faults.slow_drip(interval_s=0.05)], ids=["hang", "slow drip"])
async def test_a_client_that_waits_for_ever_waits_for_ever(
    client: httpx.AsyncClient, api: FakeOpenRouter, action: faults.Action
) -> None:
    api.faults.append(Fault(action))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.get("/keys")

    assert (await client.get("/keys")).status_code == 200


async def test_an_endless_body_has_no_end(client: httpx.AsyncClient, api: FakeOpenRouter) -> None:
    api.faults.append(Fault(faults.endless()))
    n_bytes = 0

    async with client.stream("GET", "/keys") as answer:
        async for chunk in answer.aiter_raw():
            n_bytes += len(chunk)
            if n_bytes > 5_000_000:
                break

    assert n_bytes > 5_000_000


async def test_broken_answers(client: httpx.AsyncClient, api: FakeOpenRouter) -> None:
    api.faults += [
        Fault(faults.truncated_json()),
        Fault(faults.html()),
        Fault(faults.empty_list()),
        Fault(faults.redirect("https://elsewhere.example/")),
        Fault(faults.changed(lambda body: body.update(data=None))),
    ]

    torn, page, empty, moved, null = [await client.get("/keys") for _ in range(5)]

    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        torn.json()
    assert page.headers["Content-Type"].startswith("text/html")
    assert empty.json() == {"data": []}
    assert (moved.status_code, moved.headers["Location"]) == (302, "https://elsewhere.example/")
    assert null.json() == {"data": None}


@pytest.mark.parametrize(
    ("action", "is_done"),
    [(faults.drop_before(), False), (faults.drop_after(), True)],
    ids=["before the effect", "after the effect"],
)
async def test_a_dropped_connection_leaves_open_what_happened(
    client: httpx.AsyncClient, api: FakeOpenRouter, world: World, action: faults.Action, is_done: bool
) -> None:
    key = world.busy("service")[0]
    api.faults.append(Fault(action, method="PATCH"))

    with pytest.raises(httpx.TransportError):
        await client.patch(f"/keys/{key.key_hash}", json={"disabled": True})

    assert key.is_disabled is is_done


async def test_a_gateway_may_fail_after_the_effect(
    client: httpx.AsyncClient, api: FakeOpenRouter, world: World
) -> None:
    key = world.busy("service")[0]
    api.faults.append(Fault(faults.after(504), method="PATCH"))

    answer = await client.patch(f"/keys/{key.key_hash}", json={"disabled": True})

    assert (answer.status_code, key.is_disabled) == (504, True)


async def test_a_change_may_be_accepted_without_effect(
    client: httpx.AsyncClient, api: FakeOpenRouter, world: World
) -> None:
    key = world.busy("service")[0]
    api.faults.append(Fault(accepted_without_effect(world), method="PATCH"))

    answer = await client.patch(f"/keys/{key.key_hash}", json={"disabled": True, "limit": 1})

    assert answer.json()["data"]["disabled"] is True
    read_back = (await client.get(f"/keys/{key.key_hash}")).json()["data"]
    assert (read_back["disabled"], read_back["limit"]) == (False, None)


async def test_a_stopped_server_comes_back_on_its_port(client: httpx.AsyncClient, api: FakeOpenRouter) -> None:
    where = api.base_url
    await api.stop()
    with pytest.raises(httpx.TransportError):
        await client.get("/key")

    await api.start()

    assert api.base_url == where
    assert (await client.get("/key")).status_code == 200
