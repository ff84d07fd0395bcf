"""Numbered places of a run where it can be killed, or where what it asked for fails: every request, transaction and message.

A kill is an exception nothing catches; from then on each further place raises it too, as no dead process does anything more."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import random
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from monitor.store.database import Database, translated


class Killed(BaseException):
    """The process has ended here."""


class Fault(enum.IntEnum):
    """What happens at a place. Those of HTTP_ONLY are forms of an answer; of each other one but KILL a request, a transaction,
    a message and a file have a form of their own."""

    KILL = 0
    BROKEN = 1  # HTTP 500; the disk is full; Slack is down
    SLOW_DOWN = 2  # HTTP 429, told to wait in seconds; the database is locked; Slack says rate_limited
    TIMEOUT = 3
    CUT = 4  # an answer that ends in the middle
    SLOW_DOWN_UNTIL = 5  # HTTP 429, told to wait until a date
    SLOW_DOWN_BARE = 6  # HTTP 429, not told how long
    EMPTY = 7  # HTTP 200 without a body
    DRIP = 8  # bytes that come one by one, and never the last


ERRORS = tuple(fault for fault in Fault if fault is not Fault.KILL)
HTTP_ONLY = frozenset({Fault.SLOW_DOWN_UNTIL, Fault.SLOW_DOWN_BARE, Fault.EMPTY, Fault.DRIP})


def fits(fault: Fault, place: str) -> bool:
    """Whether this fault is one of its own at that place."""
    if place in {"database: after commit", "file: in place"}:  # what is on disk can only be followed by a kill
        return fault is Fault.KILL
    if place.startswith("file: "):  # a disk is full, or it is not
        return fault in {Fault.KILL, Fault.BROKEN}
    return fault not in HTTP_ONLY or place.startswith(("GET ", "POST ", "PATCH "))


def one_of_each(places: tuple[str, ...], rng: random.Random, *, beginning: str | tuple[str, ...] = "") -> list[int]:
    """A position of every kind of place that begins so."""
    kinds: dict[str, list[int]] = {}
    for number, place in enumerate(places):
        if place.startswith(beginning):
            kinds.setdefault(place, []).append(number)
    return [rng.choice(numbers) for numbers in kinds.values()]


@dataclass
class Points:
    """Counts the places of a run, over all its lives; `plan`: what happens at which."""

    plan: Mapping[int, Fault] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    is_dead: bool = False
    n_kills: int = 0

    def alive(self) -> None:
        """A place without number: what is only read leaves nothing behind."""
        if self.is_dead:
            raise Killed

    def at(self, place: str) -> Fault | None:
        """The fault planned here, if any; a kill is raised."""
        self.alive()
        fault = self.plan.get(len(self.passed))
        self.passed.append(place)
        if fault is Fault.KILL:
            self.is_dead, self.n_kills = True, self.n_kills + 1
            raise Killed
        return fault

    def met(self) -> list[tuple[int, Fault]]:
        """What was planned and reached."""
        return [(number, fault) for number, fault in sorted(self.plan.items()) if number < len(self.passed)]

    def revive(self) -> None:
        """The next process begins."""
        self.is_dead = False


class FaultyDatabase(Database):
    """A database with three places a write transaction."""

    points: Points

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        self.points.alive()
        with super().read() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, is_synced: bool) -> Iterator[sa.Connection]:
        fail(self.points.at("database: before begin"), self)
        with super().write(is_synced=False) as connection:  # a kill is no power cut: nobody waits for the disk here
            yield connection
            fail(self.points.at("database: before commit"), self)
        self.points.at("database: after commit")


@contextlib.contextmanager
def faulty_files(points: Points) -> Iterator[None]:
    """Files that are written beside their place, synced, and put in place: a kill between, or a disk that is full by then.
    What SQLite does by itself has its places in `FaultyDatabase`."""
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        if points.at("file: written") is not None:
            with contextlib.suppress(OSError):  # a directory, or opened for reading
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def put(path: Path, target: Path) -> Path:
        if points.at("file: synced") is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        found = replace(path, target)
        points.at("file: in place")
        return found

    setattr(os, "fsync", synced)  # noqa: B010 - mypy refuses the assignment
    setattr(Path, "replace", put)  # noqa: B010
    try:
        yield
    finally:
        setattr(os, "fsync", sync)  # noqa: B010
        setattr(Path, "replace", replace)  # noqa: B010


def fail(fault: Fault | None, database: Database) -> None:
    """What SQLite says when the disk is full, or somebody else writes for too long."""
    if fault is None:
        return
    is_full = fault in {Fault.BROKEN, Fault.CUT}
    error: Any = sqlite3.OperationalError("database or disk is full" if is_full else "database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if is_full else sqlite3.SQLITE_BUSY
    with translated(database.path):
        raise error
