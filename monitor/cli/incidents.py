"""Commands about incidents: list, show, ack, silence, resolve, bundle. All work beside the running service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.common import (
    Span,
    at_the_desk,
    clean,
    group_config,
    json_option,
    person,
    print_json,
    print_table,
    reading,
    usd,
    with_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.config import Settings
    from monitor.decide.groups import Group
    from monitor.domain import Action, AuditRow, Incident
    from monitor.jobs.app import Desk
    from monitor.store.base import Store

_COLUMNS = ("incident", "state", "severity", "key", "hash", "since (UTC)", "spent", "per hour", "at risk")
_MONEY = ("spent", "per hour", "at risk")


class _Incidents(click.Group):
    """`incidents` alone is `incidents list`, and `incidents INC-…` is `incidents show INC-…`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


@click.group(cls=_Incidents, invoke_without_command=True)
@group_config
@click.option("--all", "include_resolved", is_flag=True, help="Include resolved incidents of the last 30 days.")
@json_option
@click.pass_context
def incidents(ctx: click.Context, *, include_resolved: bool, as_json: bool) -> None:
    """Incidents: without a command, those that are not over, newest first; with an id, everything about one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, include_resolved=include_resolved, as_json=as_json)


@incidents.command("list")
@click.option("--all", "include_resolved", is_flag=True, help="Include resolved incidents of the last 30 days.")
@click.option(
    "--by", "by", type=click.Choice(["owner", "model", "platform"]), help="Group by what they have in common."
)
@json_option
@with_settings
def list_(settings: Settings, *, include_resolved: bool, as_json: bool, by: str | None = None) -> None:
    """Incidents that are not over, newest first."""
    from monitor.domain import ALIVE
    from monitor.wiring import SystemClock

    since = SystemClock().now() - timedelta(days=30) if include_resolved else None
    with reading(settings) as store:
        found = store.ledger.incidents(states=None if include_resolved else ALIVE, since=since)
        names = _names(store)
        groups = () if by is None else _groups(settings, store, found, by)
    if as_json:
        print_json([{"cause": each.cause, "incidents": each.incidents} for each in groups] if by else list(found))
        return
    if by is None or not groups:
        print_table(f"{len(found)} incidents", _COLUMNS, [_row(one, names) for one in found], right=_MONEY)
    for group in groups:
        title = f"{clean(group.cause)}: {len(group.incidents)} incidents, {usd(group.at_risk_nusd)} at risk"
        print_table(title, _COLUMNS, [_row(one, names) for one in group.incidents], right=_MONEY)


def _groups(settings: Settings, store: Store, found: Sequence[Incident], by: str) -> tuple[Group, ...]:
    from monitor.decide import groups
    from monitor.notify import routing

    if by == "model":
        return groups.by_model(found)
    if by == "platform":
        return groups.by_platform(found)
    keys = store.keys.keys(include_vanished=True)
    owners = routing.owners(keys, routes=settings.routes, workspaces=store.keys.workspaces())
    return groups.by_owner(found, owners)


def _row(one: Incident, names: Mapping[str, str]) -> tuple[str, ...]:
    return (
        one.incident_id,
        one.state.value,
        one.severity.name.lower(),
        names.get(one.key_hash, "?") if one.key_hash else f"({one.kind.value})",
        one.key_hash[:12],
        f"{one.onset_at:%m-%d %H:%M}",
        usd(one.spent_nusd),
        usd(one.per_hour_nusd),
        usd(one.at_risk_nusd),
    )


def _names(store: Store) -> dict[str, str]:
    return {key.key_hash: key.key_name for key in store.keys.keys(include_vanished=True)}


@incidents.command()
@click.argument("incident_id")
@json_option
@with_settings
def show(settings: Settings, incident_id: str, *, as_json: bool) -> None:
    """Everything about one incident: figures, causes, times to detect and contain, actions, and who decided what."""
    from monitor.report import response_times

    with reading(settings) as store:
        everything = {one.incident_id: one for one in store.ledger.incidents()}
        names = _names(store)
        actions = tuple(each for each in store.ledger.actions() if each.incident_id == incident_id)
        trail = store.audit.rows(incident_id=incident_id)
    if incident_id not in everything:
        raise click.ClickException(
            f"there is no incident {incident_id!r}; `openrouter-monitor incidents --all` lists them"
        )
    one = everything[incident_id]
    members = [everything[each] for each in one.members if each in everything]
    times = response_times.of(one, actions)
    if as_json:
        print_json({"incident": one, "times": times, "actions": actions, "members": members, "trail": trail})
        return
    _print_incident(one, names)
    for line in response_times.lines(times):
        click.echo(f"  times     {line}")
    for member in members:
        click.echo(f"  member    {member.incident_id} {clean(names.get(member.key_hash, '?'))}: {member.state.value}")
    _print_actions(actions)
    _print_trail(trail)


def _print_incident(incident: Incident, names: Mapping[str, str]) -> None:
    from monitor.cli.look import because

    click.echo(
        f"{incident.incident_id}  {incident.state.value}, {incident.severity.name.lower()}, step {incident.step}"
    )
    if incident.key_hash:
        click.echo(f"  key       {clean(names.get(incident.key_hash, '?'))} ({incident.key_hash})")
    click.echo(
        f"  since     {incident.onset_at:%Y-%m-%d %H:%M} UTC, last seen {incident.last_seen_at:%Y-%m-%d %H:%M} UTC"
    )
    click.echo(
        f"  money     {usd(incident.spent_nusd)} above habit so far; {usd(incident.per_hour_nusd)}/h now, "
        f"usual {usd(incident.expected_per_hour_nusd)}/h; at risk {usd(incident.at_risk_nusd)}"
    )
    if incident.silenced_until is not None:
        click.echo(f"  silent    until {incident.silenced_until:%Y-%m-%d %H:%M} UTC")
    if incident.part_of is not None:
        click.echo(f"  part of   {incident.part_of}")
    for spell in incident.spells:
        click.echo(f"  before    {spell.onset_at:%Y-%m-%d %H:%M} to {spell.last_seen_at:%Y-%m-%d %H:%M} UTC")
    if incident.resolution:
        click.echo(f"  over      {clean(incident.resolution)}{_by(incident.resolved_by)}")
    for line in because(incident.causes):
        click.echo(f"  because   {line}")


def _by(who: str) -> str:
    return f", by {clean(who)}" if who else ""


def _print_actions(actions: Sequence[Action]) -> None:
    for action in actions:
        click.echo(
            f"  {action.intended_at:%Y-%m-%d %H:%M:%S} {action.verb.value}: {action.state.value}; {clean(action.detail)}"
        )


def _print_trail(trail: Sequence[AuditRow]) -> None:
    from monitor.cli.audit import line_of

    for row in trail:
        click.echo(f"  {line_of(row)}")


def _decide(settings: Settings, decision: Callable[[Desk], Coroutine[Any, Any, Incident]], *, as_json: bool) -> None:
    with at_the_desk(settings) as desk:
        changed = asyncio.run(decision(desk))
    if as_json:
        print_json(changed)
        return
    until = f" until {changed.silenced_until:%Y-%m-%d %H:%M} UTC" if changed.silenced_until else ""
    click.echo(f"{changed.incident_id}: {changed.state.value}{until}")


_STEP = click.option("--step", type=click.IntRange(min=1), help="Refuse if the incident is at another step by now.")
_WHY = click.option("--why", default="", help="Kept with it.")


@incidents.command()
@click.argument("incident_id")
@_WHY
@_STEP
@json_option
@with_settings
def ack(settings: Settings, incident_id: str, *, why: str, step: int | None, as_json: bool) -> None:
    """Say that you look at an incident: nobody else is called. An event's incidents are acknowledged with it."""
    from monitor.jobs import desk

    _decide(
        settings,
        lambda office: desk.acknowledge(office, incident_id, by=person(), why=why, expected_step=step),
        as_json=as_json,
    )


