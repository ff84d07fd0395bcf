"""Feature rows -> findings: which keys of this moment are unusual enough to tell, and what the evidence supports.

Selection is vectorised over all active keys; Python runs only over the few that are flagged. The order is: score (one call),
p-value by cohort, the dollar gate, confirmation by a second hot bucket (or a p-value far below the level), then evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.config import Settings
from monitor.detect import evidence, levels, limits
from monitor.detect.artifact import Trained
from monitor.detect.calibrate import CONFIRM_WITHIN_S, is_confirmed, p_values
from monitor.domain import BUCKET_S, NUSD, DataQuality, Finding, Quality, Rung, Severity
from monitor.frames import Catalog, FeatureBatch, epoch_s

UNKNOWN_QUALITY: Final = DataQuality(Quality.UNKNOWN, None, None, notes=("nothing is known of this key's usage",))

YOUNG, GROWN = 0, 1
"""Cohorts of the calibration: keys younger than the grace period are compared with such keys only."""

N_COHORTS: Final = 2
RULES: Final = "rules"
"""`Finding.detector` of hard rules and limits."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What judging carries from one moment to the next: by key_no, start of the last two hot buckets, epoch seconds.

    Two, because several moments fall into one bucket: the newer may be the one under way, which cannot confirm itself."""

    hot_s: Mapping[int, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Scored:
    """All keys of one moment, scored: arrays in the order of `FeatureBatch.key_no`. `is_hot`: p-value and dollars pass."""

    score: npt.NDArray[np.float64]
    p_value: npt.NDArray[np.float64]
    at_stake_nusd: npt.NDArray[np.int64]
    is_hot: npt.NDArray[np.bool_]


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


def score(batch: FeatureBatch, trained: Trained, settings: Settings) -> Scored:
    """Scores, p-values, dollars at stake, and who is hot. Raises ValueError if the batch has other features."""
    if batch.names != trained.detector.feature_names:
        raise ValueError("the batch does not have the features the detector was made for")
    scores = trained.detector.score(batch.values)
    hours = batch.spend["history_hours"].to_numpy()
    p = p_values(trained.calibration, scores, cohorts(hours, grace_hours=_grace_hours(settings)))
    stake = stakes(batch.spend)
    is_hot = (p <= trained.manifest.levels.alpha) & (stake >= settings.detection.min_usd_per_hour * NUSD)
    return Scored(scores, p, stake, is_hot)


def find(
    batch: FeatureBatch,
    trained: Trained,
    memory: Memory,
    *,
    keys: pd.DataFrame,
    names: Mapping[int, str],
    quality: Mapping[int, DataQuality],
    catalog: Catalog,
    settings: Settings,
) -> tuple[tuple[Finding, ...], Memory]:
    """Findings of one moment, and what to remember for the next.

    `keys`: frames.KEYS, the inventory; `names` and `quality` by key_no: a key without an entry has no name, and nothing is
    known of its usage. Judging the same moment twice gives the same findings: a bucket never confirms itself."""
    scored = score(batch, trained, settings)
    bucket_s = int(batch.at.timestamp() - 1) // BUCKET_S * BUCKET_S
    alpha = trained.manifest.levels.alpha
    grace = _grace_hours(settings)
    can_disable = levels.may_disable(
        scored.p_value,
        batch.spend["joint_per_hour_nusd"].to_numpy(),
        batch.spend["history_hours"].to_numpy(),
        levels=trained.manifest.levels,
        floor_nusd=settings.response.min_usd_per_hour * NUSD,
        grace_hours=grace,
    )
    last = _last_hot(memory, batch.key_no, bucket_s=bucket_s)
    now = np.full(len(last), bucket_s, dtype=np.int64)
    told = scored.is_hot & (is_confirmed(scored.p_value, now, last, alpha=alpha) | can_disable)
    make = _Maker(batch, keys, scored, quality=quality, catalog=catalog, settings=settings)
    found = [
        make.statistical(row, name=trained.detector.name, can_disable=bool(can_disable[row]))
        for row in np.flatnonzero(told).tolist()
    ]
    broken = limits.breaches(batch, keys, names=names, catalog=catalog, settings=settings.detection)
    found += [make.rule(breach) for breach in broken]
    return tuple(found), _remember(memory, batch.key_no[scored.is_hot], bucket_s=bucket_s)


def _last_hot(memory: Memory, key_no: npt.NDArray[np.int32], *, bucket_s: int) -> npt.NDArray[np.int64]:
    """Start of each key's newest hot bucket before this one, 0 for none."""
    before = {no: max((at for at in pair if at < bucket_s), default=0) for no, pair in memory.hot_s.items()}
    return np.array([before.get(no, 0) for no in key_no.tolist()], dtype=np.int64)


