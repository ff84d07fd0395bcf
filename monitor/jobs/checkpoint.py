"""The state of the fleet as a file, so that a restart need not replay the whole history, and beside it what judging remembers.

The first only saves time. The second holds evidence of hours that the store no longer holds in ten minutes."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path

from monitor.detect import memory
from monitor.detect.patience import LONG_S
from monitor.domain import HOUR_S, utc
from monitor.features import FleetState, from_bytes, to_bytes
from monitor.frames import ALL_KEYS
from monitor.jobs import files
from monitor.jobs.app import App
from monitor.jobs.replay import REACH
from monitor.report.gaps import find_gaps
from monitor.report.weeks import Window

log = logging.getLogger(__name__)


def path_of(app: App) -> Path:
    """Where it lies."""
    return app.state_dir / "fleet.npz"


def memory_path(app: App) -> Path:
    """Where what judging remembers lies."""
    return app.state_dir / "memory.json"


def save(app: App) -> None:
    """Writes the state and the memory as they are now; a kill leaves the old file of each. A full disk is logged: the service
    goes on without."""
    pipeline = app.pipeline
    _write(path_of(app), to_bytes(pipeline.state))
    if pipeline.trained is None or pipeline.memory is None or pipeline.judged_at is None:
        return
    remembered = memory.Remembered(pipeline.judged_at, pipeline.memory)
    _write(memory_path(app), memory.to_bytes(remembered, pipeline.trained.manifest, pipeline.catalog.key_hash))


def _write(path: Path, data: bytes) -> None:
    try:
        files.put(path, data)
    except OSError as error:
        log.warning("checkpoint_not_written", extra={"path": str(path), "error": str(error)})


def recall(app: App, now: datetime) -> None:
    """Gives the pipeline what the last process remembered, if that fits: the detector at work, and not longer ago than
    evidence counts. Else the state tells what it can."""
    path, pipeline = memory_path(app), app.pipeline
    if pipeline.trained is None or not path.exists():
        return
    try:
        kept = memory.from_bytes(path.read_bytes(), pipeline.trained.manifest, pipeline.catalog.known_key_no)
        if not timedelta(0) <= now - kept.at <= timedelta(seconds=LONG_S):
            raise ValueError(f"it is of {kept.at:%Y-%m-%d %H:%M} UTC, and the time is {now:%Y-%m-%d %H:%M} UTC")
    except (OSError, ValueError) as error:
        log.warning("memory_passed_over", extra={"path": str(path), "error": str(error)})
        return
    pipeline.kept = kept


def load(app: App, now: datetime) -> datetime | None:
    """Puts the checkpoint into the pipeline; returns from when on the store must be replayed onto it: all hours of its ring.

    None where there is none, or it does not fit (damaged, other parameters, another store's, ahead of the clock, made before
    the store had all the history it has now): then all is replayed."""
    path = path_of(app)
    if not path.exists():
        return None
    try:
        state = from_bytes(path.read_bytes(), app.pipeline.state.params)
    except (OSError, ValueError) as error:
        log.warning("checkpoint_passed_over", extra={"path": str(path), "error": str(error)})
        return None
    misfit = _misfit(app, state, now)
    if misfit:
        log.warning("checkpoint_passed_over", extra={"path": str(path), "error": misfit})
        return None
    app.pipeline.state = state
    return _hour(state.head_hour - state.params.ring_hours + 1)


def _misfit(app: App, state: FleetState, now: datetime) -> str:
    """Why the state is not that of the store, empty where it is."""
    if state.n_keys > app.store.keys.catalog.n_keys:
        return "it is not of this store"
    if _hour(state.head_hour) > now:
        return "it is from the future"
    if int(state.keys["known_hours"][0]) < _known_hours(app, until=_hour(state.learned_hour + 1)):
        return "the store has history that it never learned"
    return ""


def _known_hours(app: App, *, until: datetime) -> int:
    """Hours that the store knows of all keys, up to then and as far back as a replay goes."""
    window = Window(until - REACH, until)
    coverage = app.store.usage.coverage(window.since, window.until)
    of_all = coverage[(coverage["key_no"] == ALL_KEYS).to_numpy()]
    return window.n_hours - find_gaps(of_all, window).n_hours


def _hour(number: int) -> datetime:
    return utc(number * HOUR_S)
