"""Where messages go: `routes test KEY`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, find_key, json_option, print_json, reading, with_settings

if TYPE_CHECKING:
    from monitor.config import Settings


@click.group()
def routes() -> None:
    """Where messages about a key go, and why."""


@routes.command()
@click.argument("key")
@json_option
@with_settings
def test(settings: Settings, key: str, *, as_json: bool) -> None:
    """Say where messages about KEY (name, label or hash) go: which route matches, or who created it, or why neither."""
    from monitor.jobs import owners

    with reading(settings) as store:
        found = find_key(store.keys.keys(include_vanished=True), key)
        to = owners.where(store, settings, found, store.keys.workspaces())
    if as_json:
        print_json({"key_hash": found.key_hash, "channel": to.channel, "owner": to.owner, "why": to.why})
        return
    click.echo(f"{clean(found.key_name)} ({clean(found.label)}, {found.key_hash[:12]})")
    click.echo(f"  goes to  {clean(to.channel) or 'nowhere: slack.default_channel is empty'}")
    click.echo(f"  owner    {clean(to.owner) or 'nobody named'}")
    click.echo(f"  because  {clean(to.why)}")
