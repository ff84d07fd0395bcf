"""Tables of what was measured, in Markdown that also reads well on a screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

from detect import choose, scorer
from detect.run import FROM_HISTORY, OURS, Run
from detect.scorer import Summary
from detect.variants import AS_SHIPPED

COLUMNS = (
    ("within_1h", "1 h"),
    ("within_6h", "6 h"),
    ("within_24h", "24 h"),
    ("saved_alert", "$ alert"),
    ("saved_alert_60m", "$ +60 min"),
    ("saved_stop", "$ stop"),
    ("saved_revoke", "$ revoke"),
)
"""Shares, of thefts detected and of dollars saved."""

_FALSE = "false_incidents_per_week"

NOTES = (
    "Shares in percent: thefts detected within 1, 6 and 24 hours of their first bucket; the thief's dollars saved if somebody",
    "acts at the alert, an hour later, or if only caps and revokes count. False incidents a week for the fleet. The seconds are",
    "of CPU for the days of the recording, fitting and tuning included; the peak is of the process, the recording in it.",
    "Thresholds: `clean history` is all that a user has; `labels (!)` was set on the days it is judged on, for at most",
    "5 false a week, and flatters; `as given` by authors or textbook. Ours: mean (range) over seeds; its history tunes it.",
    "A key limit that is reached counts as a revoke, until the thief's end, though it is lifted at midnight UTC.",
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with columns of one width, text to the left and numbers to the right."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[no]) for row in cells) for no in range(len(header))]
    aligned = [
        [
            text.ljust(width) if no == 0 else text.rjust(width)
            for no, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
    rule = ["-" * width if no == 0 else "-" * (width - 1) + ":" for no, width in enumerate(widths)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (aligned[0], rule, *aligned[1:]))


def percent(values: Sequence[float | None]) -> str:
    """Shares as a percentage; of several the mean and the range."""
    known = [100 * value for value in values if value is not None]
    return spread(known)


def spread(known: Sequence[float], *, digits: int = 0) -> str:
    """A number, or the mean of several and their range."""
    if not known:
        return "-"
    low, high = (f"{edge(known):.{digits}f}" for edge in (min, max))
    mean = f"{fmean(known):.{digits}f}"
    return mean if low == high else f"{mean} ({low}-{high})"


def by_detector(runs: Iterable[Run]) -> dict[tuple[str, str], list[list[Run]]]:
    """Runs by name and origin of the threshold, then by seed: the recordings that are counted together."""
    found: dict[tuple[str, str], dict[int, list[Run]]] = {}
    for run in runs:
        found.setdefault((run.name, run.how), {}).setdefault(run.seed, []).append(run)
    ordered = sorted(found, key=lambda one: (one[1] != OURS, one[0] != AS_SHIPPED and one[1] == OURS))
    return {one: [group for _, group in sorted(found[one].items())] for one in ordered}


def summaries(judge: ModuleType, groups: Sequence[Sequence[Run]]) -> list[Summary]:
    """One for each seed, over its recordings."""
    return [scorer.summary(judge, [run.judged for run in group]) for group in groups]


def comparison(judge: ModuleType, runs: Iterable[Run]) -> str:
    """One row a detector and origin of its threshold."""
    header = [
        "detector",
        "threshold from",
        "threshold",
        *(title for _, title in COLUMNS),
        "false/week",
        "false revokes",
        "s",
        "MB",
    ]
    rows = []
    for (name, how), groups in by_detector(runs).items():
        found = summaries(judge, groups)
        flat = [run for group in groups for run in group]
        levels = sorted({run.threshold for run in flat if run.threshold is not None})
        rows.append(
            [
                f"ours, {name}" if how == OURS else name,
                "clean history" if how == OURS else how,
                "-"
                if not levels
                else f"{levels[0]:.3g}"
                if len(levels) == 1
                else f"{levels[0]:.3g} to {levels[-1]:.3g}",
                *(percent([summary["overall"][column] for summary in found]) for column, _ in COLUMNS),
                spread([summary["false_incidents_per_week"] for summary in found], digits=1),
                spread([float(summary["false_revokes"]) for summary in found]),
                f"{fmean(run.seconds for run in flat):.1f}",
                f"{max(run.peak_mb for run in flat):.0f}",
            ]
        )
    return table(header, rows)


def kinds(judge: ModuleType, runs: Sequence[Run]) -> str:
    """The scorer's table of one detector by kind of theft; mean and range over seeds."""
    found = [summary for groups in by_detector(runs).values() for summary in summaries(judge, groups)]
    rows = [["all", found[0]["overall"]["n"], [one["overall"] for one in found]]]
    rows += [[kind, row["n"], [one["by_type"][kind] for one in found]] for kind, row in found[0]["by_type"].items()]
    shown = [
        [kind, str(n), *(percent([one[column] for one in each]) for column, _ in COLUMNS)] for kind, n, each in rows
    ]
    return table(["kind of theft", "n", *(title for _, title in COLUMNS)], shown)


