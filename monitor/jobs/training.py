"""Refits the detector on the store's own history. What is new is tried beside what is at work before it takes its place."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from monitor.config import Settings
from monitor.detect import calibrate, drift, findings, trial
from monitor.detect.artifact import Trained
from monitor.detect.train import Excluded, Rows, without
from monitor.detect.trial import Showing
from monitor.domain import Incident
from monitor.errors import ArtifactError
from monitor.features import NAMES, FleetState, HabitParams
from monitor.frames import Catalog
from monitor.jobs import artifacts, days, roles
from monitor.jobs.lessons import HOUR, teach
from monitor.jobs.progress import Progress
from monitor.jobs.roles import Roles
from monitor.pipeline import Pipeline, abused_incidents, held
from monitor.store.base import Store
from monitor.teaching import Teaching

log = logging.getLogger(__name__)

LEAST_HISTORY = timedelta(days=3)
"""With less history the shipped detector knows more."""

LEAST_TRIAL: Final = timedelta(hours=20)
"""How much history that neither has learned from a trial needs; trainings are a day apart."""

FINDS_LESS_A_WEEK: Final = 0.02
"""Share of the simulated thefts by which the live detector may lie below the anchor, for each week since it was anchored."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a walk through history taught: rows and simulated thefts as gathered, what was left out, the detector made of it."""

    taught: Teaching
    excluded: list[Excluded]
    trained: Trained

    def since(self, at: datetime) -> Rows:
        """The clean rows after `at`."""
        rows = without(self.taught.rows, self.excluded)
        return rows.take(rows.at_s > at.timestamp())


@dataclass(frozen=True, slots=True)
class Made:
    """What a training did: the manifest written, and what became of it and of the one on trial before, in words."""

    path: Path
    roles: Roles
    said: tuple[str, ...]


def train_now(
    settings: Settings,
    store: Store,
    *,
    now: datetime,
    seed: int,
    shipped: Path,
    progress: Progress | None = None,
) -> Made:
    """Trains on the last `collect.history`, with the windows of incidents left out; ends the trial of the detector made before,
    and puts the new one on trial. Where only the shipped one is at work, the new one is tried against it at once.

    Raises ArtifactError where there is too little history, StoreError."""
    incidents = store.ledger.incidents()
    lesson = learned(settings, store, until=now, incidents=incidents, seed=seed, progress=progress)
    folder = settings.store.state_dir / "artifacts"
    known = roles.read(store) or _of_before(folder)
    tried = _tried(known, lesson, folder, settings, now)
    path = artifacts.save(lesson.trained, folder, name=artifacts.name_of(now))
    mine = _placed(tried, path.stem, lesson, shipped, settings, now)
    roles.write(store, mine)
    _note_drift(store, lesson, folder, mine, now)
    artifacts.prune(folder, kept=mine.kept)
    store.state.put("training", {"at": now.isoformat(), "artifact": path.name})
    said = tuple(f"{one.name} {one.what}: {one.why}" for one in mine.events if one.at == now)
    manifest = lesson.trained.manifest
    log.info(
        "trained",
        extra={
            "rows": manifest.n_rows,
            "keys": manifest.n_keys,
            "left_out": manifest.n_rows_left_out,
            "clean_incidents_per_week": round(manifest.clean_incidents_per_week, 2),
            "roles": "; ".join(said),
        },
    )
    return Made(path, mine, said)


def _of_before(folder: Path) -> Roles:
    """Roles in a state directory of before there were any: the newest made here is at work."""
    newest = artifacts.newest(folder)
    return Roles(live=newest.stem if newest else None)


def _tried(known: Roles, lesson: Lesson, folder: Path, settings: Settings, now: datetime) -> Roles:
    """The roles after the trial of the shadow, as they were where it cannot end yet."""
    if known.shadow is None or known.live is None:
        return known
    shadow = _loaded(folder, known.shadow)
    if shadow is None:
        return roles.refused(known, known.shadow, at=now, why="it cannot be read")
    rows = lesson.since(shadow.manifest.trained_until)
    if len(rows) == 0 or rows.at_s.max() - rows.at_s.min() < LEAST_TRIAL.total_seconds():
        return known
    live, anchor = _loaded(folder, known.live), _loaded(folder, known.anchor)
    if live is None:
        return roles.promoted(known, known.shadow, at=now, by=roles.AUTOMATIC, why=f"{known.live} cannot be read")
    shown = [_showing(each, rows, lesson, settings) for each in (shadow, live, anchor)]
    new, old = shown[0], shown[1]
    assert new is not None and old is not None
    weeks = (now - known.anchored_at) / timedelta(weeks=1) if known.anchored_at else 0.0
    why = trial.shortcomings(
        new,
        old,
        budget_per_week=settings.detection.max_false_alerts_per_week,
        anchor=shown[2],
        may_find_less=FINDS_LESS_A_WEEK * weeks,
    )
    if why:
        return roles.refused(known, known.shadow, at=now, why="; ".join(why))
    return roles.promoted(known, known.shadow, at=now, by=roles.AUTOMATIC, why=_no_worse(new, old))


