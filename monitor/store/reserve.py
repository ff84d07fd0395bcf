"""Space beside the store that is given up when the disk is full, so that what is decided then can still be written down.

SQLite needs room even to delete. Without room no intent can be written, and without an intent no key is touched: a full disk
would keep a stolen key alive. The file holds nothing; it is made again once there is room for it several times over.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""Some hours of usage of a thousand keys; the journal alone would last for weeks."""

ROOM_TIMES: Final = 4
"""The disk must have this many times the reserve before it is taken (again), or it would be full at once."""


class Reserve:
    """The file at `path`, of `n_bytes`."""

    def __init__(self, path: Path, *, n_bytes: int = RESERVE_BYTES) -> None:
        self._path, self._n_bytes = path, n_bytes
        self._changing = threading.Lock()

    @property
    def is_held(self) -> bool:
        """Whether the file is there, whole."""
        try:
            return self._path.stat().st_size == self._n_bytes
        except OSError:
            return False

    def hold(self) -> bool:
        """Makes the file where there is none and the disk has room; returns whether it is there. Never raises."""
        with self._changing:
            try:
                if self.is_held:
                    return True
                disk = os.statvfs(self._path.parent)
                return disk.f_bavail * disk.f_frsize >= ROOM_TIMES * self._n_bytes and self._made()
            except OSError:
                return False

    def give_up(self) -> bool:
        """Deletes the file; returns whether there was one. Never raises."""
        with self._changing:
            try:
                self._path.unlink()
            except OSError:
                return False
            return True

    def _made(self) -> bool:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._n_bytes)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)
        return True
