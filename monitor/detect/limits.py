"""Hard rules from the settings, and limits nearly used: what needs no history and no statistics.

A rule's conditions must all hold for the same key; each is looked at in the trailing hour. Its patterns come from the
operator and are trusted; the names they are searched in come from outside, so only their first 200 characters count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.config import Detection, HardRule
from monitor.detect.habits import dollars
from monitor.domain import NUSD, Cause, Dimension, Rung, Severity
from monitor.frames import Catalog, FeatureBatch

MAX_SEARCHED: Final = 200
MAX_CAUSES: Final = 3

Keys = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Breach:
    """One key that breaks one rule: `rule` is its name, `causes` say by what, `rung` what the rule allows."""

    key_no: int
    rule: str
    severity: Severity
    rung: Rung
    causes: tuple[Cause, ...]


def breaches(
    batch: FeatureBatch, keys: pd.DataFrame, *, names: Mapping[int, str], catalog: Catalog, settings: Detection
) -> tuple[Breach, ...]:
    """Rules broken by the keys of the batch. `keys`: frames.KEYS; `names`: key name by key_no (missing: empty)."""
    found = [breach for rule in settings.rules for breach in _broken(rule, batch, names=names, catalog=catalog)]
    if settings.limit_nearly_used < 1.0:
        found += _limits(batch, keys, share=settings.limit_nearly_used)
    return tuple(found)


def _broken(rule: HardRule, batch: FeatureBatch, *, names: Mapping[int, str], catalog: Catalog) -> list[Breach]:
    if rule.max_usd_per_hour is None and not rule.models and not rule.countries:
        return []
    per_hour = batch.spend["per_hour_nusd"].to_numpy()
    suspects = batch.key_no
    if rule.max_usd_per_hour is not None:
        suspects = suspects[per_hour > rule.max_usd_per_hour * NUSD]
    forbidden = []
    if rule.models:
        patterns = [re.compile(pattern) for pattern in rule.models]
        forbidden.append(_used(batch, suspects, dimension=Dimension.MODEL, catalog=catalog, patterns=patterns))
    if rule.countries:
        listed = [re.compile(f"{re.escape(code)}\\Z", re.IGNORECASE) for code in rule.countries]
        forbidden.append(
            _used(batch, suspects, dimension=Dimension.COUNTRY, catalog=catalog, patterns=listed, match=True)
        )
    for used in forbidden:
        suspects = suspects[np.isin(suspects, used["key_no"].to_numpy())]
    if len(suspects) == 0:
        return []
    pattern = re.compile(rule.key_name)
    spend = dict(zip(batch.key_no.tolist(), per_hour.tolist(), strict=True))
    rung = Rung.DISABLE if rule.disable else Rung.NOTIFY
    return [
        Breach(no, rule.name, rule.severity, rung, _causes(rule, no, forbidden, spent=spend[no], catalog=catalog))
        for no in suspects.tolist()
        if pattern.search(names.get(no, "")[:MAX_SEARCHED])
    ]


def _used(
    batch: FeatureBatch,
    suspects: Keys,
    *,
    dimension: Dimension,
    catalog: Catalog,
    patterns: list[re.Pattern[str]],
    match: bool = False,
) -> pd.DataFrame:
    """EVIDENCE rows of the suspects with a value any pattern finds, dearest first."""
    evidence = batch.evidence
    rows = evidence[
        (evidence["dimension"] == int(dimension)) & evidence["key_no"].isin(suspects) & (evidence["n_requests"] > 0)
    ]
    values = pd.unique(rows["value_no"]).tolist()
    texts = {no: catalog.value(no)[:MAX_SEARCHED] for no in values}
    hit = [no for no, text in texts.items() if any((p.match if match else p.search)(text) for p in patterns)]
    return rows[rows["value_no"].isin(hit)].sort_values(["cost_nusd", "value_no"], ascending=[False, True])


def _causes(
    rule: HardRule, key_no: int, forbidden: list[pd.DataFrame], *, spent: int, catalog: Catalog
) -> tuple[Cause, ...]:
    causes = []
    if rule.max_usd_per_hour is not None:
        sentence = f"{dollars(spent)} in the last hour; rule {rule.name!r} allows ${rule.max_usd_per_hour:,.2f}"
        causes.append(Cause(None, "spend", spent, 1.0, False, round(rule.max_usd_per_hour * NUSD), sentence))
    for used in forbidden:
        worst = used[used["key_no"] == key_no].head(MAX_CAUSES).itertuples(index=False)
        causes += [_forbidden_cause(rule, row, spent=spent, catalog=catalog) for row in worst]
    return tuple(causes)


def _forbidden_cause(rule: HardRule, row: Any, *, spent: int, catalog: Catalog) -> Cause:
    value, cost = catalog.value(int(row.value_no)), int(row.cost_nusd)
    sentence = f"{value or 'no app title'}: {dollars(cost)} in the last hour; rule {rule.name!r} never allows it"
    share = min(1.0, cost / spent) if spent > 0 else 0.0
    return Cause(
        Dimension(int(row.dimension)), value, cost, share, bool(row.is_first_seen), int(row.usual_nusd), sentence
    )


def _limits(batch: FeatureBatch, keys: pd.DataFrame, *, share: float) -> list[Breach]:
    limit, remaining = keys["limit_nusd"].to_numpy(), keys["limit_remaining_nusd"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        used = 1.0 - remaining / limit
    near = (limit > 0) & (used >= share) & np.isin(keys["key_no"].to_numpy(), batch.key_no)
    rows = zip(keys["key_no"].to_numpy()[near].tolist(), limit[near].tolist(), remaining[near].tolist(), strict=True)
    return [
        Breach(no, "limit nearly used", Severity.NOTICE, Rung.NOTIFY, (_limit_cause(cap, left),))
        for no, cap, left in rows
    ]


def _limit_cause(limit: float, remaining: float) -> Cause:
    used = limit - max(remaining, 0.0)
    sentence = f"{dollars(used)} of the key's limit of {dollars(limit)} is used ({used / limit:.0%})"
    return Cause(None, "limit", round(used), used / limit, False, round(limit), sentence)
