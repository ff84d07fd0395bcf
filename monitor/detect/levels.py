"""The levels of a trained detector, and what a flagged row deserves: which rung, which severity.

Two budgets, found from clean history when the detector is trained. Alarms may be wrong a few times a week. Taking a key out of
service may practically never be wrong, so it asks for two things at once: score-hours beyond what any clean key with the same
sign showed, and a sign in dollars and places that needs no detector to be strange (`signs`). More dollars new in model *and*
in place in the same ten minutes than clean history ever showed (`joint_nusd_per_hour`) are an alarm by themselves: where no
clean key ever tried anything new, a detector has nothing to tell novelty by. docs/adr/0011 has the measurements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.domain import NUSD, Severity

CRITICAL_AT_RISK_NUSD: Final = 50 * NUSD
WARNING_AT_RISK_NUSD: Final = 5 * NUSD
"""Dollars a key may still lose until people look, from which an alarm is critical or a warning."""

STEADY: Final = 0.6
ERRATIC: Final = 0.2
"""Regularity (1 / (1 + spread / median)) of a steady key, and of an erratic one: of a fleet of real rhythms, where there
is a level at all, one row in four lies above the first and one in four below the second."""

STEADY_AT_RISK_NUSD: Final = NUSD
"""Dollars a steady key may still lose, from which its departure is a warning."""

JOINT_FLOOR_NUSD: Final = 5 * NUSD
"""Joint dollars an hour that are never enough, however clean the history: a colleague with new tools spends as much."""

JOINT_MARGIN: Final = 1.25
"""Joint dollars an hour for disabling, over the most that clean keys showed (see `joint_level`)."""

OUTLIER_SHARE: Final = 0.001
"""Share of keys whose joint dollars are set aside: in a fleet of thousands the very largest says nothing about the rest,
and one theft nobody noticed must not make all later ones look small."""

NEVER: Final = 1e300
"""A level that no score reaches, and that JSON can write."""

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Levels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Levels of an alarm: `alpha` of the p-value; `hour`, `shift` of the score-hours gathered in one hour and in six, above the
    score `floor` (detect/patience.py); `joint_nusd_per_hour` of joint dollars. `disable`: the score-hours of one hour asked for
    together with each of the signs of `signs`, by their names, to take a key out of service. `leads`: the power to which the
    weights of leads are raised (detect/leads.py), 0 where none counts."""

    alpha: float
    joint_nusd_per_hour: float
    floor: float = NEVER
    hour: float = NEVER
    shift: float = NEVER
    disable: dict[str, float] = msgspec.field(default_factory=dict)
    leads: float = 0.0


class Known(TypedDict):
    """What `signs` and `leads.weights` are told by, row by row: features by name; joint dollars and dollars at stake of the trailing
    hour; hours of history, and how many of them a key needs for a baseline of its own."""

    columns: Mapping[str, Floats]
    joint_nusd: Ints
    stake_nusd: Ints
    history_hours: Floats
    grace_hours: float


DOLLARS_PER_HOUR: Final = 12.0
DOLLARS_PER_DAY: Final = 25.0
"""Joint dollars beyond what honest newcomers on cheap keys were seen to spend (docs/adr/0011)."""

BURST_DOLLARS: Final = 3.0
"""Joint dollars of ten minutes that need not wait for evidence to add up, if the bucket is as rare as an alarm."""

DEAR_TIMES: Final = 10.0
DEAR_PER_HOUR: Final = 30.0
DEAR_PER_DAY: Final = 80.0
DEAR_BURST: Final = 10.0
"""The same on a key whose day is less than so many usual ones: a colleague on a dear key was seen at 13 USD/h, 35 a day, 5 in
ten minutes, four usual days."""

SOME_DOLLARS: Final = 0.5
SCAN_DOLLARS: Final = 2.0
SCAN: Final = 10
PLACES: Final = 2
CROWD_DOLLARS: Final = 2.0
CROWD: Final = 3
SURVEY: Final = 20
SURVEY_DOLLARS: Final = 3.0
"""Models never seen within a day, and dollars of an hour on novel ones: twice a scan, which may come from anywhere."""

TIMES_USUAL: Final = 20.0
SETTLED_HOURS: Final = 72.0
"""A day of so many usual ones is no colleague's, who was seen to multiply a key's day by nine; a new key's first days are."""

HABIT_USD: Final = 1e-4
"""Mean dollars of an hour from which a key has habits that can be broken: an idle key that its owner takes up again looks like
a stolen one."""

SIGNS: Final = {
    "burst": 0.6,
    "dollars": 0.6,
    "scan": 0.6,
    "places": 0.6,
    "crowd": 1.0,
    "survey": 1.0,
    "overrun": 1.0,
}
"""Each sign of theft in dollars and places, and the share of the hour's alarm level asked for beside it, at least."""

DISABLE_MARGIN: Final = 1.1
"""Score-hours asked for, over the most that a clean key with the same sign showed."""


