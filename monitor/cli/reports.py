"""The command that reports: digest."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.common import json_option, print_json, reading, with_settings

if TYPE_CHECKING:
    from monitor.config import Settings


@click.command()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write Markdown to this file instead of the screen."
)
@click.option("--send", is_flag=True, help="Send it to digest.channel, through the outbox.")
@json_option
@with_settings
def digest(settings: Settings, *, out: Path | None, send: bool, as_json: bool) -> None:
    """The weekly digest: the last seven whole days against the seven before, per owner and in all."""
    from monitor.jobs import digest as job
    from monitor.report.markdown import to_markdown
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    with reading(settings) as store:
        made = job.make(store, settings, now)
    if send:
        asyncio.run(_send(settings))
    if as_json:
        print_json(made)
        return
    text = to_markdown(made, top=settings.digest.top)
    if out:
        out.write_text(text, encoding="utf-8")
        click.echo(str(out))
    else:
        click.echo(text)


async def _send(settings: Settings) -> None:
    from monitor.errors import MonitorError
    from monitor.jobs import digest as job
    from monitor.jobs.deliver import deliver
    from monitor.wiring import open_app

    async with open_app(settings) as app:
        now = app.clock.now()
        made = await asyncio.to_thread(job.message, app.store, settings, now)
        await asyncio.to_thread(app.store.outbox.add, (made,), now)
        report = await deliver(app)
    if not report.n_delivered and not report.n_found:
        reasons = "; ".join(report.errors) or "this digest was sent before"
        raise MonitorError(f"the digest was not delivered now: {reasons}; the service keeps trying")
    click.echo("sent", err=True)
