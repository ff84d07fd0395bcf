"""Feature rows -> findings: which keys of this moment are unusual enough to tell, and what the evidence supports.

Selection is vectorised over all active keys; Python runs only over the few that are flagged. The order is: score (one call),
p-value by cohort, the dollar gate, confirmation by a second hot bucket (or a p-value far below the level), then evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.config import Settings
from monitor.detect import bars, leads, levels, limits, watch
from monitor.detect.accounts import credited
from monitor.detect.artifact import Trained
from monitor.detect.calibrate import CONFIRM_WITHIN_S, is_confirmed, p_values
from monitor.detect.maker import Maker, Scores
from monitor.detect.patience import Patience, added
from monitor.domain import BUCKET_S, HOUR_S, NUSD, DataQuality, Feedback, Finding
from monitor.frames import Catalog, FeatureBatch

YOUNG, GROWN = 0, 1
"""Cohorts of the calibration: keys younger than the grace period are compared with such keys only."""

N_COHORTS: Final = 2
TEN_MINUTES: Final = "usd_10m"
"""A feature that is unknown on hourly history."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What judging carries from one moment to the next: by key_no, start of the last two hot buckets, epoch seconds.

    Two, because several moments fall into one bucket: the newer may be the one under way, which cannot confirm itself.
    `patience`: the evidence of the last hours. `probes`: see watch.Told."""

    hot_s: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    probes: watch.Told = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scored:
    """All keys of one moment, scored: arrays in the order of `FeatureBatch.key_no`. `has_stake`: enough unusual dollars for
    anybody's attention; `is_hot`: that, and the p-value passes. `bars`: what people said of the keys."""

    score: npt.NDArray[np.float64]
    p_value: npt.NDArray[np.float64]
    at_stake_nusd: npt.NDArray[np.int64]
    has_stake: npt.NDArray[np.bool_]
    is_hot: npt.NDArray[np.bool_]
    bars: bars.Bars

    def of(self, row: int) -> Scores:
        """The figures of one key."""
        return Scores(float(self.score[row]), float(self.p_value[row]), int(self.at_stake_nusd[row]))


def cohorts(history_hours: npt.NDArray[np.float64], *, grace_hours: float) -> npt.NDArray[np.int64]:
    """YOUNG or GROWN for each row."""
    return np.where(history_hours >= grace_hours, GROWN, YOUNG)


