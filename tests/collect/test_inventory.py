from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import httpx
import pytest
from build import NOW, a_hash, a_key
from fake_http import a_row, a_transport, an_error, ok
from fake_listing import FakeListing, random_churn

from monitor.collect.inventory import MAX_CONFIRMS, MAX_CONFIRMS_SUSPECT, take_inventory
from monitor.domain import Workspace
from monitor.errors import NotFound, RateLimited, Unauthorized, Unavailable
from monitor.openrouter.keys_api import KeysApi


def hashes(first: int, last: int) -> list[str]:
    return [a_hash(number) for number in range(first, last + 1)]


def listed(inventory) -> set[int]:
    return {int(key.key_hash, 16) for key in inventory.keys}


async def test_keys_of_every_workspace_are_in_the_inventory():
    api = FakeListing({"w1": [3, 2, 1], "w2": list(range(400, 100, -1)), "w3": []})

    inventory = await take_inventory(api, [], NOW)

    assert listed(inventory) == {1, 2, 3, *range(101, 401)}
    assert inventory.workspaces == (Workspace("w1", "W1"), Workspace("w2", "W2"), Workspace("w3", "W3"))
    assert (inventory.taken_at, inventory.is_complete, inventory.warnings, inventory.vanished) == (NOW, True, (), ())


async def test_an_account_without_workspaces_is_read_as_its_default_one():
    assert listed(await take_inventory(FakeListing({None: [2, 1]}), [], NOW)) == {1, 2}


async def test_an_account_whose_workspaces_cannot_be_listed_is_incomplete():
    class Old(FakeListing):
        async def workspaces(self):
            raise NotFound("GET /workspaces: 404")

    inventory = await take_inventory(Old({None: [1]}), [], NOW)

    assert listed(inventory) == {1}
    assert not inventory.is_complete


async def test_a_known_key_that_is_gone_has_vanished():
    api = FakeListing({"w1": [5, 4, 3, 2]})

    inventory = await take_inventory(api, hashes(1, 5), NOW)

    assert (inventory.vanished, inventory.is_complete) == ((a_hash(1),), True)
    assert api.calls["key"] == 1


async def test_a_known_key_the_listing_missed_is_found_by_its_hash():
    # given a listing that leaves key 1 out, as it does with expired keys
    class Forgetful(FakeListing):
        async def keys_page(self, workspace_id, offset):
            return self.page([5, 4, 3, 2][offset : offset + 100])

    inventory = await take_inventory(Forgetful({"w1": [5, 4, 3, 2, 1]}), hashes(1, 5), NOW)

    assert listed(inventory) == {1, 2, 3, 4, 5}
    assert (inventory.vanished, inventory.is_complete) == ((), True)


async def test_a_known_key_that_cannot_be_confirmed_is_not_gone():
    api = FakeListing({"w1": [5, 4, 3, 2]}, faults={a_hash(1): Unavailable("down")})

    inventory = await take_inventory(api, hashes(1, 5), NOW)

    assert (inventory.vanished, inventory.is_complete) == ((), False)
    assert "down" in inventory.warnings[0]


async def test_a_known_key_whose_row_is_unreadable_is_neither_gone_nor_asked_for():
    api = FakeListing({"w1": [2, 1]}, unreadable=frozenset({1}))

    inventory = await take_inventory(api, hashes(1, 2), NOW)

    assert (listed(inventory), inventory.vanished, inventory.is_complete) == ({2}, (), True)
    assert api.calls["key"] == 0
    assert inventory.warnings


@pytest.mark.parametrize("n_known", [1, 3, 500])
async def test_an_empty_listing_never_means_that_all_keys_are_gone(n_known):
    api = FakeListing({"w1": []})

    inventory = await take_inventory(api, hashes(1, n_known), NOW)

    assert (inventory.vanished, inventory.is_complete) == ((), False)
    assert len(inventory.warnings) == 1
    assert api.calls["key"] <= MAX_CONFIRMS_SUSPECT


async def test_the_listing_of_another_account_makes_no_key_vanish():
    # given a management key of another account: it answers, but with none of our keys
    api = FakeListing({"w1": list(range(5_000, 4_900, -1))})

    inventory = await take_inventory(api, hashes(1, 80), NOW)

    assert (inventory.vanished, inventory.is_complete) == ((), False)


async def test_a_much_shorter_listing_is_not_believed_at_once():
    # given 1,000 known keys of which 400 are listed
    api = FakeListing({"w1": list(range(400, 0, -1))})

    inventory = await take_inventory(api, hashes(1, 1_000), NOW)

    # then a few are confirmed and the rest stays open
    assert len(inventory.vanished) == MAX_CONFIRMS_SUSPECT == api.calls["key"]
    assert not inventory.is_complete
    assert "600 of 1000 known keys are not listed" in inventory.warnings[0]


