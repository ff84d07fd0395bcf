"""Commands that care for the store: backup, restore-store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.common import reading, with_settings

if TYPE_CHECKING:
    from monitor.config import Settings


@click.command()
@click.argument("target", type=click.Path(path_type=Path), required=False)
@with_settings
def backup(settings: Settings, target: Path | None) -> None:
    """Copy the store to TARGET (default: state_dir/backups) while the service runs."""
    from monitor.jobs.upkeep import backup_name
    from monitor.wiring import SystemClock

    target = target or settings.store.state_dir / "backups" / backup_name(SystemClock().now())
    target.parent.mkdir(parents=True, exist_ok=True)
    with reading(settings) as store:
        store.maintenance.backup(target)
    click.echo(str(target))


@click.command()
@click.argument("backup_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_settings
def restore_store(settings: Settings, backup_file: Path) -> None:
    """Put BACKUP_FILE in place of the store. Stop the service first; the old file is kept aside."""
    from monitor.store.database import store_path
    from monitor.store.sqlite import restore_backup
    from monitor.wiring import only_instance, store_address

    with only_instance(settings):
        replaced = restore_backup(backup_file, store_path(store_address(settings)))
    click.echo(f"restored from {backup_file}; usage since then is read from the account again on start")
    if replaced is not None:
        click.echo(f"the store that was there is kept: {replaced}")
