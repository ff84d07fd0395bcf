"""What a start puts right: open intents, messages in doubt, the detector, the state of the fleet."""

from __future__ import annotations

import errno
import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import build
import pytest
from fake_keys import FakeKeys, always
from jobs_build import NOW, an_app, an_inventory
from lived import HOUR, Life

from monitor.detect.findings import Memory
from monitor.domain import ActionState, Message, MessageKind, Plan, Severity, Verb
from monitor.errors import ArtifactError, Unavailable
from monitor.features import NAMES, to_bytes
from monitor.jobs import artifacts, checkpoint, startup
from monitor.jobs.app import App
from monitor.pipeline import Pipeline, new_state
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey
from monitor.store.base import Delivery
from monitor.wiring import shipped_models

SHIPPED = shipped_models()


def an_app_with(state_dir: Path, keys: FakeKeys, **changes: object) -> App:
    responders = {Verb.DISABLE: DisableKey(keys), Verb.RESTORE: RestoreKey(keys)}
    app = an_app(state_dir, control=keys, responders=responders, **changes)
    app.store.keys.record(an_inventory(*keys.keys.values()))
    return app


def an_intent(app: App, **changes: object) -> str:
    action = build.an_action(1, incident_id=None, **{"intended_at": NOW - timedelta(minutes=2), **changes})
    app.store.ledger.commit((), Plan(at=action.intended_at, actions=(action,)), ())
    return action.action_id


async def test_an_intent_whose_effect_was_reached_before_the_kill_is_found_done(tmp_path: Path) -> None:
    keys = FakeKeys.holding(build.a_key(1, settings=build.key_settings(is_disabled=True)))
    app = an_app_with(tmp_path, keys)
    an_intent(app)

    await startup.start(app, SHIPPED)

    (action,) = app.store.ledger.actions()
    assert action.state is ActionState.DONE
    assert "set_disabled" not in keys.calls
    assert [entry.message.kind for entry in app.store.outbox.entries()] == [MessageKind.ACTION]


async def test_an_intent_without_effect_is_carried_out_while_it_is_valid(tmp_path: Path) -> None:
    keys = FakeKeys.holding(build.a_key(1))
    app = an_app_with(tmp_path, keys, response={"mode": "enforce", "armed_without_replay": True})
    an_intent(app)

    await startup.start(app, SHIPPED)

    assert app.store.ledger.actions()[0].state is ActionState.DONE
    assert keys.keys[build.a_hash(1)].settings.is_disabled


async def test_an_intent_that_is_too_old_touches_nothing(tmp_path: Path) -> None:
    keys = FakeKeys.holding(build.a_key(1))
    app = an_app_with(tmp_path, keys)
    an_intent(app, intended_at=NOW - HOUR)

    await startup.start(app, SHIPPED)

    assert app.store.ledger.actions()[0].state is ActionState.EXPIRED
    assert not keys.keys[build.a_hash(1)].settings.is_disabled


async def test_an_intent_whose_key_cannot_be_read_now_stays_open(tmp_path: Path) -> None:
    app = an_app_with(tmp_path, FakeKeys.holding(build.a_key(1), faults=always(Unavailable("503"))))
    an_intent(app)

    await startup.start(app, SHIPPED)

    assert app.store.ledger.actions()[0].state is ActionState.INTENDED


