"""Backups are proven copies, and restoring one is one step that can itself be undone."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from build import NOW, a_finding, an_action
from store_build import T0, a_row, a_span, coverage, fill, moment, rows_of, usage

from monitor.domain import Plan
from monitor.errors import StoreBusy, StoreCorrupt, StoreError
from monitor.store import copying
from monitor.store.base import Store
from monitor.store.database import connect
from monitor.store.sqlite import open_store, restore_backup


def a_store(path: Path) -> Store:
    store = open_store(str(path))
    fill(store.keys.catalog)
    store.usage.write(usage(a_row(), a_row(key_no=1)), coverage(a_span()))
    store.ledger.commit([a_finding()], Plan(NOW, actions=(an_action(),)), ())
    store.state.put("job", {"at": 1})
    return store


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_backup_is_one_file_equal_to_the_original(tmp_path: Path) -> None:
    store = a_store(tmp_path / "monitor.db")
    store.maintenance.backup(tmp_path / "backups" / "monday.db")
    store.maintenance.close()
    assert [file.name for file in (tmp_path / "backups").iterdir()] == ["monday.db"]
    assert dump(tmp_path / "backups" / "monday.db") == dump(tmp_path / "monitor.db")


def test_a_backup_taken_during_writes_is_consistent(tmp_path: Path) -> None:
    store = a_store(tmp_path / "monitor.db")
    is_over = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            store.ledger.commit([a_finding(number)], Plan(NOW, actions=(an_action(number + 100),)), ())

    writer = threading.Thread(target=keep_writing)
    writer.start()
    for number in range(3):
        store.maintenance.backup(tmp_path / f"{number}.db")
    is_over.set()
    writer.join()
    for number in range(3):
        copy = open_store(str(tmp_path / f"{number}.db"))
        assert len(copy.ledger.actions()) in (
            len(copy.ledger.findings(moment(0))),
            len(copy.ledger.findings(moment(0))) + 1,
        )
        copy.maintenance.verify()
        copy.maintenance.close()
    store.maintenance.close()


def test_a_backup_replaces_the_earlier_one_and_never_the_store(tmp_path: Path) -> None:
    store = a_store(tmp_path / "monitor.db")
    (tmp_path / "backup.db").write_text("earlier")
    store.maintenance.backup(tmp_path / "backup.db")
    store.maintenance.backup(tmp_path / "backup.db")
    with pytest.raises(StoreError, match="the store itself"):
        store.maintenance.backup(tmp_path / "monitor.db")
    store.maintenance.close()


def test_restoring_puts_the_backup_in_place_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    store = a_store(path)
    store.maintenance.backup(tmp_path / "backup.db")
    store.state.put("job", {"at": 2})
    store.maintenance.close()
    kept = restore_backup(tmp_path / "backup.db", path)
    restored = open_store(str(path))
    assert restored.state.get("job") == {"at": 1}
    assert rows_of(restored.usage.read(moment(0), moment(2 * T0), bucket_s=600)) == [a_row(), a_row(key_no=1)]
    restored.maintenance.close()
    assert kept is not None
    replaced = open_store(str(kept), read_only=True)
    assert replaced.state.get("job") == {"at": 2}
    replaced.maintenance.close()


def test_restoring_waits_for_the_service_to_stop(tmp_path: Path) -> None:
    store = a_store(tmp_path / "monitor.db")
    store.maintenance.backup(tmp_path / "backup.db")
    with pytest.raises(StoreBusy, match="stop the service"):
        restore_backup(tmp_path / "backup.db", tmp_path / "monitor.db")
    assert store.state.get("job") == {"at": 1}
    store.maintenance.close()


def test_a_damaged_backup_is_refused_and_the_store_left_alone(tmp_path: Path) -> None:
    a_store(tmp_path / "monitor.db").maintenance.close()
    (tmp_path / "backup.db").write_bytes((tmp_path / "monitor.db").read_bytes()[:20_000])
    with pytest.raises(StoreCorrupt, match=r"backup\.db"):
        restore_backup(tmp_path / "backup.db", tmp_path / "monitor.db")
    with pytest.raises(StoreError, match="no such file"):
        restore_backup(tmp_path / "none.db", tmp_path / "monitor.db")
    open_store(str(tmp_path / "monitor.db"), read_only=True).maintenance.close()


def test_a_damaged_store_is_replaced_by_the_backup(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    store = a_store(path)
    store.maintenance.backup(tmp_path / "backup.db")
    store.maintenance.close()
    path.write_bytes(b"damage" * 5000)
    kept = restore_backup(tmp_path / "backup.db", path)
    assert kept is not None and kept.read_bytes().startswith(b"damage")
    again = open_store(str(path))
    assert again.state.get("job") == {"at": 1}
    again.maintenance.close()


def test_a_backup_is_restored_where_there_was_no_store(tmp_path: Path) -> None:
    store = a_store(tmp_path / "monitor.db")
    store.maintenance.backup(tmp_path / "backup.db")
    store.maintenance.close()
    assert restore_backup(tmp_path / "backup.db", tmp_path / "new" / "monitor.db") is None
    open_store(str(tmp_path / "new" / "monitor.db"), read_only=True).maintenance.close()


@pytest.mark.parametrize("place", ["copying", "syncing", "putting in place"])
def test_a_disk_that_is_full_leaves_no_half_backup_and_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    store = a_store(tmp_path / "monitor.db")
    target = tmp_path / "backups" / "monday.db"
    store.maintenance.backup(target)
    before = dump(target)
    store.state.put("job", {"at": 2})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def small(path: Path, **how: Any) -> sqlite3.Connection:
        connection = connect(path, **how)
        connection.execute("PRAGMA max_page_count=5")
        return connection

    with monkeypatch.context() as patch:
        if place == "copying":
            patch.setattr(copying, "connect", small)
        else:
            patch.setattr(*((os, "fsync") if place == "syncing" else (Path, "replace")), full)
        with pytest.raises(StoreError, match=r"full|No space"):
            store.maintenance.backup(target)

    assert [file.name for file in target.parent.iterdir()] == ["monday.db"]
    assert dump(target) == before
    store.maintenance.backup(target)
    assert dump(target) != before
    store.maintenance.close()


def test_the_store_is_no_backup_of_itself_and_stays_in_place(tmp_path: Path) -> None:
    a_store(tmp_path / "monitor.db").maintenance.close()
    before = dump(tmp_path / "monitor.db")

    with pytest.raises(StoreError, match="this is the store itself"):
        restore_backup(tmp_path / "monitor.db", tmp_path / "monitor.db")

    assert dump(tmp_path / "monitor.db") == before


def test_a_restore_that_fails_leaves_the_store_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = a_store(tmp_path / "monitor.db")
    store.maintenance.backup(tmp_path / "monday.db")
    store.maintenance.close()
    before = dump(tmp_path / "monitor.db")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        restore_backup(tmp_path / "monday.db", tmp_path / "monitor.db")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["monday.db", "monitor.db"]
    assert dump(tmp_path / "monitor.db") == before
