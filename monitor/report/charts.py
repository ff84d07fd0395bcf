"""The drawing of a digest: what all its keys spent, day by day. Pure.

Drawn within `svg.plain_settings`; no text from outside is drawn."""

from __future__ import annotations

from typing import Final

from monitor.domain import NUSD
from monitor.report.figures import Digest
from monitor.report.replay import drawing, svg
from monitor.report.weeks import N_NORM
from monitor.wording import money

_HEIGHT, _TOP = 190, 18
N_DAYS: Final = 7 * (N_NORM + 1)
"""The week told of and those that say what is normal."""


def spend_by_day(digest: Digest, *, name: str) -> str:
    """Bars: a day each, those of the week told of in another color; a dashed line is a usual day; no bar, no knowledge."""
    spent, known = digest.by_day_nusd[-N_DAYS:], digest.is_known_day[-N_DAYS:]
    starts = [each.astimezone(digest.weeks.zone) for each in digest.weeks.edges[-N_DAYS - 1 : -1]]
    figure, axes = drawing.canvas(height=_HEIGHT, top=_TOP)
    usual = digest.norm_of(digest.norm_nusd)
    drawing.money_axis(axes, max(*spent, (usual or 0) // 7) or NUSD)
    axes.set_xlim(-0.5, N_DAYS - 0.5)
    firsts = range(0, N_DAYS, 7)
    labels = [drawing.day(starts[no]) for no in firsts]
    axes.set_xticks([no - 0.4 for no in firsts], labels, parse_math=False, ha="left", gid="below")
    for no, (nusd, is_known) in enumerate(zip(spent, known, strict=True)):
        is_now = no >= N_DAYS - 7
        if nusd:
            drawing.bar(axes, no, bottom=0, top=nusd, css_class="this-week" if is_now else "earlier")
        if not is_known:
            drawing.bar(axes, no, bottom=0, top=axes.get_ylim()[1], css_class="unknown")
    if usual:
        axes.axhline(usual / 7, gid="expected", zorder=4)
    most = max(spent)
    if most:
        drawing.over_bar(axes, spent.index(most), most, drawing.whole(most))
    told = f"{money(sum(spent[-7:]))} in the last seven days, {money(sum(spent[-14:-7]))} in the seven before."
    level = f" A usual day has {money(round(usual / 7))}." if usual is not None else ""
    highest = f" The highest day is {drawing.day(starts[spent.index(most)])} with {money(most)}." if most else ""
    return svg.written(figure, name=name, title="Spend by day, five weeks", description=f"{told}{level}{highest}")
