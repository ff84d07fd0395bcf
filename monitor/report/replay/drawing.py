"""What the drawings of a replay's report are made of: scales, bars, steps, shades and marks, in units of CSS pixels. Pure.

Each artist carries as its `gid` the class by which the page gives it color, see `svg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from monitor.domain import NUSD
from monitor.wording import money

Floats = npt.NDArray[np.float64]

WIDTH: Final = 560
"""Units of a drawing: as many CSS pixels at the width at which it is read best."""

MOST_TICKS: Final = 7
"""Days that have room for their names, also on a telephone."""

_LEFT, _RIGHT, _BOTTOM = 52, 8, 22
_DPI: Final = 72
_DAY: Final = timedelta(days=1)

_MARKS: Final = {
    "alerted": (27, [(-5, 4), (5, 4), (0, -4.5)]),
    "capped": (17, [(0, 5.5), (5.5, 0), (0, -5.5), (-5.5, 0)]),
    "disabled": (7, [(-4.5, 4.5), (4.5, 4.5), (4.5, -4.5), (-4.5, -4.5)]),
}
"""How far above the frame a mark's middle is, and its corners around that: each kind has a row, since they can be minutes apart."""

_NARROWEST: Final = 2.0
"""Units a stretch of time is wide at least: ten minutes of two weeks must be seen."""


def canvas(*, height: int, top: int) -> tuple[Figure, Axes]:
    """An empty drawing whose frame leaves room for labels at the left and below, and `top` units above."""
    figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI)
    figure.patch.set_visible(False)
    inner = (_LEFT / WIDTH, _BOTTOM / height, (WIDTH - _LEFT - _RIGHT) / WIDTH, (height - _BOTTOM - top) / height)
    axes = figure.add_axes(inner)
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, pad=4)
    return figure, axes


def count_axis(axes: Axes, highest: int) -> None:
    """A scale of whole numbers to the left."""
    ticks = [int(step) for step in MaxNLocator(nbins=3, integer=True).tick_values(0, highest) if step >= 0]
    _levels(axes, ticks, [f"{tick:,}" for tick in ticks], highest=highest)


def money_axis(axes: Axes, highest_nusd: int) -> None:
    """A scale of dollars to the left; cents on all of it or on none."""
    steps = MaxNLocator(nbins=3, steps=[1, 2, 2.5, 5, 10]).tick_values(0, highest_nusd / NUSD)
    ticks = [round(float(step) * NUSD) for step in steps if step >= 0]
    is_whole = all(tick % NUSD == 0 for tick in ticks)
    _levels(axes, ticks, [whole(tick) if is_whole else money(tick) for tick in ticks], highest=highest_nusd)


def whole(nusd: float) -> str:
    """Dollars without cents that are none."""
    return money(round(nusd)).removesuffix(".00")


def _levels(axes: Axes, ticks: Sequence[int], labels: Sequence[str], *, highest: int) -> None:
    """A line across for each level. The highest level is the top of the frame where that costs little room."""
    top = max(highest * 1.02, ticks[-1] if ticks[-1] <= highest * 1.15 else 0)
    shown = {tick: label for tick, label in zip(ticks, labels, strict=True) if tick <= top}
    axes.set_ylim(0, top)
    axes.set_yticks(list(shown), list(shown.values()), parse_math=False, gid="level")
    for tick in shown:
        axes.axhline(tick, gid="grid" if tick else "base", zorder=0.5)


