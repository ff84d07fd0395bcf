"""Two detectors judged on the same rows: may the new one take the old one's place? Pure.

The rows are clean history that neither has learned from, with simulated thefts on the same keys; what counts is what people
would notice: incidents, thefts found in one look, keys taken out of service. The new detector must be no worse than the one at
work, and not much worse than the *anchor*, one that stays the same for a month: a detector that gives way a little every day,
because somebody teaches it to, passes every comparison with yesterday's and fails the one with last month's. docs/adr/0012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.config import Settings
from monitor.detect import calibrate, findings, leads, levels, patience
from monitor.detect.artifact import Trained
from monitor.detect.base import Thefts
from monitor.detect.train import Rows, known_of, step_s
from monitor.domain import NUSD

FOUND_LESS: Final = 0.03
"""Share of the simulated thefts by which the new one may find fewer: what a new seed alone makes."""

RARER: Final = 10.0
"""Where a fleet is too small to simulate thefts on: the p-value of an alarm may become this many times as rare, at most."""

OVERSPENT: Final = 2.0
"""A detector at work that spends more than this many times the alert budget finds thefts with alerts nobody agreed to: what it
finds is no measure for others."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Showing:
    """What a detector does: incidents on clean rows over `weeks`, share of simulated thefts found in one look (NaN: there were
    none), clean keys it would take out of service, the p-value its alarms ask for (NaN: not known)."""

    n_incidents: int
    weeks: float
    thefts_found: float
    disabled: frozenset[int] = frozenset()
    alpha: float = float("nan")

    @property
    def per_week(self) -> float:
        """Incidents a week."""
        return self.n_incidents / self.weeks if self.weeks > 0 else 0.0


def showing(trained: Trained, clean: Rows, thefts: Thefts | None, settings: Settings) -> Showing:
    """What it does on clean rows sorted by (key, time), and on the thefts. Raises ValueError for other features."""
    if trained.detector.feature_names != clean.names:
        raise ValueError("the rows do not have the features the detector was made for")
    weeks = float(clean.at_s.max() - clean.at_s.min()) / calibrate.WEEK_S / clean.key_share if len(clean) else 0.0
    told, disabled = _judged(trained, clean, settings) if len(clean) else (np.zeros(0, np.bool_), clean.key_no)
    return Showing(
        n_incidents=calibrate.n_incidents(clean.key_no[told], clean.at_s[told]),
        weeks=weeks,
        thefts_found=_found(trained, thefts),
        disabled=frozenset(np.unique(disabled).tolist()),
        alpha=trained.manifest.levels.alpha,
    )


def shortcomings(
    new: Showing, live: Showing, *, budget_per_week: float, anchor: Showing | None = None, may_find_less: float = 0.0
) -> tuple[str, ...]:
    """Why the new detector may not take the place of the live one, in words; empty where it may.

    `may_find_less`: share of thefts by which it may lie below the anchor."""
    found = []
    usual = max(live.n_incidents, budget_per_week * new.weeks)
    allowed = usual + 1.0 + usual**0.5  # few incidents are counted in a day or two: a square root is what chance does
    if new.n_incidents > allowed:
        found.append(
            f"it raises {new.n_incidents} incidents on clean history where the one at work raises {live.n_incidents}"
            f" and the budget allows {budget_per_week * new.weeks:.1f}"
        )
    is_measure = live.n_incidents <= OVERSPENT * max(1.0, budget_per_week * live.weeks)
    if is_measure and new.thefts_found < live.thefts_found - FOUND_LESS:
        found.append(f"it finds {new.thefts_found:.0%} of simulated thefts, the one at work {live.thefts_found:.0%}")
    if math.isnan(new.thefts_found) and new.alpha < live.alpha / RARER:
        found.append(
            f"no thefts could be simulated to compare by, and its alarms ask for p-values {live.alpha / new.alpha:.3g} times as rare"
        )
    if anchor is not None and new.thefts_found < anchor.thefts_found - FOUND_LESS - may_find_less:
        found.append(
            f"it finds {new.thefts_found:.0%} of simulated thefts, last month's {anchor.thefts_found:.0%}: more is lost than"
            " the drift budget allows"
        )
    if more := new.disabled - live.disabled:
        found.append(f"it would take {len(more)} clean keys out of service that the one at work leaves alone")
    return tuple(found)


def _judged(trained: Trained, clean: Rows, settings: Settings) -> tuple[Bools, npt.NDArray[np.int64]]:
    """Which rows raise an alarm, as `findings.find` does it; and the keys it would take out of service."""
    at, has_stake = trained.manifest.levels, clean.stake_nusd >= settings.detection.min_usd_per_hour * NUSD
    grace_hours = settings.detection.grace_period.total_seconds() / 3600
    scores, step = trained.detector.score(clean.values), step_s(clean.at_s)
    p = calibrate.p_values(trained.calibration, scores, findings.cohorts(clean.history_hours, grace_hours=grace_hours))
    silenced = np.where(has_stake, p, 1.0)
    gathered = patience.gathered(scores, clean.key_no, clean.at_s, floor=at.floor, step_s=step)
    told = np.zeros(len(clean), dtype=np.bool_)
    told[calibrate.alarms(silenced, clean.key_no, clean.at_s, alpha=at.alpha, step_s=step)] = True
    told |= has_stake & ((gathered.short >= at.hour) | (gathered.long >= at.shift))
    floor_nusd = settings.response.min_usd_per_hour * NUSD
    told |= levels.is_joint(clean.joint_nusd, levels=at, floor_nusd=floor_nusd)
    known = known_of(clean, grace_hours=grace_hours)
    told |= has_stake & leads.is_told(p, leads.weights(**known), alpha=at.alpha, power=at.leads)
    proof = levels.has_proof(levels.signs(**known), gathered.short, is_hot=silenced <= at.alpha, levels=at)
    proof &= clean.stake_nusd >= floor_nusd
    return told | proof, clean.key_no[proof]


def _found(trained: Trained, thefts: Thefts | None) -> float:
    """Of the simulated thefts, in one look at `alpha`."""
    if thefts is None or not thefts.is_stolen.any():
        return float("nan")
    scores = trained.detector.score(thefts.values[thefts.is_stolen])
    cohort_no = np.full(len(scores), findings.GROWN, dtype=np.int64)
    p = calibrate.p_values(trained.calibration, scores, cohort_no)
    return float((p <= trained.manifest.levels.alpha).mean())
