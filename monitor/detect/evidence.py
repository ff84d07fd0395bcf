"""What a flagged key spent its money on, in words and dollars: the ranked causes of a finding.

Only the few flagged keys come here, so plain Python over their EVIDENCE rows is cheap. Causes are ranked by the credit their
habit has in the score (detect/explain.py) and by the dollars above the usual, because that is what a person has to explain
away. The first cause says it all in one sentence. Values are text from outside and stay as they are: each sink escapes for
itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from monitor.detect import habits
from monitor.detect.habits import Habits, Part, dollars
from monitor.domain import Cause, Dimension, Spend
from monitor.frames import Catalog, Vectors
from monitor.wording import share

MAX_CAUSES: Final = 7
MAX_PER_DIMENSION: Final = 2
MIN_SHARE: Final = 0.05
"""A value with less than this share of the hour's dollars is no cause, unless nothing else is."""

MIN_CREDIT: Final = 0.03
"""A habit that explains less of the score than this is not in the leading sentence."""

MAX_PHRASES: Final = 3
MUCH: Final = 0.25
"""Share of the hour's dollars from which a model the key never used is named first."""

MAX_LISTED: Final = 4
ENUMERATES: Final = 5
"""First-seen models in an hour from which the cause is that models are tried."""

FAMILIAR: Final = 0.05
"""Weight of dollars on a familiar value beside novel ones (1) of the same dimension, where they share its credit."""

NOUNS: Final = {
    Dimension.MODEL: ("model", "models"),
    Dimension.PROVIDER: ("provider", "providers"),
    Dimension.COUNTRY: ("country", "countries"),
    Dimension.APP: ("app", "apps"),
}
VERBS: Final = {
    Dimension.MODEL: "is",
    Dimension.PROVIDER: "goes through",
    Dimension.COUNTRY: "comes from",
    Dimension.APP: "is by",
}


@dataclass(frozen=True, slots=True)
class Used:
    """One EVIDENCE row: what a key spent the trailing hour on."""

    dimension: int
    value_no: int
    cost_nusd: int
    usual_nusd: int
    is_first_seen: bool
    novelty: float = 0.0

    @property
    def excess_nusd(self) -> int:
        """Dollars above the usual."""
        return self.cost_nusd - self.usual_nusd


def of_key(evidence: Vectors, key_no: int) -> list[Used]:
    """The EVIDENCE rows of one key, most unusual dollars first."""
    at = np.flatnonzero(evidence["key_no"] == key_no)
    columns = ("dimension", "value_no", "cost_nusd", "usual_nusd", "is_first_seen", "novelty")
    rows = zip(*(evidence[name][at].tolist() for name in columns), strict=True)
    return sorted((Used(*row) for row in rows), key=lambda used: (-used.excess_nusd, used.value_no))


def causes(
    used: Sequence[Used],
    spend: Spend,
    *,
    catalog: Catalog,
    kept: Habits | None = None,
    credit: Mapping[str, float] | None = None,
    notes: Sequence[Cause] = (),
) -> tuple[Cause, ...]:
    """Ranked causes of one key; the first says it in one sentence, `notes` come right after it. `used`: see `of_key`.

    `kept`: what the key's habits say of the hour; `credit`: share of the score by group (`explain.GROUPS`), where known."""
    parts = [part for dimension in Dimension for part in _of_dimension(used, dimension, catalog=catalog)]
    parts += habits.parts(spend, kept or Habits())
    ranked = _ranked(parts, credit or {})
    unexplained = [_unexplained(spend)] if spend.unexplained_nusd > 0 else []
    found = [_lead(ranked, spend), *notes, *unexplained, *(part.cause for part in ranked)]
    return tuple(found[:MAX_CAUSES])


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


def _ranked(parts: Sequence[Part], credit: Mapping[str, float]) -> list[Part]:
    """The parts with their credit, most first; what several parts of one group share goes by their weight."""
    total: dict[str, float] = {}
    for part in parts:
        total[part.group] = total.get(part.group, 0.0) + part.weight
    told = [_credited(part, credit.get(part.group, 0.0) * part.weight / total[part.group]) for part in parts]
    return sorted(told, key=lambda part: (-part.cause.credit, -_excess(part), part.cause.dimension or 0, part.phrase))


def _credited(part: Part, credit: float) -> Part:
    return replace(part, cause=replace(part.cause, credit=round(credit, 3)))


def _excess(part: Part) -> int:
    return max(part.cause.cost_nusd - part.cause.usual_nusd, 0)