def days_axis(axes: Axes, days: Sequence[datetime]) -> None:
    """The names of days that have a place of their own each, 0 to n - 1."""
    axes.set_xlim(-0.5, max(len(days), 1) - 0.5)
    every = max(1, -(-len(days) // MOST_TICKS))
    labels = [day(each) for each in days[::every]]
    axes.set_xticks(range(0, len(days), every), labels, parse_math=False, gid="below")


def hours_axis(axes: Axes) -> None:
    """Midnights of a time in epoch seconds, a few of them; hours as well where it is shorter than two days. A name begins where
    its moment is."""
    first, last = (datetime.fromtimestamp(float(edge), tz=UTC) for edge in axes.get_xlim())
    begin = first.replace(hour=0, minute=0, second=0)
    is_short = last - first <= 2 * _DAY
    every = timedelta(hours=6) if is_short else _DAY * -(-((last - begin) // _DAY + 1) // MOST_TICKS)
    ticks = [begin + no * every for no in range((last - begin) // every + 1)]
    ticks = [tick for tick in ticks if first <= tick <= last - (last - first) / 10]
    labels = [f"{tick:%H:%M}" if is_short and tick.hour else day(tick) for tick in ticks]
    axes.set_xticks([tick.timestamp() for tick in ticks], labels, parse_math=False, ha="left", gid="below")


def day(at: datetime) -> str:
    """A day in few letters."""
    return f"{at.day} {at:%b}"


def bar(axes: Axes, place: float, *, bottom: float, top: float, css_class: str) -> None:
    """A part of a bar around its place on `days_axis`."""
    fill(axes, _box(place - 0.36, place + 0.36, bottom, top), css_class=css_class)


def over_bar(axes: Axes, place: float, height: float, said: str) -> None:
    """Words above a bar."""
    axes.annotate(said, (place, height), (0, 3), textcoords="offset points", ha="center", gid="total", parse_math=False)


def below(edges: Floats, ceiling: Floats, *, where: npt.NDArray[np.bool_]) -> Path | None:
    """The area between zero and a line that is level from edge to edge, only `where`; corners only. None: nowhere."""
    outlines = []
    for first, last in runs(where):
        x, top = _steps(edges[first : last + 1], ceiling[first:last])
        points = np.column_stack((np.concatenate((x[:1], x, x[-1:], x[:1])), np.concatenate(([0], top, [0, 0]))))
        outlines.append(Path(points, closed=True))
    return Path.make_compound_path(*outlines) if outlines else None


def line(axes: Axes, edges: Floats, levels: Floats, *, css_classes: Sequence[str]) -> None:
    """A line that is level from edge to edge, none where it is NaN; drawn once for each class."""
    lines = [
        Path(np.column_stack(_steps(edges[first : last + 1], levels[first:last])))
        for first, last in runs(np.isfinite(levels))
    ]
    for css_class in css_classes if lines else ():
        axes.add_patch(PathPatch(Path.make_compound_path(*lines), fill=False, gid=css_class, zorder=4))


def runs(is_there: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open stretches that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_there, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _steps(edges: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """The corners of a line that is level from edge to edge."""
    turns = np.flatnonzero(np.diff(levels)) + 1
    first, last = np.append(0, turns), np.append(turns, len(levels))
    return np.column_stack((edges[first], edges[last])).ravel(), np.repeat(levels[first], 2)


def shade(axes: Axes, since: datetime, until: datetime, *, css_class: str) -> None:
    """A stretch of time from top to bottom, with an edge at the top; nothing where none of it is shown."""
    left, right = axes.get_xlim()
    first, last = max(since.timestamp(), left), min(until.timestamp(), right)
    if first > last:
        return
    width = max(last - first, (right - left) * _NARROWEST / axes.get_window_extent().width)
    first, top = min(first, right - width), axes.get_ylim()[1]
    fill(axes, _box(first, first + width, 0, top), css_class=css_class, zorder=0.2)
    edge = Path([(first, top), (first + width, top)])
    axes.add_patch(PathPatch(edge, fill=False, gid=f"{css_class}-edge", clip_on=False))


def mark(axes: Axes, at: datetime, *, css_class: str) -> None:
    """A moment: a mark above the frame and a line down from it."""
    left, right = axes.get_xlim()
    top, frame = axes.get_ylim()[1], axes.get_window_extent()
    unit = np.array([(right - left) / frame.width, top / frame.height])
    above, corners = _MARKS[css_class]
    middle = np.array([min(max(at.timestamp(), left), right), top + unit[1] * above])
    stem = Path([(middle[0], 0), (middle[0], middle[1] - 4 * unit[1])])
    axes.add_patch(PathPatch(stem, fill=False, gid=f"{css_class}-line", clip_on=False, zorder=0.4))
    points = np.array(corners) * unit + middle
    shape = Path(np.concatenate((points, points[:1])), closed=True)
    axes.add_patch(PathPatch(shape, gid=f"{css_class}-mark", clip_on=False, zorder=5))


def fill(axes: Axes, path: Path, *, css_class: str, zorder: float = 1.0) -> None:
    """An area."""
    axes.add_patch(PathPatch(path, linewidth=0, gid=css_class, zorder=zorder))


def _box(left: float, right: float, bottom: float, top: float) -> Path:
    return Path([(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)], closed=True)
