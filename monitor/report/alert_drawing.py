"""The picture of an alert as PNG: large letters and a ground of its own, since it is read on a telephone, light or dark. Pure.

Drawn by matplotlib's Agg, without a screen. Text from outside is cut to letters the font has, and is never parsed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from monitor.domain import HOUR_S, NUSD
from monitor.report.alert_chart import MOST_MARKS, Band, Chart, dearest, gaps, label, usual_range
from monitor.wording import money, shorten

SIZE: Final = (1040, 900)
"""Pixels: a telephone shows it some 310 wide, at which the letters are still nine high."""

_DPI: Final = 160
_GROUND, _INK, _PALE = "#ffffff", "#1d2330", "#5b6472"
_COLORS: Final = ("#b3402a", "#1f6fb2", "#2a9179", "#c58a1b", "#7a5aa6")
"""Of models, most dollars first: told apart also by those who see no red and green, and in gray."""

_OTHERS, _USUAL, _INCIDENT, _GAP = "#9aa1ab", "#1d2330", "#fbe3dd", "#e8eaee"
_BAND: Final = "#d9dbdf"
_LETTERS: Final = 18
_MOST_DAYS: Final = 8


def drawn(shown: Chart) -> bytes:
    """The PNG. One thread draws at a time: matplotlib's settings are global."""
    with _settings():
        figure = Figure(figsize=(SIZE[0] / _DPI, SIZE[1] / _DPI), dpi=_DPI, facecolor=_GROUND)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.125, 0.08, 0.855, 0.6), facecolor=_GROUND)
        _frame(axes, shown)
        _ground(axes, shown)
        _bands(axes, shown)
        _usual(axes, shown)
        _marks(axes, shown)
        _legend(figure, shown)
        out = io.BytesIO()
        figure.savefig(out, format="png", facecolor=_GROUND, metadata={"Software": None})
    return out.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    """matplotlib's defaults, whatever the machine's configuration says."""
    ours: Any = {  # typed by matplotlib as one of some three hundred words
        "font.size": 14,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _PALE,
        "ytick.color": _PALE,
        "text.parse_math": False,
    }
    defaults: dict[Any, Any] = {
        key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")
    }
    with mpl.rc_context({**defaults, **ours}):
        yield


