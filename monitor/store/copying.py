"""Copies of the store as files: consistent while others write, never half there, checked before they count."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from monitor.errors import StoreBusy, StoreCorrupt, StoreError
from monitor.store.database import Database, connect, translated

_PATIENCE: Final = timedelta(seconds=1)


def copy_database(database: Database, target: Path) -> None:
    """Writes a consistent, checked copy of the store to `target`, replacing it at the very end. Raises StoreError."""
    with database.raw() as source:
        _copy(source, target)


def check_file(path: Path) -> None:
    """Raises StoreCorrupt if SQLite's quick_check finds damage in the file, StoreError if it cannot be read."""
    if not path.is_file():
        raise StoreError(f"{path}: no such file")
    with translated(path), closing(connect(path, read_only=True)) as connection:
        quick_check(connection, path)


def quick_check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StoreCorrupt with the first problem found. Finds broken structure, not every flipped byte of a value."""
    (problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        raise StoreCorrupt(f"{path}: {problem}; stop the service and restore a backup (docs/runbook.md)")


def restore_file(backup: Path, target: Path) -> Path | None:
    """Puts a checked copy of `backup` in place of the store `target`; the service must be stopped.

    The store that was there is kept beside it, its name is returned (None: there was none); it stays in place where anything
    fails. Raises StoreCorrupt if the backup is damaged, StoreBusy if a process still has the store open."""
    check_file(backup)
    if target.exists() and target.samefile(backup):
        raise StoreError(f"{backup}: this is the store itself; name a backup (they lie in backups/ beside it)")
    kept: list[Path] = []
    with translated(backup), closing(connect(backup, read_only=True)) as source:
        _copy(source, target, before=lambda: kept.extend([_set_aside(target)] if target.exists() else []))
    return kept[0] if kept else None


def _copy(source: sqlite3.Connection, target: Path, *, before: Callable[[], None] = lambda: None) -> None:
    """`before` is called when the copy is whole and lies beside its place."""
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_with_companions(partial)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _fill(source, partial)
        _sync(partial)
        before()
        partial.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}; the copy was not made") from error
    finally:
        _remove_with_companions(partial)


def _fill(source: sqlite3.Connection, partial: Path) -> None:
    """One step for all pages, so that writers cannot make it start again; then one self-contained file, checked."""
    with translated(partial), closing(connect(partial, read_only=False)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        quick_check(copy, partial)


def _set_aside(target: Path) -> Path:
    """Renames a store with its companions. Leaving WAL mode needs the file for ourselves alone: so nobody else has it."""
    try:
        with closing(connect(target, read_only=False, busy_timeout=_PATIENCE)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise StoreBusy(f"{target}: still in use; stop the service first") from error
        # Any other error: damaged beyond reading, which is why it is being replaced.
    kept = next(
        name
        for number in range(1, 10_000)
        if not (name := target.with_name(f"{target.name}.replaced-{number}")).exists()
    )
    for suffix in ("-wal", "-shm", ""):
        companion = target.with_name(target.name + suffix)
        if companion.exists():
            companion.rename(kept.with_name(kept.name + suffix))
    return kept


def _remove_with_companions(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
