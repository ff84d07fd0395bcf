"""What must be put right before the first cycle: what a kill left open, the detector, the state of the fleet."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from pathlib import Path

from monitor.errors import ArtifactError
from monitor.features import NAMES
from monitor.jobs import act, arming, artifacts, auditing, checkpoint, days, rehearsed, replay, roles, terms, training
from monitor.jobs.app import App
from monitor.pipeline import Pipeline, new_state

log = logging.getLogger(__name__)


async def start(app: App, shipped: Path) -> None:
    """Messages left in doubt are marked so, open intents resolved, the detector loaded, the state brought up to now.

    Raises StoreError (StoreCorrupt: the runbook says how to go on), ConfigError (to be armed, but never replayed),
    ArtifactError (configured artifact only)."""
    now = app.now()
    await asyncio.to_thread(app.store.maintenance.verify)
    await asyncio.to_thread(arming.require, app.store, app.settings, now)
    await asyncio.to_thread(auditing.note_settings, app.store, app.settings, now)
    await asyncio.to_thread(terms.begin, app, now)
    in_doubt = await asyncio.to_thread(app.store.outbox.recover, now)
    resolved = await act.resolve_open(app)
    await rehearsed.put_back(app)
    app.pipeline.trained, app.detector = await asyncio.to_thread(
        artifacts.choose, app.settings.detection.artifact, at_work(app), shipped, NAMES
    )
    await asyncio.to_thread(bring_up, app, now)
    await asyncio.to_thread(checkpoint.recall, app, now)
    await asyncio.to_thread(auditing.publish, app.store)
    log.info(
        "started",
        extra={
            "mode": app.settings.response.mode,
            "messages_in_doubt": in_doubt,
            "intents_resolved": len(resolved),
            "detector": app.pipeline.describe(),
        },
    )


def bring_up(app: App, now: datetime, *, pipeline: Pipeline | None = None) -> None:
    """State of the fleet from the checkpoint, if it fits, and from the store since then. With a `pipeline` of its own: from
    the store alone, into that one."""
    store, into = app.store, pipeline or app.pipeline
    oldest = replay.beginning(store, now)
    since = checkpoint.load(app, now) if pipeline is None else None
    into.hear(store.feedback.said())
    into.ramps = days.breaches(store, app.settings, now)
    into.hold(store.ledger.incidents())
    if oldest is None:
        into.state.advance(now)
        return
    replay.replay(store, into, since=max(since, oldest) if since else oldest, until=now)


def begin_anew(app: App, now: datetime) -> None:
    """A state from the store alone in place of one that has run ahead of the clock. Raises StoreError."""
    fresh = Pipeline(app.settings, app.store.keys.catalog, new_state(app.settings), app.pipeline.trained)
    bring_up(app, now, pipeline=fresh)
    app.pipeline = fresh
    log.warning(
        "state_made_anew", extra={"now": now.isoformat(), "why": "the state was brought up by a clock that was wrong"}
    )


def at_work(app: App) -> Path | None:
    """The manifest of the detector of our own that is at work, None where the shipped one is. Raises StoreError."""
    folder, known = app.state_dir / "artifacts", roles.read(app.store)
    if known is None:
        return artifacts.newest(folder)
    return None if known.live is None else folder / f"{known.live}.json"


def take_up(app: App) -> bool:
    """Puts the detector to work that has the role now, if it is another one; True if it was. Raises StoreError.

    One that cannot be read leaves the old one at work."""
    manifest = at_work(app)
    if app.settings.detection.artifact is not None or manifest is None or manifest.stem == app.detector:
        return False
    app.detector = manifest.stem  # a broken one is complained about once
    try:
        app.pipeline.trained = artifacts.load(manifest, NAMES)
    except ArtifactError as error:
        log.warning("artifact_passed_over", extra={"error": str(error)})
        return False
    app.pipeline.forget()
    log.warning("detector_changed", extra={"detector": manifest.stem})
    return True


def retrain(app: App, now: datetime, shipped: Path) -> None:
    """Refits if that is due and there is enough history; what is at work changes only where the trial says so.

    What fails here leaves the old detector at work."""
    if app.settings.detection.artifact is not None or not training.is_due(app.store, app.settings, now):
        return
    try:
        training.train_now(app.settings, app.store, now=now, seed=app.seed, shipped=shipped)
    except ArtifactError as error:
        log.warning("not_trained", extra={"error": str(error)})
