"""Retention deletes what is old and only that; backups are written in time and rotated."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import build
from jobs_build import NOW, an_app
from lived import HOUR, Life

from monitor.domain import IncidentState, Plan
from monitor.jobs import upkeep

DAY = timedelta(days=1)


async def test_retention_deletes_what_is_old_and_only_that(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    life, keep = Life(app), app.settings.store
    now = NOW.replace(minute=0)
    for at in (now - keep.keep_fine, now):
        for bucket_s in (600, 3600):
            life.happen(at - 4 * HOUR, at - HOUR)
            life.take(
                life.rows(at - 4 * HOUR, at - HOUR, bucket_s=bucket_s),
                build.coverage(at - 4 * HOUR, at - HOUR, bucket_s=bucket_s),
            )

    await upkeep.care(app)

    oldest = {
        size: app.store.usage.read(now - 400 * DAY, now, bucket_s=size)["bucket_start"].min() for size in (600, 3600)
    }
    assert oldest[600] >= now - 4 * HOUR
    assert oldest[3600] < now - keep.keep_fine
    deleted = app.store.usage.coverage(now - keep.keep_fine - 4 * HOUR, now - keep.keep_fine - HOUR, bucket_s=600)
    assert deleted.empty  # unknown, not zero


async def test_incidents_that_are_over_are_deleted_after_their_time_and_actions_never(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    long_ago = NOW - app.settings.store.keep_incidents - DAY
    old = build.an_incident(1, at=long_ago, state=IncidentState.RESOLVED, resolved_at=long_ago)
    young = build.an_incident(2, at=NOW, state=IncidentState.RESOLVED, resolved_at=NOW)
    action = build.an_action(1, intended_at=long_ago)
    app.store.ledger.commit((), Plan(at=long_ago, incidents=(old, young), actions=(action,)), ())

    await upkeep.care(app)

    assert [one.key_hash for one in app.store.ledger.incidents()] == [young.key_hash]
    assert len(app.store.ledger.actions()) == 1


async def test_backups_are_rotated_and_other_files_left_alone(tmp_path: Path) -> None:
    app = an_app(tmp_path, store={"keep_backups": 3})
    (tmp_path / "backups").mkdir()
    mine = tmp_path / "backups" / "monitor-before-the-move.db"
    mine.write_bytes(b"a person's own")
    names = []
    for _ in range(5):
        app.clock.pass_time(DAY.total_seconds())
        path = await upkeep.back_up(app)
        assert path is not None
        names.append(path.name)

    kept = sorted(path.name for path in (tmp_path / "backups").iterdir() if path != mine)
    assert kept == names[-3:]
    assert mine.exists()
    with sqlite3.connect(tmp_path / "backups" / names[-1]) as copy:
        assert copy.execute("pragma integrity_check").fetchone() == ("ok",)


async def test_a_backup_is_due_when_the_newest_is_old_or_there_is_none(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    assert upkeep.is_backup_due(app)

    await upkeep.back_up(app)

    assert not upkeep.is_backup_due(app)
    app.clock.pass_time(23 * 3600)
    assert not upkeep.is_backup_due(app)
    app.clock.pass_time(3600)
    assert upkeep.is_backup_due(app)


async def test_where_backups_are_off_none_is_due_and_none_written(tmp_path: Path) -> None:
    app = an_app(tmp_path, store={"keep_backups": 0})

    assert not upkeep.is_backup_due(app)
    assert await upkeep.back_up(app) is None
    assert not (tmp_path / "backups").exists()


async def test_l1_without_room_no_backup_is_written_until_the_reserve_is_back(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    app.store.maintenance.hold_reserve()
    (tmp_path / "monitor.db.reserve").unlink()

    await upkeep.back_up_if_due(app)
    assert not list((tmp_path / "backups").glob("*.db"))

    await upkeep.hold_reserve(app)
    await upkeep.back_up_if_due(app)
    assert len(list((tmp_path / "backups").glob("*.db"))) == 1
