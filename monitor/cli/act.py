"""Commands that change a key: restore and revoke. Journalled like any automatic action; work beside the running service."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, find_key, json_option, person, print_json, with_settings
from monitor.errors import ActionFailed, MonitorError

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.domain import Action, ApiKey

_WHOLE_HASH = re.compile(r"[0-9a-f]{64}")


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
        what = f"{clean(found.key_name)} ({clean(found.label)}, {found.key_hash[:12]})" if found else key
        click.confirm(f"Disable {what}?", abort=True)
        key = found.key_hash if found else key
    _report(asyncio.run(_revoke(settings, key)), as_json=as_json)


def _look_up(settings: Settings, text: str) -> ApiKey | None:
    """The key in the store; None for a whole hash the store does not know: it is read from the account."""
    from monitor.cli.common import reading

    try:
        with reading(settings) as store:
            return find_key(store.keys.keys(), text)
    except MonitorError:
        if _WHOLE_HASH.fullmatch(text):
            return None
        raise


async def _restore(settings: Settings, text: str) -> Action:
    from monitor.jobs import manual
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app

    clock = SystemClock()
    async with open_app(settings, clock=clock, notifier=TerminalNotifier(clock)) as app:  # the service delivers
        found = find_key(app.store.keys.keys(include_vanished=True), text)
        return await manual.restore(app, found, requested_by=person())


async def _revoke(settings: Settings, text: str) -> Action:
    from monitor.jobs import manual
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app

    clock = SystemClock()
    async with open_app(settings, clock=clock, notifier=TerminalNotifier(clock)) as app:  # the service delivers
        known = app.store.keys.keys()
        is_unknown_hash = _WHOLE_HASH.fullmatch(text) and all(key.key_hash != text for key in known)
        key = (
            await app.control.read(text) if is_unknown_hash else find_key(known, text)
        )  # an emergency has no time to poll
        return await manual.revoke(app, key, requested_by=person())


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
