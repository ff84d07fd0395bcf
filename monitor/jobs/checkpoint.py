"""The state of the fleet as a file, so that a restart need not replay the whole history. It only saves time."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.domain import HOUR_S
from monitor.features.checkpoint import from_bytes, to_bytes
from monitor.jobs.app import App

log = logging.getLogger(__name__)

OVERLAP = timedelta(hours=8)
"""How far before the checkpoint's hour the store is replayed onto it: hours that were not final yet are set again."""


def path_of(app: App) -> Path:
    """Where it lies."""
    return app.state_dir / "fleet.npz"


def save(app: App) -> None:
    """Writes the state as it is now; a kill leaves the old file. A full disk is logged: the service goes on without."""
    path = path_of(app)
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(to_bytes(app.pipeline.state))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        log.warning("checkpoint_not_written", extra={"path": str(path), "error": str(error)})


def load(app: App) -> datetime | None:
    """Puts the checkpoint into the pipeline; returns from when on the store must be replayed onto it.

    None where there is none, or it does not fit (damaged, other parameters, ahead of the clock): then all is replayed."""
    path = path_of(app)
    if not path.exists():
        return None
    try:
        state = from_bytes(path.read_bytes(), app.pipeline.state.params)
    except (OSError, ValueError) as error:
        log.warning("checkpoint_passed_over", extra={"path": str(path), "error": str(error)})
        return None
    head = datetime.fromtimestamp(state.head_hour * HOUR_S, UTC)
    if state.n_keys > app.store.keys.catalog.n_keys or head > app.now():
        log.warning(
            "checkpoint_passed_over", extra={"path": str(path), "error": "it is not of this store, or from the future"}
        )
        return None
    app.pipeline.state = state
    return head - OVERLAP
