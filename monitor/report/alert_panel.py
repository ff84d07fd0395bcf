"""One panel of an alert's picture: areas by model over time, the usual range, the incident and what was done. Pure.

Text from outside never reaches it: what it writes are times and dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from monitor.domain import BUCKET_S, HOUR_S, NUSD
from monitor.report.alert_chart import MOST_MARKS, Band, Bools, Chart, Floats, Ints, Mark, dearest, gaps
from monitor.wording import money

GROUND, INK, PALE = "#ffffff", "#1d2330", "#5b6472"
COLORS: Final = ("#b3402a", "#1f6fb2", "#2a9179", "#c58a1b", "#7a5aa6")
"""Of models, most dollars first: told apart also by those who see no red and green, and in gray."""

OTHERS, USUAL, USUAL_SHADE = "#9aa1ab", "#1d2330", "#d9dbdf"
_INCIDENT, _GAP = "#fbe3dd", "#e8eaee"
_DAY_S: Final = 86_400
_MOST_DAYS: Final = 8
_MOST_HOURS: Final = 6


@dataclass(frozen=True, slots=True)
class Panel:
    """`starts_s`: of its buckets, each `step_s` long; `stack`: dollars an hour, a row for each band; the others as in `Chart`."""

    starts_s: Ints
    step_s: int
    stack: Ints
    low_nusd: Floats
    high_nusd: Floats
    is_known: Bools
    n_ticks: int

    @property
    def ends(self) -> tuple[float, float]:
        """Its first and last moment."""
        return float(self.starts_s[0]), float(self.starts_s[-1] + self.step_s)


def week(shown: Chart) -> Panel:
    """All hours of the chart."""
    stack = np.stack([band.cost_nusd for band in shown.bands]) if shown.bands else np.zeros((0, len(shown.hours_s)))
    return Panel(
        shown.hours_s, HOUR_S, stack.astype(np.int64), shown.low_nusd, shown.high_nusd, shown.is_known,
        n_ticks=4 if shown.close is None else 2,
    )  # fmt: skip


def close(shown: Chart) -> Panel | None:
    """The close-up, with the usual range of each bucket's hour."""
    if shown.close is None or not len(shown.close.starts_s):
        return None
    starts_s = shown.close.starts_s
    of_hour = (starts_s - shown.hours_s[0]) // HOUR_S
    low, high = shown.low_nusd[of_hour], shown.high_nusd[of_hour]
    return Panel(starts_s, BUCKET_S, shown.close.rates_nusd, low, high, shown.is_known[of_hour], n_ticks=4)


def draw(axes: Axes, panel: Panel, shown: Chart, *, is_told: bool, marks: Sequence[Mark]) -> None:
    """`is_told`: the onset with its words; `marks`: those that are told here, all others are lines alone."""
    _frame(axes, panel)
    _ground(axes, panel, shown)
    _areas(axes, panel, shown.bands)
    _usual(axes, panel)
    if is_told:
        _tell(axes, shown.onset_at, f"began {_clock(shown.onset_at)}{_peak(shown)}", row=0, color=COLORS[0])
    for mark in shown.marks[-MOST_MARKS:]:
        if _is_inside(panel, mark.at):
            axes.axvline(mark.at.timestamp(), color=INK, linewidth=1.6, zorder=4)
    for no, mark in enumerate(marks[-MOST_MARKS:], start=1):
        _tell(axes, mark.at, f"{mark.said} {_clock(mark.at)}", row=no if is_told else no - 1, color=INK)


def contains(panel: Panel | None, mark: Mark) -> bool:
    """Whether the panel shows the time of the mark."""
    return panel is not None and _is_inside(panel, mark.at)


def _is_inside(panel: Panel, at: datetime) -> bool:
    first, last = panel.ends
    return first <= at.timestamp() <= last


def _frame(axes: Axes, panel: Panel) -> None:
    first, last = panel.ends
    spent = panel.stack.sum(axis=0)
    highest = max(int(spent.max(initial=0)), int(np.nan_to_num(panel.high_nusd).max(initial=0)), NUSD // 100)
    axes.set_xlim(first, last + (last - first) / 100)  # the newest bucket must not lie on the edge
    axes.set_ylim(0, highest * 1.08)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PALE)
    axes.tick_params(length=0, pad=5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=panel.n_ticks, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda nusd, _: money(round(nusd)).removesuffix(".00")))
    axes.grid(axis="y", color=_GAP, linewidth=1)
    axes.set_axisbelow(True)
    axes.set_xticks(*_times(first, last), ha="left")