async def test_a_real_mass_deletion_is_believed_step_by_step():
    # given 200 known keys of which 100 were deleted
    api, known, n_runs = FakeListing({"w1": list(range(100, 0, -1))}), set(hashes(1, 200)), 0

    # when inventories are taken minute by minute
    inventory = await take_inventory(api, known, NOW)
    while not inventory.is_complete:
        n_runs += 1
        known -= set(inventory.vanished)
        inventory = await take_inventory(api, known, NOW + timedelta(minutes=n_runs))

    # then it takes some minutes until all are taken as gone
    assert known - set(inventory.vanished) == set(hashes(1, 100))
    assert 3 <= n_runs <= 10


async def test_confirming_missed_keys_is_bounded_and_each_has_its_turn():
    # given 2,000 known keys, 500 of them expired: alive, but never listed
    class WithoutExpired(FakeListing):
        async def keys_page(self, workspace_id, offset):
            return self.page(list(range(2_000, 500, -1))[offset : offset + 100])

    api = WithoutExpired({"w1": list(range(2_000, 0, -1))})

    # when a few inventories are taken, a minute apart
    asked = set()
    for minute in range(8):
        api.calls.clear()
        inventory = await take_inventory(api, hashes(1, 2_000), NOW + timedelta(minutes=minute))
        assert api.calls["key"] == MAX_CONFIRMS
        assert not inventory.is_complete
        asked |= listed(inventory) & set(range(1, 501))
        if len(asked) == 500:
            break

    assert len(asked) == 500


async def test_a_workspace_that_cannot_be_listed_leaves_its_keys_unconfirmed():
    class HalfDown(FakeListing):
        async def keys_page(self, workspace_id, offset):
            if workspace_id == "w2":
                raise RateLimited("429", retry_after=9.0)
            return await super().keys_page(workspace_id, offset)

    api = HalfDown({"w1": [2, 1], "w2": [4, 3]})

    inventory = await take_inventory(api, hashes(1, 4), NOW)

    assert (listed(inventory), inventory.vanished, inventory.is_complete) == ({1, 2}, (), False)
    assert api.calls["key"] == 0


async def test_a_source_that_answers_for_no_workspace_is_an_error():
    with pytest.raises(Unavailable):
        await take_inventory(FakeListing({"w1": [1], "w2": [2]}, faults={0: Unavailable("down")}), hashes(1, 2), NOW)


async def test_a_refused_management_key_is_an_error_not_a_partial_inventory():
    class Refusing(FakeListing):
        async def keys_page(self, workspace_id, offset):
            if workspace_id == "w2":
                raise Unauthorized("401")
            return await super().keys_page(workspace_id, offset)

    with pytest.raises(Unauthorized):
        await take_inventory(Refusing({"w1": [1], "w2": [2]}), hashes(1, 2), NOW)


async def test_a_management_key_refused_while_confirming_is_an_error():
    with pytest.raises(Unauthorized):
        await take_inventory(FakeListing({"w1": [3, 2]}, faults={a_hash(1): Unauthorized("401")}), hashes(1, 3), NOW)


def test_over_100_lively_fleets_no_key_is_missed_and_none_is_wrongly_gone():
    # given fleets in several workspaces that change before every page, most of them known from before
    for seed in range(100):
        rng = random.Random(seed)
        sizes = [rng.randint(0, 300) for _ in range(3)]
        fleet = {f"w{no}": list(range(1_000 * (no + 1) + size, 1_000 * (no + 1), -1)) for no, size in enumerate(sizes)}
        api = FakeListing(fleet, churn=random_churn(rng, most=6))
        known = {number for number in api.always_alive if rng.random() < 0.9}

        # when an inventory is taken
        inventory = asyncio.run(take_inventory(api, [a_hash(number) for number in known], NOW))

        # then every key that lived throughout is in it, and only dead ones are gone
        assert api.always_alive <= listed(inventory)
        assert not {int(key_hash, 16) for key_hash in inventory.vanished} & api.always_alive


async def test_the_inventory_works_over_the_real_client():
    # given an app that pages by offset and hides disabled keys unless asked
    rows = [a_row(number, name="prod", disabled=number % 3 == 0) for number in range(250, 0, -1)]

    def app(request: httpx.Request) -> httpx.Response:
        path, params = request.url.path.removeprefix("/api/v1"), request.url.params
        if path == "/workspaces":
            return ok([{"id": "w1", "name": "Prod"}], total_count=1)
        if path == "/keys":
            shown = rows if params.get("include_disabled") == "true" else [row for row in rows if not row["disabled"]]
            return ok(shown[int(params["offset"]) :][:100])
        return an_error(404, "Resource not found")

    inventory = await take_inventory(KeysApi(a_transport(app)), [a_hash(3), a_hash(999)], NOW)

    assert listed(inventory) == set(range(1, 251))
    assert inventory.vanished == (a_hash(999),)
    assert inventory.is_complete


async def test_a_key_seen_on_two_pages_is_in_the_inventory_once():
    inventory = await take_inventory(FakeListing({None: list(range(150, 0, -1))}), [], NOW)

    assert len(inventory.keys) == 150
    assert inventory.keys[0] == a_key(150)
