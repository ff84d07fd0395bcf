"""Commands that only look: status, keys, explain. They work while the service runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.common import ago, clean, find_key, json_option, print_json, print_table, reading, usd, with_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.config import Settings
    from monitor.domain import ApiKey, Cause, Finding
    from monitor.store.base import Store


MIN_CREDIT = 0.01
"""Shares of the score below this are not shown."""


@click.command()
@json_option
@with_settings
def status(settings: Settings, *, as_json: bool) -> None:
    """How the monitor and its data are doing: what the planner chose, how old each kind of data is, what is in trouble."""
    from monitor.jobs import rehearsed
    from monitor.store.base import Delivery
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    with reading(settings) as store:
        facts = dict(store.state.get("status") or {})
        backfill = store.state.get("backfill") or {}
        waiting = len(store.outbox.entries(states={Delivery.WAITING, Delivery.SENDING, Delivery.UNKNOWN}))
        dead = len(store.outbox.entries(states={Delivery.DEAD}))
        keys = store.keys.keys()
        rehearsal, is_well = rehearsed.told(store, settings, now)
    facts |= {"backfill": dict(backfill), "outbox": {"waiting": waiting, "given_up": dead}}
    facts |= {"rehearsal": {"last": rehearsal, "ok": is_well}}
    if as_json:
        print_json(facts)
        return
    if "at" not in facts:
        click.echo("No watch cycle has completed yet: start the service, or run `openrouter-monitor once`.")
        return
    _print_status(facts, n_keys=len(keys), now=now)


def _print_status(facts: Mapping[str, Any], *, n_keys: int, now: datetime) -> None:
    at = datetime.fromisoformat(str(facts["at"]))
    late = now - at > timedelta(minutes=10)
    click.echo(
        f"last cycle   {ago(at, now)}{'  ** LATE: is the service running? **' if late else ''}, {facts['n_cycles']} since start"
    )
    click.echo(f"response     {facts['mode']}{'; KILL SWITCH ON' if facts.get('kill_switch') else ''}")
    for warning in facts.get("warnings", ()):
        click.echo(f"ATTENTION    {clean(str(warning))}")
    click.echo(f"keys         {n_keys}")
    click.echo(f"detector     {facts.get('detector', 'none yet: hard rules only')}")
    click.echo(f"clock skew   {round(facts.get('skew_s', 0))} s")
    backfill = facts["backfill"]
    if backfill:
        click.echo(f"backfill     {backfill.get('done')} of {backfill.get('total')} windows")
    click.echo(f"outbox       {facts['outbox']['waiting']} waiting, {facts['outbox']['given_up']} given up")
    click.echo(f"rehearsal    {clean(str(facts['rehearsal']['last']))}")
    rows = [
        (
            lane["lane"],
            _when(lane["last_ok_at"], now),
            _when(lane["complete_until"], now),
            lane["plan"],
            lane["last_error"],
        )
        for lane in facts.get("lanes", ())
    ]
    print_table("", ("data", "last read", "complete until", "how", "last error"), rows)
    for trouble in facts.get("troubles", ()):
        click.echo(f"TROUBLE      {clean(str(trouble))}")


def _when(text: str | None, now: datetime) -> str:
    return ago(datetime.fromisoformat(text) if text else None, now)


@click.command()
@click.option("--all", "include_gone", is_flag=True, help="Include keys deleted at the issuer.")
@json_option
@with_settings
def keys(settings: Settings, *, include_gone: bool, as_json: bool) -> None:
    """The keys, what they spend, and their hygiene (no limit, no reset, shared name, unused, nobody to ask or tell)."""
    from monitor.jobs import owners
    from monitor.report import hygiene
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    with reading(settings) as store:
        found = store.keys.keys(include_vanished=include_gone)
        workspaces = store.keys.workspaces()
        week = _spend_by_key(store, now - timedelta(days=7), now)
        month = _spend_by_key(store, now - timedelta(days=30), now)
        named = owners.named(store, settings, found)
    debts = hygiene.audit(found, month, now, owners=named)
    rows = [_key_row(key, week, debts, workspaces) for key in sorted(found, key=lambda key: -week.get(key.key_hash, 0))]
    if as_json:
        print_json([{**row, "key_hash": key_hash} for key_hash, row in rows])
        return
    print_table(
        f"{len(found)} keys",
        ("name", "hash", "workspace", "state", "limit", "7 days", "hygiene"),
        [
            (
                row["name"],
                key_hash[:12],
                row["workspace"],
                row["state"],
                row["limit"],
                usd(row["week_nusd"]),
                row["hygiene"],
            )
            for key_hash, row in rows
        ],
        right=("limit", "7 days"),
    )


def _key_row(
    key: ApiKey, week: Mapping[str, int], debts: Mapping[str, Sequence[str]], workspaces: Mapping[str, str]
) -> tuple[str, dict[str, Any]]:
    settings = key.settings
    limit = "none" if settings.limit_usd is None else f"${settings.limit_usd:g}/{settings.limit_reset or 'once'}"
    row = {
        "name": key.key_name,
        "label": key.label,
        "workspace": workspaces.get(key.workspace_id or "", key.workspace_id or "default"),
        "state": "disabled" if settings.is_disabled else "live",
        "limit": limit,
        "week_nusd": week.get(key.key_hash, 0),
        "hygiene": ", ".join(debts.get(key.key_hash, ())) or "ok",
    }
    return key.key_hash, row


def _spend_by_key(store: Store, since: datetime, until: datetime) -> dict[str, int]:
    from monitor.domain import Dimension

    usage = store.usage.read_hourly(since, until, dimensions={Dimension.MODEL})
    catalog = store.keys.catalog
    totals = usage.groupby("key_no")["cost_nusd"].sum()
    return {catalog.key_hash(no): cost for no, cost in zip(totals.index.tolist(), totals.tolist(), strict=True)}


def because(causes: Sequence[Cause]) -> list[str]:
    """The causes, each with the share of the detector's score that it explains; the first is the sum of the others."""
    lines = []
    for no, cause in enumerate(causes):
        credit = f"  ({cause.credit:.0%} of the score)" if no and cause.credit >= MIN_CREDIT else ""
        lines.append(f"{clean(cause.sentence)}{credit}")
    return lines