@incidents.command()
@click.argument("incident_id")
@click.option("--for", "lasting", required=True, type=Span(), help="For how long: 2h, 3d (at most 30d).")
@_WHY
@_STEP
@json_option
@with_settings
def silence(
    settings: Settings, incident_id: str, *, lasting: timedelta, why: str, step: int | None, as_json: bool
) -> None:
    """Hear nothing of an incident for a time; nothing automatic happens to its key meanwhile."""
    from monitor.jobs import desk

    _decide(
        settings,
        lambda office: desk.silence(office, incident_id, by=person(), lasting=lasting, why=why, expected_step=step),
        as_json=as_json,
    )


@incidents.command()
@click.argument("incident_id")
@click.option("--false-alarm", "is_false_alarm", is_flag=True, help="It was nothing: its hours become habit.")
@_WHY
@_STEP
@json_option
@with_settings
def resolve(
    settings: Settings, incident_id: str, *, is_false_alarm: bool, why: str, step: int | None, as_json: bool
) -> None:
    """Say that an incident is over. It is reopened if its cause comes back."""
    from monitor.jobs import desk

    _decide(
        settings,
        lambda office: desk.resolve(
            office, incident_id, by=person(), is_false_alarm=is_false_alarm, why=why, expected_step=step
        ),
        as_json=as_json,
    )


@incidents.command()
@click.argument("incident_id")
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to make; must be new or empty.",
)
@with_settings
def bundle(settings: Settings, incident_id: str, *, out: Path) -> None:
    """Write what a refund claim needs: hours, models, countries, actions, a summary, and checksums. No secrets."""
    from monitor.jobs import bundle as job
    from monitor.wiring import SystemClock

    with reading(settings) as store:
        written = job.write(store, incident_id, out, now=SystemClock().now(), routes=settings.routes)
    for path in written:
        click.echo(str(path))
