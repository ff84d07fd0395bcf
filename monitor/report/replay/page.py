"""ReplayReport -> one HTML page that needs nothing else: no script, no font, no address. Pure.

Text from outside is hostile. Three things stand between it and a reader: every expression of the template is escaped; before
that, each text is made one line of visible characters of bounded length; and the page's own policy forbids scripts and any
loading, should both fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from monitor.domain import Incident
from monitor.report import pages
from monitor.report.replay import charts, svg, words
from monitor.report.replay.values import Picture, ReplayReport
from monitor.wording import detector, name, share

N_GROUPS: Final = 20
"""Rows of the tables by owner and by key; the rest is counted."""


def to_html(report: ReplayReport) -> str:
    """The page. About as large as its pictures: some 15 kB each for two weeks of hours.

    One thread at a time draws, see `svg.plain_settings`."""
    with svg.plain_settings():
        drawn = _drawn(report)
    names = {picture.key_hash: f"key-{no}" for no, picture in enumerate(report.pictures, start=1)}
    places = {row.case.incident_id: f"incident-{no}" for no, row in enumerate(report.rows, start=1)}
    return (
        _environment()
        .get_template("replay.html.j2")
        .render(
            report=report,
            summary=report.summary,
            opinion=words.opinion(report),
            reasons=words.reasons(report.summary.not_acted),
            cannot_see=words.CANNOT_SEE,
            drawn=drawn,
            anchors=names,
            places=places,
            data=words.data(report),
            n_groups=N_GROUPS,
        )
    )


def _drawn(report: ReplayReport) -> Mapping[str, Markup]:
    """Every drawing by the name it has in the template."""
    gaps = report.summary.gaps
    made = {
        "incidents": charts.incidents_by_day(report.days, name="incidents"),
        "spend": charts.spend_by_day(report.days, name="spend"),
    }
    for no, picture in enumerate(report.pictures, start=1):
        made[f"key-{no}"] = charts.key_by_hour(picture, gaps=gaps, name=f"key-{no}", called=_called(picture))
    return {each: Markup(drawing) for each, drawing in made.items()}  # noqa: S704 - escaped when it was written


def _called(picture: Picture) -> str:
    return f"{name(picture.key_name)} [{pages.short(picture.key_hash)}]"


def _environment() -> Environment:
    made = pages.environment(PackageLoader("monitor.report.replay"))
    made.filters |= {
        "share": share,
        "rarity": _rarity,
        "detector": detector,
        "meaning": words.meaning,
    }
    return made


_TINY: Final = 1e-9
"""A p-value below that is not written out."""


def _rarity(incident: Incident) -> tuple[str, str]:
    """How rare it is: as people say it, and the detector's own figures; a broken rule has no rarity."""
    p, score = incident.p_value, f"score {incident.score:.2f}"
    if p is None or not 0 < p <= 1:
        return "it broke a hard rule", score
    if p < _TINY:
        return f"rarer than once in {1 / _TINY:,.0f}", f"p-value {p:.0e}, {score}"
    return f"as rare as once in {float(f'{1 / p:.2g}'):,.0f}", f"p-value {Decimal(f'{p:.1g}'):f}, {score}"