@click.command()
@click.argument("key")
@click.option(
    "--hours",
    default=24,
    show_default=True,
    type=click.IntRange(1, 24 * 400),
    help="How far back to show usage, findings and verdicts.",
)
@json_option
@with_settings
def explain(settings: Settings, key: str, hours: int, *, as_json: bool) -> None:
    """Everything known about one KEY (name, label or hash): settings, usage, findings, and each decision with its reason."""
    from monitor.wiring import SystemClock

    now = SystemClock().now()
    since = now - timedelta(hours=hours)
    with reading(settings) as store:
        found = find_key(store.keys.keys(include_vanished=True), key)
        story = _story(store, found, since, now) | {"policy": _policy(settings, store, found)}
    if as_json:
        print_json(story)
        return
    _print_story(found, story)


def _story(store: Store, key: ApiKey, since: datetime, now: datetime) -> dict[str, Any]:
    from monitor.domain import Dimension

    catalog = store.keys.catalog
    key_no = catalog.known_key_no(key.key_hash)
    usage = store.usage.read_hourly(since, now, key_nos=[key_no if key_no is not None else -2])
    totals = usage.groupby(["dimension", "value_no"])[["n_requests", "cost_nusd"]].sum().reset_index()
    used = [
        {
            "dimension": Dimension(int(row[0])),
            "value": catalog.value(int(row[1])),
            "n_requests": int(row[2]),
            "cost_nusd": int(row[3]),
        }
        for row in totals.sort_values("cost_nusd", ascending=False).itertuples(index=False)
    ]
    return {
        "key": key,
        "used": used,
        "changes": list(store.keys.history(key.key_hash)),
        "findings": list(store.ledger.findings(since, key_hash=key.key_hash)),
        "verdicts": list(store.ledger.verdicts(since, key_hash=key.key_hash)),
        "actions": list(store.ledger.actions(key_hash=key.key_hash)),
        "feedback": list(store.feedback.said(key_hash=key.key_hash)),
    }


