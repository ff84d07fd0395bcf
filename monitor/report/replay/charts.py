"""The drawings of a replay's report: incidents by day, spend by day, and each key hour by hour. Pure.

No text from outside is drawn: names stand in the page beside a drawing, and in what is read out for it. Drawn within
`svg.plain_settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from monitor.domain import HOUR_S, NUSD
from monitor.report.replay import drawing, svg
from monitor.report.replay.values import Day, Picture, Row
from monitor.wording import moment, money

Floats = npt.NDArray[np.float64]

FINEST: Final = 1_500
"""Steps in height that are told apart: more than there are pixels, and few enough that level stretches stay level."""

_BAR_HEIGHT, _BAR_TOP = 190, 18
_KEY_HEIGHT, _KEY_TOP = 180, 38


def incidents_by_day(days: Sequence[Day], *, name: str) -> str:
    """Bars: incidents by the day they were opened, by the most that would have been done."""
    parts = {
        "disabled": [day.n_disabled for day in days],
        "capped": [day.n_capped for day in days],
        "alerted": [day.n_alerted for day in days],
    }
    figure, axes = drawing.canvas(height=_BAR_HEIGHT, top=_BAR_TOP)
    total = _totals(parts, days)
    drawing.count_axis(axes, max(1, int(total.max(initial=0))))
    _bars(axes, days, parts, said=lambda n: f"{n:,.0f}")
    told = ", ".join(f"{sum(numbers):,} {_DONE[what]}" for what, numbers in parts.items())
    most = max(total.tolist(), default=0)
    on = days[total.tolist().index(most)].since if most else None
    busiest = f" Most on one day: {most:,}, on {drawing.day(on)}." if on else ""
    return svg.written(figure, name=name, title="Incidents by day", description=f"{told}.{busiest}")


_DONE: Final = {"disabled": "disabled", "capped": "capped", "alerted": "alerted only"}


def spend_by_day(days: Sequence[Day], *, name: str) -> str:
    """Bars: what all keys together spent on a day, the part above the usual of keys with an incident on top."""
    unusual = [min(day.unusual_nusd, day.spent_nusd) for day in days]
    parts = {"usual": [day.spent_nusd - above for day, above in zip(days, unusual, strict=True)], "unusual": unusual}
    figure, axes = drawing.canvas(height=_BAR_HEIGHT, top=_BAR_TOP)
    drawing.money_axis(axes, int(_totals(parts, days).max(initial=0)) or NUSD)
    _bars(axes, days, parts, said=drawing.whole)
    said = f"{money(sum(day.spent_nusd for day in days))} in all, {money(sum(unusual))} of it unusual."
    return svg.written(figure, name=name, title="Spend of all keys by day", description=said)


def key_by_hour(picture: Picture, *, gaps: Sequence[tuple[datetime, datetime]], name: str, called: str) -> str:
    """Areas: what one key spent in each hour, by model; its usual as a line; incidents shaded; decisions as marks above."""
    figure, axes = drawing.canvas(height=_KEY_HEIGHT, top=_KEY_TOP)
    edges = np.append(picture.hours_s, picture.hours_s[-1:] + HOUR_S).astype(np.float64)
    highest = max(int(picture.spent_nusd.max(initial=0)), int(np.nan_to_num(picture.usual_nusd).max(initial=0))) or NUSD
    axes.set_xlim(edges[0], edges[-1])
    drawing.money_axis(axes, highest)
    drawing.hours_axis(axes)
    for row in picture.rows:
        drawing.shade(axes, row.incident.onset_at, row.incident.last_seen_at, css_class="incident")
    for since, until in gaps:
        drawing.shade(axes, since, until, css_class="unknown")
    _areas(axes, picture, edges, highest=highest)
    drawing.line(axes, edges, _rounded(picture.usual_nusd, highest), css_classes=("halo", "expected"))
    for row in picture.rows:
        for what, at in _moments(row):
            drawing.mark(axes, at, css_class=what)
    return svg.written(figure, name=name, title=f"Hourly spend of {called}", description=_said(picture))


def _totals(parts: Mapping[str, Sequence[int]], days: Sequence[Day]) -> npt.NDArray[np.int64]:
    totals: npt.NDArray[np.int64] = np.zeros(len(days), dtype=np.int64)
    return totals + np.sum([list(numbers) for numbers in parts.values()], axis=0, dtype=np.int64)


def _bars(axes: Axes, days: Sequence[Day], parts: Mapping[str, list[int]], *, said: Callable[[float], str]) -> None:
    """One bar a day, its parts from below in their order. Totals above: of each where there is room, else of the highest."""
    drawing.days_axis(axes, [day.since for day in days])
    floor = np.zeros(len(days))
    for css_class, numbers in parts.items():
        ceiling = floor + np.array(numbers, dtype=np.float64)
        for no in np.flatnonzero(ceiling > floor).tolist():
            drawing.bar(axes, no, bottom=float(floor[no]), top=float(ceiling[no]), css_class=css_class)
        floor = ceiling
    named = range(len(days)) if len(days) <= drawing.MOST_TICKS else [int(floor.argmax())]
    for no in named:
        if floor[no]:
            drawing.over_bar(axes, no, float(floor[no]), said(float(floor[no])))


def _areas(axes: Axes, picture: Picture, edges: Floats, *, highest: int) -> None:
    """Areas upon one another: the whole stack first, then what is below over it, so that each is written by its top alone."""
    floor, below = np.zeros(len(picture.hours_s)), np.zeros(len(picture.hours_s), dtype=np.int64)
    areas = []
    for place, model in zip(picture.places, picture.models, strict=True):
        below = below + model.cost_nusd
        ceiling = _rounded(below.astype(np.float64), highest)
        areas.append((f"m{place}", drawing.below(edges, ceiling, where=ceiling > floor)))
        floor = ceiling
    for css_class, area in reversed(areas):
        if area is not None:
            drawing.fill(axes, area, css_class=css_class)


def _rounded(nusd: Floats, highest: int) -> Floats:
    """To the finest step that can be seen."""
    steps: Floats = np.rint(nusd / highest * FINEST) / FINEST * highest
    return steps


def _moments(row: Row) -> list[tuple[str, datetime]]:
    case = row.case
    told = (("alerted", case.opened_at), ("capped", case.capped_at), ("disabled", case.disabled_at))
    return [(what, at) for what, at in told if at is not None]


def _said(picture: Picture) -> str:
    """The drawing in words."""
    spent, usual = picture.spent_nusd, picture.usual_nusd[np.isfinite(picture.usual_nusd)]
    at = datetime.fromtimestamp(int(picture.hours_s[spent.argmax()]), tz=UTC)
    parts = [f"The highest hour is {money(int(spent.max()))}, from {moment(at)}."]
    parts += [f"An hour usually has {money(round(float(np.median(usual))))}."] if len(usual) else []
    for row in picture.rows:
        told = ", ".join(f"{what} {moment(when)}" for what, when in _moments(row))
        parts.append(f"Incident from {moment(row.incident.onset_at)} to {moment(row.incident.last_seen_at)}: {told}.")
    return " ".join(parts)
