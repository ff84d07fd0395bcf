"""Writes the files of a refund claim for one incident."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from monitor import __version__
from monitor.config import Route
from monitor.domain import BUCKET_S, ApiKey, Incident, Reason, floor_to
from monitor.errors import RequestRefused, StoreError, UnknownIncident
from monitor.notify import routing
from monitor.report import bundle
from monitor.report.bundle import Evidence
from monitor.store.base import Store

BEFORE: Final = timedelta(days=1)
"""So much of the time before the onset is told, to compare with."""

AFTER: Final = timedelta(hours=1)


def write(
    store: Store, incident_id: str, out: Path, *, now: datetime, routes: tuple[Route, ...] = ()
) -> tuple[Path, ...]:
    """Makes `out` (new, or empty) with the files, readable by their owner only; returns their paths. All of them or none: they are
    put in place at the very end.

    Raises UnknownIncident, RequestRefused where the folder holds something or the incident is of no key, StoreError."""
    evidence = gather(store, incident_id, now=now, routes=routes)
    made = bundle.files(evidence, now)
    if out.exists() and any(out.iterdir()):
        raise RequestRefused(
            f"{out} is not empty; name a new folder, so that no file of another claim is taken for this one's"
        )
    partial = out.with_name(f".{out.name}.partial")
    try:
        if partial.exists():  # a kill left it
            shutil.rmtree(partial)
        partial.mkdir(parents=True, mode=0o700)
        for file, content in made.items():
            path = partial / file
            path.touch(mode=0o600)
            path.write_bytes(content)
        partial.replace(out)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StoreError(
            f"{out}: {error.strerror}; no file of the bundle was kept: check space and owner, then make it again"
        ) from error
    return tuple(out / file for file in made)


def gather(store: Store, incident_id: str, *, now: datetime, routes: tuple[Route, ...] = ()) -> Evidence:
    """What the store holds of the incident and its key."""
    incident = next((each for each in store.ledger.incidents() if each.incident_id == incident_id), None)
    if incident is None:
        raise UnknownIncident(f"there is no incident {incident_id!r}; `openrouter-monitor incidents --all` lists them")
    key_no = store.keys.catalog.known_key_no(incident.key_hash)
    if not incident.key_hash or key_no is None:
        raise RequestRefused(f"{incident_id} is about no single key; make a bundle of each of its members")
    key = next((each for each in store.keys.keys(include_vanished=True) if each.key_hash == incident.key_hash), None)
    since, until = incident.onset_at - BEFORE, min(now, incident.last_seen_at + AFTER)
    workspaces = store.keys.workspaces()
    to = routing.route(key, routes=routes, workspaces=workspaces, default_channel="")
    return Evidence(
        incident=incident,
        key=key,
        owner=to.owner,
        workspace_name=_workspace(key, workspaces),
        hourly=store.usage.read_hourly(since, until, key_nos=[key_no]),
        fine=store.usage.read(_bucket(incident), until, bucket_s=BUCKET_S, key_nos=[key_no]),
        catalog=store.keys.catalog,
        actions=tuple(
            each
            for each in store.ledger.actions(key_hash=incident.key_hash)
            if each.intended_at >= since and each.reason is not Reason.REHEARSAL
        ),
        trail=store.audit.rows(incident_id=incident_id),
        head=store.audit.head(),
        version=__version__,
    )


def _workspace(key: ApiKey | None, workspaces: Mapping[str, str]) -> str:
    return workspaces.get(key.workspace_id, key.workspace_id) if key and key.workspace_id else ""


def _bucket(incident: Incident) -> datetime:
    """The start of the bucket in which it began."""
    return floor_to(incident.onset_at, BUCKET_S)