def signs(
    columns: Mapping[str, Floats], *, joint_nusd: Ints, stake_nusd: Ints, history_hours: Floats, grace_hours: float
) -> dict[str, Bools]:
    """Which rows show what no detector is needed to find strange.

    `columns`: features by name; a missing one shows nothing. `joint_nusd`: dollars of the trailing hour that are new to the key in
    model and in place at once, the *joint* ones. burst: many of them within ten minutes, for a key with habits. dollars: many,
    now or in a day, for a key with habits; of both, more is asked for where the day is less than DEAR_TIMES usual ones. scan:
    fewer, and ten models never seen. places: some, from several countries never seen. crowd: three or more countries never seen
    at once, whatever the model. survey: dollars on novel models, and twenty never seen. overrun: a day of many usual ones, as
    many dollars of it as for `dollars` on values never learned, however common they are elsewhere. Never for a key without a
    baseline of its own (history < grace)."""
    nothing = np.zeros(len(stake_nusd))
    joint = joint_nusd / NUSD
    countries, has_some = columns.get("new_countries_1h", nothing), joint >= SOME_DOLLARS
    unlearned = {span: _unlearned(columns, span, nothing) for span in ("1h", "24h")}
    is_overrun = (unlearned["1h"] >= DOLLARS_PER_HOUR) | (unlearned["24h"] >= DOLLARS_PER_DAY)
    times = columns.get("times_usual_24h", nothing)
    is_multiple = times >= DEAR_TIMES
    is_much = (joint >= np.where(is_multiple, DOLLARS_PER_HOUR, DEAR_PER_HOUR)) | (
        columns.get("joint_24h", nothing) >= np.where(is_multiple, DOLLARS_PER_DAY, DEAR_PER_DAY)
    )
    is_burst = columns.get("joint_10m", nothing) >= np.where(is_multiple, BURST_DOLLARS, DEAR_BURST)
    has_habits = columns.get("mean_usd_1h", nothing + HABIT_USD) >= HABIT_USD
    shown = {
        "burst": is_burst & has_habits,
        "dollars": is_much & has_habits,
        "scan": (joint >= SCAN_DOLLARS) & (columns.get("new_models_24h", nothing) >= SCAN),
        "places": has_some & (countries >= PLACES),
        "crowd": (stake_nusd >= CROWD_DOLLARS * NUSD) & (countries >= CROWD),
        "survey": (columns.get("novel_model_1h", nothing) >= SURVEY_DOLLARS)
        & (columns.get("new_models_24h", nothing) >= SURVEY),
        "overrun": is_overrun & (times >= TIMES_USUAL) & has_habits & (history_hours >= SETTLED_HOURS),
    }
    is_grown = history_hours >= grace_hours
    return {name: rows & is_grown for name, rows in shown.items()}


def _unlearned(columns: Mapping[str, Floats], span: str, nothing: Floats) -> Floats:
    """Dollars of the span on a model and a place that were both never learned for the key."""
    model, country, app = (columns.get(f"never_{name}_{span}", nothing) for name in ("model", "country", "app"))
    return np.asarray(np.minimum(model, np.maximum(country, app)))


def disable_levels(shown: Mapping[str, Bools], short: Floats, *, hour: float) -> dict[str, float]:
    """Score-hours asked for beside each sign: beyond what any clean row with that sign had. `short`: of the clean rows."""
    return {
        name: max(SIGNS[name] * hour, DISABLE_MARGIN * float(short[rows].max(initial=0.0)))
        for name, rows in shown.items()
    }


def has_proof(shown: Mapping[str, Bools], short: Floats, *, is_hot: Bools, levels: Levels) -> Bools:
    """Whether a sign stands together with the score-hours asked for beside it; or a burst with a bucket as rare as an alarm."""
    proof = shown.get("burst", np.zeros(len(short), dtype=np.bool_)) & is_hot
    for name, rows in shown.items():
        proof |= rows & (short >= levels.disable.get(name, NEVER))
    return proof


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


def severity(
    at_stake_nusd: int,
    *,
    hours: float,
    limit_remaining_nusd: int | None,
    is_disable: bool,
    regularity: float = float("nan"),
) -> Severity:
    """From the dollars that may be lost in `hours` at this rate, bounded by what the key's limit still allows; and from how
    regular the key is at this hour (`volume.regularity`; NaN: not known).

    A steady key that departs is worth a warning though little is at stake; an erratic one that departs is a notice until
    dollars say otherwise. Critical is a matter of dollars, or of a disable, alone: one step at most, and never that one."""
    at_risk = at_stake_nusd * hours
    if limit_remaining_nusd is not None:
        at_risk = min(at_risk, max(limit_remaining_nusd, 0))
    if is_disable or at_risk >= CRITICAL_AT_RISK_NUSD:
        return Severity.CRITICAL
    if at_risk >= WARNING_AT_RISK_NUSD:
        return Severity.NOTICE if regularity < ERRATIC else Severity.WARNING
    return Severity.WARNING if regularity >= STEADY and at_risk >= STEADY_AT_RISK_NUSD else Severity.NOTICE
