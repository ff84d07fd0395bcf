"""The two ways to replay: a folder, and the store of the account itself. The second leaves a record, by which it is armed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from monitor.backtest import detector, folder
from monitor.backtest.report import report_of
from monitor.backtest.run import Progress, Replay, replay
from monitor.backtest.spending import Usual
from monitor.backtest.stored import from_store
from monitor.backtest.summary import Summary, summarize
from monitor.config import Settings
from monitor.jobs import arming
from monitor.jobs.arming import Replayed
from monitor.report.replay.values import ReplayReport
from monitor.store.base import Store

OWN_HISTORY: Final = "The account's own history"
"""Title of the report of a store."""

Bar = Callable[[str], AbstractContextManager[Progress | None]]
"""Shows how far the part of that name is, while it is entered."""


def silent(_part: str) -> AbstractContextManager[None]:
    """Shows nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Found:
    """A replay, its figures, and the report of it where one was asked for."""

    replay: Replay
    summary: Summary
    report: ReplayReport | None = None


def of_folder(
    path: Path,
    settings: Settings,
    *,
    seed: int = 0,
    since: datetime | timedelta | None = None,
    progress: Progress | None = None,
    report_at: datetime | None = None,
) -> Found:
    """Replays the recording in a folder. `since` (a time, or a span before the end) is in place of its `evaluation_start`.
    `report_at`: now, where a report is wanted.

    Raises StoreError, ArtifactError (configured artifact only)."""
    recording = folder.load(path, evaluate_from=since)
    trained, said = detector.configured(recording, settings)
    usual = Usual() if report_at else None
    watching = usual.watch if usual else None
    found = replay(recording, settings, seed=seed, trained=trained, progress=progress, watching=watching)
    summary = summarize(found, settings, detector=said or detector.described(found.trained), workspaces={})
    title = f"Recording {path.resolve().name}"
    return Found(found, summary, _report(found, summary, usual, settings, title=title, made_at=report_at))


def of_store(
    store: Store,
    settings: Settings,
    *,
    now: datetime,
    seed: int,
    shipped: Path,
    since: datetime | timedelta | None = None,
    bar: Bar = silent,
    with_report: bool = False,
) -> Found:
    """Replays the store's own history; reads only. `shipped`: the folder of the shipped detector, for a short history.
    `bar` shows how far each of the two parts is. `with_report`: makes the report as well.

    Raises StoreError, ArtifactError (configured artifact only)."""
    recording = from_store(store, settings, now=now, since=since)
    workspaces = store.keys.workspaces()
    with bar("training") as progress:
        trained, said = detector.of_that_time(recording, settings, shipped=shipped, seed=seed, progress=progress)
    usual = Usual() if with_report else None
    watching = usual.watch if usual else None
    with bar("replaying") as progress:
        heard = store.feedback.said()
        found = replay(
            recording,
            settings,
            seed=seed,
            trained=trained,
            progress=progress,
            watching=watching,
            said=heard,
            workspaces=workspaces,
        )
    summary = summarize(found, settings, detector=said, workspaces=workspaces)
    return Found(found, summary, _report(found, summary, usual, settings, title=OWN_HISTORY, made_at=now))


def _report(
    found: Replay, summary: Summary, usual: Usual | None, settings: Settings, *, title: str, made_at: datetime | None
) -> ReplayReport | None:
    if usual is None or made_at is None:
        return None
    return report_of(found, summary, usual, settings, title=title, made_at=made_at)


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
