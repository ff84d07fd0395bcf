"""Commands that change a key: restore and revoke. Journalled like any automatic action; work beside the running service."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, find_key, json_option, print_json, with_settings
from monitor.errors import ActionFailed

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.domain import Action, ApiKey


@click.command()
@click.argument("key")
@json_option
@with_settings
def restore(settings: Settings, key: str, *, as_json: bool) -> None:
    """Put KEY (name, label or hash) back exactly as it was before it was disabled: disabled, limit, reset, BYOK."""
    _report(asyncio.run(_restore(settings, key)), as_json=as_json)


@click.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_settings
def revoke(settings: Settings, key: str, *, yes: bool, as_json: bool) -> None:
    """Take KEY (name, label or hash) out of service by disabling it. Reversible: `restore` undoes it."""
    if not yes:
        found = _look_up(settings, key)
        click.confirm(f"Disable {clean(found.key_name)} ({clean(found.label)}, {found.key_hash[:12]})?", abort=True)
        key = found.key_hash
    _report(asyncio.run(_revoke(settings, key)), as_json=as_json)


def _look_up(settings: Settings, text: str) -> ApiKey:
    from monitor.cli.common import reading

    with reading(settings) as store:
        return find_key(store.keys.keys(), text)


async def _restore(settings: Settings, text: str) -> Action:
    from monitor.jobs import manual
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app

    clock = SystemClock()
    async with open_app(settings, clock=clock, notifier=TerminalNotifier(clock)) as app:  # the service delivers
        found = find_key(app.store.keys.keys(include_vanished=True), text)
        return await manual.restore(app, found, requested_by=_person())


async def _revoke(settings: Settings, text: str) -> Action:
    from monitor.jobs import manual
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app

    clock = SystemClock()
    async with open_app(settings, clock=clock, notifier=TerminalNotifier(clock)) as app:  # the service delivers
        return await manual.revoke(app, find_key(app.store.keys.keys(), text), requested_by=_person())


def _person() -> str:
    return f"cli:{getpass.getuser()}"


def _report(action: Action, *, as_json: bool) -> None:
    from monitor.domain import ActionState

    if as_json:
        print_json(action)
    else:
        click.echo(f"{action.verb.value} {action.key_hash[:12]}: {action.state.value}; {clean(action.detail)}")
    if action.state is not ActionState.DONE:
        raise ActionFailed(
            f"{action.verb.value} of {action.key_hash[:12]} {action.state.value}: {clean(action.detail)}",
            permanent=True,
        )
