"""L1: the space that is given up when the disk is full."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from store_build import fill_the_disk

from monitor.errors import StoreFull
from monitor.store.reserve import ROOM_TIMES, Reserve
from monitor.store.sqlite import open_store

KIB = 1024


def disk_with(monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=n_bytes // KIB, f_frsize=KIB))


def test_the_reserve_is_made_where_there_is_room_several_times_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "monitor.db.reserve"
    reserve = Reserve(path, n_bytes=64 * KIB)

    disk_with(monkeypatch, ROOM_TIMES * 64 * KIB - KIB)
    assert not reserve.hold() and not path.exists()
    disk_with(monkeypatch, ROOM_TIMES * 64 * KIB)
    assert reserve.hold() and reserve.hold()

    found = path.stat()
    assert (found.st_size, found.st_mode & 0o777) == (64 * KIB, 0o600)
    assert found.st_blocks * 512 >= 64 * KIB, "a file with holes would keep no space"


def test_a_reserve_that_was_cut_short_is_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db.reserve"
    path.write_bytes(b"x")
    reserve = Reserve(path, n_bytes=64 * KIB)

    assert not reserve.is_held
    assert reserve.hold() and reserve.is_held


def test_a_disk_that_is_full_while_the_reserve_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "monitor.db.reserve"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    assert not Reserve(path, n_bytes=64 * KIB).hold() and not path.exists()


def test_given_up_once_it_is_gone(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "monitor.db.reserve", n_bytes=64 * KIB)
    reserve.hold()

    assert reserve.give_up() and not reserve.give_up() and not reserve.is_held


def test_on_a_full_disk_one_write_is_lost_whole_and_the_next_one_finds_room(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "monitor.db"))
    assert store.maintenance.has_reserve, "nobody wanted one"
    assert store.maintenance.hold_reserve()
    fill_the_disk(store)

    with pytest.raises(StoreFull, match="free space"):
        store.state.put("job", {"n": 1})
    assert store.state.get("job") is None and not store.maintenance.has_reserve
    store.state.put("job", {"n": 2})

    assert store.state.get("job") == {"n": 2}
    store.maintenance.close()


def test_who_only_reads_gives_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    store = open_store(str(path))
    store.maintenance.hold_reserve()
    reader = open_store(str(path), read_only=True)
    fill_the_disk(reader, also_reading=True)

    with pytest.raises(StoreFull):
        reader.state.get("job")

    assert store.maintenance.has_reserve
    reader.maintenance.close()
    store.maintenance.close()
