"""The references of the comparison of detectors: what they see, and how their thresholds are found."""

from __future__ import annotations

import importlib.util
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from detect import anomstack, grid, limits, references, run, scorer, tuning
from detect.scores import Scores, decided
from recordings import START, a_recording

from monitor.backtest import REVOKE, load

BENCH = Path(__file__).resolve().parents[3] / "shared" / "bench" / "dev"
recorded = pytest.mark.skipif(not BENCH.is_dir(), reason="the labelled recording is not here")

TURN = START + timedelta(days=4, hours=6)
THEFT = START + timedelta(days=4, hours=20)
CUT = START + timedelta(days=5, hours=3)


def a_table(folder: Path, *, until: datetime) -> grid.Grid:
    days = (until - START) / timedelta(days=1)
    return grid.of(load(a_recording(folder, days=days, theft_at=THEFT, usd=6.0, evaluation_start=TURN.isoformat())))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> grid.Grid:
    return a_table(tmp_path_factory.mktemp("whole"), until=START + timedelta(days=6))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> grid.Grid:
    return a_table(tmp_path_factory.mktemp("cut"), until=CUT)


def far_from_usual(train: np.ndarray, now: np.ndarray) -> np.ndarray:
    """A stand-in for PyOD's models: distance from the mean of what it learned from, in spreads."""
    return np.abs((now - train.mean(axis=0)) / (train.std(axis=0) + 1e-9)).max(axis=1)


def scored(name: str, table: grid.Grid) -> Scores:
    """PyOD is installed for the comparison alone: without it, its place is taken."""
    if name == references.PYOD and not anomstack.is_installed():
        return Scores(anomstack.smoothed(anomstack.shares(table, far_from_usual)))
    return references.REFERENCES[name].score(table)


@pytest.mark.parametrize("name", references.REFERENCES)
def test_cutting_the_future_changes_no_earlier_decision(name: str, whole: grid.Grid, cut: grid.Grid) -> None:
    reference, full, shorter = references.REFERENCES[name], scored(name, whole), scored(name, cut)
    judged = full.alert[:, whole.turn :]
    often = float(np.quantile(judged[np.isfinite(judged)], 0.5))
    tuned = run.from_history(full, whole)

    assert run.from_history(shorter, cut) == tuned
    for threshold in (often, tuned):
        past = decided(reference, shorter, cut, threshold)
        assert past == [decision for decision in decided(reference, full, whole, threshold) if decision.at <= CUT]
    assert decided(reference, shorter, cut, often)


@pytest.mark.parametrize("name", [name for name in references.REFERENCES if references.REFERENCES[name].as_given])
def test_cutting_the_future_changes_nothing_said_at_the_given_threshold(
    name: str, whole: grid.Grid, cut: grid.Grid
) -> None:
    if name == references.PYOD and not anomstack.is_installed():
        pytest.skip("PyOD is installed for the comparison alone")
    reference = references.REFERENCES[name]
    assert reference.as_given is not None

    past, full = (
        decided(reference, shown, table, threshold)
        for table in (cut, whole)
        for shown, threshold in [reference.as_given(table, scored(name, table))]
    )

    assert past == [decision for decision in full if decision.at <= CUT]


@pytest.mark.parametrize("name", references.REFERENCES)
def test_history_keeps_the_budget_it_was_tuned_to(name: str, whole: grid.Grid) -> None:
    scores = scored(name, whole)
    history = slice(run.WARM_UP, whole.turn)

    threshold = run.from_history(scores, whole)

    assert tuning.per_week(scores.fires(threshold)[:, history]) <= tuning.BUDGET
    assert np.isfinite(threshold) == np.isfinite(scores.alert[:, history]).any()


@pytest.mark.parametrize("name", ["new model, in dollars", "new model and country, in dollars"])
def test_a_theft_with_a_new_model_from_a_new_country_is_seen_at_once(name: str, whole: grid.Grid) -> None:
    found = decided(references.REFERENCES[name], scored(name, whole), whole, 5.0)

    assert {decision.key_hash for decision in found} == {f"{2:064x}"}
    assert found[0].at == THEFT + timedelta(minutes=10)


def test_a_limit_is_told_of_at_four_fifths_then_refuses_once_a_day(whole: grid.Grid) -> None:
    scores = references.REFERENCES["fixed limits of keys"].score(whole)

    found = [
        d
        for d in decided(references.REFERENCES["fixed limits of keys"], scores, whole, 4.0)
        if d.at.date() == THEFT.date()
    ]

    assert [decision.action == REVOKE for decision in found] == [False, True]
    spent = np.cumsum(whole.usd[2, 4 * grid.DAY : 5 * grid.DAY])
    limit = 4.0 * whole.usd[2, : 4 * grid.DAY].reshape(4, -1).sum(axis=1).max()
    ends = [whole.end_of(4 * grid.DAY + int(np.argmax(spent >= share * limit))) for share in (0.8, 1.0)]
    assert [decision.at for decision in found] == ends


