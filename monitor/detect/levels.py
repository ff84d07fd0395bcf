"""The levels of a trained detector, and what a flagged row deserves: which rung, which severity.

Two budgets, found from clean history when the detector is trained. Alarms may be wrong a few times a week (`alpha`). Taking
a key out of service may practically never be wrong, so it asks for two signs at once: an alarm's p-value, and more dollars
that are new in model *and* in country or app in the same ten minutes than clean history ever showed
(`joint_nusd_per_hour`). Such dollars alone are an alarm: where no clean key ever tried anything new, a forest has nothing to
split novelty by and is blind to it. docs/adr/0004 has the measurements.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.domain import NUSD, Severity

CRITICAL_AT_RISK_NUSD: Final = 50 * NUSD
WARNING_AT_RISK_NUSD: Final = 5 * NUSD
"""Dollars a key may still lose until people look, from which an alarm is critical or a warning."""

JOINT_FLOOR_NUSD: Final = 5 * NUSD
"""Joint dollars an hour that are never enough, however clean the history: a colleague with new tools spends as much."""

JOINT_MARGIN: Final = 1.25
"""Joint dollars an hour for disabling, over the most that clean keys showed (see `joint_level`)."""

OUTLIER_SHARE: Final = 0.001
"""Share of keys whose joint dollars are set aside: in a fleet of thousands the very largest says nothing about the rest,
and one theft nobody noticed must not make all later ones look small."""

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Levels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`alpha`: p-value of an alarm. `patience`: score-hours of an alarm, counted above the score `floor` (detect/patience.py).
    `alpha_disable`, `joint_nusd_per_hour`: both are needed to take a key out of service."""

    alpha: float
    alpha_disable: float
    joint_nusd_per_hour: float
    floor: float = float("inf")
    patience: float = float("inf")


def joint_level(joint_nusd: Ints, key_no: Ints) -> float:
    """Joint dollars an hour no clean key came near: a margin over the largest, the few most extreme keys set aside."""
    if len(joint_nusd) == 0:
        return float(JOINT_FLOOR_NUSD)
    keys, inverse = np.unique(key_no, return_inverse=True)
    most = np.zeros(len(keys), dtype=np.int64)
    np.maximum.at(most, inverse, joint_nusd)
    n_aside = int(OUTLIER_SHARE * len(keys))
    return max(float(JOINT_FLOOR_NUSD), JOINT_MARGIN * float(np.sort(most)[-1 - n_aside]))


def at_stake(
    *, per_hour_nusd: Ints, expected_per_hour_nusd: Ints, novel_per_hour_nusd: Ints, unexplained_nusd: Ints
) -> Ints:
    """Unusual dollars of the trailing hour: above expectation, on unfamiliar values, or not accounted for, the largest."""
    excess = np.maximum(per_hour_nusd - expected_per_hour_nusd, 0)
    return np.asarray(np.maximum(np.maximum(excess, novel_per_hour_nusd), unexplained_nusd), dtype=np.int64)


def is_joint(joint_nusd: Ints, *, levels: Levels, floor_nusd: float) -> Bools:
    """Whether joint novel dollars lie beyond what clean history showed (and beyond the operator's floor)."""
    return joint_nusd >= max(levels.joint_nusd_per_hour, floor_nusd)


def may_disable(p: Floats, is_joint: Bools, history_hours: Floats, *, levels: Levels, grace_hours: float) -> Bools:
    """Whether the evidence alone supports disabling: never for a key without a baseline of its own (history < grace)."""
    return is_joint & (p <= levels.alpha_disable) & (history_hours >= grace_hours)


def severity(at_stake_nusd: int, *, hours: float, limit_remaining_nusd: int | None, is_disable: bool) -> Severity:
    """From the dollars that may be lost in `hours` at this rate, bounded by what the key's limit still allows."""
    at_risk = at_stake_nusd * hours
    if limit_remaining_nusd is not None:
        at_risk = min(at_risk, max(limit_remaining_nusd, 0))
    if is_disable or at_risk >= CRITICAL_AT_RISK_NUSD:
        return Severity.CRITICAL
    return Severity.WARNING if at_risk >= WARNING_AT_RISK_NUSD else Severity.NOTICE