def _lead(ranked: Sequence[Part], spend: Spend) -> Cause:
    """The whole finding in one sentence: how much on what, the habits broken, and what is usual."""
    chosen = sorted(_chosen(ranked), key=lambda part: not part.has_dollars)
    now, usual = spend.per_hour_nusd, spend.expected_per_hour_nusd
    phrases = [part.phrase for part in chosen]
    if not chosen or not chosen[0].has_dollars:
        phrases.insert(0, f"{dollars(now)}/h")
    phrases.append(f"usual {dollars(usual)}/h at this hour" if usual > 0 else "usually nothing at this hour")
    told = round(sum(part.cause.credit for part in chosen), 3)
    return Cause(None, "spend", now, 1.0, False, usual, "; ".join(phrases), told)


def _chosen(ranked: Sequence[Part]) -> list[Part]:
    """The few parts that the leading sentence names, one a habit: the strongest, and in any case a model that takes much of
    the money. Where a new model is named, its providers are not: they come with it."""
    has_credit = any(part.cause.credit > 0 for part in ranked)
    told = [part for part in ranked if part.phrase and (not has_credit or part.cause.credit >= MIN_CREDIT)]
    groups = [part.group for part in told]
    strong = [part for no, part in enumerate(told) if groups.index(part.group) == no]
    model = next((part for part in strong if part.is_new_model and part.cause.share >= MUCH), None)
    if model is not None:
        strong = [part for part in strong if part.group != "provider"]
        if model not in strong[:MAX_PHRASES]:
            return [*strong[: MAX_PHRASES - 1], model]
    return strong[:MAX_PHRASES]


def _unexplained(spend: Spend) -> Cause:
    cost = spend.unexplained_nusd
    sentence = f"{dollars(cost)} of it shows in the key's counter only: what it was spent on is not known yet"
    return Cause(None, "unexplained", cost, _share(cost, spend.per_hour_nusd), False, 0, sentence)


def _share(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0


def _of_dimension(used: Sequence[Used], dimension: Dimension, *, catalog: Catalog) -> list[Part]:
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


def _one(used: Used, dimension: Dimension, *, total: int, catalog: Catalog) -> Part:
    value, cost = catalog.value(used.value_no), used.cost_nusd
    part, noun = _share(cost, total), NOUNS[dimension][0]
    usual = f"usual {dollars(used.usual_nusd)}/h"
    what = f"{VERBS[dimension]} {noun} {value}" if value else "is requests without an app title"
    habit = "never used by this key before" if used.is_first_seen else usual
    sentence = f"{part:.0%} of {dollars(total)}/h {what}, {habit}"
    of = f" of {dollars(total)}/h" if dimension is Dimension.MODEL else ""
    short = f"{VERBS[dimension]} {value}" if value else "is requests without an app title"
    return Part(
        noun,
        Cause(dimension, value, cost, part, used.is_first_seen, used.usual_nusd, sentence),
        f"{share(part)}{of} {short}, {_never(dimension) if used.is_first_seen else usual}",
        weight=max(used.excess_nusd, 1) * (used.novelty + FAMILIAR),
        has_dollars=dimension is Dimension.MODEL,
    )


def _many_new(new: Sequence[Used], dimension: Dimension, *, total: int, catalog: Catalog) -> Part:
    cost, usual = sum(one.cost_nusd for one in new), sum(one.usual_nusd for one in new)
    values = [catalog.value(one.value_no) or "no title" for one in new[:MAX_LISTED]]
    more = f" and {len(new) - MAX_LISTED} more" if len(new) > MAX_LISTED else ""
    part = _share(cost, total)
    listed, (noun, nouns) = f"{', '.join(values)}{more}", NOUNS[dimension]
    sentence = f"{part:.0%} of {dollars(total)}/h is on {len(new)} {nouns} never used by this key before: {listed}"
    is_model = dimension is Dimension.MODEL
    phrase = f"{len(new)} {nouns} {_never(dimension)} ({listed})"
    if is_model:
        phrase = f"{share(part)} of {dollars(total)}/h is on {phrase}"
        if len(new) >= ENUMERATES:
            noun, phrase = "enumeration", f"{phrase}, tried within the hour"
    return Part(
        noun,
        Cause(dimension, values[0], cost, part, True, usual, sentence),
        phrase,
        weight=sum(max(one.excess_nusd, 1) * (one.novelty + FAMILIAR) for one in new),
        has_dollars=is_model,
    )


def _never(dimension: Dimension) -> str:
    return {Dimension.MODEL: "never used by this key", Dimension.COUNTRY: "never seen"}.get(dimension, "never used")
