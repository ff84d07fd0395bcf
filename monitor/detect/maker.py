"""Findings from the vectors of one moment: what a row that is told of, a probe, or a broken rule has to say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from monitor.config import Settings
from monitor.detect import evidence, levels, limits, twins, watch
from monitor.detect.habits import Habits
from monitor.domain import PROBE, Cause, DataQuality, Finding, Rung, Severity, Spend
from monitor.frames import EVIDENCE, SPEND, TWINS, Catalog, FeatureBatch, Vectors, epoch_s, vectors

YOUNG_NOTE: Final = "young key: too little history of its own, judged against its peers"

RULES: Final = "rules"
"""`Finding.detector` of hard rules and limits."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the detector says of one key at one moment. `at_stake_nusd`: unusual dollars of the trailing hour."""

    score: float
    p_value: float
    at_stake_nusd: int


class Maker:
    """Builds the findings of one moment from its vectors."""

    def __init__(
        self,
        batch: FeatureBatch,
        keys: pd.DataFrame,
        *,
        quality_of: Callable[[int], DataQuality],
        catalog: Catalog,
        settings: Settings,
    ) -> None:
        self._batch = batch
        self._keys = keys
        self._quality_of = quality_of
        self._catalog = catalog
        self._settings = settings
        self._spend = vectors(batch.spend, (name for name in SPEND if name != "onset_at"))
        self._onset_s = epoch_s(batch.spend["onset_at"])

    @cached_property
    def _evidence(self) -> Vectors:
        return vectors(self._batch.evidence, EVIDENCE)

    @cached_property
    def _twins(self) -> Vectors:
        return vectors(self._batch.twins, TWINS)

    @cached_property
    def _remaining(self) -> dict[int, float]:
        columns = vectors(self._keys, ("key_no", "limit_remaining_nusd"))
        return dict(zip(*(column.tolist() for column in columns.values()), strict=True))

    def statistical(
        self, row: int, scores: Scores, *, name: str, can_disable: bool, credit: Mapping[str, float]
    ) -> Finding:
        """The finding of a row that is told of; `credit`: share of its score by group of habits."""
        finding = self._finding(row, Rung.DISABLE if can_disable else Rung.NOTIFY)
        likeness = twins.of_key(self._twins, int(self._batch.key_no[row]), catalog=self._catalog)
        severity = levels.severity(
            scores.at_stake_nusd,
            hours=self._settings.response.people_within.total_seconds() / 3600,
            limit_remaining_nusd=finding.spend.limit_remaining_nusd,
            is_disable=can_disable,
            regularity=float(self._spend["regularity"][row]),
        )
        found = replace(
            finding,
            detector=name,
            is_shadow=self._settings.detection.shadow,
            score=scores.score,
            p_value=scores.p_value,
            severity=severity,
            causes=self._causes(row, finding.spend, credit, twins.note(likeness, unusual_nusd=scores.at_stake_nusd)),
        )
        return twins.softened(found, likeness, unusual_nusd=scores.at_stake_nusd)

    def probe(self, row: int, scores: Scores) -> Finding:
        """The finding of a key that was probed and is not told of: recorded, and nothing else."""
        finding = self._finding(row, Rung.NOTIFY)
        finding = replace(finding, detector=PROBE, is_shadow=True, score=scores.score, p_value=scores.p_value)
        return replace(finding, causes=self._causes(row, finding.spend, {}))

    def _causes(
        self, row: int, spend: Spend, credit: Mapping[str, float], twin: tuple[Cause, ...] = ()
    ) -> tuple[Cause, ...]:
        used = evidence.of_key(self._evidence, int(self._batch.key_no[row]))
        values = dict(zip(self._batch.names, self._batch.values[row].tolist(), strict=True))
        money = {column: each[row] for column, each in self._spend.items()}
        notes = twin + watch.note(int(money["probed_s"]), self._batch.at, cost_nusd=spend.novel_per_hour_nusd)
        kept = Habits.of(money, values)
        return evidence.causes(used, spend, catalog=self._catalog, kept=kept, credit=credit, notes=notes)

    def rule(self, breach: limits.Breach) -> Finding:
        """The finding of a broken rule: certain, hence without a p-value; its score is its severity."""
        row = int(np.searchsorted(self._batch.key_no, breach.key_no))
        finding = self._finding(row, breach.rung)
        return replace(finding, score=float(breach.severity), severity=breach.severity, causes=breach.causes)

    def _finding(self, row: int, rung: Rung) -> Finding:
        key_no = int(self._batch.key_no[row])
        spend = {name: column[row] for name, column in self._spend.items()}
        quality = self._quality_of(key_no)
        if spend["history_hours"] < self._settings.detection.grace_period / timedelta(hours=1):
            quality = replace(quality, notes=(*quality.notes, YOUNG_NOTE))
        return Finding(
            key_hash=self._catalog.key_hash(key_no),
            at=self._batch.at,
            onset_at=min(datetime.fromtimestamp(int(self._onset_s[row]), tz=UTC), self._batch.at),
            detector=RULES,
            is_shadow=False,
            score=0.0,
            p_value=None,
            severity=Severity.NOTICE,
            rung=rung,
            spend=evidence.spend_of(spend, limit_remaining_nusd=self._remaining.get(key_no, math.nan)),
            causes=(),
            quality=quality,
        )