def kinds_across(judge: ModuleType, runs: Iterable[Run], *, column: str = "within_24h") -> str:
    """One column of every detector by kind of theft, thresholds from clean history."""
    fair = [run for run in runs if run.how in (OURS, FROM_HISTORY)]
    found = {name: summaries(judge, groups) for (name, _), groups in by_detector(fair).items()}
    names = sorted({kind for each in found.values() for kind in each[0]["by_type"]})
    rows = [
        [name, *(percent([one["by_type"][kind][column] for one in each]) for kind in names)]
        for name, each in found.items()
    ]
    return table(["detector", *(kind.replace("_", " ") for kind in names)], rows)


def choices(found: Sequence[choose.Choice]) -> str:
    """What was chosen without each kind, and how it does on it."""
    shown = [column for column in COLUMNS if column[0] != "saved_alert_60m"]
    rows = [
        [
            choice.left_out,
            f"{choice.row['n']:.0f}" if choice.row else "-",
            choice.chosen or "nobody keeps within bounds",
            *(percent([choice.row.get(column)]) for column, _ in shown),
            spread([choice.row[_FALSE]] if _FALSE in choice.row else [], digits=1),
        ]
        for choice in found
    ]
    return table(["left out", "n", "chosen on the rest", *(title for _, title in shown), "false/week"], rows)


def report(judge: ModuleType, runs: Sequence[Run], folder: Path) -> str:
    """Everything that was measured, as one Markdown text."""
    here = [run for run in runs if run.folder == folder]
    elsewhere = [run for run in runs if run.folder != folder]
    ours = [run for run in here if run.how == OURS]
    shipped = [run for run in ours if run.name == AS_SHIPPED]
    compared = [run for run in here if run.how != OURS or run.name == AS_SHIPPED]
    parts: list[tuple[str, str]] = [
        (f"Comparison on {folder.name}", "\n".join([comparison(judge, compared), "", *NOTES]))
    ]
    if shipped:
        parts.append((f"Ours by kind of theft on {folder.name}", kinds(judge, shipped)))
    parts.append(
        ("Within 24 hours by kind of theft, percent; thresholds from clean history", kinds_across(judge, compared))
    )
    if ours:
        seed = min(run.seed for run in ours)
        one_seed = [run for run in ours if run.seed == seed]
        parts.append((f"Parts left out, seed {seed}", comparison(judge, one_seed)))
        parts += _choosing(judge, one_seed)
    if elsewhere:
        names = ", ".join(sorted({run.folder.name for run in elsewhere}))
        parts.append((f"Comparison on {names} together", comparison(judge, elsewhere)))
        parts.append(("By kind there, within 24 hours", kinds_across(judge, elsewhere)))
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts) + "\n"


def _choosing(judge: ModuleType, ours: Sequence[Run]) -> list[tuple[str, str]]:
    candidates = {run.name: scorer.summary(judge, [run.judged]) for run in ours}
    halves = {run.name: [scorer.summary(judge, [half]) for half in run.halves] for run in ours}
    by_kind = choose.leave_one_kind_out(candidates)
    together = choose.Choice("all kinds, each left out", "as above", choose.pooled(by_kind))
    return [
        ("Leave one kind of theft out", choices([*by_kind, together])),
        ("Chosen on half of the keys, judged on the other", choices(choose.across_halves(halves))),
    ]


def as_json(judge: ModuleType, runs: Iterable[Run]) -> list[dict[str, Any]]:
    """One object a run, with the scorer's summary. No key names: they come from outside and say nothing here."""
    found = []
    for run in runs:
        summary: Mapping[str, Any] = scorer.summary(judge, [run.judged])
        found.append(
            {
                "name": run.name,
                "threshold_from": run.how,
                "threshold": run.threshold if run.threshold is None or abs(run.threshold) < float("inf") else None,
                "recording": run.folder.name,
                "seed": run.seed,
                "cpu_s": round(run.seconds, 1),
                "peak_mb": round(run.peak_mb),
                **{name: value for name, value in summary.items() if name != "falsely_revoked"},
            }
        )
    return found