def _remember(memory: Memory, hot: npt.NDArray[np.int32], *, bucket_s: int) -> Memory:
    """The memory with this bucket's hot keys; what is too old to confirm anything is forgotten."""
    kept = {no: pair for no, pair in memory.hot_s.items() if bucket_s - pair[1] <= CONFIRM_WITHIN_S}
    for no in hot.tolist():
        newest = kept.get(no, (0, 0))[1]
        if newest < bucket_s:
            kept[no] = (newest, bucket_s)
    return Memory(MappingProxyType(kept))


def _grace_hours(settings: Settings) -> float:
    return settings.detection.grace_period.total_seconds() / 3600


class _Maker:
    """Builds the findings of one moment from its vectors."""

    def __init__(
        self,
        batch: FeatureBatch,
        keys: pd.DataFrame,
        scored: Scored,
        *,
        quality: Mapping[int, DataQuality],
        catalog: Catalog,
        settings: Settings,
    ) -> None:
        self._batch = batch
        self._scored = scored
        self._quality = quality
        self._catalog = catalog
        self._settings = settings
        remaining = zip(keys["key_no"].tolist(), keys["limit_remaining_nusd"].tolist(), strict=True)
        self._remaining = dict(remaining)
        self._onset_s = epoch_s(batch.spend["onset_at"])
        self._row = {no: row for row, no in enumerate(batch.key_no.tolist())}

    def statistical(self, row: int, *, name: str, can_disable: bool) -> Finding:
        """The finding of a hot row."""
        key_no = int(self._batch.key_no[row])
        spend = evidence.spend_of(
            next(self._batch.spend.iloc[[row]].itertuples()), limit_remaining_nusd=self._left(key_no)
        )
        rows = self._batch.evidence[self._batch.evidence["key_no"] == key_no]
        hours = self._settings.response.people_within.total_seconds() / 3600
        severity = levels.severity(
            int(self._scored.at_stake_nusd[row]),
            hours=hours,
            limit_remaining_nusd=spend.limit_remaining_nusd,
            is_disable=can_disable,
        )
        is_shadow = self._settings.detection.shadow
        return Finding(
            key_hash=self._catalog.key_hash(key_no),
            at=self._batch.at,
            onset_at=self._onset(row),
            detector=name,
            is_shadow=is_shadow,
            score=float(self._scored.score[row]),
            p_value=float(self._scored.p_value[row]),
            severity=severity,
            rung=Rung.DISABLE if can_disable else Rung.NOTIFY,
            spend=spend,
            causes=evidence.causes(rows, spend, catalog=self._catalog),
            quality=self._quality.get(key_no, UNKNOWN_QUALITY),
        )

    def rule(self, breach: limits.Breach) -> Finding:
        """The finding of a broken rule: certain, hence without a p-value; its score is its severity."""
        row = self._row[breach.key_no]
        remaining = self._left(breach.key_no)
        return Finding(
            key_hash=self._catalog.key_hash(breach.key_no),
            at=self._batch.at,
            onset_at=self._onset(row),
            detector=RULES,
            is_shadow=False,
            score=float(breach.severity),
            p_value=None,
            severity=Severity(breach.severity),
            rung=breach.rung,
            spend=evidence.spend_of(next(self._batch.spend.iloc[[row]].itertuples()), limit_remaining_nusd=remaining),
            causes=breach.causes,
            quality=self._quality.get(breach.key_no, UNKNOWN_QUALITY),
        )

    def _left(self, key_no: int) -> float:
        return float(self._remaining.get(key_no, float("nan")))

    def _onset(self, row: int) -> datetime:
        onset = datetime.fromtimestamp(int(self._onset_s[row]), tz=UTC)
        return min(onset, self._batch.at)
