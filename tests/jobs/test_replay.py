"""A restart ends in the state of the process that never stopped; so does a rebuild of single keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import build
import jobs_build
import numpy as np
import pandas as pd
import pytest
from jobs_build import NOW, an_app
from lived import HOUR, Life, differences

from monitor.features import build as build_features
from monitor.features import to_bytes
from monitor.jobs import checkpoint, rebuild, replay, startup
from monitor.jobs.app import App
from monitor.pipeline import Pipeline, new_state

START = NOW - 9 * HOUR
HISTORY = START.replace(minute=0) - 28 * HOUR
HASHES = [build.a_hash(number) for number in range(4)]


def living(state_dir: Path, *, seed: int = 1) -> Life:
    """A monitor with a day of history, brought up at START."""
    app = an_app(state_dir, now=START, detection={"quarantine": timedelta(hours=4)})
    life = Life(app, seed)
    life.backfill(HISTORY, START.replace(minute=0))
    startup.bring_up(app, START)
    return life


def restarted(life: Life, now: datetime) -> App:
    """Another process on the same state directory."""
    app = an_app(life.app.state_dir, now=now, store=life.app.store, detection={"quarantine": timedelta(hours=4)})
    startup.bring_up(app, now)
    return app


def from_the_store(app: App, now: datetime) -> Pipeline:
    fresh = Pipeline(app.settings, app.store.keys.catalog, new_state(app.settings))
    startup.bring_up(app, now, pipeline=fresh)
    return fresh


def assert_equal(app: Pipeline, other: Pipeline, now: datetime) -> None:
    """Byte for byte, and in everything that is derived from it."""
    assert differences(app.state, other.state) == []
    assert to_bytes(app.state) == to_bytes(other.state)
    assert app.quality(HASHES, now) == other.quality(HASHES, now)
    inventory = build.inventory_frame(4)
    ours, theirs = (build_features(each.state, inventory, now) for each in (app, other))
    assert len(ours.key_no)
    np.testing.assert_array_equal(ours.values, theirs.values)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_a_restart_ends_in_the_state_that_never_stopped(tmp_path: Path, seed: int) -> None:
    life = living(tmp_path, seed=seed)

    life.live(START, NOW)

    assert life.app.pipeline.state.learned_hour > int(START.timestamp()) // 3600  # hours lived have been learned
    assert not life.app.pipeline.state.needs_rebuild
    assert_equal(life.app.pipeline, restarted(life, NOW).pipeline, NOW)


@pytest.mark.parametrize("hours", [1, pytest.param(4, marks=pytest.mark.slow), 8])
def test_a_restart_from_a_checkpoint_of_some_hours_ago_ends_in_the_same_state(tmp_path: Path, hours: int) -> None:
    life = living(tmp_path)
    life.live(START, NOW - hours * HOUR)
    checkpoint.save(life.app)
    life.live(NOW - hours * HOUR, NOW)

    again = restarted(life, NOW)

    assert checkpoint.load(again, NOW) is not None
    assert_equal(life.app.pipeline, restarted(life, NOW).pipeline, NOW)


def test_a_process_killed_in_between_ends_in_the_same_state_as_one_replay(tmp_path: Path) -> None:
    life = living(tmp_path)
    begin = START
    for stop in (NOW - 6 * HOUR, NOW - 3 * HOUR, NOW - HOUR):
        life.live(begin, stop)
        begin = stop
        life.app = restarted(life, stop)
    life.live(NOW - HOUR, NOW)

    assert_equal(life.app.pipeline, from_the_store(life.app, NOW), NOW)


def test_hours_without_hourly_rows_keep_their_ten_minute_rows(tmp_path: Path) -> None:
    life = living(tmp_path)

    life.live(START, NOW, settles=False)

    fresh = from_the_store(life.app, NOW)
    assert_equal(life.app.pipeline, fresh, NOW)
    assert int(fresh.state.keys["is_all_fine"].sum()) > 0


def test_a_ten_minute_correction_after_a_restart_is_taken_in(tmp_path: Path) -> None:
    life = living(tmp_path)
    life.live(START, NOW, settles=False)
    life.app = restarted(life, NOW)
    bucket = NOW.replace(minute=0) - 2 * HOUR

    late = build.usage((bucket, 1, 0, 8, 77, 5 * 10**9), bucket_s=600)
    stamp = pd.Timestamp(NOW).as_unit("s")
    life.take(late, build.coverage(bucket, bucket + timedelta(minutes=10), key_no=1, dimension=0, as_of=stamp))

    state = life.app.pipeline.state
    slot = state.slots.find(np.array([2]), np.array([8]), np.array([0]))[0]
    hour = int(bucket.timestamp()) // 3600 % state.params.ring_hours
    assert state.slots["hour_cost"][hour, slot] >= 5 * 10**9
    assert_equal(life.app.pipeline, from_the_store(life.app, NOW), NOW)


def test_taking_the_recent_hours_again_changes_nothing(tmp_path: Path) -> None:
    life = living(tmp_path)
    life.live(START, NOW)
    before = to_bytes(life.app.pipeline.state)

    replay.take_recent(life.app.store, life.app.pipeline, NOW)

    assert to_bytes(life.app.pipeline.state) == before


def test_a_state_made_beside_the_living_one_has_what_was_read_meanwhile(tmp_path: Path) -> None:
    life = living(tmp_path)
    life.live(START, NOW - HOUR)
    fresh = from_the_store(life.app, NOW - HOUR)
    life.live(NOW - HOUR, NOW)

    replay.take_recent(life.app.store, fresh, NOW)

    assert_equal(life.app.pipeline, fresh, NOW)


def test_a_checkpoint_from_before_the_backfill_is_passed_over(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=START, detection={"quarantine": timedelta(hours=4)})
    life = Life(app)
    app.pipeline.state.advance(START)
    life.live(START, NOW)
    checkpoint.save(app)
    life.backfill(HISTORY, START.replace(minute=0))

    again = restarted(life, NOW)

    assert checkpoint.load(again, NOW) is None
    assert_equal(again.pipeline, from_the_store(again, NOW), NOW)


@pytest.mark.parametrize(
    "at", [NOW + timedelta(minutes=30), NOW + timedelta(minutes=35)], ids=["within an hour", "on the hour"]
)
def test_a_correction_of_a_learned_hour_is_learned_by_a_rebuild(tmp_path: Path, at: datetime) -> None:
    life = living(tmp_path)
    life.live(START, NOW)
    life.poll(at, settles=True)
    hour = START.replace(minute=0) + HOUR
    late = build.usage((hour, 1, 0, 8, 50, 10**9), bucket_s=3600)
    stamp = pd.Timestamp(at).as_unit("s")
    life.take(late, build.coverage(hour, hour + HOUR, bucket_s=3600, key_no=1, dimension=0, as_of=stamp))
    assert 1 in life.app.pipeline.state.needs_rebuild

    while rebuild.rebuild_corrected(life.app):
        pass

    assert not life.app.pipeline.state.needs_rebuild
    assert_equal(life.app.pipeline, from_the_store(life.app, at), at)
    life.live(at, at + 8 * HOUR)
    assert_equal(life.app.pipeline, from_the_store(life.app, at + 8 * HOUR), at + 8 * HOUR)


def test_without_a_correction_nothing_is_rebuilt(tmp_path: Path) -> None:
    life = living(tmp_path)
    before = to_bytes(life.app.pipeline.state)

    assert rebuild.rebuild_corrected(life.app) == 0
    assert not rebuild.is_widespread(life.app)
    assert to_bytes(life.app.pipeline.state) == before


def test_many_corrected_keys_are_rebuilt_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "AT_ONCE", 3)
    life = living(tmp_path)
    life.app.pipeline.state.restore_rebuild([1, 2, 3, 4])

    assert [rebuild.rebuild_corrected(life.app) for _ in range(3)] == [3, 1, 0]


def test_what_lies_further_back_than_a_replay_reaches_is_not_asked_for(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    assert replay.beginning(app.store, NOW) is None
    life = Life(app)
    life.backfill(NOW.replace(minute=0) - replay.REACH - 5 * HOUR, NOW.replace(minute=0) - replay.REACH + 5 * HOUR)

    assert replay.beginning(app.store, NOW) == NOW.replace(minute=0) - replay.REACH
    assert jobs_build.NOW == NOW


@pytest.mark.parametrize("since", [timedelta(0), replay.STEP, HOUR], ids=["now", "a step ago", "an hour ago"])
def test_a_start_in_the_first_moment_of_an_hour_replays_what_was_before_it(tmp_path: Path, since: timedelta) -> None:
    app = an_app(tmp_path)
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    pipeline = Pipeline(app.settings, app.store.keys.catalog, new_state(app.settings))
    replay.replay(app.store, pipeline, since=hour - since, until=hour + timedelta(milliseconds=300))
    assert pipeline.state.n_keys == 0
