"""Ordinary usage: a pure function of the seed, minutes that add up to hours, slices that add up to the whole."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.demo.fleet import Fleet
from monitor.demo.founding import ARCHETYPES, found
from monitor.demo.traffic import DAY_S, MEASURES, Rows, Traffic, merge, slice_of
from monitor.domain import HOUR_S

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
TODAY = int(NOW.timestamp()) // DAY_S * DAY_S
COLUMNS = ("n", *(name for name, _ in MEASURES))


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return found(seed=5, n_keys=120, n_workspaces=2, now=NOW)


@pytest.fixture(scope="module")
def traffic(fleet: Fleet) -> Traffic:
    return Traffic(fleet)


def totals(rows: Rows) -> dict[str, int]:
    return {name: int(rows[name].sum()) for name in COLUMNS}


def week_of(traffic: Traffic) -> Rows:
    monday = TODAY - 7 * DAY_S
    return np.concatenate([traffic.day(monday + day * DAY_S) for day in range(7)])


def test_the_same_seed_gives_the_same_minutes_whatever_was_asked_before(fleet: Fleet, traffic: Traffic) -> None:
    hour = TODAY - 5 * HOUR_S
    traffic.minutes(TODAY - 40 * HOUR_S)

    again = Traffic(found(seed=5, n_keys=120, n_workspaces=2, now=NOW)).minutes(hour)

    assert np.array_equal(again, traffic.minutes(hour))


def test_another_seed_gives_other_keys_and_other_usage(traffic: Traffic) -> None:
    other = found(seed=6, n_keys=120, n_workspaces=2, now=NOW)

    assert not {key.key_hash for key in other.keys} & {key.key_hash for key in traffic.fleet.keys}
    assert totals(Traffic(other).hour(TODAY)) != totals(traffic.hour(TODAY))


@pytest.mark.parametrize("hours_ago", [1, 13, 50, 700])
def test_sixty_minutes_add_up_to_their_hour_for_every_key_and_label(traffic: Traffic, hours_ago: int) -> None:
    hour = TODAY - hours_ago * HOUR_S

    summed = merge(traffic.minutes(hour), bucket_s=HOUR_S)

    assert np.array_equal(summed, merge(traffic.hour(hour), bucket_s=HOUR_S))
    assert len(summed) > 100


def test_cost_is_tokens_times_price_to_the_nano_dollar(traffic: Traffic, fleet: Fleet) -> None:
    rows = traffic.hour(TODAY)

    prompt = rows["prompt"] * fleet.prices.prompt_nusd()[rows["model"]]
    completion = rows["completion"] * fleet.prices.completion_nusd()[rows["model"]]

    assert np.array_equal(rows["cost"], prompt + completion)
    assert (rows["cost"] % 20 == 0).all()


@settings(max_examples=30, deadline=None)
@given(borders=st.lists(st.floats(0, 3600, allow_nan=False), max_size=6))
def test_slices_that_share_borders_add_up_to_the_whole(traffic: Traffic, borders: list[float]) -> None:
    hour = TODAY - HOUR_S
    rows = traffic.minutes(hour)
    edges = [hour, *sorted(hour + border for border in borders), hour + HOUR_S]

    pieces = [slice_of(rows, since, until) for since, until in itertools.pairwise(edges)]

    assert totals(np.concatenate(pieces)) == totals(rows)
    assert all((piece[name] >= 0).all() for piece in pieces for name in COLUMNS)


def test_spend_spreads_over_four_decades(traffic: Traffic) -> None:
    cost = np.bincount(week_of(traffic)["key"], weights=week_of(traffic)["cost"], minlength=120)

    usd_a_day = cost[cost > 0] / 1e9 / 7

    assert np.log10(usd_a_day.max() / usd_a_day.min()) > 4
    assert (usd_a_day < 0.1).mean() > 0.08


def test_developers_keep_office_hours_and_services_do_not(traffic: Traffic, fleet: Fleet) -> None:
    rows = week_of(traffic)
    local = (rows["t"] // HOUR_S + 72 + fleet.utc_offset_h[rows["key"]]) % 168
    at_desk = (local < 120) & (local % 24 >= 9) & (local % 24 < 18)
    names = np.array([kind.name for kind in ARCHETYPES])[fleet.kind[rows["key"]]]

    of_developers = rows["n"][at_desk & (names == "developer")].sum() / rows["n"][names == "developer"].sum()
    of_services = rows["n"][at_desk & (names == "service")].sum() / rows["n"][names == "service"].sum()

    assert of_developers > 0.75
    assert of_services < 0.45


def test_hours_are_burstier_than_chance(traffic: Traffic, fleet: Fleet) -> None:
    """Counts of a service in equal hours of different days vary more than a Poisson process would."""
    key = int(np.argmax(np.where(fleet.kind == 0, fleet.requests_per_hour, 0)))
    noons = [TODAY - day * DAY_S + 12 * HOUR_S for day in range(1, 29) if day % 7 not in (1, 2)]

    counts = np.array([traffic.hour(noon)["n"][traffic.hour(noon)["key"] == key].sum() for noon in noons])

    assert counts.var() > 3 * counts.mean()


def test_a_key_has_no_usage_before_it_was_created(traffic: Traffic, fleet: Fleet) -> None:
    rows = np.concatenate([traffic.day(TODAY - day * DAY_S) for day in range(31)])

    assert (rows["t"] >= fleet.born_s[rows["key"]]).all()


def test_a_fleet_holds_what_makes_life_hard(fleet: Fleet) -> None:
    keys = fleet.keys
    shared = fleet.names_shared().values()

    assert any(len({key.workspace_id for key in mates}) > 1 for mates in shared)
    assert any(len({key.workspace_id for key in mates}) < len(mates) for mates in shared)
    assert sum(key.created_at > NOW - timedelta(days=2) for key in keys) in (2, 3)
    assert any(key.is_disabled for key in keys)
    assert any(key.creator is None for key in keys)
    assert {key.limit_reset for key in keys if key.limit_nusd is not None} >= {None, "monthly"}
    assert any("<!channel>" in key.name for key in keys)
    assert len({key.key_hash for key in keys}) == len(keys)
