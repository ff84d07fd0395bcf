"""Commands that run the monitor: run, once, check, backfill, train."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, json_option, print_json, with_settings
from monitor.errors import MonitorError

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.config import Settings
    from monitor.jobs.training import Made
    from monitor.jobs.watch import CycleReport


@click.command()
@with_settings
def run(settings: Settings) -> None:
    """Watch the account until SIGTERM or Ctrl-C. One instance a state directory. Exit 2 where the configuration is wrong."""
    from monitor.daemon import serve
    from monitor.wiring import only_instance

    with only_instance(settings):
        asyncio.run(serve(settings))


@click.command()
@json_option
@with_settings
def once(settings: Settings, *, as_json: bool) -> None:
    """One watch cycle: read keys and usage, judge, alert, act as configured, deliver; then exit."""
    from monitor.wiring import only_instance

    with only_instance(settings):
        report = asyncio.run(_once(settings))
    errors = {lane: str(error) for lane, error in report.errors.items()}
    facts = {
        "at": report.at,
        "keys": report.n_keys,
        "usage_rows": report.n_usage_rows,
        "findings": report.n_findings,
        "actions": list(report.actions),
        "errors": errors,
    }
    if as_json:
        print_json(facts)
    else:
        click.echo(
            f"{report.n_keys} keys, {report.n_usage_rows} usage rows, {report.n_findings} findings, {len(report.actions)} actions"
        )
    if errors:
        lanes: dict[str, list[str]] = {}
        for lane, text in errors.items():
            lanes.setdefault(text, []).append(lane)
        raise MonitorError("; ".join(f"{', '.join(names)}: {clean(text)}" for text, names in lanes.items()))


async def _once(settings: Settings) -> CycleReport:
    from monitor.daemon import opened
    from monitor.jobs.deliver import deliver

    async with opened(settings) as (app, watch):
        report = await watch.cycle()
        await deliver(app)
        return report


@click.command()
@click.option("--send", "is_sending", is_flag=True, help="Send a test message to every channel.")
@json_option
@with_settings
def check(settings: Settings, *, is_sending: bool, as_json: bool) -> None:
    """Check configuration, credentials, permissions, Slack and the store. Changes nothing; sends nothing without --send."""
    from monitor.readiness import check_all

    results = asyncio.run(check_all(settings, is_sending=is_sending))
    if as_json:
        print_json([{"what": one.what, "ok": one.is_ok, "detail": one.detail} for one in results])
    else:
        for one in results:
            click.echo(f"{'ok  ' if one.is_ok else 'FAIL'}  {one.what}: {clean(one.detail)}")
    failed = [one.what for one in results if not one.is_ok]
    if failed:
        raise MonitorError(f"not ready: {', '.join(failed)}")


@click.command()
@with_settings
def backfill(settings: Settings) -> None:
    """Read the history the detector learns from (31 days). Goes on where it was interrupted; `run` does it by itself."""
    from monitor.wiring import only_instance

    with only_instance(settings):
        asyncio.run(_backfill(settings))


async def _backfill(settings: Settings) -> None:
    from monitor.jobs.backfill import run_backfill
    from monitor.jobs.progress import shown
    from monitor.wiring import open_app

    async with open_app(settings) as app:
        await asyncio.to_thread(app.store.keys.record, await app.source.inventory(()))
        with shown("reading history") as progress:
            n_windows = await run_backfill(app, progress=progress)
    click.echo(f"{n_windows} windows read; history is complete")


@click.command()
@click.option(
    "--shipped", is_flag=True, help="Make the detector shipped in models/ anew, from the demo world's seeded traffic."
)
@with_settings
def train(settings: Settings, *, shipped: bool) -> None:
    """Refit the detector on the store's own history; `run` does it by itself every `schedule.train_every`."""
    if shipped:
        click.echo(str(_train_shipped()))
        return
    made = _train(settings)
    click.echo(str(made.path))
    for said in made.said:
        click.echo(clean(said))


def _train(settings: Settings) -> Made:
    from monitor.jobs.progress import shown
    from monitor.jobs.training import train_now
    from monitor.wiring import SEED, SystemClock, open_store, shipped_models

    store = open_store(settings)
    try:
        with shown("replaying history") as progress:
            return train_now(
                settings, store, now=SystemClock().now(), seed=SEED, shipped=shipped_models(), progress=progress
            )
    finally:
        store.maintenance.close()


def _train_shipped() -> Path:
    from monitor.demo.shipped import train_shipped

    return train_shipped()
