"""Full disks, locks, damage: each becomes a StoreError that names the file and what to do, and loses nothing written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from build import NOW, a_finding, a_key, an_action
from store_build import T0, a_row, coverage, fill, moment, rows_of, usage

from monitor.domain import ActionState, Inventory, Plan
from monitor.errors import StoreBusy, StoreCorrupt, StoreError
from monitor.store.database import Database
from monitor.store.sqlite import SqliteStore, open_store
from monitor.store.state import SqliteState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "monitor.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = open_store(str(path), busy_timeout=timedelta(milliseconds=50))
    assert isinstance(opened, SqliteStore)
    fill(opened.keys.catalog)
    yield opened
    opened.maintenance.close()


def test_a_full_disk_is_named_reads_go_on_and_nothing_is_half_written(path: Path, store: SqliteStore) -> None:
    store.ledger.commit([a_finding()], Plan(NOW), ())
    database = Database(path, read_only=False)

    @sa.event.listens_for(database.engine, "connect")
    def small_disk(connection: sqlite3.Connection, _record: object) -> None:
        (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={n_pages}")

    state = SqliteState(database)
    state.put("small", {"fits": True})
    with pytest.raises(StoreError, match=r"monitor\.db: database or disk is full; .*free space"):
        state.put("large", {"text": "x" * 1_000_000})
    assert state.get("small") == {"fits": True} and state.get("large") is None
    assert store.ledger.findings(moment(0)) == (a_finding(),)
    database.close()


def test_a_writer_that_waits_too_long_is_told_who_to_look_for(path: Path, store: SqliteStore) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="another process is writing"):
            store.state.put("job", {})
        assert store.state.get("job") is None
    store.state.put("job", {"done": True})


def test_a_damaged_file_is_found_by_verify(path: Path, store: SqliteStore) -> None:
    store.keys.record(Inventory(NOW, tuple(a_key(number) for number in range(500)), ()))
    store.maintenance.verify()
    store.maintenance.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = b"\xa5" * 8192
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"monitor\.db"):
        open_store(str(path)).maintenance.verify()


def test_a_truncated_file_is_found(path: Path, store: SqliteStore) -> None:
    store.maintenance.close()
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(StoreCorrupt, match=r"monitor\.db"):
        open_store(str(path)).maintenance.verify()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"monitor\.db: .*directory"):
        open_store(str(tmp_path / "file" / "monitor.db"))


def test_a_path_that_is_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Is a directory"):
        open_store(str(tmp_path))


def test_the_journal_cannot_be_changed_even_by_hand(path: Path, store: SqliteStore) -> None:
    store.ledger.commit((), Plan(NOW, actions=(an_action(),)), ())
    store.ledger.finish(replace(an_action(), state=ActionState.DONE), ())
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("UPDATE action_events SET state = 'failed'", "DELETE FROM action_events"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
        states = connection.execute("SELECT state FROM action_events ORDER BY event_no").fetchall()
    assert states == [("intended",), ("done",)]


def test_text_that_is_no_unicode_is_refused_where_it_would_break_the_file(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="Unicode"):
        store.keys.record(Inventory(NOW, (a_key(key_name="\ud800"),), ()))
    assert store.keys.keys() == ()


def test_evidence_with_broken_text_is_kept_all_the_same(store: SqliteStore) -> None:
    cause = replace(a_finding().causes[0], value="model \ud800\x00\u202e")
    store.ledger.commit([a_finding(causes=(cause,), score=float("inf"))], Plan(NOW), ())
    assert store.ledger.findings(moment(0)) == (a_finding(causes=(cause,), score=float("inf")),)


def test_a_failed_write_of_usage_can_be_repeated(path: Path, store: SqliteStore) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            store.usage.write(usage(a_row(key_no=2)), coverage())
    store.usage.write(usage(a_row(key_no=2)), coverage())
    assert rows_of(store.usage.read(moment(0), moment(2 * T0), bucket_s=600)) == [a_row(key_no=2)]


def test_errors_never_show_values(store: SqliteStore) -> None:
    broken = replace(an_action(), key_hash=None, detail="sk-or-v1-secret")
    with pytest.raises(StoreError) as caught:
        store.ledger.commit((), Plan(NOW, actions=(broken,)), ())
    chain, texts = caught.value, []
    while chain is not None:
        texts.append(str(chain))
        chain = chain.__cause__
    assert "NOT NULL" in texts[0] and "sk-or" not in " ".join(texts)
