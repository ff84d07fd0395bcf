"""The command that reports: digest."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.common import json_option, print_json, reading, with_settings

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.report.figures import Digest

_file = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--week", metavar="WEEK", help="2026-W47, or the first of seven days: 2026-11-16 (default: the last seven)."
)
@click.option("--owner", metavar="TEAM", help="Only this owner's keys.")
@click.option(
    "--html", type=_file, help="Write a page to this file: one file, no script, for any browser and for print."
)
@click.option("--markdown", "--out", "markdown", type=_file, help="Write Markdown to this file instead of the screen.")
@click.option("--send", is_flag=True, help="Send it to digest.channel and to the owners (with --owner: to that one).")
@json_option
@with_settings
def digest(
    settings: Settings,
    *,
    week: str | None,
    owner: str | None,
    html: Path | None,
    markdown: Path | None,
    send: bool,
    as_json: bool,
) -> None:
    """The weekly digest: seven whole days against the seven before and a usual week, per owner and in all."""
    from monitor.jobs import weekly
    from monitor.report.weeks import weeks_named
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    weeks = None if week is None else weeks_named(week, zone=settings.digest.zone, now=now)
    with reading(settings) as store:
        made = weekly.make(store, settings, now, weeks=weeks)
    shown = made if owner is None else _part(made, owner)
    if send:
        asyncio.run(_send(settings, made, owner))
    if as_json:
        from monitor.report.document import to_document

        print_json(to_document(shown))
    _write(shown, settings, html=html, markdown=markdown, is_told=as_json)


def _part(made: Digest, owner: str) -> Digest:
    from monitor.cli.common import clean
    from monitor.errors import ConfigError
    from monitor.report.owners import part_of

    found = next((part for part in made.owners if part.owner == owner), None)
    if found is None:
        there = ", ".join(clean(part.owner) for part in made.owners[:20] if part.owner) or "none: no route names one"
        raise ConfigError("--owner", f"{owner!r} has no keys", remedy=f"the owners are {there}")
    return part_of(made, found)


def _write(shown: Digest, settings: Settings, *, html: Path | None, markdown: Path | None, is_told: bool) -> None:
    """The files that were asked for; Markdown on the screen where nothing else was."""
    from monitor.jobs import files
    from monitor.report.markdown import to_markdown

    if html:
        from monitor.report.page import to_html

        files.put(html, to_html(shown))
        click.echo(str(html), err=is_told)
    if markdown:
        files.put(markdown, to_markdown(shown, top=settings.digest.top))
        click.echo(str(markdown), err=is_told)
    if not (html or markdown or is_told):
        click.echo(to_markdown(shown, top=settings.digest.top))


async def _send(settings: Settings, made: Digest, owner: str | None) -> None:
    from monitor.errors import ConfigError, MonitorError
    from monitor.jobs import digest as job
    from monitor.jobs.deliver import deliver
    from monitor.wiring import open_app

    async with open_app(settings) as app:
        now = app.clock.now()
        queued = job.messages_of(made, settings, now, owner=owner)
        if not queued:
            raise ConfigError(
                "--owner", f"{owner!r} has no channel of its own", remedy="name one in a [[routes]] table"
            )
        await asyncio.to_thread(app.store.outbox.add, queued, now)
        report = await deliver(app)
    if not report.n_delivered and not report.n_found:
        reasons = "; ".join(report.errors) or "this digest was sent before"
        raise MonitorError(f"the digest was not delivered now: {reasons}; the service keeps trying")
    click.echo("sent", err=True)
