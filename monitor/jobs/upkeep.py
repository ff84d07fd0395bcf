"""Care of the store: retention, backup, checkpoint of the fleet's state."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.errors import StoreError
from monitor.jobs import days
from monitor.jobs.app import App

log = logging.getLogger(__name__)

_BACKUP = re.compile(r"monitor-(\d{8}T\d{6}Z)\.db")
_STAMP = "%Y%m%dT%H%M%SZ"


async def care(app: App) -> None:
    """Deletes what is older than its retention, and gives the space back. Raises StoreError."""
    now, keep = app.clock.now(), app.settings.store
    await asyncio.to_thread(days.sum_up, app.store, app.settings, now)  # before what they are summed from is deleted
    rows = await asyncio.to_thread(
        app.store.usage.prune, fine_before=now - keep.keep_fine, hourly_before=now - keep.keep_hourly
    )
    rows += await asyncio.to_thread(app.store.maintenance.prune_ledger, now - keep.keep_incidents)
    if rows:
        await asyncio.to_thread(app.store.maintenance.vacuum)
    log.info("upkeep", extra={"rows_deleted": rows})


async def back_up(app: App) -> Path | None:
    """Writes a consistent copy to state_dir/backups and removes the oldest ones; None where backups are off. Raises StoreError."""
    keep = app.settings.store.keep_backups
    if not keep:
        return None
    folder = app.state_dir / "backups"
    target = folder / backup_name(app.clock.now())
    await asyncio.to_thread(app.store.maintenance.backup, target)
    try:
        old = sorted(path for path in folder.iterdir() if _BACKUP.fullmatch(path.name))[:-keep]
        for path in old:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}; the backup was made, older ones could not be removed") from error
    log.info("backup_written", extra={"path": str(target), "removed": len(old)})
    return target


async def back_up_if_due(app: App) -> None:
    """As `back_up`, where the newest backup is old enough."""
    if is_backup_due(app) and app.store.maintenance.has_reserve:  # on a full disk a copy would eat what room is left
        await back_up(app)


async def hold_reserve(app: App) -> None:
    """Some space of the disk is kept for hard times, taken again once there is room."""
    if not await asyncio.to_thread(app.store.maintenance.hold_reserve):
        log.warning("disk_nearly_full", extra={"path": str(app.state_dir), "remedy": "free space"})


def backup_name(at: datetime) -> str:
    """Sorts by time: `monitor-20260302T090000Z.db`."""
    return f"monitor-{at.strftime(_STAMP)}.db"


def is_backup_due(app: App) -> bool:
    """Whether the newest backup is older than `store.backup_every` (also true where there is none)."""
    folder = app.state_dir / "backups"
    if not app.settings.store.keep_backups:
        return False
    written = (_BACKUP.fullmatch(path.name) for path in folder.glob("monitor-*.db"))
    newest = max((found[1] for found in written if found), default=None)
    if newest is None:
        return True
    age = app.clock.now() - datetime.strptime(newest, _STAMP).replace(tzinfo=UTC)
    return age > app.settings.store.backup_every - timedelta(minutes=5)
