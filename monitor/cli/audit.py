"""The command `audit`: list, verify."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, group_config, json_option, print_json, reading, with_settings
from monitor.errors import MonitorError, StoreError

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.domain import AuditRow


@click.group()
@group_config
def audit() -> None:
    """Who did what, when and why: every intent, outcome, decision about an incident, and change of what bears on acting."""


@audit.command("list")
@click.option("--incident", "incident_id", help="Only rows about this incident.")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1, 100_000), help="How many, the newest.")
@json_option
@with_settings
def list_(settings: Settings, *, incident_id: str | None, last: int, as_json: bool) -> None:
    """The newest rows of the trail, oldest of them first."""
    with reading(settings) as store:
        rows = store.audit.rows(incident_id=incident_id, limit=last)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(line_of(row))


@audit.command()
@click.option("--head", metavar="N:HASH", help="A head kept elsewhere (log, digest): shows rows cut off at the end.")
@json_option
@with_settings
def verify(settings: Settings, *, head: str | None, as_json: bool) -> None:
    """Walk the whole trail. Exit 0: as it was written; 1: altered, and the first bad row is named."""
    from monitor.store.audit import parse_head

    try:
        outside = None if head is None else parse_head(head)
    except StoreError as error:
        raise click.BadParameter(str(error), param_hint="--head") from error
    with reading(settings) as store:
        found = store.audit.verify(outside)
    if as_json:
        print_json({"ok": found.is_ok, "head": str(found.head), "bad_row": found.bad_number, "problem": found.problem})
    else:
        click.echo(f"{found.head.number} rows are as they were written; head {found.head}")
    if not found.is_ok:
        raise MonitorError(f"the audit trail was altered: {found.problem}")


def line_of(row: AuditRow) -> str:
    """One row for people."""
    at = datetime.fromtimestamp(row.at_us / 1e6, UTC)
    detail = ", ".join(f"{name} {value}" for name, value in json.loads(row.detail).items() if value)
    said = "; ".join(part for part in (clean(row.why), clean(detail)) if part)
    return f"{row.number:>6} {at:%Y-%m-%d %H:%M:%S} {row.kind} {clean(row.subject)} by {clean(row.by)}: {said}"