def stakes(spend: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Unusual dollars of the trailing hour for each SPEND row."""
    return levels.at_stake(
        per_hour_nusd=spend["per_hour_nusd"].to_numpy(),
        expected_per_hour_nusd=spend["expected_per_hour_nusd"].to_numpy(),
        novel_per_hour_nusd=spend["novel_per_hour_nusd"].to_numpy(),
        unexplained_nusd=spend["unexplained_nusd"].to_numpy(),
    )


def score(
    batch: FeatureBatch, trained: Trained, settings: Settings, *, said: Mapping[int, Feedback] = MappingProxyType({})
) -> Scored:
    """Scores, p-values, dollars at stake, and who is hot. `said`: what people say of keys now, by key_no.

    Raises ValueError if the batch has other features."""
    if batch.names != trained.detector.feature_names:
        raise ValueError("the batch does not have the features the detector was made for")
    scores = trained.detector.score(batch.values)
    hours = batch.spend["history_hours"].to_numpy()
    p = p_values(trained.calibration, scores, cohorts(hours, grace_hours=_grace_hours(settings)))
    stake = stakes(batch.spend)
    has_stake = stake >= settings.detection.min_usd_per_hour * NUSD
    moved = bars.of(batch.key_no, said)
    is_hot = has_stake & (p <= trained.manifest.levels.alpha * moved.alpha)
    return Scored(scores, p, stake, has_stake, is_hot, moved)


def find(
    batch: FeatureBatch,
    trained: Trained | None,
    memory: Memory,
    *,
    keys: pd.DataFrame,
    names: Mapping[int, str],
    quality_of: Callable[[int], DataQuality],
    catalog: Catalog,
    settings: Settings,
    said: Mapping[int, Feedback] = MappingProxyType({}),
    ramps: Sequence[limits.Breach] = (),
) -> tuple[tuple[Finding, ...], Memory]:
    """Findings of one moment, and what to remember for the next.

    `keys`: frames.KEYS, the inventory; `names`: key name by key_no (missing: no name); `quality_of`: what is known of a
    key's usage, asked for flagged keys only; `said`: what people say of keys now, by key_no (`bars`); `ramps`: keys
    that grow too fast (`ramp`), told while they are active.
    Without a trained detector only rules and limits speak. Judging the same
    moment twice gives the same findings: a bucket never confirms itself."""
    make = Maker(batch, keys, quality_of=quality_of, catalog=catalog, settings=settings)
    broken = limits.breaches(batch, keys, names=names, catalog=catalog, settings=settings.detection)
    active = set(batch.key_no.tolist())
    by_rule = [make.rule(breach) for breach in (*broken, *(one for one in ramps if one.key_no in active))]
    if trained is None:
        return tuple(by_rule), memory
    scored = score(batch, trained, settings, said=said)
    bucket_s = int(batch.at.timestamp() - 1) // BUCKET_S * BUCKET_S
    is_told, can_disable, patience = _judged(batch, scored, memory, trained, settings=settings, bucket_s=bucket_s)
    told = np.flatnonzero(is_told).tolist()
    hours = batch.spend["history_hours"].to_numpy()
    cohort_no = cohorts(hours[told], grace_hours=_grace_hours(settings))
    credits = credited(batch, told, trained, cohort_no=cohort_no)
    found = [
        bars.noted(
            make.statistical(
                row, scored.of(row), name=trained.detector.name, can_disable=bool(can_disable[row]), credit=credit
            ),
            said.get(int(batch.key_no[row])),
            is_proof=bool(can_disable[row]),
        )
        for row, credit in zip(told, credits, strict=True)
    ]
    probed, probes = watch.fresh(batch.spend, memory.probes, bucket_s=bucket_s)
    found += [make.probe(row, scored.of(row)) for row in probed if row not in told]
    hot = _remember(memory, batch.key_no[scored.is_hot], bucket_s=bucket_s)
    return (*found, *by_rule), Memory(hot, patience, probes)


def _judged(
    batch: FeatureBatch, scored: Scored, memory: Memory, trained: Trained, *, settings: Settings, bucket_s: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Patience]:
    """Which rows are told of, which support a disable, and the evidence to carry on."""
    levels_ = trained.manifest.levels
    gathered, patience = added(
        memory.patience, scored.score, batch.key_no, bucket_s=bucket_s, floor=levels_.floor, hours=_hours(batch)
    )
    is_told = _is_sudden(batch, scored, memory, levels_=levels_, settings=settings, bucket_s=bucket_s)
    known = _known(batch, scored, settings)
    shown = levels.signs(**known)
    proof = levels.has_proof(shown, gathered.short, is_hot=scored.is_hot, levels=levels_)
    proof &= scored.has_stake & (scored.at_stake_nusd >= settings.response.min_usd_per_hour * NUSD)
    times = scored.bars.evidence
    is_patient = (gathered.short >= levels_.hour * times) | (gathered.long >= levels_.shift * times)
    is_told |= (scored.has_stake & is_patient) | proof
    alpha = levels_.alpha * scored.bars.alpha
    weight = leads.weights(**known)
    is_told |= scored.has_stake & leads.is_told(scored.p_value, weight, alpha=alpha, power=levels_.leads)
    is_told |= watch.is_told(batch.spend, scored.p_value, scored.at_stake_nusd, alpha=alpha, settings=settings)
    return is_told, proof, patience


def _is_sudden(
    batch: FeatureBatch, scored: Scored, memory: Memory, *, levels_: levels.Levels, settings: Settings, bucket_s: int
) -> npt.NDArray[np.bool_]:
    """Which rows are told of at once: a hot bucket that is very hot or the second within the hour, or joint dollars beyond
    all that clean keys showed."""
    joint = batch.spend["joint_per_hour_nusd"].to_numpy()
    is_joint = levels.is_joint(joint, levels=levels_, floor_nusd=settings.response.min_usd_per_hour * NUSD)
    last = _last_hot(memory, batch.key_no, bucket_s=bucket_s)
    now = np.full(len(last), bucket_s, dtype=np.int64)
    alpha = levels_.alpha * scored.bars.alpha
    is_sure = is_confirmed(scored.p_value, now, last, alpha=alpha) | scored.bars.abused
    return (scored.is_hot & is_sure) | is_joint


def _hours(batch: FeatureBatch) -> npt.NDArray[np.float64]:
    """How long each row stands for: an hour where the last ten minutes are not known apart."""
    if TEN_MINUTES not in batch.names:
        return np.full(len(batch.key_no), BUCKET_S / HOUR_S)
    fine = batch.values[:, batch.names.index(TEN_MINUTES)]
    return np.where(np.isnan(fine), 1.0, BUCKET_S / HOUR_S)


def _known(batch: FeatureBatch, scored: Scored, settings: Settings) -> levels.Known:
    return {
        "columns": dict(zip(batch.names, batch.values.T, strict=True)),
        "joint_nusd": batch.spend["joint_per_hour_nusd"].to_numpy(),
        "stake_nusd": scored.at_stake_nusd,
        "history_hours": batch.spend["history_hours"].to_numpy(),
        "grace_hours": _grace_hours(settings),
    }


def _last_hot(memory: Memory, key_no: npt.NDArray[np.int32], *, bucket_s: int) -> npt.NDArray[np.int64]:
    """Start of each key's newest hot bucket before this one, 0 for none."""
    before = {no: max((at for at in pair if at < bucket_s), default=0) for no, pair in memory.hot_s.items()}
    return np.array([before.get(no, 0) for no in key_no.tolist()], dtype=np.int64)


def _remember(memory: Memory, hot: npt.NDArray[np.int32], *, bucket_s: int) -> dict[int, tuple[int, int]]:
    """`Memory.hot_s` with this bucket's hot keys; what is too old to confirm anything is forgotten."""
    kept = {no: pair for no, pair in memory.hot_s.items() if bucket_s - pair[1] <= CONFIRM_WITHIN_S}
    for no in hot.tolist():
        newest = kept.get(no, (0, 0))[1]
        if newest < bucket_s:
            kept[no] = (newest, bucket_s)
    return kept


def _grace_hours(settings: Settings) -> float:
    return settings.detection.grace_period.total_seconds() / 3600
