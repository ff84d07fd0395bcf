"""Roles of detectors: who is at work, who is kept, and the way back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from jobs_build import NOW, a_store, an_app

from monitor.decide.context import Context
from monitor.errors import MonitorError
from monitor.features import NAMES
from monitor.jobs import artifacts, roles, startup
from monitor.jobs.roles import Roles

DAY = timedelta(days=1)
SHIPPED = Path(__file__).parents[2] / "models"


def promoted(known: Roles, name: str, *, day: int = 0) -> Roles:
    return roles.promoted(known, name, at=NOW + day * DAY, by="monitor", why="no worse")


def test_roles_survive_a_restart(tmp_path: Path):
    store = a_store(tmp_path)
    written = roles.refused(promoted(promoted(Roles(), "a"), "b", day=1), "c", at=NOW, why="worse")

    roles.write(store, written)
    store.maintenance.close()

    again = a_store(tmp_path)
    assert roles.read(again) == written
    again.maintenance.close()


def test_a_store_of_before_there_were_roles_has_none(tmp_path: Path):
    store = a_store(tmp_path)

    assert roles.read(store) is None
    store.maintenance.close()


def test_what_was_live_is_kept_to_go_back_to_and_the_newest_three_only():
    known = Roles()
    for day, name in enumerate("abcdef"):
        known = promoted(known, name, day=day)

    assert (known.live, known.before) == ("f", ("e", "d", "c"))
    assert known.kept == {"f", "e", "d", "c", "a"}  # a is the anchor


def test_the_anchor_stays_for_a_month_and_then_follows():
    known = promoted(Roles(), "a")
    for day in range(1, 28):
        known = promoted(known, f"d{day}", day=day)
    assert known.anchor == "a"

    known = promoted(known, "d28", day=28)

    assert (known.anchor, known.anchored_at) == ("d28", NOW + 28 * DAY)


def test_rolled_back_is_the_one_before_and_the_other_one_is_not_promoted_by_itself_again():
    known = promoted(promoted(Roles(), "a"), "b", day=1)

    back = roles.rolled_back(known, at=NOW, by="cli:ann", why="too loud")

    assert (back.live, back.before, back.refused) == ("a", (), ("b",))
    assert (back.events[-1].what, back.events[-1].name, back.events[-1].by) == ("rolled back", "b", "cli:ann")


def test_there_is_no_way_back_from_the_first_one():
    with pytest.raises(MonitorError, match="detector list"):
        roles.rolled_back(promoted(Roles(), "a"), at=NOW, by="cli:ann", why="")


def test_a_person_may_promote_what_was_refused():
    known = roles.refused(promoted(Roles(), "a"), "b", at=NOW, why="worse")

    assert promoted(known, "b").refused == ()


def test_a_change_by_another_process_is_taken_up_once(tmp_path: Path):
    # given a service that runs with the shipped detector, and one made here
    app = an_app(tmp_path)
    shipped = artifacts.load(SHIPPED / "detector.json", NAMES)
    app.pipeline.trained, app.detector = shipped, "detector"
    assert not startup.take_up(app)
    made = replace(shipped, manifest=msgspec.structs.replace(shipped.manifest, seed=shipped.manifest.seed + 1))
    artifacts.save(made, tmp_path / "artifacts", name="detector-1")

    # when
    roles.write(app.store, promoted(Roles(), "detector-1"))

    # then
    assert startup.take_up(app)
    assert app.pipeline.trained is not None and app.pipeline.trained.manifest.seed == made.manifest.seed
    assert not startup.take_up(app)


def test_evidence_that_another_detector_gathered_is_none(tmp_path: Path):
    # given a detector at work that has judged
    app = an_app(tmp_path)
    shipped = artifacts.load(SHIPPED / "detector.json", NAMES)
    app.pipeline.trained, app.detector = shipped, "detector"
    app.pipeline.judge(NOW, Context())
    assert app.pipeline.memory is not None

    # when another one takes its place
    artifacts.save(shipped, tmp_path / "artifacts", name="detector-1")
    roles.write(app.store, promoted(Roles(), "detector-1"))
    assert startup.take_up(app)

    # then its predecessor's scores, which lie on a scale of their own, are not added to
    assert app.pipeline.memory is None and app.pipeline.judged_at is None


def test_a_detector_that_cannot_be_read_leaves_the_old_one_at_work(tmp_path: Path):
    app = an_app(tmp_path)
    app.pipeline.trained = shipped = artifacts.load(SHIPPED / "detector.json", NAMES)
    roles.write(app.store, promoted(Roles(), "detector-gone"))

    assert not startup.take_up(app)
    assert app.pipeline.trained is shipped


def test_the_shadow_is_never_taken_for_the_one_at_work(tmp_path: Path):
    app = an_app(tmp_path)
    shipped = artifacts.load(SHIPPED / "detector.json", NAMES)
    artifacts.save(shipped, tmp_path / "artifacts", name="detector-1")
    roles.write(app.store, roles.shadowed(Roles(), "detector-1", at=NOW))

    assert startup.at_work(app) is None


def test_artifacts_with_a_role_are_not_pruned(tmp_path: Path):
    shipped = artifacts.load(SHIPPED / "detector.json", NAMES)
    saved = artifacts.save(shipped, tmp_path, name="detector-0")
    for number in range(1, 8):
        for made in (saved, saved.with_suffix(".skops")):
            shutil.copy(made, tmp_path / f"detector-{number}{made.suffix}")

    artifacts.prune(tmp_path, kept=frozenset({"detector-0"}))

    assert sorted(path.stem for path in tmp_path.glob("*.json")) == [
        "detector-0",
        *(f"detector-{n}" for n in range(3, 8)),
    ]