def _times(first: float, last: float) -> tuple[list[int], list[str]]:
    """Where the axis has words, and which: days in a week, hours in a close-up."""
    is_hours = last - first <= 1.1 * _DAY_S
    n_hours = next((each for each in (1, 2, 4, 6) if (last - first) / (each * HOUR_S) <= _MOST_HOURS), 6)
    step_s = n_hours * HOUR_S if is_hours else _DAY_S
    at = np.arange(-(-int(first) // step_s) * step_s, int(last), step_s)
    at = at[at < last - (last - first) / 14]
    at = at if is_hours else at[:: max(1, -(-len(at) // _MOST_DAYS))]
    moments = [datetime.fromtimestamp(int(each), tz=UTC) for each in at]
    if is_hours:
        return at.tolist(), [f"{each:%H:%M}" for each in moments]
    is_week = last - first <= _MOST_DAYS * _DAY_S
    return at.tolist(), [f"{each:%a}" if is_week else f"{each.day} {each:%b}" for each in moments]


def _ground(axes: Axes, panel: Panel, shown: Chart) -> None:
    """The incident and the hours nobody knows of, behind everything."""
    for first, last in gaps(panel.is_known):
        end = float(panel.starts_s[last - 1] + panel.step_s)
        axes.axvspan(float(panel.starts_s[first]), end, color=_GAP, linewidth=0, zorder=0)
    left, right = axes.get_xlim()
    begin = max(shown.onset_at.timestamp(), left)
    end = max(begin + (right - left) / 150, min(shown.last_seen_at.timestamp(), right))  # minutes must be seen
    axes.axvspan(begin, end, color=_INCIDENT, linewidth=0, zorder=0.5)
    axes.axvline(begin, color=COLORS[0], linewidth=1.6, linestyle=(0, (4, 3)), zorder=4)


def _peak(shown: Chart) -> str:
    """The dearest hour of the incident: a bar of minutes is too thin to be read off."""
    peak = dearest(shown)
    return "" if peak is None else f"\nup to {money(peak)}{' an hour' if shown.close is None else '/h'}"


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M} UTC"


def _tell(axes: Axes, at: datetime, said: str, *, row: int, color: str) -> None:
    """Words beside a line, on the side that has room, in a row of their own, so that none covers another."""
    left, right = axes.get_xlim()
    x = min(max(at.timestamp(), left), right)
    is_late = x > left + (right - left) * 0.6
    axes.annotate(
        said, (x, axes.get_ylim()[1]), (-6 if is_late else 6, -2 - (20 + 20 * row if row else 0)),
        textcoords="offset points", ha="right" if is_late else "left", va="top", color=color, fontweight="bold", zorder=6,
        bbox={"facecolor": GROUND, "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
    )  # fmt: skip


def _areas(axes: Axes, panel: Panel, bands: tuple[Band, ...]) -> None:
    """Areas upon one another, level within each bucket."""
    edges = _edges(panel)
    floor = np.zeros(len(edges))
    for costs, color in zip(panel.stack.astype(np.float64), colors(bands), strict=True):
        top = floor + np.append(costs, costs[-1:])
        is_there = np.append(costs > 0, False) | np.append(False, costs > 0)
        thin = 1.5 if color == COLORS[0] else 0  # an hour is two pixels wide on a telephone: the dearest must be seen
        axes.fill_between(edges, floor, top, where=is_there, step="post", color=color, linewidth=thin, zorder=2)
        floor = top


def _usual(axes: Axes, panel: Panel) -> None:
    """The usual range: a shade, and its upper edge as a line."""
    edges = _edges(panel)
    low, high = (np.append(each, each[-1:]) for each in (panel.low_nusd, panel.high_nusd))
    axes.fill_between(edges, low, high, step="post", color=USUAL_SHADE, linewidth=0, zorder=1)
    axes.plot(edges, high, drawstyle="steps-post", color=GROUND, linewidth=3.2, zorder=3.4)
    axes.plot(edges, high, drawstyle="steps-post", color=USUAL, linewidth=1.4, zorder=3.5)


def _edges(panel: Panel) -> Floats:
    return np.append(panel.starts_s, panel.starts_s[-1:] + panel.step_s).astype(np.float64)


def colors(bands: tuple[Band, ...]) -> list[str]:
    """From below, as the bands are."""
    n_named = sum(band.model is not None for band in bands)
    named = [COLORS[no] for no in range(n_named)][::-1]
    return [OTHERS] * (len(bands) - n_named) + named
