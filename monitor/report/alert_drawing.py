"""The picture of an alert as PNG: large letters and a ground of its own, since it is read on a telephone, light or dark. Pure.

Drawn by matplotlib's Agg, without a screen. Text from outside is cut to letters the font has, and is never parsed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from monitor.report import alert_panel
from monitor.report.alert_chart import Chart, days, label, spoken, usual_range
from monitor.report.alert_panel import GROUND, INK, PALE, USUAL, USUAL_SHADE, Panel
from monitor.wording import shorten

SIZE: Final = (1040, 900)
"""Pixels: a telephone shows it some 310 wide, at which the letters are still nine high."""

SIZE_OF_TWO: Final = (1040, 1120)
"""With a close-up above the week."""

_DPI: Final = 160
_LETTERS: Final = 18
_ROW: Final = 47
"""Pixels of a line of the legend."""

_SIDES: Final = (130, 21)
"""Pixels left and right of a panel."""


def drawn(shown: Chart) -> bytes:
    """The PNG. One thread draws at a time: matplotlib's settings are global."""
    near = alert_panel.close(shown)
    size = SIZE if near is None else SIZE_OF_TWO
    with _settings():
        figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, facecolor=GROUND)
        FigureCanvasAgg(figure)
        top = _legend(figure, shown)
        if near is None:
            _one(figure, shown)
        else:
            _two(figure, shown, near, top=top)
        out = io.BytesIO()
        figure.savefig(out, format="png", facecolor=GROUND, metadata={"Software": None})
    return out.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    """matplotlib's defaults, whatever the machine's configuration says."""
    ours: Any = {  # typed by matplotlib as one of some three hundred words
        "font.size": 14,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": PALE,
        "ytick.color": PALE,
        "text.parse_math": False,
    }
    defaults: dict[Any, Any] = {
        key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")
    }
    with mpl.rc_context({**defaults, **ours}):
        yield


def _one(figure: Figure, shown: Chart) -> None:
    axes = figure.add_axes((0.125, 0.08, 0.855, 0.6), facecolor=GROUND)
    alert_panel.draw(axes, alert_panel.week(shown), shown, is_told=True, marks=shown.marks)


def _two(figure: Figure, shown: Chart, near: Panel, *, top: int) -> None:
    """The close-up large, below it the week that it is a part of; `top`: pixels that the legend takes."""
    assert shown.close is not None
    inside = [mark for mark in shown.marks if alert_panel.contains(near, mark)]
    outside = [mark for mark in shown.marks if not alert_panel.contains(near, mark)]
    height = SIZE_OF_TWO[1]
    middle = 380
    panels = (
        (near, f"{spoken(shown.close).capitalize()}, UTC", top + 72, height - middle - 52, True, inside),
        (
            alert_panel.week(shown),
            f"{days(shown).capitalize()}: {_dates(shown)}",
            height - middle + 48,
            height - 58,
            False,
            outside,
        ),
    )
    for panel, said, above, below, is_told, marks in panels:
        box = (_SIDES[0] / SIZE[0], 1 - below / height, 1 - sum(_SIDES) / SIZE[0], (below - above) / height)
        axes = figure.add_axes(box, facecolor=GROUND)
        alert_panel.draw(axes, panel, shown, is_told=is_told, marks=marks)
        figure.text(0.02, 1 - (above - 26) / height, said, color=INK, va="center")


def _dates(shown: Chart) -> str:
    week = shown.until.astimezone(UTC)
    begins = week - timedelta(hours=len(shown.hours_s))
    return f"{begins.day} {begins:%b} to {week.day} {week:%b}"


def _legend(figure: Figure, shown: Chart) -> int:
    """What the colors mean; returns the pixels it takes from above."""
    height = figure.get_figheight() * _DPI
    entries = [
        (Patch(color=color), f"{_drawable(label(band))}{' (new)' if band.is_first_seen else ''}")
        for band, color in zip(shown.bands, alert_panel.colors(shown.bands), strict=True)
    ][::-1]
    n_rows = -(-len(entries) // 2)
    figure.text(0.02, 1 - 40 / height, "Dollars an hour", fontsize=16, fontweight="bold", va="center")
    if shown.close is None:
        figure.text(0.98, 1 - 40 / height, f"{_dates(shown)}, UTC", color=PALE, ha="right", va="center")
    _listed(figure, entries, top=1 - 68 / height, columns=2)
    if np.isfinite(shown.high_nusd).any():
        usual = (Patch(facecolor=USUAL_SHADE, edgecolor=USUAL), f"usual at that hour: {usual_range(shown)}")
        _listed(figure, [usual], top=1 - (68 + _ROW * n_rows) / height, columns=1)
        n_rows += 1
    return 68 + _ROW * n_rows


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


def _drawable(text: str) -> str:
    """What the font that comes with matplotlib can show."""
    return shorten("".join(char if char.isascii() and char.isprintable() else "?" for char in text), _LETTERS).replace(
        "…", "..."
    )
