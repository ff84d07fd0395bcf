"""A replay of the store: what the service lived through, once more; nothing of the future, nothing that is not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jobs_build import a_store, settings_in
from recordings import EVALUATE_FROM, START, THEFT_AT, a_recording, hash_of, into_store, known, thefts_simulated

from monitor import backtest
from monitor.backtest import spending
from monitor.config import Settings
from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.detect.artifact import Trained
from monitor.domain import BUCKET_S, HOUR_S, Feedback, Opinion
from monitor.errors import StoreError
from monitor.jobs import artifacts
from monitor.store.base import Store
from monitor.wiring import shipped_models

BUCKET, HOUR, DAY = timedelta(seconds=BUCKET_S), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def few_thefts() -> Iterator[None]:
    with thefts_simulated(200):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_recording(tmp_path_factory.mktemp("recording"), theft_at=THEFT_AT)


@pytest.fixture(scope="module")
def from_folder(folder: Path) -> backtest.Replay:
    return backtest.replay(backtest.load(folder), Settings(), seed=1)


@pytest.fixture(scope="module")
def trained(from_folder: backtest.Replay) -> Trained:
    assert from_folder.trained is not None
    return from_folder.trained


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = a_store(tmp_path)
    yield opened
    opened.maintenance.close()


@pytest.fixture
def shipped(tmp_path: Path, trained: Trained) -> Path:
    """A folder of shipped models."""
    return artifacts.save(trained, tmp_path / "models", name=artifacts.SHIPPED).parent


def replayed(
    store: Store,
    trained: Trained,
    *,
    now: datetime = START + 30 * DAY,
    since: datetime = EVALUATE_FROM,
    said: tuple[Feedback, ...] = (),
) -> backtest.Replay:
    settings = Settings()
    recording = backtest.from_store(store, settings, now=now, since=since)
    return backtest.replay(recording, settings, seed=1, trained=trained, said=said)


@pytest.mark.parametrize(
    "is_settled", [False, True], ids=["ten-minute rows only", "with the settled hours beside them"]
)
def test_ten_minute_rows_are_replayed_from_the_store_as_from_a_folder(
    store: Store, folder: Path, from_folder: backtest.Replay, trained: Trained, is_settled: bool
) -> None:
    into_store(store, folder, is_settled=is_settled)

    found = replayed(store, trained)

    assert found.decisions == from_folder.decisions
    assert found.incidents == from_folder.incidents
    assert found.verdicts == from_folder.verdicts
    assert len(found.decisions) >= 3


@pytest.mark.parametrize("fine_from", [START, EVALUATE_FROM - DAY, THEFT_AT + HOUR, START + 9 * DAY], ids=str)
def test_cutting_the_future_of_the_store_changes_no_past_decision(
    store: Store, tmp_path: Path, folder: Path, trained: Trained, fine_from: datetime
) -> None:
    cut = THEFT_AT + timedelta(minutes=50) if fine_from < THEFT_AT + HOUR else THEFT_AT + HOUR
    (tmp_path / "shorter").mkdir()
    shorter = a_store(tmp_path / "shorter")
    into_store(store, folder, fine_from=fine_from)
    into_store(shorter, folder, fine_from=fine_from, until=cut)

    whole, past = replayed(store, trained), replayed(shorter, trained)
    shorter.maintenance.close()

    assert past.decisions == tuple(decision for decision in whole.decisions if decision.at <= cut)
    assert past.decisions
    assert past.recording.until == cut


def test_hours_are_decided_on_at_their_end(store: Store, folder: Path, trained: Trained) -> None:
    into_store(store, folder, fine_from=START + 9 * DAY)

    found = replayed(store, trained)

    windows = list(found.recording.windows(EVALUATE_FROM, EVALUATE_FROM + 3 * HOUR))
    assert [window.at - EVALUATE_FROM for window in windows] == [HOUR, 2 * HOUR, 3 * HOUR]
    assert min(decision.at for decision in found.decisions if decision.key_hash == hash_of(2)) == THEFT_AT + HOUR


def test_what_is_not_known_is_a_gap_and_never_zero_usage(store: Store, folder: Path, trained: Trained) -> None:
    into_store(store, folder)
    gap = (THEFT_AT + HOUR, THEFT_AT + 4 * HOUR)
    store.usage.write(backtest.load(folder).usage.iloc[:0], known(*gap, bucket_s=BUCKET_S, quality="unknown"))

    found = replayed(store, trained)

    assert found.recording.gaps == (gap,)
    inside = list(found.recording.windows(*gap))
    assert len(inside) == 18
    assert not any(
        (window.coverage.loc[window.coverage["bucket_s"] == BUCKET_S, "quality"] > 0).any() for window in inside
    )
    summary = backtest.summarize(found, Settings(), detector="", workspaces={})
    assert "not known   3 h in 1 gap" in str(summary)
    assert summary.unknown == 3 * HOUR


def test_what_single_keys_lack_is_said_in_the_windows(store: Store, folder: Path, trained: Trained) -> None:
    into_store(store, folder)
    at = EVALUATE_FROM + HOUR
    nothing = backtest.load(folder).usage.iloc[:0]
    store.usage.write(nothing, known(at, at + BUCKET, bucket_s=BUCKET_S, key_no=1, quality="partial"))

    recording = backtest.from_store(store, Settings(), now=START + 30 * DAY, since=EVALUATE_FROM)
    (window,) = recording.windows(at, at + BUCKET)

    own = window.coverage[(window.coverage["key_no"] == 1).to_numpy()]
    assert own["quality"].tolist() == [1, 1, 1, 1]
    assert recording.gaps == ()


def test_the_last_day_decides_and_the_rest_teaches_where_nothing_else_is_said(store: Store, tmp_path: Path) -> None:
    into_store(store, a_recording(tmp_path / "five", days=5))

    recording = backtest.from_store(store, Settings(), now=START + 5 * DAY)

    assert recording.evaluate_from == START + 3 * DAY
    assert (recording.since, recording.until) == (START, START + 5 * DAY)


def test_a_short_history_is_judged_by_the_shipped_detector_and_that_is_said(
    store: Store, folder: Path, tmp_path: Path, shipped: Path
) -> None:
    into_store(store, folder)

    found = backtest.of_store(
        store, settings_in(tmp_path), now=START + 3 * DAY, seed=1, shipped=shipped, since=EVALUATE_FROM
    )

    assert "the shipped one, as the service has it then" in found.summary.detector
    assert "less than 3 days" in found.summary.detector
    assert hash_of(2) in {decision.key_hash for decision in found.replay.decisions}


def test_the_history_before_trains_the_detector_as_the_service_would(store: Store, tmp_path: Path) -> None:
    theft_at = START + 4 * DAY
    into_store(store, a_recording(tmp_path / "long", days=4.5, theft_at=theft_at), fine_from=START + 3 * DAY)
    since = START + 3 * DAY + 6 * HOUR

    found = backtest.of_store(
        store, settings_in(tmp_path), now=START + 9 * DAY, seed=1, shipped=shipped_models(), since=since
    )

    assert found.replay.trained is not None
    assert found.replay.trained.manifest.trained_until <= since
    assert "trained on 5 keys" in found.summary.detector
    assert hash_of(2) in {decision.key_hash for decision in found.replay.decisions}
    (stopped,) = (case for case in found.summary.cases if case.disabled_at)
    assert stopped.key_hash == hash_of(2) and stopped.stopped_nusd > 0


def test_a_detector_made_here_after_the_first_decision_is_not_used(
    store: Store, folder: Path, tmp_path: Path, trained: Trained, shipped: Path
) -> None:
    into_store(store, folder)
    for made_at in (EVALUATE_FROM - DAY, EVALUATE_FROM + HOUR):
        artifacts.save(trained, tmp_path / "artifacts", name=artifacts.name_of(made_at))

    found = backtest.of_store(
        store, settings_in(tmp_path), now=START + 3 * DAY, seed=1, shipped=shipped, since=EVALUATE_FROM
    )

    assert found.summary.detector.startswith(artifacts.name_of(EVALUATE_FROM - DAY))


def test_cutting_the_future_of_the_store_does_not_change_the_detector_it_trains(store: Store, tmp_path: Path) -> None:
    theft_at, cut = START + 4 * DAY, START + 4 * DAY + 3 * HOUR
    long = a_recording(tmp_path / "long", days=5.5, theft_at=theft_at)
    (tmp_path / "shorter").mkdir()
    shorter = a_store(tmp_path / "shorter")
    into_store(store, long)
    into_store(shorter, long, until=cut)

    whole, past = (
        backtest.of_store(
            each, settings_in(tmp_path), now=START + 9 * DAY, seed=1, shipped=tmp_path, since=START + 3.5 * DAY
        ).replay
        for each in (store, shorter)
    )
    shorter.maintenance.close()

    assert whole.trained is not None
    assert past.decisions == tuple(decision for decision in whole.decisions if decision.at <= cut)
    assert past.decisions and store.keys.catalog.n_values > shorter.keys.catalog.n_values


def test_an_empty_store_and_a_since_after_its_end_are_refused(store: Store, folder: Path) -> None:
    with pytest.raises(StoreError, match="no usage yet"):
        backtest.from_store(store, Settings(), now=START)
    into_store(store, folder)

    with pytest.raises(StoreError, match="choose an earlier --since"):
        backtest.from_store(store, Settings(), now=START + 9 * DAY, since=START + 8 * DAY)


def test_every_moment_of_the_history_is_in_one_window(store: Store, folder: Path) -> None:
    into_store(store, folder, fine_from=START + DAY, is_settled=True)
    recording = backtest.from_store(store, Settings(), now=START + 9 * DAY, since=EVALUATE_FROM)

    windows = list(recording.windows(recording.since, recording.until))

    assert [window.at for window in windows] == sorted({window.at for window in windows})
    fine = sum(int(window.usage.loc[window.usage["bucket_s"] == BUCKET_S, "cost_nusd"].sum()) for window in windows)
    stored = store.usage.read(START + DAY, recording.until, bucket_s=BUCKET_S)
    assert fine == int(stored["cost_nusd"].sum())
    hourly = store.usage.read(START, recording.until - 7 * HOUR, bucket_s=HOUR_S)
    in_windows = sum(int((window.usage["bucket_s"] == HOUR_S).sum()) for window in windows)
    assert in_windows == len(hourly)
    for window in windows:
        ends = (
            (window.usage["bucket_start"].astype("int64") + window.usage["bucket_s"]).max() if len(window.usage) else 0
        )
        assert ends <= window.at.timestamp()


@pytest.mark.parametrize("fine_from", [START, EVALUATE_FROM + HOUR], ids=["ten-minute rows", "hours first"])
def test_charts_get_the_same_hours_from_the_store_as_from_a_folder(
    store: Store, folder: Path, trained: Trained, fine_from: datetime
) -> None:
    into_store(store, folder, fine_from=fine_from)
    recorded = backtest.load(folder)
    stored = backtest.from_store(store, Settings(), now=START + 9 * DAY, since=EVALUATE_FROM)

    hours, ours = spending.by_model(recorded), spending.by_model(stored)

    pd.testing.assert_frame_equal(hours, ours)
    of_evaluation = recorded.usage[
        (
            (recorded.usage["bucket_start"] >= pd.Timestamp(EVALUATE_FROM)) & (recorded.usage["dimension"] == 0)
        ).to_numpy()
    ]
    assert hours["cost_nusd"].sum() == of_evaluation["cost_nusd"].sum()
    assert not hours.duplicated(["hour_s", "key_no", "value_no"]).any()


def test_what_was_expected_of_an_hour_is_what_was_known_when_it_began(
    store: Store, tmp_path: Path, trained: Trained
) -> None:
    since, theft_at = START + 9 * DAY, START + 9 * DAY + 3 * HOUR
    long = a_recording(tmp_path / "long", days=9.5, theft_at=theft_at)
    (tmp_path / "shorter").mkdir()
    shorter = a_store(tmp_path / "shorter")
    into_store(store, long, fine_from=since)
    into_store(shorter, long, fine_from=since, until=theft_at + 2 * HOUR)
    whole, past = spending.Usual(), spending.Usual()

    for each, usual in ((store, whole), (shorter, past)):
        recording = backtest.from_store(each, Settings(), now=START + 20 * DAY, since=since)
        backtest.replay(recording, Settings(), seed=1, trained=trained, watching=usual.watch)
    shorter.maintenance.close()

    stolen = store.keys.catalog.key_no(hash_of(2))
    hours, expected = whole.of(stolen)
    first_hours, before = past.of(stolen)
    assert hours[0] == since.timestamp() and set(np.diff(hours)) == {3600}
    assert np.array_equal(expected[: len(before)], before)
    assert np.array_equal(hours[: len(before)], first_hours)
    assert 0.1e9 < np.median(expected) < 0.3e9  # six buckets of three cents
    assert np.isnan(whole.of(999)[1]).all()


def test_what_people_said_is_replayed_when_it_was_said_and_not_before(
    store: Store, folder: Path, trained: Trained
) -> None:
    # given a theft that the replay disables the key for, and a plan for that key
    into_store(store, folder)
    stolen = hash_of(2)
    plain = [one for one in replayed(store, trained).decisions if one.key_hash == stolen]
    (revoked_at,) = (one.at for one in plain if one.action == backtest.REVOKE)

    def decisions(said_at: datetime) -> list[backtest.Decision]:
        plan = Feedback("FB-1", stolen, Opinion.PLANNED, said_at, "cli:ann", until=revoked_at + 2 * DAY)
        return [one for one in replayed(store, trained, said=(plan,)).decisions if one.key_hash == stolen]

    # when it was announced before the disable, and only afterwards
    before, after = decisions(THEFT_AT - HOUR), decisions(revoked_at + timedelta(seconds=1))

    # then
    assert not [one for one in before if one.action == backtest.REVOKE]
    assert [one for one in after if one.at <= revoked_at] == [one for one in plain if one.at <= revoked_at]


def test_a_false_alarm_called_expected_ends_in_the_replay_when_it_was_said(
    store: Store, folder: Path, trained: Trained
) -> None:
    into_store(store, folder)
    at = THEFT_AT + HOUR
    said = Feedback("FB-1", hash_of(2), Opinion.EXPECTED, at, "cli:ann", until=at + DAY)

    incidents = [one for one in replayed(store, trained, said=(said,)).incidents if one.key_hash == hash_of(2)]

    assert next((one.resolution, one.resolved_at) for one in incidents) == (FALSE_ALARM_RESOLUTION, at)