async def test_a_message_that_was_being_sent_is_in_doubt_and_one_that_waited_still_waits(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    for number, severity in ((1, Severity.CRITICAL), (2, Severity.NOTICE)):
        message = Message(f"INC-{number}:1:alert", MessageKind.ALERT, "#a", severity, "title", "text", created_at=NOW)
        app.store.outbox.add((message,), NOW)
    app.store.outbox.claim(NOW, limit=1)

    await startup.start(app, SHIPPED)

    states = {entry.message.message_id: entry.state for entry in app.store.outbox.entries()}
    assert states == {"INC-1:1:alert": Delivery.UNKNOWN, "INC-2:1:alert": Delivery.WAITING}


async def test_the_shipped_detector_serves_until_one_was_made_here(tmp_path: Path) -> None:
    app = an_app(tmp_path)

    await startup.start(app, SHIPPED)

    assert app.pipeline.trained is not None
    made = app.pipeline.trained
    artifacts.save(made, tmp_path / "artifacts", name=artifacts.name_of(NOW))
    chosen, _ = artifacts.choose(None, artifacts.newest(tmp_path / "artifacts"), tmp_path / "nothing shipped", NAMES)
    assert chosen is not None and chosen.manifest.trained_until == made.manifest.trained_until


async def test_a_damaged_detector_is_passed_over_and_the_shipped_one_used(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    for suffix in (".json", ".skops"):
        (tmp_path / "artifacts" / f"detector-20990101T000000Z{suffix}").write_bytes(b"{}")
    app = an_app(tmp_path)

    await startup.start(app, SHIPPED)

    assert app.pipeline.trained is not None


def test_a_detector_damaged_after_it_was_loaded_once_is_refused_all_the_same(tmp_path: Path) -> None:
    # given: a detector that was loaded, and so is kept unpacked
    for suffix in (".json", ".skops"):
        shutil.copy(SHIPPED / f"detector{suffix}", tmp_path / f"mine{suffix}")
    artifacts.load(tmp_path / "mine.json", NAMES)

    # when
    blob = bytearray((tmp_path / "mine.skops").read_bytes())
    blob[len(blob) // 2] ^= 1
    (tmp_path / "mine.skops").write_bytes(blob)

    # then
    with pytest.raises(ArtifactError, match=r"mine\.json: the artifact's checksum"):
        artifacts.load(tmp_path / "mine.json", NAMES)


def test_a_configured_detector_that_does_not_load_stops_the_start(tmp_path: Path) -> None:
    shipped = json.loads((SHIPPED / "detector.json").read_bytes())
    (tmp_path / "mine.json").write_text(json.dumps(shipped))
    (tmp_path / "mine.skops").write_bytes(b"something else")

    with pytest.raises(ArtifactError, match=r"mine\.json"):
        artifacts.choose(tmp_path / "mine.json", None, SHIPPED, NAMES)
    with pytest.raises(ArtifactError, match=r"absent\.json"):
        artifacts.choose(tmp_path / "absent.json", None, SHIPPED, NAMES)


def test_without_any_detector_the_start_goes_on_without(tmp_path: Path) -> None:
    assert artifacts.choose(None, None, tmp_path, NAMES) == (None, None)


def test_only_the_newest_detectors_are_kept(tmp_path: Path) -> None:
    for hour in range(artifacts.KEEP + 2):
        for suffix in (".json", ".skops"):
            (tmp_path / f"{artifacts.name_of(NOW + hour * HOUR)}{suffix}").touch()

    artifacts.prune(tmp_path)

    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.skops"))) == artifacts.KEEP
    newest = artifacts.newest(tmp_path)
    assert newest is not None and newest.stem == artifacts.name_of(NOW + (artifacts.KEEP + 1) * HOUR)


def a_life(state_dir: Path) -> Life:
    life = Life(an_app(state_dir))
    life.backfill(NOW.replace(minute=0) - 30 * HOUR, NOW.replace(minute=0))
    startup.bring_up(life.app, NOW)
    return life


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    life = a_life(tmp_path)
    checkpoint.save(life.app)

    again = an_app(tmp_path, store=life.app.store)

    assert checkpoint.load(again, NOW) is not None
    assert to_bytes(again.pipeline.state) == to_bytes(life.app.pipeline.state)
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("damage", [b"", b"nothing of the kind", None], ids=["empty", "foreign", "one byte"])
def test_a_corrupt_checkpoint_is_passed_over_and_the_store_replayed(tmp_path: Path, damage: bytes | None) -> None:
    life = a_life(tmp_path)
    checkpoint.save(life.app)
    path = checkpoint.path_of(life.app)
    path.write_bytes(path.read_bytes()[:-9] + b"?" + path.read_bytes()[-8:] if damage is None else damage)

    again = an_app(tmp_path, store=life.app.store)

    assert checkpoint.load(again, NOW) is None
    startup.bring_up(again, NOW)
    assert to_bytes(again.pipeline.state) == to_bytes(life.app.pipeline.state)


def test_a_checkpoint_from_the_future_or_of_another_store_is_passed_over(tmp_path: Path) -> None:
    life = a_life(tmp_path)
    checkpoint.save(life.app)
    (tmp_path / "other").mkdir()
    other = an_app(tmp_path / "other")
    checkpoint.path_of(other).write_bytes(checkpoint.path_of(life.app).read_bytes())

    assert checkpoint.load(an_app(tmp_path, store=life.app.store), NOW - 5 * HOUR) is None
    assert checkpoint.load(other, NOW) is None


def test_a_full_disk_leaves_the_old_checkpoint_and_the_service_running(tmp_path: Path) -> None:
    life = a_life(tmp_path)
    checkpoint.save(life.app)
    before = checkpoint.path_of(life.app).read_bytes()
    checkpoint.path_of(life.app).with_name(".fleet.npz.part").mkdir()  # cannot be written to

    checkpoint.save(life.app)

    assert checkpoint.path_of(life.app).read_bytes() == before


def a_remembering_app(state_dir: Path) -> App:
    """An app whose detector, the shipped one, was at work just now, and remembers a hot bucket of one key."""
    app = an_app(state_dir)
    app.store.keys.record(an_inventory(build.a_key(1)))
    app.pipeline.trained = artifacts.load(SHIPPED / "detector.json", NAMES)
    app.pipeline.state.advance(NOW)
    app.pipeline.memory, app.pipeline.judged_at = Memory(hot_s={0: (0, int(NOW.timestamp()) // 600 * 600)}), NOW
    return app


def begun_again(app: App, *, later: timedelta) -> App:
    """The next process in the same state directory."""
    app.clock.at = NOW + later
    app.pipeline = Pipeline(
        app.settings, app.store.keys.catalog, new_state(app.settings), artifacts.load(SHIPPED / "detector.json", NAMES)
    )
    return app


@pytest.mark.parametrize(
    ("later", "is_kept"),
    [
        (timedelta(minutes=5), True),
        (timedelta(hours=5), True),
        (timedelta(hours=7), False),
        (-timedelta(hours=1), False),
    ],
    ids=["at once", "within its reach", "older than its reach", "ahead of the clock"],
)
def test_what_judging_remembered_comes_back_while_it_counts(tmp_path: Path, later: timedelta, is_kept: bool) -> None:
    app = a_remembering_app(tmp_path)
    remembered = app.pipeline.memory
    checkpoint.save(app)
    begun_again(app, later=later)

    checkpoint.recall(app, app.now())

    assert (app.pipeline.kept is not None) is is_kept
    if is_kept:
        assert app.pipeline.kept is not None and app.pipeline.kept.memory == remembered


def test_what_another_detector_remembered_or_is_damaged_is_passed_over_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = a_remembering_app(tmp_path)
    checkpoint.save(app)
    path = checkpoint.memory_path(app)
    path.write_bytes(path.read_bytes().replace(b'"hot":[0', b'"hot":[1'))

    checkpoint.recall(begun_again(app, later=timedelta(minutes=5)), app.now())

    assert app.pipeline.kept is None
    (said,) = [record for record in caplog.records if record.message == "memory_passed_over"]
    assert "damaged" in said.error


def test_a_full_disk_leaves_what_was_remembered_before_and_the_service_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = a_remembering_app(tmp_path)
    checkpoint.save(app)
    before = checkpoint.memory_path(app).read_bytes()
    app.pipeline.memory = Memory()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    checkpoint.save(app)

    assert checkpoint.memory_path(app).read_bytes() == before
