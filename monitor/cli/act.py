"""Commands that change a key: restore and revoke. Journalled like any automatic action; work beside the running service.

What people say to proposals is in `approving.py`."""

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
@click.option("--force", is_flag=True, help="Overwrite what somebody else changed on the key since.")
@json_option
@with_settings
def restore(settings: Settings, key: str, *, force: bool, as_json: bool) -> None:
    """Put KEY (name, label or hash) back exactly as it was before it was disabled or capped: disabled, limit, reset, BYOK."""
    _report(asyncio.run(_restore(settings, key, is_forced=force)), as_json=as_json)


@click.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--delete", "is_delete", is_flag=True, help="Delete the key for good. Always asks for its name; no undo.")
@json_option
@with_settings
def revoke(settings: Settings, key: str, *, yes: bool, is_delete: bool, as_json: bool) -> None:
    """Take KEY (name, label or hash) out of service by disabling it. Reversible: `restore` undoes it (but not --delete)."""
    if is_delete:
        _report(_deleted(settings, key), as_json=as_json)
        return
    if not yes:
        found = _look_up(settings, key)
        what = f"{clean(found.key_name)} ({clean(found.label)}, {found.key_hash[:12]})" if found else key
        click.confirm(f"Disable {what}?", abort=True)
        key = found.key_hash if found else key
    _report(asyncio.run(_revoke(settings, key)), as_json=as_json)


def _deleted(settings: Settings, text: str) -> Action:
    """Deletes the key after its name was typed, letter by letter; its hash, where the name cannot be typed."""
    found = _look_up(settings, text)
    if found is None:
        raise MonitorError(
            f"key {text[:12]} is not in the inventory; only a known key can be deleted: run `once` first"
        )
    visible = clean(found.key_name)
    is_typable = visible == found.key_name and len(visible) > 0 and visible.isascii()
    wanted = visible if is_typable else found.key_hash[:12]
    click.echo(
        f"{visible} ({clean(found.label)}, {found.key_hash[:12]}) will be DELETED. Nothing can put it back.", err=True
    )
    typed = click.prompt(f"Type {wanted} to delete it", default="", show_default=False, err=True)
    if typed != wanted:
        raise MonitorError("that is not what was asked for; nothing was deleted")
    return asyncio.run(_delete(settings, found))


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


async def _restore(settings: Settings, text: str, *, is_forced: bool) -> Action:
    from monitor.jobs import manual
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app

    clock = SystemClock()
    async with open_app(settings, clock=clock, notifier=TerminalNotifier(clock)) as app:  # the service delivers
        found = find_key(app.store.keys.keys(include_vanished=True), text)
        return await manual.restore(app, found, requested_by=person(), is_forced=is_forced)


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


async def _delete(settings: Settings, key: ApiKey) -> Action:
    from monitor.jobs import manual
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app, open_deletion

    clock = SystemClock()
    quiet = TerminalNotifier(clock)  # the service delivers
    async with open_app(settings, clock=clock, notifier=quiet) as app, open_deletion(settings, clock) as deletion:
        return await manual.delete(app, key, deletion, requested_by=person())


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