def _policy(settings: Settings, store: Store, key: ApiKey) -> dict[str, Any]:
    """Which policy the key has, why, and what each rung asks for."""
    from monitor.decide import ladder
    from monitor.notify import routing

    workspaces = store.keys.workspaces()
    owner = routing.owners([key], routes=settings.routes, workspaces=workspaces)[key.key_hash]
    found = ladder.matched(key, owner=owner, workspaces=workspaces, policies=settings.policies)
    return {"name": found.policy.name, "why": found.why, "rungs": list(ladder.described(found.policy))}


def _episodes(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one detector at most six hours apart, oldest episode first: what goes on is found again every minute."""
    episodes: dict[str, list[list[Finding]]] = {}
    for finding in findings:
        own = episodes.setdefault(finding.detector, [])
        if own and finding.at - own[-1][-1].at <= timedelta(hours=6):
            own[-1].append(finding)
        else:
            own.append([finding])
    return sorted((each for own in episodes.values() for each in own), key=lambda episode: episode[0].at)


def _print_episode(episode: Sequence[Finding]) -> None:
    """When, by what, and the causes of its strongest finding."""
    worst = max(episode, key=lambda finding: (finding.severity, -(finding.p_value or 0.0), finding.at))
    p = "" if worst.p_value is None else f" p={worst.p_value:.2g}"
    first, last = episode[0], episode[-1]
    what = "finding" if len(episode) == 1 else f"to {last.at:%m-%d %H:%M}: {len(episode)} findings"
    click.echo(f"{first.at:%m-%d %H:%M} {what} by {first.detector}: {worst.severity.name.lower()}{p}")
    for no, line in enumerate(because(worst.causes)):
        click.echo(f"{' ' * 12}{'- ' if no else ''}{line}")


def _print_story(key: ApiKey, story: Mapping[str, Any]) -> None:
    from monitor.detect.bars import sentence

    state = "disabled" if key.settings.is_disabled else "live"
    click.echo(f"{clean(key.key_name)} ({clean(key.label)}), {state}\n{key.key_hash}")
    policy = story["policy"]
    click.echo(f"policy {clean(policy['why'])}; {clean('; '.join(policy['rungs']))}")
    rows = [
        (row["dimension"].name.lower(), row["value"] or "(none)", row["n_requests"], usd(row["cost_nusd"]))
        for row in story["used"]
    ]
    print_table("\nused", ("what", "value", "requests", "cost"), rows, right=("requests", "cost"))
    findings: Sequence[Finding] = story["findings"]
    for episode in _episodes(findings)[-20:]:
        _print_episode(episode)
    for verdict in story["verdicts"][-20:]:
        act = "act" if verdict.is_act else "do not act"
        click.echo(
            f"{verdict.at:%m-%d %H:%M} verdict: {act} ({verdict.rung.name.lower()}): {verdict.reason.value} {clean(verdict.detail)}"
        )
    for action in story["actions"]:
        click.echo(
            f"{action.intended_at:%m-%d %H:%M} {action.verb.value} by {clean(action.requested_by)}: {action.state.value}"
        )
    for said in story["feedback"]:
        click.echo(f"{said.said_at:%m-%d %H:%M} feedback: {clean(sentence(said))}")
    for change in story["changes"][-20:]:
        click.echo(
            f"{change.seen_at:%m-%d %H:%M} {change.field}: {clean(str(change.before))} -> {clean(str(change.after))}"
        )
    if not findings:
        click.echo("no findings in this time")