def _frame(axes: Axes, shown: Chart) -> None:
    first, last = float(shown.hours_s[0]), float(shown.hours_s[-1] + HOUR_S)
    highest = max(int(shown.spent_nusd.max(initial=0)), int(np.nan_to_num(shown.high_nusd).max(initial=0)), NUSD // 100)
    axes.set_xlim(first, last + (last - first) / 100)  # the newest hour must not lie on the edge
    axes.set_ylim(0, highest * 1.08)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_PALE)
    axes.tick_params(length=0, pad=5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda nusd, _: money(round(nusd)).removesuffix(".00")))
    axes.grid(axis="y", color=_GAP, linewidth=1)
    axes.set_axisbelow(True)
    midnights = np.arange(-(-int(first) // 86_400) * 86_400, int(last), 86_400)
    midnights = midnights[midnights < last - (last - first) / 14]
    midnights = midnights[:: max(1, -(-len(midnights) // _MOST_DAYS))]
    days = [datetime.fromtimestamp(int(at), tz=UTC) for at in midnights]
    is_week = last - first <= _MOST_DAYS * 86_400
    axes.set_xticks(midnights, [f"{day:%a}" if is_week else f"{day.day} {day:%b}" for day in days], ha="left")


def _ground(axes: Axes, shown: Chart) -> None:
    """The incident and the hours nobody knows of, behind everything."""
    for first, last in gaps(shown.is_known):
        axes.axvspan(
            float(shown.hours_s[first]), float(shown.hours_s[last - 1] + HOUR_S), color=_GAP, linewidth=0, zorder=0
        )
    left, right = axes.get_xlim()
    begin = max(shown.onset_at.timestamp(), left)
    end = max(begin + (right - left) / 150, min(shown.last_seen_at.timestamp(), right))  # minutes must be seen
    axes.axvspan(begin, end, color=_INCIDENT, linewidth=0, zorder=0.5)
    axes.axvline(begin, color=_COLORS[0], linewidth=1.6, linestyle=(0, (4, 3)), zorder=4)
    is_late = begin > left + (right - left) * 0.6
    said = f"began {shown.onset_at.astimezone(UTC):%H:%M} UTC{_peak(shown)}"
    axes.annotate(
        said, (begin, axes.get_ylim()[1]), (-6 if is_late else 6, -2), textcoords="offset points",
        ha="right" if is_late else "left", va="top", color=_COLORS[0], fontweight="bold", zorder=6,
    )  # fmt: skip


def _peak(shown: Chart) -> str:
    """The dearest hour of the incident: a bar of minutes is too thin to be read off."""
    peak = dearest(shown)
    return "" if peak is None else f"\nup to {money(peak)} an hour"


def _marks(axes: Axes, shown: Chart) -> None:
    """What was done to the key: a line each, its words below those of the onset, so that none covers another."""
    left, right = axes.get_xlim()
    for no, mark in enumerate(shown.marks[-MOST_MARKS:], start=1):
        at = min(max(mark.at.timestamp(), left), right)
        axes.axvline(at, color=_INK, linewidth=1.6, zorder=4)
        is_late = at > left + (right - left) * 0.6
        axes.annotate(
            f"{mark.said} {mark.at.astimezone(UTC):%H:%M} UTC",
            (at, axes.get_ylim()[1]), (-6 if is_late else 6, -22 - 20 * no), textcoords="offset points",
            ha="right" if is_late else "left", va="top", color=_INK, fontweight="bold", zorder=6,
            bbox={"facecolor": _GROUND, "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )  # fmt: skip


def _bands(axes: Axes, shown: Chart) -> None:
    """Areas upon one another, level within each hour."""
    edges = np.append(shown.hours_s, shown.hours_s[-1:] + HOUR_S).astype(np.float64)
    floor = np.zeros(len(edges))
    for band, color in zip(shown.bands, _colors(shown.bands), strict=True):
        costs = band.cost_nusd.astype(np.float64)
        top = floor + np.append(costs, costs[-1:])
        thin = (
            1.5 if color == _COLORS[0] else 0
        )  # an hour is three pixels wide on a telephone: the dearest must be seen
        axes.fill_between(edges, floor, top, step="post", color=color, linewidth=thin, zorder=2)
        floor = top


def _usual(axes: Axes, shown: Chart) -> None:
    """The usual range: a shade, and its upper edge as a line."""
    edges = np.append(shown.hours_s, shown.hours_s[-1:] + HOUR_S).astype(np.float64)
    low, high = (np.append(each, each[-1:]) for each in (shown.low_nusd, shown.high_nusd))
    axes.fill_between(edges, low, high, step="post", color=_BAND, linewidth=0, zorder=1)
    axes.plot(edges, high, drawstyle="steps-post", color=_GROUND, linewidth=3.2, zorder=3.4)
    axes.plot(edges, high, drawstyle="steps-post", color=_USUAL, linewidth=1.4, zorder=3.5)


def _legend(figure: Figure, shown: Chart) -> None:
    entries = [
        (Patch(color=color), f"{_drawable(label(band))}{' (new)' if band.is_first_seen else ''}")
        for band, color in zip(shown.bands, _colors(shown.bands), strict=True)
    ][::-1]
    n_rows = -(-len(entries) // 2)
    figure.text(0.02, 0.955, "Dollars an hour", fontsize=16, fontweight="bold", va="center")
    week = shown.until.astimezone(UTC)
    begins = week - timedelta(hours=len(shown.hours_s))
    figure.text(
        0.98, 0.955, f"{begins.day} {begins:%b} to {week.day} {week:%b}, UTC", color=_PALE, ha="right", va="center"
    )
    _listed(figure, entries, top=0.925, columns=2)
    if np.isfinite(shown.high_nusd).any():
        usual = (Patch(facecolor=_BAND, edgecolor=_USUAL), f"usual at that hour: {usual_range(shown)}")
        _listed(figure, [usual], top=0.925 - 0.052 * n_rows, columns=1)


def _listed(figure: Figure, entries: Sequence[tuple[Patch, str]], *, top: float, columns: int) -> None:
    legend = figure.legend(
        [patch for patch, _ in entries],
        [said for _, said in entries],
        loc="upper left",
        bbox_to_anchor=(0.01, top),
        ncols=columns,
        frameon=False,
        columnspacing=1.4,
        handlelength=1.1,
        handleheight=1.0,
        labelspacing=0.35,
        borderaxespad=0.2,
    )
    figure.add_artist(legend)


def _colors(bands: tuple[Band, ...]) -> list[str]:
    """From below, as the bands are."""
    n_named = sum(band.model is not None for band in bands)
    named = [_COLORS[no] for no in range(n_named)][::-1]
    return [_OTHERS] * (len(bands) - n_named) + named


def _drawable(text: str) -> str:
    """What the font that comes with matplotlib can show."""
    return shorten("".join(char if char.isascii() and char.isprintable() else "?" for char in text), _LETTERS).replace(
        "…", "..."
    )
