"""The watch when its source is stale, cut, empty, contradictory, refused or away: nothing automatic, few words, all made up."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from build import a_hash, an_incident
from jobs_build import NOW, an_app, an_inventory
from scripted_source import KEYS, a_watch, minutes, sources, told

from monitor.collect import counters
from monitor.decide import Context, decide
from monitor.domain import NUSD, IncidentKind, IncidentState, Plan, Severity
from monitor.errors import Unauthorized, Unavailable
from monitor.jobs import health
from monitor.jobs.watch import Watch

MINUTE = timedelta(minutes=1)


async def test_o7_an_empty_list_of_keys_is_one_warning_and_no_key_is_taken_as_gone(tmp_path: Path) -> None:
    watch, source, app = a_watch(tmp_path)
    await minutes(watch, 2)
    source.keys, source.n_unsettled = (), 10
    await minutes(watch, 1)
    source.keys, source.n_unsettled = KEYS, 0
    await minutes(watch, 3)

    assert len(app.store.keys.keys()) == 10
    assert app.store.ledger.actions() == ()
    said = told(app)
    assert [("in doubt" in text, "read again" in text) for text in said] == [(True, False), (False, True)]


async def test_o11_an_old_copy_of_the_usage_is_a_trouble_of_its_own_until_it_is_fresh(tmp_path: Path) -> None:
    watch, source, app = a_watch(tmp_path)
    await minutes(watch, 2)
    source.age = timedelta(hours=6)
    await minutes(watch, 30)
    assert sources(app) == {"source:stale": IncidentState.OPEN}
    source.age = timedelta(0)
    await minutes(watch, 10)
    assert sources(app) == {"source:stale": IncidentState.RESOLVED}
    assert len(told(app)) == 2


async def test_o14_a_clock_that_is_wrong_is_told_and_changes_no_window(tmp_path: Path) -> None:
    asked = {}
    for skew in (timedelta(0), timedelta(minutes=10)):
        folder = tmp_path / str(skew.seconds)
        folder.mkdir()
        watch, source, app = a_watch(folder)
        app.clock.at -= skew  # ours is behind, and the source's time is the same in both
        source.skew = skew
        await minutes(watch, 12)
        asked[skew] = source.asked
        assert [text for text in told(app) if "clock" in text] == (
            [] if not skew else ["our clock is 10 min behind the source's."]
        )
    first, second = asked.values()
    assert first == second


async def test_o14_a_wrong_clock_holds_nothing_back() -> None:
    seen = health.Seen({}, frozenset({"keys"}), skew=timedelta(minutes=10))
    settings = an_app_settings()
    (symptom,), _ = health.look(seen, settings, NOW)
    assert (symptom.name, symptom.severity) == ("clock", Severity.NOTICE)


async def test_a_full_disk_is_told_at_once_and_holds_nothing_back(tmp_path: Path) -> None:
    watch, _, app = a_watch(tmp_path)
    app.store.maintenance.hold_reserve()
    await minutes(watch, 2)
    assert told(app) == []

    reserve = tmp_path / "monitor.db.reserve"
    reserve.unlink()
    await minutes(watch, 1)
    assert sources(app) == {"source:disk": IncidentState.OPEN}
    assert told(app) == [
        "the disk of the store is full, or nearly: the space kept for hard times is in use; free some before it ends."
    ]
    assert {each.severity for each in app.store.ledger.incidents()} == {Severity.NOTICE}, (
        "a warning would freeze all keys"
    )

    app.store.maintenance.hold_reserve()
    await minutes(watch, 2)
    assert sources(app) == {"source:disk": IncidentState.RESOLVED}


def an_app_settings() -> Any:
    from monitor.config import Settings

    return Settings()


async def test_o15_a_clock_set_back_two_hours_stops_no_reading(tmp_path: Path) -> None:
    watch, source, app = a_watch(tmp_path)
    await minutes(watch, 10)
    n_before = len(source.asked)
    app.clock.at -= timedelta(hours=2)
    source.skew = timedelta(hours=2)  # the source's time goes on
    await minutes(watch, 10)
    assert len(source.asked) >= n_before + 2
    assert [since <= until for _, since, until in source.asked] == [True] * len(source.asked)


@pytest.mark.parametrize("hours", [4, 30, 24 * 90])
async def test_o15_a_clock_that_ran_ahead_and_was_put_right_goes_on_being_judged_by(tmp_path: Path, hours: int) -> None:
    # given: one cycle by a clock that is wrong
    watch, source, app = a_watch(tmp_path)
    await minutes(watch, 10)
    app.clock.at += timedelta(hours=hours)
    await minutes(watch, 2)

    # when: it is put right
    app.clock.at -= timedelta(hours=hours)
    n_before, n_cycles = len(source.asked), watch.n_cycles
    await minutes(watch, 10)

    # then: the state is of now again, every cycle completes, and nothing was done to any key
    assert watch.n_cycles == n_cycles + 10 and len(source.asked) >= n_before + 2
    assert app.pipeline.state.head_hour == int(app.now().timestamp()) // 3600
    assert app.store.ledger.actions() == ()


@pytest.mark.parametrize(
    "at", [datetime(2026, 10, 25, 0, 50, tzinfo=UTC), datetime(2028, 2, 28, 23, 50, tzinfo=UTC)], ids=["DST", "leap"]
)
async def test_o15_neither_the_hour_that_comes_twice_nor_the_leap_day_changes_the_beat(
    tmp_path: Path, at: datetime
) -> None:
    watch, source, app = a_watch(tmp_path, digest={"timezone": "Europe/Berlin"})
    app.clock.at = at
    await minutes(watch, 30)
    recent = [until for name, _, until in source.asked if name == "recent"]
    steps = {later - earlier for earlier, later in itertools.pairwise(recent)}
    assert steps == {5 * MINUTE}


def a_sample(*, at: int, total: int, daily: int) -> pd.DataFrame:
    stamp = pd.Timestamp(at, unit="s", tz="UTC").as_unit("s")
    rows = {"sampled_at": [stamp], "key_no": [0], "usage_nusd": [total], "usage_daily_nusd": [daily]}
    from monitor.frames import COUNTERS

    return pd.DataFrame(rows).astype(dict(COUNTERS))


def test_o17_a_daily_counter_that_starts_anew_at_midnight_is_no_negative_spend() -> None:
    midnight = 1_782_864_000
    before = a_sample(at=midnight - 60, total=100 * NUSD, daily=7 * NUSD)
    after = a_sample(at=midnight + 60, total=101 * NUSD, daily=NUSD)
    (spent,) = counters.deltas(before, after)["cost_nusd"].tolist()
    assert spent == NUSD


def test_o17_a_lifetime_counter_that_goes_backwards_is_a_fault_and_no_spend() -> None:
    before = a_sample(at=1_782_864_000, total=100 * NUSD, daily=7 * NUSD)
    after = a_sample(at=1_782_864_060, total=90 * NUSD, daily=7 * NUSD)
    assert [value for value in counters.deltas(before, after)["cost_nusd"].tolist() if value] == []


@pytest.mark.parametrize("code", ["401", "403 Only management keys can perform this operation"])
async def test_o19_a_refused_key_for_two_hours_is_one_message_and_one_when_it_works(tmp_path: Path, code: str) -> None:
    watch, source, app = a_watch(tmp_path)
    await minutes(watch, 2)
    source.error = Unauthorized(code)
    await minutes(watch, 60)
    watch = Watch(app)  # a restart in the middle tells nobody again
    await minutes(watch, 60)
    source.error = None
    await minutes(watch, 5)

    said = told(app)
    assert len(said) == 2
    assert "the management key is refused" in said[0] and "read again" in said[1]
    assert sources(app) == {"source:access": IncidentState.RESOLVED}
    assert app.store.ledger.actions() == ()


async def test_o20_six_hours_without_a_network_are_two_messages_and_are_read_again(tmp_path: Path) -> None:
    watch, source, app = a_watch(tmp_path)
    await minutes(watch, 10)
    down_at = app.now()
    source.error = Unavailable("network unreachable")
    await minutes(watch, 360, step=5)
    source.error, source.asked = None, []
    await minutes(watch, 10)

    assert sources(app) == {"source:keys": IncidentState.RESOLVED}
    assert ["read again" in text for text in told(app)] == [False, True]
    recent, hours = (next(each for each in source.asked if each[0] == name) for name in ("recent", "hourly"))
    assert recent[1] <= app.now() - timedelta(hours=2, minutes=40)  # as far as minutes are served
    assert hours[1] <= down_at - timedelta(hours=5)  # whole hours: all of it, and what may still have changed before


async def test_counters_that_contradict_the_usage_are_a_trouble_and_nothing_is_done(tmp_path: Path) -> None:
    app = an_app(tmp_path, response={"mode": "enforce"})
    app.store.keys.record(an_inventory(*KEYS))
    until = NOW.replace(minute=0) - timedelta(hours=1)
    catalog = app.store.keys.catalog
    for at, rise in ((until - timedelta(hours=6), 0), (until, 60 * NUSD)):
        keys = tuple(replace(key, usage_nusd=(key.usage_nusd or 0) + rise) for key in KEYS)
        app.store.usage.write_counters(counters.sample(an_inventory(*keys, at=at), catalog))
    seen = health.Seen({}, frozenset({"settle"}))
    health.cross_check(app.store, seen, NOW)
    (symptom,) = seen.found
    assert symptom.name == "contradictory"
    assert "$600.00" in symptom.sentence and "$0.00" in symptom.sentence


async def test_counters_that_do_not_tell_accuse_nobody(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    app.store.keys.record(an_inventory(*KEYS))
    seen = health.Seen({}, frozenset({"settle"}))
    health.cross_check(app.store, seen, NOW)
    assert seen.found == []
    assert "contradictory" not in seen.well


def test_dollars_of_nobody_are_a_trouble_where_they_are_many(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    app.store.keys.record(an_inventory(*KEYS))
    hour = int(NOW.replace(minute=0).timestamp()) - 3 * 3600
    app.store.state.put("unattributed", {str(hour): 50 * NUSD})
    seen = health.Seen({}, frozenset({"settle"}))
    health.cross_check(app.store, seen, NOW)
    assert [symptom.name for symptom in seen.found] == ["unattributed"]


@pytest.mark.parametrize("lane", ["settle", "drilldown"])
def test_a_lane_without_which_keys_are_still_watched_holds_nothing_back(lane: str) -> None:
    seen = health.Seen({lane: Unavailable("503")}, frozenset({"keys", "usage"}))
    (symptom,), _ = health.look(seen, an_app_settings(), NOW)
    assert symptom.severity is Severity.NOTICE
    mild = replace(
        an_incident(1, at=NOW), kind=IncidentKind.SOURCE, incident_id="SRC-1", key_hash="", severity=Severity.NOTICE
    )
    plan: Plan = decide([], Context(incidents=(mild,)), an_app_settings(), NOW)
    assert plan.notices == ()


async def test_key_hashes_stay_known_after_an_empty_listing(tmp_path: Path) -> None:
    watch, source, app = a_watch(tmp_path)
    await minutes(watch, 2)
    source.keys, source.n_unsettled = (), 10
    await minutes(watch, 2)
    listed = app.store.keys.keys()
    assert {key.key_hash for key in listed} == {a_hash(number) for number in range(1, 11)}
