"""backup and restore-store: a round trip, and nothing is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_build import STOLEN

from monitor.domain import Inventory
from monitor.store.sqlite import open_store
from monitor.wiring import SystemClock


@pytest.fixture(autouse=True)
def store(store_file: Path) -> Path:
    return store_file


def hashes(run) -> set[str]:
    return {row["key_hash"] for row in json.loads(run("keys", "--json").stdout)}


def test_a_backup_put_back_is_the_store_as_it_was_and_the_other_one_is_kept(run, store_file: Path, tmp_path: Path):
    # given: a backup, after which everything is lost
    before = hashes(run)
    made = run("backup", str(tmp_path / "elsewhere" / "copy.db"))
    assert made.exit_code == 0
    assert made.stdout.strip() == str(tmp_path / "elsewhere" / "copy.db")
    lost = open_store(str(store_file))
    lost.keys.record(Inventory(SystemClock().now(), (), (), vanished=tuple(before)))
    lost.maintenance.close()
    assert hashes(run) == set()

    # when
    result = run("restore-store", str(tmp_path / "elsewhere" / "copy.db"))

    # then
    assert result.exit_code == 0
    (kept,) = store_file.parent.glob("monitor.db.replaced-*")
    assert "restored from" in result.stdout and str(kept) in result.stdout
    assert hashes(run) == before and STOLEN in before


def test_without_a_target_the_backup_goes_where_the_service_keeps_its_own(run, store_file: Path):
    made = Path(run("backup").stdout.strip())
    assert made.parent == store_file.parent / "backups"
    assert made.is_file()


def test_the_store_itself_is_no_target(run, store_file: Path):
    result = run("backup", str(store_file))
    assert result.exit_code == 1
    assert STOLEN in hashes(run)


def test_a_store_named_by_address_is_the_same_store(run, store_file: Path, tmp_path: Path):
    run("backup", "copy.db")
    address = {"MONITOR__STORE__URL": f"sqlite:///{tmp_path / 'other.db'}"}
    assert run("restore-store", "copy.db", env=address).exit_code == 0
    assert (tmp_path / "other.db").is_file()
    assert f"{tmp_path / 'other.db'}: " in run("check", env=address).stdout


def test_a_damaged_backup_is_refused_and_the_store_stays(run, tmp_path: Path):
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\x00" + b"\x99" * 8192)
    result = run("restore-store", str(tmp_path / "damaged.db"))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert STOLEN in hashes(run)


def test_a_backup_that_is_not_there_is_status_2(run):
    assert run("restore-store", "none.db").exit_code == 2


def test_a_digest_is_written_as_markdown_and_for_programs(run, tmp_path: Path):
    assert run("digest", "--out", "week.md").stdout.strip() == "week.md"
    assert (tmp_path / "week.md").read_text(encoding="utf-8").startswith("#")
    assert json.loads(run("digest", "--json").stdout)
