"""The command that shows: demo."""

from __future__ import annotations

import click

from monitor.errors import MonitorError


@click.command()
@click.option(
    "--keys", "n_keys", default=40, show_default=True, type=click.IntRange(20, 2000), help="Keys of the demo account."
)
@click.option("--seed", default=7, show_default=True, help="Another seed is another account.")
def demo(*, n_keys: int, seed: int) -> None:
    """A key theft, live: backfill, training, a benign spike, the theft, the Slack message, disable, read back, restore.

    Offline, on loopback only, in a temporary directory. Exit 0 only if all of it really happened."""
    from monitor import logs
    from monitor.config import Log
    from monitor.demo.story import run

    logs.set_up(Log(level="error"))
    failed = run(n_keys=n_keys, seed=seed)
    if failed:
        raise MonitorError(f"the demo did not go as it must: {'; '.join(failed)}")
    click.echo("\nAll of it happened. Next: README.md, “A real account in five minutes”.")
