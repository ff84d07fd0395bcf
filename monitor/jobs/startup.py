"""What must be put right before the first cycle: what a kill left open, the detector, the state of the fleet."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from pathlib import Path

from monitor.errors import ArtifactError
from monitor.features import NAMES
from monitor.jobs import act, arming, artifacts, auditing, checkpoint, replay, terms, training
from monitor.jobs.app import App
from monitor.pipeline import Pipeline

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
    app.pipeline.trained = await asyncio.to_thread(
        artifacts.choose, app.settings.detection.artifact, app.state_dir / "artifacts", shipped, NAMES
    )
    await asyncio.to_thread(bring_up, app, now)
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
    into.hold(store.ledger.incidents())
    if oldest is None:
        into.state.advance(now)
        return
    replay.replay(store, into, since=max(since, oldest) if since else oldest, until=now)


def retrain(app: App, now: datetime) -> None:
    """Refits if that is due and there is enough history; the new detector is used from the next cycle on.

    What fails here leaves the old detector at work."""
    if app.settings.detection.artifact is not None or not training.is_due(app.store, app.settings, now):
        return
    try:
        manifest = training.train_now(app.settings, app.store, now=now, seed=app.seed)
        app.pipeline.trained = artifacts.load(manifest, NAMES)
    except ArtifactError as error:
        log.warning("not_trained", extra={"error": str(error)})
