"""Command by which people tell the detector what a key's usage was: feedback."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from monitor.cli.common import (
    at_the_desk,
    clean,
    find_key,
    json_option,
    moment_or_span,
    person,
    print_json,
    print_table,
    reading,
    with_settings,
)
from monitor.errors import MonitorError

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.domain import Feedback, Incident


@click.command()
@click.argument("key")
@click.argument("opinion", type=click.Choice(["expected", "planned", "abuse"]), required=False)
@click.option(
    "--until",
    metavar="TIME",
    callback=moment_or_span,
    help="Until when it counts: 2026-12-01T18:00 (UTC unless it says otherwise), or 6h from now.",
)
@click.option("--note", default="", help="Why, for whoever reads it later.")
@json_option
@with_settings
def feedback(
    settings: Settings, key: str, opinion: str | None, *, until: datetime | timedelta | None, note: str, as_json: bool
) -> None:
    """Say what KEY's usage was, or list what was said of it.

    expected: that was us; its open incident is closed as a false alarm, the usage is learned, and for two weeks more is asked
    before an alert. planned: that will be us, until the time named; alerts only for what no clean key ever does. abuse: that
    was not us; the usage is never learned, and for a month less is asked. Nothing is disabled or restored by it."""
    from monitor.domain import Opinion
    from monitor.jobs import desk
    from monitor.jobs import feedback as job

    if opinion is None:
        _list(settings, key, as_json=as_json)
        return
    if opinion == "planned" and until is None:
        raise click.UsageError("a plan needs an end: --until 2026-12-01T18:00 or --until 6h")
    with at_the_desk(settings) as office:
        now, store = office.now(), office.store
        found = find_key(store.keys.keys(include_vanished=True), key)
        said, ended = job.say(
            store,
            found.key_hash,
            Opinion(opinion),
            by=person(),
            now=now,
            until=now + until if isinstance(until, timedelta) else until,
            note=note,
            farewell=lambda over, at: desk.farewell(office, over, at),
        )
    if as_json:
        print_json({"feedback": said, "ended": list(ended)})
    else:
        _print_said(said, ended)


def _print_said(said: Feedback, ended: tuple[Incident, ...]) -> None:
    from monitor.detect.bars import sentence

    click.echo(f"{said.key_hash[:12]}: {clean(sentence(said))}")
    for incident in ended:
        click.echo(f"{incident.incident_id} is over: a false alarm")
    if said.opinion.value == "abuse":
        click.echo(f"To take the key out of service: openrouter-monitor revoke {said.key_hash[:12]}")


def _list(settings: Settings, key: str, *, as_json: bool) -> None:
    from monitor.detect.bars import sentence
    from monitor.wiring import SystemClock

    with reading(settings) as store:
        found = find_key(store.keys.keys(include_vanished=True), key)
        said = store.feedback.said(key_hash=found.key_hash)
    if as_json:
        print_json(list(said))
        return
    if not said:
        raise MonitorError("nobody said anything of this key; name what: expected, planned or abuse")
    now = SystemClock().now()
    rows = [
        (f"{one.said_at:%Y-%m-%d %H:%M}", one.opinion.value, "yes" if one.is_in_force(now) else "no", sentence(one))
        for one in reversed(said)
    ]
    print_table("", ("said (UTC)", "what", "counts now", "in words"), rows)
