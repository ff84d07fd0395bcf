from __future__ import annotations

import asyncio
import random

import pytest
from build import a_hash
from fake_listing import FakeListing, random_churn
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.collect.listing import MAX_WAVE, list_keys
from monitor.errors import BadPayload, Unavailable


def numbers(hashes) -> set[int]:
    return {int(key_hash, 16) for key_hash in hashes}


@settings(deadline=None)
@given(n=st.integers(0, 700), page_size=st.integers(1, 130))
def test_every_key_is_listed_for_any_number_of_keys_and_any_page_size(n, page_size):
    api = FakeListing({None: list(range(n, 0, -1))}, page_size=page_size)

    listing = asyncio.run(list_keys(api, None))

    assert numbers(listing.keys) == set(range(1, n + 1))
    assert (listing.is_complete, listing.warnings) == (True, [])


@pytest.mark.parametrize("most", [3, 12, 40], ids=["lively", "hectic", "absurd"])
def test_no_key_that_lives_throughout_is_missed_while_others_come_and_go(most):
    # given 300 fleets whose keys change before every single page
    missed, n_incomplete = 0, 0
    for seed in range(300):
        rng = random.Random(seed)
        api = FakeListing({None: list(range(rng.randint(100, 900), 0, -1))}, churn=random_churn(rng, most=most))

        # when each is listed
        listing = asyncio.run(list_keys(api, None))

        # then what was there from first to last is in the list, or the list says that it may lack something
        missed += len(api.always_alive - numbers(listing.keys)) if listing.is_complete else 0
        n_incomplete += not listing.is_complete

    assert missed == 0
    assert n_incomplete <= 3 * (most == 40)


def test_more_deletions_between_two_pages_than_they_overlap_are_noticed():
    # given a fleet that loses its fifty newest keys just before the second page
    n_calls = 0

    def lose_fifty(listing: FakeListing) -> None:
        nonlocal n_calls
        n_calls += 1
        for _ in range(50 if n_calls == 2 else 0):
            listing.delete(None, 0)

    api = FakeListing({None: list(range(300, 0, -1))}, churn=lose_fifty)

    # when it is listed
    listing = asyncio.run(list_keys(api, None))

    # then nothing that lives is missing
    assert api.always_alive <= numbers(listing.keys)
    assert listing.is_complete


def test_losing_all_that_was_read_starts_the_reading_anew():
    n_calls = 0

    def replace_all(listing: FakeListing) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            listing.keys[None][:] = range(2_000, 1_750, -1)
            listing.always_alive = set(listing.keys[None])

    api = FakeListing({None: list(range(500, 0, -1))}, churn=replace_all)

    listing = asyncio.run(list_keys(api, None))

    assert api.always_alive <= numbers(listing.keys)
    assert listing.is_complete


@pytest.mark.parametrize(("n_rows", "is_complete"), [(1, True), (3, True), (99, True), (100, False)])
async def test_a_server_that_gives_the_same_page_for_every_offset_cannot_hold_us(n_rows, is_complete):
    class Repeating(FakeListing):
        async def keys_page(self, workspace_id, offset):
            self.calls["page"] += 1
            return self.page(list(range(n_rows, 0, -1)))

    api = Repeating({None: []})

    listing = await list_keys(api, None)

    assert len(listing.keys) == n_rows
    assert listing.is_complete is is_complete
    assert "same" in listing.warnings[0]
    assert api.calls["page"] <= 3


async def test_a_listing_without_end_is_given_up():
    class Endless(FakeListing):
        async def keys_page(self, workspace_id, offset):
            self.calls["page"] += 1
            return self.page([10_000_000 - offset - row for row in range(5)])

    api = Endless({None: []})

    listing = await list_keys(api, None)

    assert not listing.is_complete
    assert "cut off" in listing.warnings[-1]
    assert api.calls["page"] < 3_000


async def test_a_server_that_shuffles_is_given_up_and_said_to_be_incomplete_or_read_whole():
    rng = random.Random(5)

    def shuffle(listing: FakeListing) -> None:
        rng.shuffle(listing.keys[None])

    api = FakeListing({None: list(range(400))}, churn=shuffle)

    listing = await list_keys(api, None)

    assert api.calls["page"] < 100
    assert listing.hashes


async def test_pages_are_read_in_waves_not_one_by_one():
    api = FakeListing({None: list(range(10_000, 0, -1))})

    listing = await list_keys(api, None)

    assert len(listing.keys) == 10_000
    assert api.most_under_way == MAX_WAVE
    assert api.calls["page"] <= 10_000 / 80 + MAX_WAVE


async def test_a_page_that_cannot_be_had_ends_the_listing_with_what_was_read():
    api = FakeListing({None: list(range(1_000, 0, -1))}, faults={240: Unavailable("down")})

    listing = await list_keys(api, None)

    assert not listing.is_complete
    assert isinstance(listing.error, Unavailable)
    assert set(range(1_000, 740, -1)) <= numbers(listing.keys)


async def test_a_page_refused_for_its_content_costs_only_its_own_keys():
    api = FakeListing({None: list(range(1_000, 0, -1))}, faults={240: BadPayload("too many bad rows")})

    listing = await list_keys(api, None)

    assert not listing.is_complete
    assert (listing.error, listing.warnings) == (None, ["too many bad rows"])
    assert len(listing.keys) == 1_000 - 60  # 80 less the overlap with the next page


async def test_an_unreadable_row_is_listed_but_no_key():
    api = FakeListing({None: [3, 2, 1]}, unreadable=frozenset({2}))

    listing = await list_keys(api, None)

    assert (numbers(listing.keys), numbers(listing.hashes)) == ({1, 3}, {1, 2, 3})
    assert listing.is_complete
    assert a_hash(2) not in listing.keys
