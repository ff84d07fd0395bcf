"""The two ways to replay: a folder, and the store of the account itself. The second leaves a record, by which it is armed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from monitor.backtest import detector, folder
from monitor.backtest.run import Progress, Replay, replay
from monitor.backtest.stored import from_store
from monitor.backtest.summary import Summary, summarize
from monitor.config import Settings
from monitor.jobs import arming
from monitor.jobs.arming import Replayed
from monitor.store.base import Store

Bar = Callable[[str], AbstractContextManager[Progress | None]]
"""Shows how far the part of that name is, while it is entered."""


def silent(_part: str) -> AbstractContextManager[None]:
    """Shows nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Found:
    """A replay and its figures."""

    replay: Replay
    summary: Summary


def of_folder(
    path: Path,
    settings: Settings,
    *,
    seed: int = 0,
    since: datetime | timedelta | None = None,
    progress: Progress | None = None,
) -> Found:
    """Replays the recording in a folder. `since` (a time, or a span before the end) is in place of its `evaluation_start`.

    Raises StoreError, ArtifactError (configured artifact only)."""
    recording = folder.load(path, evaluate_from=since)
    trained, said = detector.configured(recording, settings)
    found = replay(recording, settings, seed=seed, trained=trained, progress=progress)
    return Found(found, summarize(found, settings, detector=said or detector.described(found.trained), workspaces={}))


def of_store(
    store: Store,
    settings: Settings,
    *,
    now: datetime,
    seed: int,
    shipped: Path,
    since: datetime | timedelta | None = None,
    bar: Bar = silent,
) -> Found:
    """Replays the store's own history; reads only. `shipped`: the folder of the shipped detector, for a short history.
    `bar` shows how far each of the two parts is.

    Raises StoreError, ArtifactError (configured artifact only)."""
    recording = from_store(store, settings, now=now, since=since)
    with bar("training") as progress:
        trained, said = detector.of_that_time(recording, settings, shipped=shipped, seed=seed, progress=progress)
    with bar("replaying") as progress:
        found = replay(recording, settings, seed=seed, trained=trained, progress=progress)
    return Found(found, summarize(found, settings, detector=said, workspaces=store.keys.workspaces()))


def record(store: Store, found: Summary, settings: Settings, *, at: datetime) -> bool:
    """Writes down that the account was replayed; False where too little usage was known to arm by it. Raises StoreError."""
    known = found.until - found.since - found.unknown
    if known < arming.LEAST_KNOWN:
        return False
    replayed = Replayed(
        at=at,
        since=found.since,
        until=found.until,
        known=known,
        policy=arming.policy_of(settings),
        detector=found.detector,
        n_alerts=len(found.cases),
        n_caps=found.n_capped_keys,
        n_disables=found.n_disabled_keys,
        alerts_per_week=found.alerts_per_week,
        stopped_nusd=found.stopped_nusd,
    )
    arming.record(store, replayed)
    return True
