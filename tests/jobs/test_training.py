"""Training: when it is due, what it refuses, what must not teach."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import build
import msgspec
import pytest
from jobs_build import NOW, an_app
from lived import HOUR, Life
from recordings import thefts_simulated

from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.domain import IncidentState, Plan
from monitor.errors import ArtifactError
from monitor.features import NAMES
from monitor.jobs import artifacts, startup, training
from monitor.jobs.app import App
from monitor.jobs.training import Made

DAY = timedelta(days=1)
MIDDAY = NOW.replace(minute=0)
SHIPPED = Path(__file__).parents[2] / "models"


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
        training.train_now(app.settings, app.store, now=NOW, seed=1, shipped=SHIPPED)

    assert training.is_due(app.store, app.settings, NOW)
    assert artifacts.newest(tmp_path / "artifacts") is None


def test_a_failed_training_leaves_the_old_detector_at_work(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    app.pipeline.trained = before = artifacts.load(SHIPPED / "detector.json", NAMES)

    startup.retrain(app, NOW, SHIPPED)

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

    startup.retrain(app, NOW, SHIPPED)

    assert startup.take_up(app)
    assert app.pipeline.trained is not None
    manifest = app.pipeline.trained.manifest
    assert manifest.n_rows_left_out == 5
    assert manifest.n_keys == 4
    assert not training.is_due(app.store, app.settings, NOW)
    again, name = artifacts.choose(None, startup.at_work(app), tmp_path, NAMES)
    assert again is not None and again.manifest == manifest
    assert name == app.detector


@pytest.fixture(scope="module")
def twice_trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Made]]:
    """A state directory with six days of history, with a training at the end of the fourth and the fifth; made once, to be copied."""
    state_dir = tmp_path_factory.mktemp("twice") / "state"
    with thefts_simulated(400):
        app = an_app_of(state_dir, 6 * DAY)
        made = [train(app, now=NOW - back * DAY) for back in (2, 1)]
    app.store.maintenance.close()
    return state_dir, made


def train(app: App, *, now: datetime) -> Made:
    return training.train_now(app.settings, app.store, now=now, seed=1, shipped=SHIPPED)


@pytest.fixture
def app_twice_trained(tmp_path: Path, twice_trained: tuple[Path, list[Made]]) -> Iterator[App]:
    shutil.copytree(twice_trained[0], tmp_path / "state")
    with thefts_simulated(400):
        yield an_app(tmp_path / "state")


@pytest.mark.slow
def test_a_detector_is_tried_on_days_it_has_not_seen_before_it_takes_over(
    app_twice_trained: App, twice_trained: tuple[Path, list[Made]]
) -> None:
    # given six days of history, and a training at the end of the fourth, the fifth and the sixth
    app, (_, before) = app_twice_trained, twice_trained
    trained = [*before, train(app, now=NOW)]

    # then the first is at work at once, the second goes on trial, and the third training ends that trial
    first, second, third = (made.path.stem for made in trained)
    assert (trained[0].roles.live, trained[0].roles.anchor) == (first, first)
    assert (trained[1].roles.live, trained[1].roles.shadow) == (first, second)
    ended = trained[2].roles
    assert ended.shadow == third
    assert second in {ended.live, *ended.refused}
    assert [one.what for one in ended.events][-2:] in (["promoted", "shadow"], ["refused", "shadow"])
    drift = app.store.state.get("drift")
    assert drift is not None and drift["anchor"] == first
    assert len(drift["features"]) == len(NAMES)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_detector_that_finds_nothing_any_more_is_never_promoted(
    app_twice_trained: App, twice_trained: tuple[Path, list[Made]]
) -> None:
    # given a detector at work, and one on trial whose level was taught away
    app, (first, second) = app_twice_trained, (made.path.stem for made in twice_trained[1])
    folder = app.state_dir / "artifacts"
    good = artifacts.load(folder / f"{second}.json", NAMES)
    levels = msgspec.structs.replace(good.manifest.levels, alpha=1e-12)
    poisoned = replace(good, manifest=msgspec.structs.replace(good.manifest, levels=levels))
    artifacts.save(poisoned, folder, name=second)

    # when
    ended = train(app, now=NOW).roles

    # then
    assert ended.live == first
    assert second in ended.refused
    assert "thefts" in next(one.why for one in ended.events if one.what == "refused")
