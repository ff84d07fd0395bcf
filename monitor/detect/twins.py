"""Benign twins in words, and how they soften a finding: a notice, never a disable, where they explain it and no further.

A softened finding stays a finding: it is told, in a milder voice. And a thief shall not hide: a twin is claimed only where the
broken habits are exactly its own (features/twins.py), it must explain the unusual dollars, and what is dear stays loud.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from monitor.detect.habits import dollars
from monitor.domain import NUSD, TWIN, Cause, Finding, Rung, Severity, Twin
from monitor.frames import Catalog, Vectors

ENOUGH: Final = 0.8
"""Share of the unusual dollars that the twin must explain."""

WORTH_NOTING: Final = 0.3
"""Share of the unusual dollars from which the likeness is named at all."""

MOST_NUSD: Final = 50 * NUSD
MOST_TIMES: Final = 20.0
"""Unusual dollars an hour, and times the usual, above which a finding stays as loud as it is."""

FLEET_WIDE: Final = frozenset({Twin.FAILOVER, Twin.PRICE})
"""Other keys bear witness: what is dear may be softened, too."""

WORDS: Final[Mapping[Twin, Callable[[str, int], str]]] = {
    Twin.FAILOVER: lambda value, n: f"a provider failover: same models through {value} also on {n} other keys",
    Twin.PRICE: lambda value, n: f"a price change: {value} is dearer on {n} other keys, too, and used as much as ever",
    Twin.COMMON: lambda value, n: f"news for many: {value or 'no app title'} is new on {n} other keys, too",
    Twin.MIGRATION: lambda value, _: f"a migration: {value} takes the place of what was used before, all else as usual",
    Twin.REGION: lambda value, _: f"a new region or a trip: only the country {value} is new, all else is as usual",
    Twin.EXPERIMENT: lambda value, _: f"an experiment: {value} for little money, from the usual places at a usual hour",
    Twin.CATCH_UP: lambda *_: "catching up after a pause: the usual things, and the day as a whole is as usual",
    Twin.BATCH: lambda *_: "a batch run or a backfill: the usual models, places and apps, only more of it",
    Twin.GROWTH: lambda *_: "growth or a launch: the usual models, places and apps, only more of it for hours",
}


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a finding looks like: `note` says it; `explained_nusd` of the trailing hour's dollars."""

    kind: Twin
    explained_nusd: int
    note: str


def of_key(twins: Vectors, key_no: int, *, catalog: Catalog) -> Likeness | None:
    """What the key looks like by frames.TWINS; None: like no twin."""
    at = np.flatnonzero(twins["key_no"] == key_no)
    if not len(at):
        return None
    kind, explained, value_no, n_others = (
        int(twins[name][at[0]]) for name in ("kind", "explained_nusd", "value_no", "n_others")
    )
    value = catalog.value(value_no) if value_no >= 0 else ""
    return Likeness(Twin(kind), explained, WORDS[Twin(kind)](value, n_others))


def explains(likeness: Likeness, *, unusual_nusd: int) -> bool:
    """Whether the twin accounts for nearly all that is unusual."""
    return likeness.explained_nusd >= ENOUGH * unusual_nusd


def note(likeness: Likeness | None, *, unusual_nusd: int) -> tuple[Cause, ...]:
    """The twin as a cause among the others; nothing where there is none, or where it accounts for little."""
    if likeness is None or likeness.explained_nusd < WORTH_NOTING * unusual_nusd:
        return ()
    cost = min(likeness.explained_nusd, unusual_nusd) if unusual_nusd > 0 else likeness.explained_nusd
    part = cost / unusual_nusd if unusual_nusd > 0 else 1.0
    whole = explains(likeness, unusual_nusd=unusual_nusd)
    said = f"looks like {likeness.note}" if whole else f"{dollars(cost)}/h of it looks like {likeness.note}"
    return (Cause(None, TWIN, cost, part, False, 0, said, twin=likeness.kind),)


def softened(finding: Finding, likeness: Likeness | None, *, unusual_nusd: int) -> Finding:
    """The finding as it deserves: told, and no more than that, where the twin explains it; a notice where it is not dear."""
    if likeness is None or not explains(likeness, unusual_nusd=unusual_nusd):
        return finding
    mild = replace(finding, rung=min(finding.rung, Rung.NOTIFY))
    usual = finding.spend.expected_per_hour_nusd
    is_dear = unusual_nusd > MOST_NUSD or (usual > 0 and finding.spend.per_hour_nusd > MOST_TIMES * usual)
    if is_dear and likeness.kind not in FLEET_WIDE:
        return mild
    return replace(mild, severity=min(mild.severity, Severity.NOTICE))
