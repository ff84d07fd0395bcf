"""The command that proves on one key that everything from the alert to the restore works."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, find_key, json_option, person, print_json, with_settings
from monitor.errors import MonitorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config import Settings
    from monitor.domain import ApiKey
    from monitor.jobs.rehearse import Rehearsal
    from monitor.jobs.rehearsed import Step


@click.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--dry-run", "is_dry_run", is_flag=True, help="Look, judge and show the plan; nothing is sent or touched."
)
@json_option
@with_settings
def rehearse(settings: Settings, key: str, *, yes: bool, is_dry_run: bool, as_json: bool) -> None:
    """Rehearse on KEY (name, label or hash), a canary that nobody would miss: a simulated theft, then a real alert, a real disable
    for some seconds, and an exact restore; each read back, with its delay. Works beside the running service. Exit 1 where
    anything did not work."""
    from monitor.wiring import only_rehearsal

    with only_rehearsal(settings):
        done = asyncio.run(_rehearse(settings, key, asks=not yes, is_dry_run=is_dry_run, is_quiet=as_json))
    if as_json:
        print_json(_document(done))
    else:
        _print(done, settings=settings, is_dry_run=is_dry_run)
    if done.problem:
        raise MonitorError(f"the rehearsal FAILED: {clean(done.problem) if not done.is_left else done.problem}")


def _ask(planned: Rehearsal) -> None:
    """Says what was judged and what will be done, and wants the key's name typed: it really is disabled."""
    found = planned.key
    visible = clean(found.key_name)
    is_typable = visible == found.key_name and len(visible) > 0 and visible.isascii()
    wanted = visible if is_typable else found.key_hash[:12]
    click.echo(clean(planned.steps[-1].detail), err=True)
    click.echo(
        f"{visible} ({clean(found.label)}, {found.key_hash[:12]}) will really be DISABLED for some seconds, then put back.",
        err=True,
    )
    if click.prompt(f"Type {wanted} to rehearse on it", default="", show_default=False, err=True) != wanted:
        raise MonitorError("that is not what was asked for; nothing was touched")


async def _rehearse(settings: Settings, text: str, *, asks: bool, is_dry_run: bool, is_quiet: bool) -> Rehearsal:
    from rich.console import Console

    from monitor.jobs import rehearse as job
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app, shipped_models

    def choose(keys: Sequence[ApiKey]) -> ApiKey:
        return find_key(keys, planned.key.key_hash if planned else text)  # the very key that was asked about

    planned: Rehearsal | None = None
    clock = SystemClock()
    is_printed = is_dry_run or not settings.slack.enabled  # else what is sent goes where alerts go
    notifier = TerminalNotifier(clock, Console(stderr=True)) if is_printed else None  # standard output is the answer
    async with open_app(settings, clock=clock, notifier=notifier) as app:
        planned = await job.plan(app, choose, shipped=shipped_models()) if is_dry_run or asks else None
        if planned is not None and (is_dry_run or planned.problem):
            return planned
        if planned is not None:
            _ask(planned)
        tell = _silent if is_quiet else _tell
        return await job.rehearse(app, choose, by=person(), shipped=shipped_models(), tell=tell, planned=planned)


def _silent(_: Step) -> None:
    """The document tells it all."""


def _tell(step: Step) -> None:
    from monitor.wording import seconds

    mark = "ok  " if step.is_ok else "FAIL"
    click.echo(f"{mark}  {step.name:<8} {seconds(step.seconds):>8}  {clean(step.detail)}")


def _print(done: Rehearsal, *, settings: Settings, is_dry_run: bool) -> None:
    if is_dry_run or not done.rehearsal_id:  # a plan: nobody has seen its steps yet
        for step in done.steps:
            _tell(step)
    if done.note:
        click.echo(f"NOTE  {clean(done.note)}")
    if is_dry_run and not done.problem:
        where = settings.slack.default_channel if settings.slack.enabled else "the terminal"
        for line in (
            f"would send the alert, marked as a rehearsal, by the routes (by default to {where}), and wait until it is delivered",
            f"would disable {clean(done.key.key_name)} ({done.key.key_hash[:12]}), and read it back",
            "would put it back exactly, and read back limit, limit_reset, include_byok_in_limit and disabled",
            "would tell the delay of each step in the thread, the audit trail and `status`",
        ):
            click.echo(f"plan  {line}")
    elif not done.problem:
        click.echo("rehearsed: only the theft was simulated; the key is exactly as it was")


def _document(done: Rehearsal) -> dict[str, object]:
    after = done.staged.after.total_seconds() if done.staged and done.staged.after else None
    return {
        "id": done.rehearsal_id or None,
        "key_hash": done.key.key_hash,
        "key_name": done.key.key_name,
        "at": done.at,
        "ok": not done.problem,
        "problem": done.problem or None,
        "may_still_be_disabled": done.is_left,
        "note": done.note or None,
        "simulated_detection_s": after,
        "steps": [
            {"name": s.name, "ok": s.is_ok, "seconds": round(s.seconds, 3), "detail": s.detail} for s in done.steps
        ],
    }
