"""Commands about the detectors made here: list, drift, promote, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitor.cli.common import clean, json_option, person, print_json, print_table, reading, with_settings
from monitor.errors import ArtifactError, MonitorError

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.config import Settings
    from monitor.detect.artifact import Manifest
    from monitor.jobs.roles import Roles

SHOWN = 15
"""Features in the list of what has moved."""


@click.group()
def detector() -> None:
    """The detectors made here: which is at work, which is on trial, what has drifted, and going back."""


@detector.command("list")
@json_option
@with_settings
def list_(settings: Settings, *, as_json: bool) -> None:
    """Every detector kept, its role and its figures, and the last changes with their reasons."""
    from monitor.jobs import roles

    with reading(settings) as store:
        known = roles.read(store) or roles.Roles()
    manifests = _manifests(settings)
    if as_json:
        print_json({"roles": known, "detectors": {name: _facts(one) for name, one in manifests.items()}})
        return
    rows = [
        (
            name,
            _role(name, known),
            f"{one.trained_until:%Y-%m-%d %H:%M}",
            one.n_keys,
            f"{one.clean_incidents_per_week:.1f}",
            f"{one.thefts_found:.0%}",
        )
        for name, one in sorted(manifests.items(), reverse=True)
    ]
    columns = ("detector", "role", "trained until (UTC)", "keys", "false alerts a week", "simulated thefts found")
    print_table("", columns, rows, right=columns[3:])
    if known.live is None:
        click.echo("none of our own is at work: the shipped one judges")
    for event in known.events[-10:]:
        click.echo(f"{event.at:%Y-%m-%d %H:%M} {event.name} {event.what} by {clean(event.by)}: {clean(event.why)}")


@detector.command()
@json_option
@with_settings
def drift(settings: Settings, *, as_json: bool) -> None:
    """How far last week's usage lies from what the anchor, the detector of last month, was trained on: PSI by feature."""
    from monitor.detect.drift import SHIFTED

    with reading(settings) as store:
        found = store.state.get("drift")
    if found is None:
        raise MonitorError(
            "no drift is known yet: it is measured at each training, once a detector of our own is at work"
        )
    if as_json:
        print_json(found)
        return
    features = found["features"]
    assert isinstance(features, list)
    shifted = [one for one in features if float(one["psi"]) >= SHIFTED]
    click.echo(f"measured {found['at']} against {found['anchor']}; over {SHIFTED} counts as shifted")
    click.echo(f"scores {float(str(found['scores'])):.3f}; {len(shifted)} of {len(features)} features shifted")
    print_table(
        "", ("feature", "PSI"), [(one["name"], f"{one['psi']:.3f}") for one in features[:SHOWN]], right=("PSI",)
    )


@detector.command()
@click.argument("name")
@click.option("--why", default="", help="Why, for whoever reads it later.")
@with_settings
def promote(settings: Settings, name: str, *, why: str) -> None:
    """Put the detector NAME to work, whatever its trial said. The running service takes it up in its next cycle."""
    from monitor.features import NAMES
    from monitor.jobs import artifacts, roles
    from monitor.wiring import SystemClock, open_store

    path = _folder(settings) / f"{name}.json"
    if name not in _manifests(settings):
        raise MonitorError(f"{name!r} is none of the detectors kept; `openrouter-monitor detector list` shows them")
    artifacts.load(path, NAMES)  # who promotes what does not load would have no detector
    store = open_store(settings)
    try:
        known = roles.read(store) or roles.Roles()
        at = SystemClock().now()
        roles.write(store, roles.promoted(known, name, at=at, by=person(), why=why or "by hand"))
    finally:
        store.maintenance.close()
    click.echo(f"{name} is at work from the next cycle on; `openrouter-monitor detector rollback` goes back")


@detector.command()
@click.option("--why", default="", help="Why, for whoever reads it later.")
@with_settings
def rollback(settings: Settings, *, why: str) -> None:
    """Put the detector before this one back to work; this one is never promoted by itself again."""
    from monitor.jobs import roles
    from monitor.wiring import SystemClock, open_store

    store = open_store(settings)
    try:
        at = SystemClock().now()
        back = roles.rolled_back(roles.read(store) or roles.Roles(), at=at, by=person(), why=why)
        roles.write(store, back)
    finally:
        store.maintenance.close()
    click.echo(f"{back.live} is at work from the next cycle on")


def _folder(settings: Settings) -> Path:
    return settings.store.state_dir / "artifacts"


def _manifests(settings: Settings) -> dict[str, Manifest]:
    """Manifest by name of every artifact kept; one that cannot be read is left out."""
    from monitor.detect.artifact import read_manifest

    found = {}
    for path in sorted(_folder(settings).glob("detector-*.json")):
        try:
            found[path.stem] = read_manifest(path.read_bytes())
        except ArtifactError as error:
            click.echo(f"{path}: {error}", err=True)
    return found


def _facts(manifest: Manifest) -> dict[str, object]:
    return {
        "trained_since": manifest.trained_since,
        "trained_until": manifest.trained_until,
        "n_rows": manifest.n_rows,
        "n_keys": manifest.n_keys,
        "n_rows_left_out": manifest.n_rows_left_out,
        "clean_incidents_per_week": manifest.clean_incidents_per_week,
        "thefts_found": manifest.thefts_found,
    }


def _role(name: str, known: Roles) -> str:
    roles = [("live", known.live), ("shadow", known.shadow), ("anchor", known.anchor)]
    found = [role for role, who in roles if who == name]
    found += ["kept"] * (name in known.before) + ["refused"] * (name in known.refused)
    return ", ".join(found)
