"""State and time: counters that equal usage, keys that stop when they must, data that shows late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.demo.attacks import Growth, PriceChange, expensive_swap, smash_and_grab
from monitor.demo.counters import DAILY, LIFETIME, MONTHLY, WEEKLY, periods
from monitor.demo.fleet import Key
from monitor.demo.traffic import DAY_S
from monitor.demo.world import Lag, World
from monitor.domain import HOUR_S, NUSD

NOW = datetime(2026, 11, 23, 19, 20, 30, tzinfo=UTC)


def build(**changes: object) -> World:
    return World.build(**({"seed": 3, "n_keys": 80, "founded_at": NOW, "history_days": 9} | changes))


def spend(world: World, since: float, now: datetime, *, in_minutes: bool = False) -> np.ndarray:
    rows = world.usage(since, now.timestamp() + 60, in_minutes=in_minutes, now=now)
    return np.bincount(rows["key"], weights=rows["cost"], minlength=len(world.fleet.keys)).astype(np.int64)


def whole_cost(world: World, now: datetime, period: int) -> np.ndarray:
    """Counter of a period as the price of the requests: BYOK keys by their BYOK counter."""
    counters = world.shown_counters(now)
    is_byok = np.array([key.is_byok for key in world.fleet.keys])
    return np.where(is_byok, counters.byok[period], counters.credits[period])


def a_live_key(world: World, archetype: str = "service") -> Key:
    return world.busy(archetype)[0]


@settings(max_examples=8, deadline=None)
@given(steps=st.lists(st.integers(1, 9000), min_size=1, max_size=8))
def test_counters_equal_the_usage_whatever_the_rhythm_of_asking(steps: list[int]) -> None:
    world, now = build(), NOW
    for step in steps:
        now += timedelta(seconds=step)
        world.shown_counters(now)
    day, week = (int(now.timestamp()) // DAY_S * DAY_S, int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()))

    seeded = np.array([key.seeded_nusd for key in world.fleet.keys])

    assert np.array_equal(whole_cost(world, now, LIFETIME), spend(world, 0, now) + seeded)
    assert np.array_equal(whole_cost(world, now, DAILY), spend(world, day, now))
    assert np.array_equal(whole_cost(world, now, WEEKLY), spend(world, week, now))


def test_the_rhythm_of_asking_changes_nothing() -> None:
    often, seldom = build(), build()
    later = NOW + timedelta(hours=3, seconds=17)
    for second in range(0, 10_817, 97):
        often.shown_counters(NOW + timedelta(seconds=second))

    assert np.array_equal(spend(often, 0, later), spend(seldom, 0, later))


def test_minutes_and_hours_tell_the_same_story() -> None:
    world = build()
    hour = int(NOW.timestamp()) // HOUR_S * HOUR_S

    for since in (hour - HOUR_S, hour - 70 * HOUR_S):
        window = world.usage(since, since + HOUR_S, in_minutes=True, now=NOW)
        whole = world.usage(since, since + HOUR_S, in_minutes=False, now=NOW)
        assert window["cost"].sum() == whole["cost"].sum() > 0
        assert len(np.unique(window["t"])) > 50


def test_a_window_that_begins_within_an_hour_holds_only_its_minutes() -> None:
    world = build()
    since = int(NOW.timestamp()) // HOUR_S * HOUR_S - 3 * HOUR_S + 1800

    half = world.usage(since, since + HOUR_S, in_minutes=False, now=NOW)

    assert half["cost"].sum() == world.usage(since, since + HOUR_S, in_minutes=True, now=NOW)["cost"].sum() > 0


@pytest.mark.parametrize(
    ("moment", "is_new"),
    [
        pytest.param("2026-11-24T00:00:00", (True, False, False), id="tuesday"),
        pytest.param("2026-11-30T00:00:00", (True, True, False), id="monday"),
        pytest.param("2026-12-01T00:00:00", (True, False, True), id="first of the month"),
        pytest.param("2026-11-29T12:00:00", (False, False, False), id="sunday noon"),
    ],
)
def test_counters_turn_at_midnight_utc_on_mondays_and_on_the_first(moment: str, is_new: tuple[bool, ...]) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()

    before, after = periods(at - 1), periods(at)

    assert tuple(after[period] > before[period] for period in (DAILY, WEEKLY, MONTHLY)) == is_new


def test_daily_counters_fall_and_the_lifetime_does_not() -> None:
    world = build()
    evening = datetime(2026, 11, 23, 23, 59, 50, tzinfo=UTC)
    before = world.shown_counters(evening).credits.copy()

    after = world.shown_counters(evening + timedelta(minutes=2)).credits

    assert after[DAILY].sum() < before[DAILY].sum() / 10
    assert (after[LIFETIME] >= before[LIFETIME]).all()
    assert after[WEEKLY].sum() >= before[WEEKLY].sum()


def test_a_disabled_key_spends_nothing_until_it_is_enabled_again() -> None:
    world = build()
    key = a_live_key(world)
    world.set_disabled(key, is_disabled=True, now=NOW)
    before = world.spent_nusd(key)
    world.advance(NOW + timedelta(hours=2))
    assert world.spent_nusd(key) == before

    world.set_disabled(key, is_disabled=False, now=NOW + timedelta(hours=2))
    world.advance(NOW + timedelta(hours=4))

    assert world.spent_nusd(key) > before


def test_a_disabled_key_stops_only_after_the_delay_of_the_world() -> None:
    world = build()
    world.disable_delay_s = 600
    key = a_live_key(world)
    world.start(smash_and_grab(key, world.fleet, start=NOW, burst_after=timedelta(0)))
    world.set_disabled(key, is_disabled=True, now=NOW)

    world.advance(NOW + timedelta(minutes=10))
    after_delay = world.spent_nusd(key)
    world.advance(NOW + timedelta(hours=1))

    assert world.spent_nusd(key) == after_delay
    assert after_delay > 40 * NUSD


def test_disabling_a_key_ends_the_theft_on_it_and_nothing_else() -> None:
    undisturbed, world = build(), build()
    key, other = world.busy("service")[:2]
    theft = smash_and_grab(key, world.fleet, start=NOW + timedelta(minutes=1))
    world.start(theft)
    noticed = NOW + timedelta(minutes=12)
    world.advance(noticed)
    stolen = world.stolen_nusd(theft)

    world.set_disabled(key, is_disabled=True, now=noticed)
    for each in (world, undisturbed):
        each.advance(noticed + timedelta(hours=2))

    assert 15 * NUSD < stolen < 60 * NUSD
    assert world.stolen_nusd(theft) == stolen
    assert world.spent_nusd(other) == undisturbed.spent_nusd(undisturbed.key_state(other.key_hash))


def test_the_request_that_crosses_the_limit_completes_and_the_next_is_refused() -> None:
    world = build()
    key = a_live_key(world)
    key.limit_nusd, key.limit_reset = world.spent_nusd(key) + 20 * NUSD, None
    theft = smash_and_grab(key, world.fleet, start=NOW, burst_after=timedelta(0))
    world.start(theft)

    world.advance(NOW + timedelta(hours=2))

    over = world.spent_nusd(key) - key.limit_nusd
    assert 0 <= over < 15 * NUSD
    assert world.limit_left_nusd(key, world.shown_counters(NOW + timedelta(hours=2))) == 0


def test_a_daily_limit_opens_again_at_midnight() -> None:
    world = build()
    key = a_live_key(world)
    key.limit_nusd, key.limit_reset = 5 * NUSD, "daily"
    world.start(expensive_swap(key, world.fleet, start=NOW, usd_per_hour=60, duration=timedelta(days=2)))

    world.advance(datetime(2026, 11, 23, 23, 59, tzinfo=UTC))
    by_midnight = world.spent_nusd(key)
    world.advance(datetime(2026, 11, 24, 0, 30, tzinfo=UTC))

    assert world.spent_nusd(key) > by_midnight + 2 * NUSD


def test_counters_and_usage_appear_as_late_as_they_are_told() -> None:
    prompt, late = build(), build(lag=Lag(counters_s=90, analytics_s=300))
    later = NOW + timedelta(minutes=30)
    for world in (prompt, late):
        world.advance(later)

    shown = whole_cost(late, later, LIFETIME)
    as_of = whole_cost(prompt, later, LIFETIME)
    minutes = late.usage(later.timestamp() - 3600, later.timestamp(), in_minutes=True, now=later)

    assert (shown <= as_of).all()
    assert shown.sum() < as_of.sum()
    assert minutes["t"].max() + 60 <= later.timestamp() - 300


def test_late_rows_turn_up_until_everything_is_there() -> None:
    late, prompt = build(lag=Lag(late_share=0.3, late_s=1200)), build()
    soon, settled = NOW + timedelta(minutes=20), NOW + timedelta(minutes=60)
    since = NOW.timestamp()
    until = (NOW + timedelta(minutes=15)).timestamp()
    for each in range(0, 60, 5):
        late.advance(NOW + timedelta(minutes=each))

    early = late.usage(since, until, in_minutes=True, now=soon)["cost"].sum()
    whole = late.usage(since, until, in_minutes=True, now=settled)["cost"].sum()

    assert 0 < early < whole
    assert whole == prompt.usage(since, until, in_minutes=True, now=settled)["cost"].sum()


def test_events_of_the_past_are_part_of_the_history() -> None:
    plain = build()
    key = a_live_key(plain)
    start = NOW - timedelta(days=3)
    theft = smash_and_grab(key, plain.fleet, start=start, duration=timedelta(hours=1))

    world = build(events=(theft, Growth(key.key_hash, start, 2.0), PriceChange(start, 1.5)))
    since, until = start.timestamp() - DAY_S, start.timestamp()

    before = [w.usage(since, until - HOUR_S, in_minutes=False, now=NOW)["cost"].sum() for w in (plain, world)]
    after = [w.usage(until + DAY_S, until + 2 * DAY_S, in_minutes=False, now=NOW)["cost"].sum() for w in (plain, world)]
    assert before[0] == before[1]
    assert after[1] / after[0] > 1.45
    assert world.stolen_nusd(theft) > 300 * NUSD
    assert np.array_equal(
        whole_cost(world, NOW, LIFETIME), spend(world, 0, NOW) + [key.seeded_nusd for key in world.fleet.keys]
    )


def test_an_event_cannot_start_in_the_past_of_a_living_world() -> None:
    world = build()

    with pytest.raises(ValueError, match="lived on"):
        world.start(PriceChange(NOW - timedelta(minutes=5), 2.0))


def test_a_clock_set_back_changes_nothing() -> None:
    world = build()
    world.advance(NOW + timedelta(hours=1))
    before = spend(world, 0, NOW + timedelta(hours=1))

    world.advance(NOW - timedelta(hours=1))

    assert np.array_equal(spend(world, 0, NOW + timedelta(hours=1)), before)


def test_twins_share_a_name_and_both_are_used() -> None:
    world = World.build(founded_at=NOW, n_keys=250, history_days=2)

    one, other = world.twins()

    assert one.name == other.name
    assert one.key_hash != other.key_hash
    assert min(spend(world, 0, NOW)[[one.no, other.no]]) > 0
