"""What a flagged key spent its money on, in words and dollars: the ranked causes of a finding.

Only the few flagged keys come here, so plain Python over their EVIDENCE rows is cheap. Causes are ranked by the dollars
above what the key usually spends on the value, because that is what a person has to explain away. Values are text from
outside and stay as they are: each sink escapes for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from monitor.domain import NUSD, Cause, Dimension, Spend
from monitor.frames import Catalog

MAX_CAUSES: Final = 6
MAX_PER_DIMENSION: Final = 2
MIN_SHARE: Final = 0.05
"""A value with less than this share of the hour's dollars is no cause, unless nothing else is."""

MAX_LISTED: Final = 4

NOUNS: Final = {
    Dimension.MODEL: ("model", "models"),
    Dimension.PROVIDER: ("provider", "providers"),
    Dimension.COUNTRY: ("country", "countries"),
    Dimension.APP: ("app", "apps"),
}


@dataclass(frozen=True, slots=True)
class Used:
    """One EVIDENCE row: what a key spent the trailing hour on."""

    dimension: int
    value_no: int
    cost_nusd: int
    usual_nusd: int
    is_first_seen: bool

    @property
    def excess_nusd(self) -> int:
        """Dollars above the usual."""
        return self.cost_nusd - self.usual_nusd


def of_key(evidence: pd.DataFrame, key_no: int) -> list[Used]:
    """The EVIDENCE rows of one key, most unusual dollars first."""
    at = np.flatnonzero(evidence["key_no"].to_numpy() == key_no)
    columns = ("dimension", "value_no", "cost_nusd", "usual_nusd", "is_first_seen")
    rows = zip(*(evidence[name].to_numpy()[at].tolist() for name in columns), strict=True)
    return sorted((Used(*row) for row in rows), key=lambda used: (-used.excess_nusd, used.value_no))


def causes(used: Sequence[Used], spend: Spend, *, catalog: Catalog) -> tuple[Cause, ...]:
    """Ranked causes of one key; the first is the spend as a whole if it is above the usual. `used`: see `of_key`."""
    found = [_whole(spend)] if spend.per_hour_nusd > spend.expected_per_hour_nusd else []
    if spend.unexplained_nusd > 0:
        found.append(_unexplained(spend))
    parts = [cause for dimension in Dimension for cause in _of_dimension(used, dimension, catalog=catalog)]
    parts.sort(key=lambda cause: (-(cause.cost_nusd - cause.usual_nusd), cause.dimension or 0, cause.value))
    return tuple((found + parts)[:MAX_CAUSES])


def spend_of(row: Mapping[str, Any], *, limit_remaining_nusd: float) -> Spend:
    """One SPEND row as a value; `limit_remaining_nusd` NaN: no limit, or unknown."""
    return Spend(
        per_hour_nusd=int(row["per_hour_nusd"]),
        expected_per_hour_nusd=int(row["expected_per_hour_nusd"]),
        last_day_nusd=int(row["last_day_nusd"]),
        novel_per_hour_nusd=int(row["novel_per_hour_nusd"]),
        unexplained_nusd=int(row["unexplained_nusd"]),
        limit_remaining_nusd=None if np.isnan(limit_remaining_nusd) else int(limit_remaining_nusd),
    )


def dollars(nusd: float) -> str:
    """Money for people: cents where they matter, none where they do not."""
    usd = nusd / NUSD
    if usd >= 100:
        return f"${usd:,.0f}"
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else "less than a cent"


def _whole(spend: Spend) -> Cause:
    now, usual = spend.per_hour_nusd, spend.expected_per_hour_nusd
    times = f", {now / usual:,.0f} times as much" if usual > 0 and now >= 2 * usual else ""
    sentence = f"{dollars(now)} in the last hour; usual {dollars(usual)} at this hour{times}"
    return Cause(None, "spend", now, 1.0, False, usual, sentence)


def _unexplained(spend: Spend) -> Cause:
    cost = spend.unexplained_nusd
    sentence = f"{dollars(cost)} of it shows in the key's counter only: what it was spent on is not known yet"
    return Cause(None, "unexplained", cost, _share(cost, spend.per_hour_nusd), False, 0, sentence)


def _share(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0


def _of_dimension(used: Sequence[Used], dimension: Dimension, *, catalog: Catalog) -> list[Cause]:
    """The values of one dimension that make its dollars unusual; many first-seen ones are told in one sentence."""
    own = [one for one in used if one.dimension == dimension]
    total = sum(one.cost_nusd for one in own)
    if total <= 0:
        return []
    new = [one for one in own if one.is_first_seen]
    old = [one for one in own if not one.is_first_seen and one.excess_nusd > 0 and one.cost_nusd >= MIN_SHARE * total]
    if len(new) > MAX_PER_DIMENSION:
        many = _many_new(new, dimension, total=total, catalog=catalog)
        return [many, *(_one(one, dimension, total=total, catalog=catalog) for one in old[: MAX_PER_DIMENSION - 1])]
    ranked = sorted(new + old, key=lambda one: (-one.excess_nusd, one.value_no))[:MAX_PER_DIMENSION]
    return [_one(one, dimension, total=total, catalog=catalog) for one in ranked]


def _one(used: Used, dimension: Dimension, *, total: int, catalog: Catalog) -> Cause:
    value, cost = catalog.value(used.value_no), used.cost_nusd
    share = _share(cost, total)
    habit = "never used by this key before" if used.is_first_seen else f"usual {dollars(used.usual_nusd)}/h"
    what = f"{NOUNS[dimension][0]} {value}" if value else "requests without an app title"
    sentence = f"{share:.0%} of {dollars(total)}/h is {what}, {habit}"
    return Cause(dimension, value, cost, share, used.is_first_seen, used.usual_nusd, sentence)


def _many_new(new: Sequence[Used], dimension: Dimension, *, total: int, catalog: Catalog) -> Cause:
    cost, usual = sum(one.cost_nusd for one in new), sum(one.usual_nusd for one in new)
    values = [catalog.value(one.value_no) or "no title" for one in new[:MAX_LISTED]]
    more = f" and {len(new) - MAX_LISTED} more" if len(new) > MAX_LISTED else ""
    share = _share(cost, total)
    sentence = (
        f"{share:.0%} of {dollars(total)}/h is on {len(new)} {NOUNS[dimension][1]} never used by this key before: "
        f"{', '.join(values)}{more}"
    )
    return Cause(dimension, values[0], cost, share, True, usual, sentence)
