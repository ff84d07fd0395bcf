"""The query plan: one owner for every row, answers that fit, and a cadence the request budget can carry."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from build import a_hash
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.collect.plan import (
    MAX_HASHES,
    ROWS_AIM,
    Ask,
    Density,
    Fleet,
    KnownKey,
    batches,
    fleet_of,
    open_dimensions,
    plan_account,
    plan_by_hash,
    slices,
    split,
)
from monitor.collect.sweep import choose_sweep
from monitor.domain import BUCKET_S, Dimension
from monitor.openrouter.analytics import Granularity

ALL = tuple(Dimension)


def a_fleet(*names: str, contested: tuple[str, ...] = ()) -> Fleet:
    return fleet_of([KnownKey(a_hash(number), name, 0) for number, name in enumerate(names)], contested)


def planned(fleet: Fleet, *, n_buckets: int = 30, density: Density | None = None) -> list[Ask]:
    return both_rounds(fleet, n_buckets * 60, Granularity.MINUTE, density or Density())


def both_rounds(fleet: Fleet, until_s: int, granularity: Granularity, density: Density) -> list[Ask]:
    """As a reading asks them when every shared name has rows."""
    first = plan_account(fleet, 0, until_s, granularity=granularity, dimensions=ALL, density=density)
    dimensions = open_dimensions(fleet, granularity, ALL, density)
    return first + plan_by_hash(
        fleet, fleet.by_hash, 0, until_s, granularity=granularity, dimensions=dimensions, density=density
    )


def readers_of(key_hash: str, dimension: Dimension, at_s: int, asks: list[Ask], fleet: Fleet) -> int:
    """How many questions bring the usage of a key in one moment, by the rule of attribution."""
    is_sole = fleet.keys[key_hash].key_name in fleet.sole
    return sum(
        dimension in ask.dimensions
        and ask.since_s <= at_s < ask.until_s
        and (key_hash in ask.key_hashes if ask.key_hashes else is_sole)
        for ask in asks
    )


_FLEETS = st.lists(st.sampled_from(["", "a", "b", "prod", "prod "]), min_size=1, max_size=12).map(lambda n: a_fleet(*n))


def test_names_of_one_key_need_no_question_of_their_own() -> None:
    asks = planned(a_fleet("a", "b", "c"))

    assert [ask.dimensions for ask in asks] == [(dimension,) for dimension in Dimension]
    assert all(ask.key_hashes == () for ask in asks)


def test_a_contested_name_is_asked_by_hash() -> None:
    fleet = a_fleet("a", "b", contested=("b",))

    assert set(fleet.sole) == {"a"}
    assert fleet.by_hash == (a_hash(1),)


def test_two_keys_of_one_name_take_two_questions_each() -> None:
    by_hash = [ask for ask in planned(a_fleet("a", "prod", "prod")) if ask.key_hashes]

    assert [len(ask.dimensions) for ask in by_hash] == [2, 2, 2, 2]
    assert Counter(ask.key_hashes for ask in by_hash) == {(a_hash(1),): 2, (a_hash(2),): 2}


@given(_FLEETS, st.integers(1, 40))
def test_batches_hold_each_hash_once_and_no_name_twice(fleet: Fleet, size: int) -> None:
    found = batches(fleet, fleet.keys, size=size)

    assert sorted(key_hash for batch in found for key_hash in batch) == sorted(fleet.keys)
    for batch in found:
        names = [fleet.keys[key_hash].key_name for key_hash in batch]
        assert len(names) == len(set(names)) <= size
        assert "" not in names or len(names) == 1


@settings(max_examples=50, deadline=None)
@given(_FLEETS, st.integers(1, 400), st.floats(0.001, 9000), st.sampled_from(list(Granularity)))
def test_each_key_dimension_and_moment_has_exactly_one_reader(
    fleet: Fleet, n_buckets: int, rows: float, granularity: Granularity
) -> None:
    density = Density()
    density.learn(granularity, Dimension.APP, n_rows=round(rows * 1000), n_cells=1000)
    step = granularity.seconds

    asks = both_rounds(fleet, n_buckets * step, granularity, density)

    for key_hash in fleet.keys:
        for dimension in Dimension:
            for at_s in (0, n_buckets // 2 * step, n_buckets * step - 1):
                assert readers_of(key_hash, dimension, at_s, asks, fleet) == 1


@settings(max_examples=40, deadline=None)
@given(_FLEETS, st.integers(0, 7), st.integers(1, 25))
def test_splitting_loses_and_doubles_nothing(fleet: Fleet, n_rounds: int, n_buckets: int) -> None:
    asks = planned(fleet, n_buckets=n_buckets)

    for _ in range(n_rounds):
        asks = [part for ask in asks for part in (split(ask, fleet) or [ask])]

    for key_hash in fleet.keys:
        for dimension in Dimension:
            for at_s in range(0, n_buckets * 60, 60):
                assert readers_of(key_hash, dimension, at_s, asks, fleet) == 1


@settings(max_examples=40, deadline=None)
@given(_FLEETS, st.integers(1, 50))
def test_splitting_ends(fleet: Fleet, n_buckets: int) -> None:
    asks = planned(fleet, n_buckets=n_buckets)

    for _ in range(16):
        asks = [part for ask in asks for part in (split(ask, fleet) or [ask])]

    for ask in asks:
        assert split(ask, fleet) == []
        assert ask.n_buckets == 1


@given(st.integers(0, 10**6), st.integers(1, 50_000), st.floats(0, 20_000), st.sampled_from(list(Granularity)))
def test_windows_keep_the_documented_bounds(start: int, n_buckets: int, rows: float, granularity: Granularity) -> None:
    step = granularity.seconds
    since, until = start * step, (start + n_buckets % 5000) * step

    found = slices(since, until, granularity=granularity, rows_per_bucket=rows)

    longest = 3 * 3600 if granularity is Granularity.MINUTE else 31 * 86400
    assert [window[0] for window in found[1:]] == [window[1] for window in found[:-1]]
    assert not found or (found[0][0], found[-1][1]) == (since, until)
    for begin, end in found:
        assert begin < end <= begin + longest
        assert (end - begin) // step * rows <= ROWS_AIM or end - begin == step


def test_a_detection_bucket_is_read_in_one_go_where_it_fits() -> None:
    found = slices(0, 3600, granularity=Granularity.MINUTE, rows_per_bucket=ROWS_AIM / 25)

    assert all(begin % BUCKET_S == 0 for begin, _ in found)


def test_a_crowded_account_is_asked_by_hash() -> None:
    fleet = a_fleet(*(f"key {number}" for number in range(1000)))
    density = Density()
    density.learn(Granularity.MINUTE, Dimension.MODEL, n_rows=20_000, n_cells=1000)

    asks = [ask for ask in planned(fleet, density=density) if ask.dimensions == (Dimension.MODEL,)]

    assert all(0 < len(ask.key_hashes) <= MAX_HASHES for ask in asks)
    assert all(len(ask.key_hashes) * 20 * ask.n_buckets <= ROWS_AIM for ask in asks)


def test_density_rises_at_once_and_falls_slowly() -> None:
    density = Density()
    density.learn(Granularity.HOUR, Dimension.APP, n_rows=10, n_cells=10)
    density.learn(Granularity.HOUR, Dimension.APP, n_rows=50, n_cells=10)
    assert density.rows(Granularity.HOUR, Dimension.APP) == 5.0

    density.learn(Granularity.HOUR, Dimension.APP, n_rows=10, n_cells=10)

    assert density.rows(Granularity.HOUR, Dimension.APP) == pytest.approx(4.2)


def a_choice(n_keys: int, *, rows: float, per_minute: int = 48):  # type: ignore[no-untyped-def]
    density = Density()
    for dimension in Dimension:
        for granularity, factor in ((Granularity.MINUTE, 1), (Granularity.HOUR, 8)):
            density.learn(granularity, dimension, n_rows=round(rows * factor * 10**6), n_cells=10**6)
    return choose_sweep(
        a_fleet(*(f"key {number}" for number in range(n_keys))),
        density,
        overlap=timedelta(minutes=30),
        usage_every=timedelta(minutes=5),
        per_minute=per_minute,
    )


def test_a_small_fleet_is_read_in_minutes_over_the_whole_overlap() -> None:
    sweep = a_choice(250, rows=0.5)

    assert (sweep.granularity, sweep.lookback, sweep.every) == (
        Granularity.MINUTE,
        timedelta(minutes=30),
        timedelta(minutes=5),
    )
    assert sweep.n_requests == 4


@pytest.mark.parametrize(
    ("n_keys", "rows", "per_minute", "expected"),
    [
        (3000, 4.0, 48, "would not fit"),
        (6000, 4.0, 20, "minute data every 5 min would not fit"),
        (9000, 9.0, 1, "too large for this budget"),
    ],
    ids=["fewer minutes", "slower or hourly", "hopeless"],
)
def test_what_does_not_fit_is_read_less_and_said_in_words(
    n_keys: int, rows: float, per_minute: int, expected: str
) -> None:
    sweep = a_choice(n_keys, rows=rows, per_minute=per_minute)

    assert expected in sweep.words


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.floats(0.01, 30), st.integers(1, 64))
def test_a_sweep_fits_the_budget_or_says_that_it_does_not(n_keys: int, rows: float, per_minute: int) -> None:
    sweep = a_choice(n_keys, rows=rows, per_minute=per_minute)

    fits = sweep.n_requests <= per_minute * sweep.every.total_seconds() / 60
    assert fits or "too large" in sweep.words
    if sweep.granularity is Granularity.MINUTE:
        assert sweep.lookback >= sweep.every + timedelta(seconds=BUCKET_S)
