"""Feature rows of the fleet's own history -> a trained detector with calibration and levels. Pure: rows in, values out.

1. Leave out the windows a person or the monitor itself has called unusual, and every key's row once it is no longer needed.
2. Fit detectors on all keys but one fold, score the fold left out, with the thefts played on its keys: scores of rows the
   detector never saw (cross-fitting by key, so that a key's own habits cannot vouch for it).
3. The clean ones are the calibration, and the alert budget turns them into levels: incidents counted as people count them.
   The thefts say what these levels would find, without anybody's labels.
4. Fit the detector to keep on all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from monitor.config import Settings
from monitor.detect import calibrate, findings, leads, patience
from monitor.detect.artifact import FORMAT, Manifest, Trained, versions
from monitor.detect.base import Detector, Thefts
from monitor.detect.calibrate import Budgeted, Calibration, Clean
from monitor.detect.contrast import Contrast
from monitor.detect.drift import profile_of
from monitor.detect.forest import Forest
from monitor.detect.levels import Known, Levels, disable_levels, joint_level, signs
from monitor.detect.patience import Gathered
from monitor.domain import BUCKET_S, NUSD
from monitor.errors import ArtifactError
from monitor.frames import FeatureBatch

N_FOLDS: Final = 3
MIN_ROWS: Final = 200
"""With fewer rows there is nothing to learn from; the shipped detector serves until there is."""

MIN_THEFTS: Final = 300
"""With fewer simulated thefts there is nothing to learn a contrast from; the forest stands alone."""

MAX_ROWS: Final = 600_000
"""Rows kept for training: 300 keys over 14 days of ten-minute buckets are about 250,000, and half a gigabyte is enough."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_Part = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Feature rows of many moments: `values` (n, n_features); the rest (n,): epoch seconds, key, money in nano-dollars.

    `key_share`: share of the fleet's keys that the rows are of; budgets hold for the whole fleet."""

    names: tuple[str, ...]
    values: npt.NDArray[np.floating]
    at_s: Ints
    key_no: Ints
    history_hours: Floats
    stake_nusd: Ints
    joint_nusd: Ints
    key_share: float = 1.0

    def __len__(self) -> int:
        return len(self.at_s)

    def take(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """The rows where mask holds."""
        return Rows(
            self.names,
            self.values[mask],
            self.at_s[mask],
            self.key_no[mask],
            self.history_hours[mask],
            self.stake_nusd[mask],
            self.joint_nusd[mask],
            self.key_share,
        )


@dataclass(frozen=True, slots=True)
class Excluded:
    """A window [since, until) of one key that must not teach: an incident, or one not yet reviewed."""

    key_no: int
    since: datetime
    until: datetime


class Gathering:
    """Feature rows of many moments on their way to become `Rows`, in bounded memory for any fleet.

    Where there are more than `max_rows`, half of the keys are left out, again and again until it fits; each key kept is kept
    whole, so that its incidents can be counted."""

    def __init__(self, names: tuple[str, ...], *, max_rows: int = MAX_ROWS) -> None:
        self._names = names
        self._max_rows = max_rows
        self._parts: list[_Part] = []
        self._thefts: list[_Part] = []
        self._n_rows = 0
        self._n_halved = 0

    def add(self, batch: FeatureBatch) -> None:
        """Takes in one moment."""
        self._append(_kept(_part(batch), n_halved=self._n_halved))
        while self._n_rows > self._max_rows:
            self._n_halved += 1
            before, self._parts, self._n_rows = self._parts, [], 0
            for part in before:
                self._append(_kept(part, n_halved=self._n_halved))

    def add_thefts(self, batch: FeatureBatch, host: Ints, is_stolen: npt.NDArray[np.bool_]) -> None:
        """Takes in simulated thefts of one moment: `host`, `is_stolen` by row of the batch."""
        at_s = np.full(len(host), int(batch.at.timestamp()), dtype=np.int64)
        self._thefts.append((batch.values.astype(np.float32), host, is_stolen, at_s))

    def thefts(self) -> Thefts | None:
        """All simulated thefts, None where there are none."""
        if not self._thefts:
            return None
        values, host, is_stolen, at_s = (np.concatenate(column) for column in zip(*self._thefts, strict=True))
        return Thefts(values, host, is_stolen, at_s)

    def rows(self) -> Rows:
        """All rows in one table, sorted by key and time."""
        if not self._parts:
            nothing = np.zeros(0, dtype=np.int64)
            return Rows(self._names, np.zeros((0, len(self._names))), nothing, nothing, np.zeros(0), nothing, nothing)
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        order = np.lexsort((columns[1], columns[2]))
        values, at_s, key_no, hours, stake, joint = (column[order] for column in columns)
        return Rows(self._names, values, at_s, key_no, hours, stake, joint, 0.5**self._n_halved)

    def _append(self, part: _Part) -> None:
        self._parts.append(part)
        self._n_rows += len(part[1])


def stack(batches: Iterable[FeatureBatch], names: tuple[str, ...], *, max_rows: int = MAX_ROWS) -> Rows:
    """The rows of many moments in one table (see `Gathering`); an iterator is read batch by batch."""
    gathering = Gathering(names, max_rows=max_rows)
    for batch in batches:
        gathering.add(batch)
    return gathering.rows()


def _part(batch: FeatureBatch) -> _Part:
    """A batch as the columns of `Rows`; values in single precision, as the trees compare them."""
    return (
        batch.values.astype(np.float32),
        np.full(len(batch.key_no), int(batch.at.timestamp()), dtype=np.int64),
        batch.key_no.astype(np.int64),
        batch.spend["history_hours"].to_numpy(),
        findings.stakes(batch.spend),
        batch.spend["joint_per_hour_nusd"].to_numpy(),
    )


def _kept(part: _Part, *, n_halved: int) -> _Part:
    if n_halved == 0:
        return part
    mask = calibrate.folds(part[2], n_folds=2**n_halved) == 0
    return tuple(column[mask] for column in part)


def without(rows: Rows, excluded: Sequence[Excluded]) -> Rows:
    """The rows outside of all excluded windows."""
    keep = np.ones(len(rows), dtype=np.bool_)
    for window in excluded:
        inside = (rows.at_s > window.since.timestamp()) & (rows.at_s <= window.until.timestamp())
        keep &= ~((rows.key_no == window.key_no) & inside)
    return rows.take(keep)


def train(
    rows: Rows,
    settings: Settings,
    *,
    excluded: Sequence[Excluded] = (),
    thefts: Thefts | None = None,
    seed: int,
    make: Callable[[tuple[str, ...]], Detector] | None = None,
) -> Trained:
    """A detector, its calibration and levels, from clean history sorted by (key, time). `thefts`: simulated, on its keys.

    `make`: an unfitted detector; without it, `Contrast` where there are thefts enough to learn from, else `Forest`.
    Raises ArtifactError where the history is too short (fewer than MIN_ROWS rows, or one key only)."""
    clean = without(rows, excluded)
    n_keys = len(np.unique(clean.key_no))
    if len(clean) < MIN_ROWS or n_keys < N_FOLDS:
        raise ArtifactError(f"{len(clean)} rows of {n_keys} keys are too little history to train on; wait for more")
    if thefts is None or thefts.is_stolen.sum() < MIN_THEFTS:
        thefts = None
    make = make or (Forest if thefts is None else Contrast)
    with ThreadPoolExecutor(max_workers=2) as pool:  # the trees are grown outside of the interpreter's lock
        kept = pool.submit(_fitted, clean, thefts, make, seed=seed)
        crossed = _cross_scores(clean, thefts, make, seed=seed, pool=pool)
        detector = kept.result()
    calibration, cohort_no = _calibrated(crossed.clean, clean, settings, pooled=thefts is not None)
    levels, n_clean = _budgeted(crossed.clean, cohort_no, clean, calibration=calibration, settings=settings)
    span_s = float(clean.at_s.max() - clean.at_s.min())
    manifest = Manifest(
        format=FORMAT,
        detector=detector.name,
        feature_names=rows.names,
        versions=versions(),
        trained_since=datetime.fromtimestamp(int(clean.at_s.min()), tz=UTC),
        trained_until=datetime.fromtimestamp(int(clean.at_s.max()), tz=UTC),
        seed=seed,
        n_rows=len(clean),
        n_keys=n_keys,
        n_rows_left_out=len(rows) - len(clean),
        max_false_alerts_per_week=settings.detection.max_false_alerts_per_week,
        clean_incidents_per_week=n_clean / clean.key_share * calibrate.WEEK_S / max(span_s, 1.0),
        n_thefts=0 if thefts is None else int(thefts.is_stolen.sum()),
        thefts_found=_found_share(crossed.stolen, calibration, levels.alpha),
        levels=levels,
    )
    return Trained(detector, calibration, manifest, profile_of(clean.values))


def _calibrated(scores: Floats, clean: Rows, settings: Settings, *, pooled: bool) -> tuple[Calibration, Ints]:
    """The calibration, and the cohort of each row. Log-odds mean the same for young keys and grown ones; a forest's scores do
    not, and are compared among their like."""
    grace_hours = settings.detection.grace_period.total_seconds() / 3600
    cohort_no = findings.cohorts(clean.history_hours, grace_hours=grace_hours)
    if pooled:
        everyone = calibrate.calibrate(scores, np.zeros(len(scores), dtype=np.int64), n_cohorts=1)
        return Calibration(everyone.cohorts * findings.N_COHORTS), cohort_no
    return calibrate.calibrate(scores, cohort_no, n_cohorts=findings.N_COHORTS), cohort_no


def _budgeted(
    scores: Floats, cohort_no: Ints, clean: Rows, *, calibration: Calibration, settings: Settings
) -> tuple[Levels, int]:
    """The levels that the alert budget buys, and how many incidents clean history raises with them."""
    detection = settings.detection
    grace_hours = detection.grace_period.total_seconds() / 3600
    has_stake = clean.stake_nusd >= detection.min_usd_per_hour * NUSD
    step = step_s(clean.at_s)
    p = calibrate.p_values(calibration, scores, cohort_no)
    floor = patience.floor_of(scores)
    gathered = patience.gathered(scores, clean.key_no, clean.at_s, floor=floor, step_s=step)
    silenced = Gathered(np.where(has_stake, gathered.short, 0.0), np.where(has_stake, gathered.long, 0.0))
    top = float(scores.max()) - floor
    seen = Clean(np.where(has_stake, p, 1.0), silenced, clean.key_no, clean.at_s, step, top)
    per_week = detection.max_false_alerts_per_week * clean.key_share
    bought = calibrate.levels_for_budget(seen, per_week=per_week)
    bought = calibrate.sobered(bought, seen, scores, floor=floor, per_week=per_week)
    grown = clean.history_hours >= grace_hours
    known = known_of(clean, grace_hours=grace_hours)
    levels = Levels(
        alpha=bought.alpha,
        joint_nusd_per_hour=joint_level(clean.joint_nusd[grown], clean.key_no[grown]),
        floor=floor,
        hour=bought.hour,
        shift=bought.shift,
        disable=disable_levels(signs(**known), gathered.short, hour=bought.hour),
        leads=_power(seen, bought, leads.weights(**known), per_week=per_week),
    )
    return levels, bought.n_incidents


def known_of(rows: Rows, *, grace_hours: float) -> Known:
    """What signs and leads of these rows are told by."""
    return {
        "columns": dict(zip(rows.names, rows.values.T, strict=True)),
        "joint_nusd": rows.joint_nusd,
        "stake_nusd": rows.stake_nusd,
        "history_hours": rows.history_hours,
        "grace_hours": grace_hours,
    }


def _power(seen: Clean, bought: Budgeted, weight: Floats, *, per_week: float) -> float:
    """The largest of `leads.POWERS` with which the leads stay within what clean history overstates; 0 where none does."""
    allowed = leads.OVERSTATED * max(1.0, per_week * seen.span_s / calibrate.WEEK_S)
    for power in leads.POWERS:
        also = (seen.p < 1.0) & leads.is_told(seen.p, weight, alpha=bought.alpha, power=power)
        if calibrate.n_raised(seen, bought, also=also) <= allowed:
            return power
    return 0.0


def _found_share(stolen_scores: Floats, calibration: Calibration, alpha: float) -> float:
    """Share of the simulated thefts that a single look finds at this level; NaN becomes 0 where there were none."""
    if len(stolen_scores) == 0:
        return 0.0
    p = calibrate.p_values(calibration, stolen_scores, np.ones(len(stolen_scores), dtype=np.int64))
    return float((p <= alpha).mean())


def step_s(at_s: Ints) -> int:
    """Seconds between the moments of the history: ten minutes, or an hour where only hours were kept."""
    gaps = np.diff(np.unique(at_s))
    return int(np.median(gaps)) if len(gaps) else BUCKET_S


def _weights(key_no: Ints) -> Floats:
    """1 / sqrt(rows of the key): a busy key counts more than a quiet one, but not by its number of rows."""
    _, inverse, counts = np.unique(key_no, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / np.sqrt(counts[inverse]))


@dataclass(frozen=True, slots=True)
class _Crossed:
    """Scores by detectors that never saw the key: of the clean rows, and of the stolen ones among the thefts."""

    clean: Floats
    stolen: Floats


def _fitted(rows: Rows, thefts: Thefts | None, make: Callable[[tuple[str, ...]], Detector], *, seed: int) -> Detector:
    detector = make(rows.names)
    detector.fit(rows.values, _weights(rows.key_no), seed=seed, thefts=thefts)
    return detector


def _cross_scores(
    rows: Rows,
    thefts: Thefts | None,
    make: Callable[[tuple[str, ...]], Detector],
    *,
    seed: int,
    pool: ThreadPoolExecutor,
) -> _Crossed:
    fold = calibrate.folds(rows.key_no, n_folds=N_FOLDS)
    weights = _weights(rows.key_no)
    numbers = np.unique(fold).tolist()

    def crossed(no: int) -> _Crossed:
        held = fold == no
        others = ~held if (~held).any() else held
        detector = make(rows.names)
        theirs = None if thefts is None else calibrate.folds(thefts.key_no, n_folds=N_FOLDS) == no
        lessons = None if thefts is None or theirs is None else thefts.take(~theirs)
        detector.fit(rows.values[others], weights[others], seed=seed + 1 + no, thefts=lessons)
        stolen = np.zeros(0)
        if thefts is not None and theirs is not None:
            stolen = detector.score(thefts.values[theirs & thefts.is_stolen])
        return _Crossed(detector.score(rows.values[held]), stolen)

    parts = list(pool.map(crossed, numbers))
    scores = np.zeros(len(rows))
    for no, part in zip(numbers, parts, strict=True):
        scores[fold == no] = part.clean
    return _Crossed(scores, np.concatenate([part.stolen for part in parts]))
