"""Our detector learns nothing from labels, but somebody chose its parts while looking at some. Would the choice hold?

Leave one kind out: for each kind of theft the candidate that is best on all *other* kinds is taken, and judged on the kind
that had no say. Halves: the candidate that is best on one half of the keys is judged on the other one. A candidate is a
variant; what is handed in is the scorer's summary of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from detect.scorer import Summary
from detect.tuning import BUDGET

MEASURES = ("within_1h", "within_24h", "saved_alert")
DOLLARS = ("saved_alert", "saved_stop", "saved_revoke")
SLACK = 2.0
"""A candidate may raise this many times the false incidents asked for; a false revoke rules it out."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was left out, who was chosen without it (None: no candidate kept within bounds), and its row of the scorer there."""

    left_out: str
    chosen: str | None
    row: Mapping[str, float]


def is_eligible(summary: Summary, *, budget: float = BUDGET) -> bool:
    """Whether a candidate keeps within bounds: false alarms have no kind, so they count whole."""
    return bool(summary["false_incidents_per_week"] <= SLACK * budget and summary["false_revokes"] == 0)


def worth(summary: Summary, *, without: str | None = None) -> float:
    """Mean of the three measures, each kind of theft counting once; `without` one kind."""
    rows = [row for kind, row in summary["by_type"].items() if kind != without]
    return fmean(fmean(float(row[measure] or 0.0) for measure in MEASURES) for row in rows) if rows else 0.0


def best(candidates: Mapping[str, Summary], *, without: str | None = None, budget: float = BUDGET) -> str | None:
    """The eligible candidate of most worth; the first of equals."""
    eligible = [name for name, summary in candidates.items() if is_eligible(summary, budget=budget)]
    return max(eligible, key=lambda name: worth(candidates[name], without=without), default=None)


def leave_one_kind_out(candidates: Mapping[str, Summary]) -> list[Choice]:
    """One choice for each kind of theft."""
    kinds = sorted({kind for summary in candidates.values() for kind in summary["by_type"]})
    choices = []
    for kind in kinds:
        chosen = best(candidates, without=kind)
        choices.append(Choice(kind, chosen, {} if chosen is None else candidates[chosen]["by_type"][kind]))
    return choices


def across_halves(candidates: Mapping[str, Sequence[Summary]]) -> list[Choice]:
    """`candidates`: summaries by half of the keys. Each half chooses, the other one judges; a half has half of the budget."""
    n_halves = len(next(iter(candidates.values())))
    choices = []
    for judge in range(n_halves):
        chooser = (judge + 1) % n_halves
        chosen = best({name: halves[chooser] for name, halves in candidates.items()}, budget=BUDGET / n_halves)
        row = {} if chosen is None else _with_false(candidates[chosen][judge])
        choices.append(Choice(f"half {judge + 1}", chosen, row))
    return choices


def _with_false(summary: Summary) -> dict[str, float]:
    return {**summary["overall"], **{name: summary[name] for name in ("false_incidents_per_week", "false_revokes")}}


def pooled(choices: Sequence[Choice]) -> dict[str, float]:
    """The measures over all kinds left out: shares of thefts by their number, dollars by dollars."""
    rows = [choice.row for choice in choices if choice.row]
    n, usd = sum(row["n"] for row in rows), sum(row["usd"] for row in rows)
    if not rows:
        return {}
    shares = {name: sum(row[name] * row["n"] for row in rows) / n for name in ("within_1h", "within_6h", "within_24h")}
    saved = {name: sum((row[name] or 0) * row["usd"] for row in rows) / usd for name in DOLLARS}
    return {"n": n, "usd": usd, **shares, **saved}
