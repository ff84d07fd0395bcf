"""Opening: new files, old ones, newer ones, and files that are not ours."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from build import NOW, a_finding
from store_build import T0, a_row, coverage, fill, moment, rows_of, usage

from monitor.domain import Plan
from monitor.errors import StoreCorrupt, StoreError, StoreTooNew
from monitor.store import migrate
from monitor.store.schema import REVISIONS, metadata
from monitor.store.sqlite import open_store

NEXT = "9998"
"""A revision this version does not have."""


def columns_in(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: list(connection.execute("SELECT * FROM pragma_table_info(?)", (table,))) for table in sorted(tables)
        }


def test_a_new_store_has_exactly_the_schema_the_code_expects(tmp_path: Path) -> None:
    open_store(str(tmp_path / "monitor.db")).maintenance.close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'monitor.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    direct = sa.create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(direct)
    direct.dispose()
    migrated = columns_in(tmp_path / "monitor.db")
    del migrated["alembic_version"]
    assert migrated == columns_in(tmp_path / "direct.db")


def test_the_revisions_listed_are_those_shipped() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    shipped = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(shipped)) == REVISIONS


def test_a_current_store_is_opened_without_loading_alembic(tmp_path: Path) -> None:
    open_store(str(tmp_path / "monitor.db")).maintenance.close()
    code = (
        "import sys; import monitor.store.base; assert 'sqlalchemy' not in sys.modules\n"
        "from monitor.store.sqlite import open_store; open_store(sys.argv[1]); sys.exit('alembic' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "monitor.db")], check=False, timeout=60)
    assert ended.returncode == 0


def test_an_upgrade_copies_the_old_store_first_and_keeps_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "monitor.db"
    store = open_store(str(path))
    fill(store.keys.catalog)
    store.usage.write(usage(a_row()), coverage())
    store.ledger.commit([a_finding()], Plan(NOW), ())
    store.maintenance.close()
    a_next_version(tmp_path, monkeypatch)
    upgraded = open_store(str(path))
    assert rows_of(upgraded.usage.read(moment(0), moment(2 * T0), bucket_s=600)) == [a_row()]
    assert upgraded.ledger.findings(moment(0)) == (a_finding(),)
    upgraded.maintenance.close()
    assert "novelty" in columns_in(path)
    before = columns_in(tmp_path / f"monitor.db.before-{NEXT}")
    assert "novelty" not in before and "usage_fine" in before


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_store_of_each_earlier_version_is_upgraded_with_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    path = tmp_path / "monitor.db"
    with monkeypatch.context() as earlier:
        folder = tmp_path / "migrations"
        (folder / "versions").mkdir(parents=True)
        scripts = [each for each in (migrate.MIGRATIONS / "versions").glob("r*.py") if each.name[1:5] <= revision]
        for each in (migrate.MIGRATIONS / "env.py", *scripts):
            (folder / each.relative_to(migrate.MIGRATIONS)).write_text(each.read_text())
        earlier.setattr(migrate, "MIGRATIONS", folder)
        earlier.setattr(migrate, "REVISIONS", tuple(each for each in REVISIONS if each <= revision))
        store = open_store(str(path))
        fill(store.keys.catalog)
        store.usage.write(usage(a_row()), coverage())
        store.ledger.commit([a_finding()], Plan(NOW), ())
        store.maintenance.close()

    upgraded = open_store(str(path))

    assert rows_of(upgraded.usage.read(moment(0), moment(2 * T0), bucket_s=600)) == [a_row()]
    assert upgraded.ledger.findings(moment(0)) == (a_finding(),)
    assert upgraded.feedback.said() == ()
    upgraded.maintenance.close()


def test_a_failed_upgrade_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "monitor.db"
    open_store(str(path)).maintenance.close()
    a_next_version(tmp_path, monkeypatch, then="raise RuntimeError('half way')")
    with pytest.raises(RuntimeError, match="half way"):
        open_store(str(path))
    assert "novelty" not in columns_in(path)
    monkeypatch.undo()
    open_store(str(path)).maintenance.close()


def a_next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, then: str = "pass") -> None:
    """Makes this program a version later: one more revision that adds a table, then does `then`."""
    migrations = tmp_path / "migrations"
    (migrations / "versions").mkdir(parents=True)
    for path in (migrate.MIGRATIONS / "env.py", *sorted((migrate.MIGRATIONS / "versions").glob("r*.py"))):
        (migrations / path.relative_to(migrate.MIGRATIONS)).write_text(path.read_text())
    (migrations / "versions" / "r9998_next.py").write_text(
        f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '{NEXT}', '{REVISIONS[-1]}'\n"
        f"def upgrade():\n    op.create_table('novelty', sa.Column('id', sa.Integer, primary_key=True))\n    {then}\n"
    )
    monkeypatch.setattr(migrate, "MIGRATIONS", migrations)
    monkeypatch.setattr(migrate, "REVISIONS", (*REVISIONS, NEXT))


@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "monitor.db"
    open_store(str(path)).maintenance.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(StoreTooNew, match="9999"):
        open_store(str(path), read_only=read_only)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    with pytest.raises(StoreError, match="another program's database"):
        open_store(str(tmp_path / "theirs.db"))
    assert list(columns_in(tmp_path / "theirs.db")) == ["theirs"]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    with pytest.raises(StoreCorrupt, match=r"notes\.txt"):
        open_store(str(tmp_path / "notes.txt"))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://db/monitor", "postgresql"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///monitor.db?mode=ro", "no options"),
        ("://", "not an address"),
    ],
)
def test_an_address_that_is_no_file_is_refused(url: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem):
        open_store(url)


def test_a_store_is_readable_by_its_owner_only_and_found_by_url_or_path(tmp_path: Path) -> None:
    path = tmp_path / "state dir%20?#" / "monitor.db"
    open_store(str(path)).maintenance.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    open_store(str(tmp_path / "plain.db")).maintenance.close()
    open_store(f"sqlite:///{tmp_path / 'plain.db'}", read_only=True).maintenance.close()


def test_a_reader_without_a_store_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store yet"):
        open_store(str(tmp_path / "monitor.db"), read_only=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "monitor.db").touch()
    with pytest.raises(StoreError, match="still empty"):
        open_store(str(tmp_path / "monitor.db"), read_only=True)


def test_a_reader_never_upgrades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(str(tmp_path / "monitor.db")).maintenance.close()
    monkeypatch.setattr(migrate, "REVISIONS", (*REVISIONS, NEXT))
    with pytest.raises(StoreError, match="older version"):
        open_store(str(tmp_path / "monitor.db"), read_only=True)