def test_a_day_of_the_history_is_not_its_own_limit() -> None:
    day = np.repeat(np.arange(4), 2)
    usd = np.array([[1.0, 1.0, 5.0, 4.0, 2.0, 1.0, 8.0, 8.0]])

    assert limits.largest_day(usd, day, turn=6)[0].tolist() == [9.0, 9.0, 3.0, 3.0, 9.0, 9.0, 9.0, 9.0]
    assert limits.largest_day(usd, day, turn=5)[0].tolist() == [9.0, 9.0, 2.0, 2.0, 9.0, 9.0, 9.0, 9.0]


def test_a_trailing_sum_ends_with_its_bucket() -> None:
    assert grid.trailing(np.array([[1.0, 2.0, 3.0, 4.0]]), 3).tolist() == [[1.0, 3.0, 6.0, 9.0]]


def test_lags_are_smoothed_differences_of_whole_hours() -> None:
    hourly = np.arange(60.0)[None, :] ** 2

    rows = anomstack.lagged(hourly)

    assert rows.shape == (1, 60, 6)
    assert rows[0, 50, 0] == (50**2 - 32**2) / 3
    assert rows[0, 50, 5] == (20**2 - 2**2) / 3


def test_smoothing_takes_the_hours_before_and_may_stop_at_one() -> None:
    shares = np.full((1, 13), 0.4)
    shares[0, 0] = 5.0

    assert anomstack.smoothed(shares)[0, 12] == pytest.approx((5.0 + 0.4 + 0.4) / 3)
    assert anomstack.smoothed(shares, at_most=1.0)[0, 12] == pytest.approx(0.6)
    assert np.isneginf(anomstack.smoothed(shares)[0, 11])


def test_incidents_end_after_six_quiet_hours_or_a_day() -> None:
    key_no = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1])
    bucket = np.array([0, 36, 73, 0, 30, 60, 90, 120, 150])

    assert tuning.n_incidents(key_no, bucket) == 4


def test_the_lowest_threshold_within_the_budget_is_found() -> None:
    thresholds = np.arange(100.0, 0.0, -1.0)

    assert tuning.lowest(thresholds, lambda level: 100.0 - level, budget=5.0) == 95.0
    assert tuning.lowest(thresholds, lambda level: 0.0) == 1.0
    assert tuning.lowest(thresholds, lambda level: 9.0) == tuning.NEVER


def test_a_missing_recording_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(__file__).resolve().parents[2] / "bench" / "compare_detectors.py"
    spec = importlib.util.spec_from_file_location("compare_detectors", script)
    assert spec is not None and spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)

    assert command.main([str(tmp_path / "nowhere")]) == 2

    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "usage.parquet is missing" in told


@pytest.fixture(scope="module")
def dev() -> grid.Grid:
    return grid.of(load(BENCH))


@recorded
def test_incidents_are_counted_as_the_scorer_counts_them(dev: grid.Grid) -> None:
    judge = scorer.load(BENCH)
    rng = np.random.default_rng(5)
    fires = rng.random(dev.usd.shape) < np.repeat(
        rng.choice([0.0, 0.003, 0.03, 0.3], len(dev.usd)), dev.n_buckets
    ).reshape(dev.usd.shape)
    key_no, bucket = np.nonzero(fires)
    hashes = sorted(dev.recording.catalog.key_hash(no) for no in range(len(dev.usd)))
    rows = [
        (hashes[no], pd.Timestamp(dev.end_of(at)), 0) for no, at in zip(key_no.tolist(), bucket.tolist(), strict=True)
    ]

    assert tuning.n_incidents(key_no, bucket) == len(judge.incidents(rows, judge.Truth(BENCH)))


@recorded
def test_a_threshold_from_labels_keeps_the_budget_by_the_scorers_count(dev: grid.Grid) -> None:
    reference = references.REFERENCES["new model, in dollars"]
    scores = reference.score(dev)
    judge = scorer.load(BENCH)

    threshold = run.with_labels(scores, dev, run.Task(reference.name, BENCH, BENCH))

    judged = scorer.judged(judge, judge.Truth(BENCH), decided(reference, scores, dev, threshold))
    per_week = scorer.summary(judge, [judged])["false_incidents_per_week"]
    assert 0.0 < per_week <= tuning.BUDGET


@recorded
def test_halves_of_the_keys_make_the_whole(dev: grid.Grid) -> None:
    reference = references.REFERENCES["new model, in dollars"]
    judge = scorer.load(BENCH)
    truth = judge.Truth(BENCH)
    decisions = decided(reference, reference.score(dev), dev, 5.0)

    whole, halves = scorer.judged(judge, truth, decisions), scorer.halves(judge, truth, decisions)

    for name in ("incidents", "false_incidents", "false_without_event"):
        assert sum(half[name] for half in halves) == whole[name]
    assert sorted(a["key"] for half in halves for a in half["attacks"]) == sorted(a["key"] for a in whole["attacks"])
    assert all(0 < len(half["attacks"]) < len(whole["attacks"]) for half in halves)
