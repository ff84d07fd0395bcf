"""The drawings: geometry that says what happened, nothing that loads, runs or clashes, and the same every time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from replay_build import DAY, DISABLED, HOUR, ROWS, SINCE, STORIES, Story, Verbs, a_report

from monitor.domain import NUSD
from monitor.report.replay import charts, drawing, svg
from monitor.report.replay.values import Day, Picture


@pytest.fixture(autouse=True)
def plain():
    with svg.plain_settings():
        yield


def a_picture(stories=(DISABLED,), rows=((10, 1, 1, 9 * NUSD),), **summary) -> Picture:
    return a_report(stories, rows, **summary).pictures[0]


def drawn(picture: Picture, *, called="key-1", gaps=()) -> ET.Element:
    return ET.fromstring(charts.key_by_hour(picture, gaps=gaps, name="key-1", called=called))


def classes(element: ET.Element) -> list[str]:
    return [each.attrib["class"] for each in element if "class" in each.attrib]


def corners(element: ET.Element, css_class: str) -> np.ndarray:
    """x, y of all points of the paths of a class."""
    found, at = [], [0.0, 0.0]
    for path in (each for each in element if each.tag == "path" and each.attrib["class"] == css_class):
        for letter, numbers in re.findall(r"([MLHV])([-\d. ]+)", path.attrib["d"]):
            values = [float(number) for number in numbers.split()]
            at = values if letter in "ML" else [values[0], at[1]] if letter == "H" else [at[0], values[0]]
            found.append(list(at))
    return np.array(found)


def test_a_drawing_holds_only_paths_and_texts_by_class_and_what_is_read_out() -> None:
    svg_element = drawn(a_picture())

    assert {each.tag for each in svg_element} == {"title", "desc", "path", "text"}
    assert {name for each in svg_element for name in each.attrib} <= {"id", "class", "d", "x", "y", "text-anchor"}
    assert svg_element.attrib["role"] == "img"
    assert svg_element.attrib["aria-labelledby"] == "key-1-title key-1-text"
    assert [each.attrib["id"] for each in svg_element if "id" in each.attrib] == ["key-1-title", "key-1-text"]


def test_who_does_not_see_it_hears_what_it_shows() -> None:
    said = drawn(a_picture()).findtext("desc") or ""

    assert "The highest hour is $9.00, from 10 Jun 10:00 UTC." in said
    assert "An hour usually has $0.50." in said
    assert (
        "Incident from 10 Jun 08:00 UTC to 10 Jun 16:00 UTC: alerted 10 Jun 10:00 UTC, disabled 10 Jun 11:00 UTC."
        in said
    )


@pytest.mark.parametrize("called", ["<script>alert(1)</script>", "$x$ & \"y\" 'z'", "$\\frac{1}{0}$", "]]> <!--"])
def test_a_name_is_read_out_as_it_is(called: str) -> None:
    assert drawn(a_picture(), called=called).findtext("title") == f"Hourly spend of {called}"


def test_decisions_and_the_incident_stand_where_they_happened() -> None:
    capped = Story(stops=((Verbs.CAP, 34.0, 1.0), (Verbs.DISABLE, 58.0, 2.0)), lasts=60.0)

    svg_element = drawn(a_picture([capped]))

    left, right = 52, drawing.WIDTH - 8
    for css_class, hour in (("alerted-line", 10), ("capped-line", 34), ("disabled-line", 58)):
        assert corners(svg_element, css_class)[:, 0] == pytest.approx(left + (right - left) * hour / 168, abs=0.1)
    incident = corners(svg_element, "incident")[:, 0]
    assert (incident.min(), incident.max()) == pytest.approx(
        (left + (right - left) * 8 / 168, left + (right - left) * 70 / 168), abs=0.1
    )
    assert {"alerted-mark", "capped-mark", "disabled-mark"} <= set(classes(svg_element))


def test_areas_are_as_high_as_the_dollars_and_stand_upon_one_another() -> None:
    rows = [(10, 1, 0, 3 * NUSD), (10, 1, 1, 9 * NUSD), (100, 1, 0, 6 * NUSD)]

    svg_element = drawn(a_picture(rows=rows))

    zero = 180 - 22
    lower, upper = corners(svg_element, "m1"), corners(svg_element, "m2")
    unit = (zero - upper[:, 1].min()) / 12
    assert zero - lower[:, 1].min() == pytest.approx(6 * unit, abs=0.15)
    assert max(lower[:, 1].max(), upper[:, 1].max()) == pytest.approx(zero, abs=0.1)
    assert classes(svg_element).index("m2") < classes(svg_element).index("m1")


def test_the_usual_is_a_line_only_where_it_is_known() -> None:
    assert "expected" in classes(drawn(a_picture()))
    assert "expected" not in classes(drawn(a_picture(usual_usd=np.nan)))


def test_what_is_not_known_is_shaded_and_what_is_before_is_left_out() -> None:
    gaps = ((SINCE - 2 * DAY, SINCE - DAY), (SINCE + DAY, SINCE + 2 * DAY))

    assert classes(drawn(a_picture(gaps=gaps), gaps=gaps)).count("unknown") == 1


def test_a_moment_in_two_weeks_is_still_wide_enough_to_be_seen() -> None:
    short = replace(DISABLED, lasts=0.0, changes=(("onset_at", SINCE + 10 * HOUR),))

    incident = corners(drawn(a_picture([short], days=14.0)), "incident")[:, 0]

    assert incident.max() - incident.min() >= 1.9


@pytest.mark.parametrize("days", [0.1, 1.0, 2.0, 7.0, 14.0, 31.0])
def test_times_have_names_that_do_not_run_into_each_other(days: float) -> None:
    picture = a_picture([replace(DISABLED, opened=1.0)], rows=[], days=days)

    labels = [each for each in drawn(picture) if each.attrib.get("class") == "below"]

    places = [float(label.attrib["x"]) for label in labels]
    assert 1 <= len(labels) <= 9
    assert np.diff(places).min(initial=60) >= 50
    assert max(places) <= drawing.WIDTH - 50


@pytest.mark.parametrize(
    ("usd", "expected"),
    [
        (90, ["$0", "$50", "$100"]),
        (0.9, ["$0", "$0.50", "$1.00"]),
        (0, ["$0", "$0.50", "$1.00"]),
        (40_000, ["$0", "$20.0k", "$40.0k"]),
    ],
)
def test_the_scale_of_dollars_is_round_and_has_cents_everywhere_or_nowhere(usd: float, expected: list[str]) -> None:
    picture = a_picture(rows=[(10, 1, 1, round(usd * NUSD))], usual_usd=0)

    labels = [each.text for each in drawn(picture) if each.attrib.get("class") == "level"]

    assert labels == expected


def some_days(n: int) -> list[Day]:
    return [
        Day(SINCE + no * DAY, SINCE + (no + 1) * DAY, no % 3, no % 2, no % 5, (no + 1) * NUSD, no * NUSD // 2)
        for no in range(n)
    ]


@pytest.mark.parametrize("n", [0, 1, 7, 14, 31])
def test_days_are_bars_with_totals_where_there_is_room(n: int) -> None:
    days = some_days(n)

    incidents = ET.fromstring(charts.incidents_by_day(days, name="a"))
    spend = ET.fromstring(charts.spend_by_day(days, name="b"))

    assert classes(incidents).count("disabled") == sum(day.n_disabled > 0 for day in days)
    assert classes(spend).count("unusual") == sum(day.unusual_nusd > 0 for day in days)
    totals = [each.text for each in spend if each.attrib.get("class") == "total"]
    assert len(totals) == (n if n <= 7 else 1)
    assert (incidents.findtext("desc") or "").startswith(f"{sum(day.n_disabled for day in days)} disabled")


def test_the_same_picture_is_drawn_the_same_every_time_whatever_the_machine_is_set_to() -> None:
    picture = a_picture()
    before = charts.key_by_hour(picture, gaps=(), name="k", called="x")

    with mpl.rc_context({"svg.fonttype": "path", "lines.linewidth": 9, "axes.grid": True, "text.usetex": True}):
        with svg.plain_settings():
            assert charts.key_by_hour(picture, gaps=(), name="k", called="x") == before
        assert mpl.rcParams["text.usetex"]


def test_something_no_page_shows_is_not_written_silently() -> None:
    figure = Figure()
    figure.add_axes((0, 0, 1, 1)).imshow([[0.0, 1.0]])

    with pytest.raises(ValueError, match="no page shows"):
        svg.written(figure, name="x", title="", description="")


@settings(max_examples=15)
@given(STORIES.filter(len), ROWS, st.sampled_from([0.05, 1.0, 7.0, 14.0]))
def test_whatever_happened_can_be_drawn_inside_the_frame(stories, rows, days) -> None:
    for picture in a_report(stories, rows, days=days).pictures[:1]:
        svg_element = drawn(picture)
        for css_class in {each for each in classes(svg_element) if each != "chart"}:
            points = corners(svg_element, css_class)
            assert len(points) == 0 or (points.min() >= 0 and points[:, 0].max() <= drawing.WIDTH)


def test_two_weeks_of_five_busy_models_stay_small() -> None:
    rng = np.random.default_rng(1)
    rows = [
        (hour, 1, model, int(cost))
        for hour in range(14 * 24)
        for model, cost in enumerate(rng.uniform(1, 9, size=7) * NUSD)
    ]

    made = charts.key_by_hour(a_picture(rows=rows, days=14.0), gaps=(), name="key-1", called="x")

    assert len(made) < 26_000
