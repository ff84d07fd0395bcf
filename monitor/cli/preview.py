"""What would be sent or shown: `preview alert`, `preview storm`, `preview digest` and `preview home`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, find_key, reading, with_settings
from monitor.errors import MonitorError, StoreError

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.jobs.preview import Preview


@click.command()
@click.argument("what", type=click.Choice(["alert", "storm", "digest", "home"]))
@click.option("--key", help="With `alert`: of this key (name, label or hash), its newest incident.")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write the page as Slack would show it."
)
@with_settings
def preview(settings: Settings, *, what: str, key: str | None, page: Path | None) -> None:
    """Show what would be sent, without sending it: an alert, the one message of many keys at once (`storm`), the weekly digest, or
    the app's home.

    The newest of the store is shown; where there was no alert or storm yet, a made-up one, which is said."""
    if key and what != "alert":
        raise click.UsageError(f"--key {key}: only with `preview alert`")
    if what == "home":
        _home(settings, page)
        return
    made = _alert(settings, key) if what == "alert" else _storm(settings) if what == "storm" else _digest(settings)
    click.echo(clean(made.note), err=True)
    if page is None:
        _print(made)
        return
    from monitor.jobs import files
    from monitor.notify import blockkit_html, slack_blocks

    rendered = [slack_blocks.render(message, has_buttons=True)[:2] for message in made.messages]
    files.put(page, blockkit_html.page(rendered, picture=made.picture))
    click.echo(str(page))


def _alert(settings: Settings, key: str | None) -> Preview:
    from monitor.jobs import preview as job
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    try:
        with reading(settings) as store:
            found = find_key(store.keys.keys(include_vanished=True), key) if key else None
            made = job.alert(store, settings, now, key_hash=found.key_hash if found else None)
    except StoreError:
        if key:
            raise
        return job.alert(None, settings, now)
    if key and "made-up" in made.note:
        raise MonitorError(f"{key} has no incident; without --key a made-up one is shown")
    return made


def _storm(settings: Settings) -> Preview:
    from monitor.jobs import preview as job
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    try:
        with reading(settings) as store:
            return job.many(store, settings, now)
    except StoreError:
        return job.many(None, settings, now)


def _digest(settings: Settings) -> Preview:
    from monitor.jobs import preview as job
    from monitor.wiring import SystemClock

    with reading(settings) as store:
        return job.weekly(store, settings, SystemClock().now())


def _home(settings: Settings, page: Path | None) -> None:
    """What an operator sees who opens the app's home, or types the command."""
    from monitor.jobs import files
    from monitor.jobs import preview as job
    from monitor.notify import blockkit_html, slack_pages
    from monitor.notify.pages import plain
    from monitor.wiring import SystemClock

    with reading(settings) as store:
        shown = job.home(store, SystemClock().now())
    click.echo("as an operator sees it; others see their own keys of it", err=True)
    if page is None:
        for line in plain(shown):
            click.echo(clean(line))
        return
    text, _ = slack_pages.message(shown)
    files.put(page, blockkit_html.page([(text, slack_pages.home(shown)["blocks"])]))
    click.echo(str(page))


def _print(made: Preview) -> None:
    from rich.console import Console

    from monitor.notify.terminal import show

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for message in made.messages:
        show(message, console)
        if message.picture:
            click.echo(f"[picture: {clean(message.picture.alt_text)}]")
