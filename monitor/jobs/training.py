"""Refits the detector on the store's own history, and puts it to work."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path

from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.detect.train import Excluded
from monitor.domain import Incident
from monitor.errors import ArtifactError
from monitor.features import FleetState, HabitParams
from monitor.frames import Catalog
from monitor.jobs import artifacts
from monitor.jobs.lessons import HOUR, teach
from monitor.jobs.progress import Progress
from monitor.pipeline import Pipeline, abused_incidents, held
from monitor.store.base import Store
from monitor.teaching import Teaching

log = logging.getLogger(__name__)

LEAST_HISTORY = timedelta(days=3)
"""With less history the shipped detector knows more."""


def train_now(settings: Settings, store: Store, *, now: datetime, seed: int, progress: Progress | None = None) -> Path:
    """Trains on the last `collect.history`, with the windows of incidents left out; returns the manifest written.

    Raises ArtifactError where there is too little history, StoreError."""
    incidents = store.ledger.incidents()
    trained = fitted(settings, store, until=now, incidents=incidents, seed=seed, progress=progress)
    folder = settings.store.state_dir / "artifacts"
    path = artifacts.save(trained, folder, name=artifacts.name_of(now))
    artifacts.prune(folder)
    store.state.put("training", {"at": now.isoformat(), "artifact": path.name})
    manifest = trained.manifest
    log.info(
        "trained",
        extra={
            "rows": manifest.n_rows,
            "keys": manifest.n_keys,
            "left_out": manifest.n_rows_left_out,
            "clean_incidents_per_week": round(manifest.clean_incidents_per_week, 2),
        },
    )
    return path


def fitted(
    settings: Settings,
    store: Store,
    *,
    until: datetime,
    incidents: tuple[Incident, ...],
    seed: int,
    progress: Progress | None,
) -> Trained:
    """What training at `until` makes of the `collect.history` before it, with the windows of these incidents left out.

    Raises ArtifactError where there is too little history, StoreError."""
    since = first_usage(store, until - settings.collect.history, until)
    if since is None or until - since < LEAST_HISTORY:
        raise ArtifactError(f"less than {LEAST_HISTORY.days} days of usage in the store: let the backfill finish first")
    state = FleetState(HabitParams.from_settings(settings.detection))
    pipeline = Pipeline(settings, store.keys.catalog, state)
    said = store.feedback.said() if incidents else ()  # a replay of the past knows neither
    pipeline.hear(said)
    pipeline.hold(incidents)
    teaching = Teaching(pipeline, n_moments=(until - since) // HOUR, seed=seed)
    teach(store, pipeline, since=since, until=until, look=teaching.look, progress=progress)
    left_out = excluded(incidents, store.keys.catalog, abused=abused_incidents(said))
    return teaching.trained(settings, excluded=left_out, seed=seed)


def first_usage(store: Store, since: datetime, until: datetime) -> datetime | None:
    """Start of the first span of the window that the store knows of, None where it knows of none."""
    coverage = store.usage.coverage(since, until)
    known = coverage[coverage["quality"] == 2]
    if known.empty:
        return None
    first: datetime = known["since"].min().to_pydatetime()
    return max(first, since)


def excluded(
    incidents: tuple[Incident, ...], catalog: Catalog, *, abused: frozenset[str] = frozenset()
) -> list[Excluded]:
    """The windows of incidents, which must not teach. `abused`: those a person called abuse."""
    found = []
    for incident in incidents:
        key_no = catalog.known_key_no(incident.key_hash)
        if key_no is not None:
            windows = held(incident, is_abuse=incident.incident_id in abused)
            found += [Excluded(key_no, *window) for window in windows]
    return found


def is_due(store: Store, settings: Settings, now: datetime) -> bool:
    """Whether the last training is older than `schedule.train_every`."""
    last = store.state.get("training")
    return last is None or now - datetime.fromisoformat(str(last["at"])) >= settings.schedule.train_every
