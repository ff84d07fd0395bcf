"""Commands about proposals: what waits for a person, yes, and no. The service carries out what was approved."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from monitor.cli.common import ago, clean, json_option, person, print_json, print_table, reading, with_settings

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.domain import Action


@click.command()
@json_option
@with_settings
def approvals(settings: Settings, *, as_json: bool) -> None:
    """What waits for a person: proposals to approve (`approve`), and what is held and may be objected to (`deny`)."""
    from monitor.jobs import approvals as core
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    with reading(settings) as store:
        found = core.pending(store, now)
        names = {key.key_hash: key.key_name for key in store.keys.keys(include_vanished=True)}
    if as_json:
        print_json(list(found))
        return
    rows = [
        (
            one.action_id,
            one.verb.value,
            names.get(one.key_hash, "?"),
            one.key_hash[:12],
            one.incident_id or "",
            ago(one.intended_at, now),
            _waits_for(one),
        )
        for one in found
    ]
    print_table(f"{len(found)} waiting", ("action", "what", "key", "hash", "incident", "proposed", "waits for"), rows)


def _waits_for(action: Action) -> str:
    from monitor.domain import ActionState

    if action.state is ActionState.APPROVED:
        return f"the next cycle; approved by {action.decided_by}"
    if action.not_before is not None:
        return f"an objection until {action.not_before:%Y-%m-%d %H:%M} UTC"
    return f"approval until {action.expires_at:%Y-%m-%d %H:%M} UTC"


@click.command()
@click.argument("action_id")
@json_option
@with_settings
def approve(settings: Settings, action_id: str, *, as_json: bool) -> None:
    """Let the proposed ACTION_ID be carried out. The running service judges the evidence once more and acts in its next cycle."""
    said = asyncio.run(_say(settings, action_id, is_approved=True))
    _tell(said, "approved; the next cycle judges the evidence again and acts if it still stands", as_json=as_json)


@click.command()
@click.argument("action_id")
@json_option
@with_settings
def deny(settings: Settings, action_id: str, *, as_json: bool) -> None:
    """Say no to the proposed or held ACTION_ID: nothing automatic happens to its key for response.cooldown."""
    said = asyncio.run(_say(settings, action_id, is_approved=False))
    _tell(said, "denied; nothing automatic happens to this key for response.cooldown", as_json=as_json)


async def _say(settings: Settings, action_id: str, *, is_approved: bool) -> Action:
    from monitor.jobs import approvals as core
    from monitor.notify.terminal import TerminalNotifier
    from monitor.wiring import SystemClock, open_app

    clock = SystemClock()
    say = core.approve if is_approved else core.deny
    async with open_app(settings, clock=clock, notifier=TerminalNotifier(clock)) as app:
        return await say(app, action_id, by=person())


def _tell(action: Action, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(action)
    else:
        click.echo(clean(f"{action.verb.value} {action.key_hash[:12]} ({action.action_id}): {what}"))
