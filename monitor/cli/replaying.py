"""The command that replays: backtest."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.common import json_option, moment_or_span, print_json, reading, with_settings

if TYPE_CHECKING:
    from monitor.backtest import Found, Summary
    from monitor.config import Settings


def _place(_ctx: click.Context, _param: click.Parameter, file: Path | None) -> Path | None:
    """A file in a folder that exists: nobody should learn after minutes that there is none. Raises BadParameter."""
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder {file.absolute().parent} does not exist")
    return file


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--store", "from_store", is_flag=True, help="Replay this account's own history, from the store.")
@click.option(
    "--since",
    metavar="TIME",
    callback=moment_or_span,
    help="Decide from then on (2026-06-01, or 7d before the end); what lies before teaches.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_place,
    help="Write the decisions here, one JSON object a line.",
)
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_place,
    help="Write a report with charts here, one HTML page that needs nothing else.",
)
@json_option
@with_settings
def backtest(
    settings: Settings,
    folder: Path | None,
    *,
    from_store: bool,
    since: datetime | timedelta | None,
    out: Path | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Replay recorded usage as an armed service with these settings would have lived it; acts on nothing.

    Usage comes from FOLDER (usage.parquet, keys.json, meta.json), or with --store from the monitor's own store. Prints which
    keys would have been alerted on and disabled, when and why, and what that would have saved. A replay of the store is what
    response.mode = "enforce" asks for before it starts."""
    if (folder is None) != from_store:
        raise click.UsageError("name one source: a FOLDER, or --store")
    has_page = page is not None
    found = (
        _of_store(settings, since, with_report=has_page)
        if folder is None
        else _of_folder(settings, folder, since=since, with_report=has_page)
    )
    _put_out(found, out=out, page=page, as_json=as_json)
    if folder is None:
        _record(settings, found.summary)


def _of_folder(settings: Settings, folder: Path, *, since: datetime | timedelta | None, with_report: bool) -> Found:
    from monitor.backtest import of_folder
    from monitor.jobs.progress import shown
    from monitor.wiring import SystemClock

    report_at = SystemClock().now() if with_report else None
    with shown("replaying") as progress:
        return of_folder(folder, settings, since=since, progress=progress, report_at=report_at)


def _of_store(settings: Settings, since: datetime | timedelta | None, *, with_report: bool) -> Found:
    from monitor.backtest import of_store
    from monitor.jobs.progress import shown
    from monitor.wiring import SEED, SystemClock, shipped_models

    with reading(settings) as store:
        return of_store(
            store,
            settings,
            now=SystemClock().now(),
            seed=SEED,
            shipped=shipped_models(),
            since=since,
            bar=shown,
            with_report=with_report,
        )


def _put_out(found: Found, *, out: Path | None, page: Path | None, as_json: bool) -> None:
    from monitor.backtest import write, write_report

    if out is not None:
        write(found.replay.decisions, out)
    if page is not None and found.report is not None:
        write_report(found.report, page)
    if as_json:
        print_json(found.summary)
    else:
        click.echo(str(found.summary))


def _record(settings: Settings, summary: Summary) -> None:
    from monitor.backtest import record
    from monitor.wiring import SystemClock, open_store

    store = open_store(settings)
    try:
        is_recorded = record(store, summary, settings, at=SystemClock().now())
    finally:
        store.maintenance.close()
    days = f"{settings.response.replay_valid_for.days} days"
    if is_recorded:
        click.echo(f'recorded: response.mode = "enforce" may start with this policy for {days}', err=True)
    else:
        click.echo('not recorded: less than a day of known usage was decided on, too little for "enforce"', err=True)