def _showing(trained: Trained | None, rows: Rows, lesson: Lesson, settings: Settings) -> Showing | None:
    return None if trained is None else trial.showing(trained, rows, lesson.taught.thefts, settings)


def _no_worse(new: Showing, old: Showing) -> str:
    return (
        f"{new.n_incidents} incidents where the one before raised {old.n_incidents}, finds {new.thefts_found:.0%} of simulated"
        f" thefts ({old.thefts_found:.0%} before)"
    )


def _placed(known: Roles, name: str, lesson: Lesson, shipped: Path, settings: Settings, now: datetime) -> Roles:
    """The roles with the new detector: on trial, or at work where nothing of our own is, if it does no worse than what was shipped.

    There it is judged by what it did on keys it had not seen (cross-fitting); the shipped one has seen none of them."""
    if known.live is not None:
        return roles.shadowed(known, name, at=now)
    manifest = lesson.trained.manifest
    clean = without(lesson.taught.rows, lesson.excluded)
    old = _showing(_loaded(shipped, artifacts.SHIPPED), clean, lesson, settings)
    if old is None:
        return roles.promoted(known, name, at=now, by=roles.AUTOMATIC, why="there is no other")
    new = Showing(round(manifest.clean_incidents_per_week * old.weeks), old.weeks, manifest.thefts_found)
    why = trial.shortcomings(new, old, budget_per_week=settings.detection.max_false_alerts_per_week)
    if why:
        return roles.refused(known, name, at=now, why="; ".join(why))
    return roles.promoted(known, name, at=now, by=roles.AUTOMATIC, why=_no_worse(new, old))


def _note_drift(store: Store, lesson: Lesson, folder: Path, mine: Roles, now: datetime) -> None:
    """How far the rows of the last week lie from those the anchor was made of: a document, and a line in the log."""
    anchor = _loaded(folder, mine.anchor)
    rows = lesson.since(now - timedelta(days=7))
    if anchor is None or anchor.profile is None or len(rows) == 0:
        return
    shifts = drift.shifts(anchor.profile, rows.values, rows.names)
    cohort_no = np.full(len(rows), findings.GROWN, dtype=np.int64)
    p = calibrate.p_values(anchor.calibration, anchor.detector.score(rows.values), cohort_no)
    scores = drift.score_shift(p)
    store.state.put(
        "drift",
        {
            "at": now.isoformat(),
            "anchor": mine.anchor,
            "scores": round(scores, 4),
            "features": [{"name": one.name, "psi": round(one.psi, 4)} for one in shifts],
        },
    )
    n_shifted = sum(one.psi >= drift.SHIFTED for one in shifts)
    log.info("drift", extra={"anchor": mine.anchor, "scores": round(scores, 3), "shifted_features": n_shifted})


def _loaded(folder: Path, name: str | None) -> Trained | None:
    if name is None:
        return None
    try:
        return artifacts.load(folder / f"{name}.json", NAMES)
    except ArtifactError as error:
        log.warning("artifact_passed_over", extra={"error": str(error)})
        return None


def learned(
    settings: Settings,
    store: Store,
    *,
    until: datetime,
    incidents: tuple[Incident, ...] | None,
    seed: int,
    progress: Progress | None,
) -> Lesson:
    """What the `collect.history` before `until` teaches, with the windows of these incidents left out, and keys that ramp. None: a
    replay of the past, which knows nothing of what came after, neither incidents nor feedback.

    Raises ArtifactError where there is too little history, StoreError."""
    since = first_usage(store, until - settings.collect.history, until)
    if since is None or until - since < LEAST_HISTORY:
        raise ArtifactError(f"less than {LEAST_HISTORY.days} days of usage in the store: let the backfill finish first")
    state = FleetState(HabitParams.from_settings(settings.detection))
    pipeline = Pipeline(settings, store.keys.catalog, state)
    said = () if incidents is None else store.feedback.said()
    pipeline.hear(said)
    pipeline.hold(incidents or ())
    teaching = Teaching(pipeline, n_moments=(until - since) // HOUR, seed=seed)
    teach(store, pipeline, since=since, until=until, look=teaching.look, progress=progress)
    left_out = excluded(incidents or (), store.keys.catalog, abused=abused_incidents(said))
    if incidents is not None:
        left_out += days.untaught(days.ramping(store, settings, until), until)
    return Lesson(teaching, left_out, teaching.trained(settings, excluded=left_out, seed=seed))


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
