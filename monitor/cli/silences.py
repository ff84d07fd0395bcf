"""The command `silence`: add, list, expire."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from monitor.cli.common import (
    Span,
    at_the_desk,
    clean,
    find_key,
    group_config,
    json_option,
    person,
    print_json,
    print_table,
    reading,
    with_settings,
)

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.domain import Silence


def _pattern(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """Raises BadParameter where it is no regular expression."""
    try:
        re.compile(text or "")
    except re.error as error:
        raise click.BadParameter(f"{text!r} is no regular expression: {error}") from None
    return text


@click.group()
@group_config
def silence() -> None:
    """Do not hear of some incidents for a time: they are recorded, not told, and nothing automatic happens to their keys.

    What was done to a key is always told."""


@silence.command()
@click.option("--key", help="One key: name, label or hash.")
@click.option("--name", callback=_pattern, help="Regular expression searched in the key's name.")
@click.option("--owner", help="Owner, as a route names it.")
@click.option("--workspace", help="Workspace name or id.")
@click.option("--cause", help="Detector, or a value among the causes: a model, a country.")
@click.option("--severity", type=click.Choice(["notice", "warning", "critical"]), help="Up to this severity.")
@click.option("--for", "lasting", required=True, type=Span(), help="For how long: 2h, 3d (at most 30d).")
@click.option("--comment", required=True, help="Why; shown to whoever wonders.")
@json_option
@with_settings
def add(
    settings: Settings, *, key: str | None, lasting: timedelta, comment: str, as_json: bool, **given: str | None
) -> None:
    """Silence incidents that match every condition given (at least one)."""
    from monitor.jobs import desk

    if key is None and not any(given.values()):
        raise click.UsageError(
            "this would silence every key; give one or more of --key, --name, --owner, --workspace, --cause, --severity"
        )
    named = {"name": "key_name", "cause": "detector"}
    conditions = {named.get(name, name): value for name, value in given.items() if value is not None}
    with at_the_desk(settings) as office:
        if key is not None:
            conditions["key_hash"] = find_key(office.store.keys.keys(include_vanished=True), key).key_hash
        made = asyncio.run(
            desk.add_silence(office, by=person(), lasting=lasting, comment=comment, conditions=conditions)
        )
    _print([made], as_json=as_json)


@silence.command("list")
@click.option("--all", "include_ended", is_flag=True, help="Include those that have ended.")
@json_option
@with_settings
def list_(settings: Settings, *, include_ended: bool, as_json: bool) -> None:
    """Silences in force, the one that ends last first."""
    from monitor.wiring import SystemClock

    with reading(settings) as store:
        found = store.desk.silences(active_at=None if include_ended else SystemClock().now())
    _print(list(found), as_json=as_json)


@silence.command()
@click.argument("silence_id")
@click.option("--why", default="", help="Kept with it.")
@json_option
@with_settings
def expire(settings: Settings, silence_id: str, *, why: str, as_json: bool) -> None:
    """End a silence now. What it held back and is not over is told in the next cycle."""
    from monitor.jobs import desk

    with at_the_desk(settings) as office:
        ended = asyncio.run(desk.end_silence(office, silence_id, by=person(), why=why))
    _print([ended], as_json=as_json)


def _print(silences: list[Silence], *, as_json: bool) -> None:
    if as_json:
        print_json(silences)
        return
    rows = [
        (
            each.silence_id,
            ", ".join(f"{name} {value}" for name, value in each.conditions.items()),
            f"{each.ended_at or each.expires_at:%Y-%m-%d %H:%M}",
            clean(each.created_by),
            clean(each.comment),
        )
        for each in silences
    ]
    print_table(f"{len(silences)} silences", ("silence", "covers", "until (UTC)", "by", "comment"), rows)
