"""Training: when it is due, what it refuses, what must not teach."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import build
import pytest
from jobs_build import NOW, an_app
from lived import HOUR, Life

from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.domain import IncidentState, Plan
from monitor.errors import ArtifactError
from monitor.features import NAMES
from monitor.jobs import artifacts, startup, training
from monitor.jobs.app import App

DAY = timedelta(days=1)
MIDDAY = NOW.replace(minute=0)


def an_app_of(state_dir: Path, history: timedelta) -> App:
    app = an_app(state_dir)
    if history:
        Life(app).backfill(MIDDAY - history, MIDDAY)
    return app


def test_training_is_due_at_first_and_then_once_a_day(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    assert training.is_due(app.store, app.settings, NOW)

    app.store.state.put("training", {"at": NOW.isoformat(), "artifact": "x.json"})

    assert not training.is_due(app.store, app.settings, NOW + DAY - HOUR)
    assert training.is_due(app.store, app.settings, NOW + DAY)


@pytest.mark.parametrize("history", [timedelta(0), 2 * DAY], ids=["none", "two days"])
def test_too_little_history_is_refused_and_marks_nothing(tmp_path: Path, history: timedelta) -> None:
    app = an_app_of(tmp_path, history)

    with pytest.raises(ArtifactError, match="less than 3 days"):
        training.train_now(app.settings, app.store, now=NOW, seed=1)

    assert training.is_due(app.store, app.settings, NOW)
    assert artifacts.newest(tmp_path / "artifacts") is None


def test_a_failed_training_leaves_the_old_detector_at_work(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    app.pipeline.trained = before = artifacts.load(Path(__file__).parents[2] / "models" / "detector.json", NAMES)

    startup.retrain(app, NOW)

    assert app.pipeline.trained is before


def test_windows_of_incidents_are_left_out_but_not_those_of_false_alarms_or_hard_rules(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    Life(app)
    theft = build.an_incident(1, at=NOW - DAY)
    false = build.an_incident(2, at=NOW - DAY, state=IncidentState.RESOLVED, resolution=FALSE_ALARM_RESOLUTION)
    rule = build.an_incident(3, at=NOW - DAY, p_value=None)
    unknown = build.an_incident(77, at=NOW - DAY)

    left_out = training.excluded((theft, false, rule, unknown), app.store.keys.catalog)

    number = app.store.keys.catalog.known_key_no(theft.key_hash)
    assert [(one.key_no, one.since, one.until) for one in left_out] == [(number, theft.onset_at, theft.last_seen_at)]


@pytest.mark.slow
def test_what_is_trained_is_used_and_hours_of_an_incident_are_not_in_it(tmp_path: Path) -> None:
    app = an_app_of(tmp_path, 4 * DAY)
    incident = build.an_incident(1, at=MIDDAY - DAY, onset_at=MIDDAY - DAY - 5 * HOUR)
    app.store.ledger.commit((), Plan(at=NOW, incidents=(incident,)), ())

    startup.retrain(app, NOW)

    assert app.pipeline.trained is not None
    manifest = app.pipeline.trained.manifest
    assert manifest.n_rows_left_out == 5
    assert manifest.n_keys == 4
    assert not training.is_due(app.store, app.settings, NOW)
    again = artifacts.choose(None, tmp_path / "artifacts", tmp_path, NAMES)
    assert again is not None and again.manifest == manifest
