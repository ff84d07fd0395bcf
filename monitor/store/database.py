"""The one place that opens the SQLite file: connections, transactions, and SQLite's errors as ours.

WAL lets other processes read while one writes. Every write begins with BEGIN IMMEDIATE: a transaction that upgrades from
reading to writing fails at once with SQLITE_BUSY_SNAPSHOT, whatever the busy timeout (https://sqlite.org/isolation.html).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from monitor.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull
from monitor.store.reserve import Reserve

log = logging.getLogger(__name__)

BUSY_TIMEOUT: Final = timedelta(seconds=15)

_CACHE_KIB: Final = 4_096  # a connection; appends by time touch few pages, and 16 MB gained no time
_WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024  # what is left of the WAL file after a checkpoint


def store_path(url_or_path: str) -> Path:
    """The file behind `sqlite:///relative`, `sqlite:////absolute` or a plain path. Raises StoreError for other engines."""
    if "://" not in url_or_path:
        return Path(url_or_path).expanduser()
    try:
        url = sa.make_url(url_or_path)
    except ArgumentError as error:
        raise StoreError(
            "store.url is not an address; write for example sqlite:////var/lib/monitor/monitor.db"
        ) from error
    if url.get_backend_name() != "sqlite":
        raise StoreError(
            f"store.url names engine {url.get_backend_name()!r}; this version stores in sqlite:/// files only"
        )
    if url.query or not url.database or url.database == ":memory:":
        raise StoreError(
            "store.url must name a file and no options; write for example sqlite:////var/lib/monitor/monitor.db"
        )
    return Path(url.database).expanduser()


def connect(path: Path, *, read_only: bool, busy_timeout: timedelta = BUSY_TIMEOUT) -> sqlite3.Connection:
    """One bare connection with our settings; it begins no transaction by itself. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,  # the pool hands a connection to one thread at a time
        timeout=busy_timeout.total_seconds(),
    )
    try:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if not read_only:
            connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def create_file(path: Path) -> None:
    """Makes an empty file only its owner can read, if there is none; its directory too. Raises StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; the store needs a directory this user may write to") from error


class Database:
    """A pool of connections to one file. `write` is serialized within the process, and by SQLite between processes."""

    def __init__(self, path: Path, *, read_only: bool, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        self.path = path
        self.is_read_only = read_only
        self.reserve = Reserve(path.with_name(f"{path.name}.reserve"))
        self._busy_timeout = busy_timeout
        self._writing = threading.Lock()
        self.engine = sa.create_engine(
            "sqlite://",
            creator=lambda: connect(path, read_only=read_only, busy_timeout=busy_timeout),
            poolclass=QueuePool,
            pool_timeout=busy_timeout.total_seconds(),
            hide_parameters=True,  # values from outside stay out of error texts
        )
        sa.event.listen(self.engine, "begin", _begin)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One snapshot: all statements within see the same state."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, is_synced: bool) -> Iterator[sa.Connection]:
        """One transaction: committed at the end, rolled back on any exception.

        `is_synced`: on disk before it returns. Otherwise a power cut (not a kill) may lose it, whole; a later synced write
        takes all earlier ones to disk with it."""
        if self.is_read_only:
            raise StoreError(f"{self.path}: opened read-only; only the service and acting commands may write")
        if not self._writing.acquire(timeout=self._busy_timeout.total_seconds()):
            raise StoreBusy(
                f"{self.path}: another thread has been writing for {self._busy_timeout.total_seconds():g} s"
            )
        try:
            with self._translated(), self.engine.connect() as plain:
                connection = plain.execution_options(monitor_write="FULL" if is_synced else "NORMAL")
                with connection.begin():
                    yield connection
        finally:
            self._writing.release()

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own outside any transaction, for what SQLite does only there. Closed at the end."""
        with self._translated():
            connection = connect(self.path, read_only=self.is_read_only, busy_timeout=self._busy_timeout)
            try:
                yield connection
            finally:
                connection.close()

    def close(self) -> None:
        """Closes every idle connection; the last one of all processes folds the WAL into the file."""
        with self._translated():
            self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """On a full disk the reserve is given up: this write is lost, the next one finds room."""
        try:
            with translated(self.path):
                yield
        except StoreFull:
            if not self.is_read_only and self.reserve.give_up():
                log.critical("disk_full", extra={"path": str(self.path), "remedy": "free space; the reserve is in use"})
            raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Lets errors of SQLite and SQLAlchemy leave as StoreError, with the path and what to do."""
    try:
        yield
    except DBAPIError as error:
        _raise(path, error.orig, error)
    except sqlite3.Error as error:
        _raise(path, error, error)
    except PoolTimeout as error:
        raise StoreBusy(f"{path}: all connections are in use; try again") from error
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{path}: text that is not valid Unicode cannot be stored; its reader must clean it"
        ) from error


def _begin(connection: sa.Connection) -> None:
    """Starts the transaction the options ask for. `synchronous` can only be changed outside one, so it comes first."""
    driver: Any = connection.connection.driver_connection
    synchronous = connection.get_execution_options().get("monitor_write")
    if synchronous is None:
        driver.execute("BEGIN")
    else:
        driver.execute(f"PRAGMA synchronous={synchronous}")
        driver.execute("BEGIN IMMEDIATE")


_REMEDIES: Final[dict[int, tuple[type[StoreError], str]]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "another process is writing; try again, or see who holds it (fuser)"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "another connection is writing; try again"),
    sqlite3.SQLITE_FULL: (StoreFull, "the disk is full: free space; nothing of this write was kept"),
    sqlite3.SQLITE_CORRUPT: (
        StoreCorrupt,
        "the file is damaged: stop the service and restore a backup (docs/runbook.md)",
    ),
    sqlite3.SQLITE_NOTADB: (
        StoreCorrupt,
        "this is no SQLite file: check store.url, or restore a backup (docs/runbook.md)",
    ),
    sqlite3.SQLITE_READONLY: (StoreError, "the file or its directory is read-only: check owner, mode and mount"),
    sqlite3.SQLITE_CANTOPEN: (StoreError, "the file cannot be opened: check that it exists, its owner and its mode"),
    sqlite3.SQLITE_PERM: (StoreError, "access denied: check owner and mode"),
    sqlite3.SQLITE_IOERR: (StoreError, "the disk reported an error: check the disk, then verify the store"),
}


def _raise(path: Path, cause: BaseException | None, error: Exception) -> NoReturn:
    """SQLite's text never holds values, so it may be shown; extended result codes carry the plain one in their low byte."""
    code = getattr(cause, "sqlite_errorcode", None)
    kind, remedy = _REMEDIES.get((code or 0) & 0xFF, (StoreError, "this is a fault in the program, please report it"))
    raise kind(f"{path}: {cause}; {remedy}") from error
