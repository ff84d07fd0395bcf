"""Which keys' spend changed most, and what made the difference, in dollars. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from monitor.frames import Catalog
from monitor.report.figures import KeyWeek, Mover


def explain(
    lines: Sequence[KeyWeek],
    models: tuple[pd.DataFrame, pd.DataFrame],
    apps: tuple[pd.DataFrame, pd.DataFrame] | None,
    *,
    catalog: Catalog,
) -> tuple[Mover, ...]:
    """Every key that changed, most dollars first. `models` and `apps`: `history.sums` of (this week, the week before); apps
    None where they are not known for both weeks."""
    by_model = _deltas(*models)
    by_app = _deltas(*apps) if apps is not None else {}
    found = []
    for line in lines:
        delta = line.spent_nusd - line.before_nusd
        number = catalog.known_key_no(line.key_hash)
        parts = by_model.get(-1 if number is None else number, {})
        if not delta and not any(parts.values()):
            continue
        found.append(
            Mover(
                line=line,
                delta_nusd=delta,
                models=_named(parts, catalog),
                apps=_named(by_app.get(-1 if number is None else number, {}), catalog),
            )
        )
    return tuple(sorted(found, key=lambda each: (-abs(each.delta_nusd), each.line.key_hash)))


def _deltas(now: pd.DataFrame, before: pd.DataFrame) -> dict[int, dict[int, int]]:
    """Nano-dollars more by value_no, by key_no."""
    both = pd.concat((now, before.assign(cost_nusd=-before["cost_nusd"])))
    grouped = both.groupby(["key_no", "value_no"], as_index=False, sort=True)["cost_nusd"].sum()
    deltas: dict[int, dict[int, int]] = {}
    for key_no, value_no, delta in zip(*(grouped[name].tolist() for name in grouped.columns), strict=True):
        deltas.setdefault(key_no, {})[value_no] = delta
    return deltas


def _named(parts: Mapping[int, int], catalog: Catalog) -> tuple[tuple[str, int], ...]:
    named = [(catalog.value(value_no), delta) for value_no, delta in parts.items() if delta]
    return tuple(sorted(named, key=lambda part: (-abs(part[1]), part[0])))
