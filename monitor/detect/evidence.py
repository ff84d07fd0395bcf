"""What a flagged key spent its money on, in words and dollars: the ranked causes of a finding.

Only the few flagged keys come here, so plain Python over their EVIDENCE rows is cheap. Causes are ranked by the dollars
above what the key usually spends on the value, because that is what a person has to explain away. Values are text from
outside and stay as they are: each sink escapes for itself.
"""

from __future__ import annotations

from typing import Any, Final

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


def causes(rows: pd.DataFrame, spend: Spend, *, catalog: Catalog) -> tuple[Cause, ...]:
    """Ranked causes of one key. `rows`: its EVIDENCE; the first cause is the spend as a whole if it is above the usual."""
    found = [_whole(spend)] if spend.per_hour_nusd > spend.expected_per_hour_nusd else []
    if spend.unexplained_nusd > 0:
        found.append(_unexplained(spend))
    parts = [cause for dimension in Dimension for cause in _of_dimension(rows, dimension, catalog=catalog)]
    parts.sort(key=lambda cause: (-(cause.cost_nusd - cause.usual_nusd), cause.dimension or 0, cause.value))
    return tuple((found + parts)[:MAX_CAUSES])


def spend_of(row: Any, *, limit_remaining_nusd: float) -> Spend:
    """One SPEND row (a named tuple) as a value; `limit_remaining_nusd` NaN: no limit, or unknown."""
    return Spend(
        per_hour_nusd=int(row.per_hour_nusd),
        expected_per_hour_nusd=int(row.expected_per_hour_nusd),
        last_day_nusd=int(row.last_day_nusd),
        novel_per_hour_nusd=int(row.novel_per_hour_nusd),
        unexplained_nusd=int(row.unexplained_nusd),
        limit_remaining_nusd=None if pd.isna(limit_remaining_nusd) else int(limit_remaining_nusd),
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


def _of_dimension(rows: pd.DataFrame, dimension: Dimension, *, catalog: Catalog) -> list[Cause]:
    """The values of one dimension that make its dollars unusual; many first-seen ones are told in one sentence."""
    own = rows[rows["dimension"] == int(dimension)]
    total = int(own["cost_nusd"].sum())
    if total <= 0:
        return []
    ranked = own.assign(excess=own["cost_nusd"] - own["usual_nusd"])
    ranked = ranked[(ranked["excess"] > 0) & (ranked["cost_nusd"] >= MIN_SHARE * total) | ranked["is_first_seen"]]
    ranked = ranked.sort_values(["excess", "value_no"], ascending=[False, True])
    new = ranked[ranked["is_first_seen"]]
    if len(new) > MAX_PER_DIMENSION:
        old = ranked[~ranked["is_first_seen"]].head(MAX_PER_DIMENSION - 1)
        return [
            _many_new(new, dimension, total=total, catalog=catalog),
            *_each(old, dimension, total=total, catalog=catalog),
        ]
    return _each(ranked.head(MAX_PER_DIMENSION), dimension, total=total, catalog=catalog)


def _each(rows: pd.DataFrame, dimension: Dimension, *, total: int, catalog: Catalog) -> list[Cause]:
    return [_one(row, dimension, total=total, catalog=catalog) for row in rows.itertuples(index=False)]


def _one(row: Any, dimension: Dimension, *, total: int, catalog: Catalog) -> Cause:
    cost, usual, is_new = int(row.cost_nusd), int(row.usual_nusd), bool(row.is_first_seen)
    value = catalog.value(int(row.value_no))
    share = _share(cost, total)
    habit = "never used by this key before" if is_new else f"usual {dollars(usual)}/h"
    what = f"{NOUNS[dimension][0]} {value}" if value else "requests without an app title"
    return Cause(dimension, value, cost, share, is_new, usual, f"{share:.0%} of {dollars(total)}/h is {what}, {habit}")


def _many_new(rows: pd.DataFrame, dimension: Dimension, *, total: int, catalog: Catalog) -> Cause:
    cost = int(rows["cost_nusd"].sum())
    values = [catalog.value(int(no)) or "no title" for no in rows["value_no"].head(MAX_LISTED)]
    more = f" and {len(rows) - MAX_LISTED} more" if len(rows) > MAX_LISTED else ""
    share = _share(cost, total)
    sentence = (
        f"{share:.0%} of {dollars(total)}/h is on {len(rows)} {NOUNS[dimension][1]} never used by this key before: "
        f"{', '.join(values)}{more}"
    )
    return Cause(dimension, values[0], cost, share, True, int(rows["usual_nusd"].sum()), sentence)
