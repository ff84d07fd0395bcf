"""The picture of an alert: what it counts, what it says, and that nothing from outside can break it."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import timedelta

import build
import numpy as np
import pytest
from build import NOW, a_cause, an_incident
from hostile import VECTORS
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import frames
from monitor.domain import BUCKET_S, HOUR_S, NUSD, Dimension, Incident, IncidentState
from monitor.frames import Catalog
from monitor.report.alert_chart import MOST_MODELS, Chart, Mark, chart, dearest, gaps, reads_from, told
from monitor.report.alert_drawing import SIZE, SIZE_OF_TWO, drawn

KEY_NO = 0
LONG = an_incident(1, onset_at=NOW - timedelta(hours=40), causes=(a_cause("vendor/opus"),))
INCIDENT = an_incident(1, onset_at=NOW - timedelta(minutes=50), causes=(a_cause("vendor/opus"),))


def a_chart(
    *rows: tuple[int, str, float],
    incident: Incident = INCIDENT,
    now=NOW + timedelta(minutes=10),
    days: int = 0,
    coverage=None,
    marks=(),
    fine: tuple[tuple[int, str, float], ...] = (),
) -> Chart:
    """Rows of (hours before NOW, model, dollars), `fine` of tens of minutes before NOW;
    with `days` a dollar each hour on vendor/usual before them."""
    catalog = Catalog([incident.key_hash])
    every = [*rows, *((hour, "vendor/usual", 1.0) for hour in range(2, days * 24))]
    listed = [
        (
            NOW - timedelta(hours=hour),
            KEY_NO,
            int(Dimension.MODEL),
            catalog.value_no(Dimension.MODEL, model),
            1,
            round(usd * NUSD),
        )
        for hour, model, usd in every
    ]
    usage = build.usage(*listed, bucket_s=HOUR_S)
    tenths = [
        (
            NOW - timedelta(minutes=10 * no),
            KEY_NO,
            int(Dimension.MODEL),
            catalog.value_no(Dimension.MODEL, model),
            1,
            round(usd * NUSD),
        )
        for no, model, usd in fine
    ]
    known = frames.empty(frames.COVERAGE) if coverage is None else coverage
    return chart(
        usage,
        known,
        key_no=KEY_NO,
        catalog=catalog,
        incident=incident,
        now=now,
        marks=marks,
        fine=build.usage(*tenths, bucket_s=BUCKET_S),
    )


def test_seven_days_are_shown_up_to_the_hour_under_way():
    shown = a_chart((0, "vendor/opus", 40.0), days=30)

    assert len(shown.hours_s) == 7 * 24
    assert shown.hours_s[-1] == int(NOW.timestamp())
    assert shown.spent_nusd[-1] == 40 * NUSD


def test_the_usual_range_comes_from_before_the_onset_alone():
    shown = a_chart((1, "vendor/opus", 900.0), (0, "vendor/opus", 900.0), days=30)

    assert np.nanmax(shown.high_nusd) == pytest.approx(1 * NUSD)
    assert np.nanmin(shown.low_nusd) == pytest.approx(1 * NUSD)


def test_the_dearest_hour_is_that_of_the_incident_and_only_where_it_is_unusual():
    assert dearest(a_chart((0, "vendor/opus", 40.0), (30, "vendor/opus", 900.0), days=30)) == 40 * NUSD
    assert dearest(a_chart((0, "vendor/usual", 0.5), (1, "vendor/usual", 0.5), days=30)) is None


def test_without_history_there_is_no_range_and_none_is_claimed():
    shown = a_chart((0, "vendor/opus", 40.0))

    assert np.isnan(shown.high_nusd).all()
    assert "Usually" not in told(shown)
    assert drawn(shown)


def test_the_models_of_the_incident_come_first_and_the_rest_is_summed():
    rows = [(0, f"vendor/m{number}", 1.0 + number) for number in range(9)]
    shown = a_chart(*rows, (3, "vendor/old", 500.0))

    assert [band.model for band in shown.bands[1:]] == ["vendor/m5", "vendor/m6", "vendor/m7", "vendor/m8"]
    assert len(shown.bands) == MOST_MODELS + 1 and shown.bands[0].model is None
    assert sum(int(band.cost_nusd.sum()) for band in shown.bands) == int(sum(usd for _, _, usd in rows) + 500) * NUSD


def test_an_hour_that_was_not_read_is_a_gap_and_no_zero():
    shown = a_chart((0, "vendor/opus", 40.0), (1, "vendor/opus", 1.0))

    assert gaps(shown.is_known) == [(0, 7 * 24 - 2)]


def test_the_words_say_what_the_picture_shows():
    said = told(a_chart((0, "vendor/opus", 40.0), (1, "vendor/opus", 2.0), days=30))

    assert said == (
        "Hourly spend of the last seven days. Highest hour: $40.00, from 23 Nov 12:00 UTC. Usually $1.00 at that hour."
        " Above it 6 hours as a close-up: the highest rate is $40.00/h, from 23 Nov 12:00 UTC."
        " The incident began 23 Nov 11:10 UTC and lasts 50 min so far."
        " Since then: $42.00 on opus, never used before."
    )


def test_a_key_without_any_usage_is_drawn_and_said_to_have_none():
    shown = a_chart()

    assert told(shown) == "Hourly spend of the last seven days: none is known."
    assert drawn(shown)


def test_the_picture_is_a_png_of_a_size_for_telephones_and_below_a_tenth_of_a_megabyte():
    short, long = a_chart((0, "vendor/opus", 40.0), days=30), a_chart((0, "vendor/opus", 40.0), incident=LONG, days=30)

    for png, size in ((drawn(short), SIZE_OF_TWO), (drawn(long), SIZE)):
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        assert struct.unpack(">II", png[16:24]) == size
        assert len(png) < 100_000


def test_the_same_usage_gives_the_same_bytes():
    assert drawn(a_chart((0, "vendor/opus", 40.0))) == drawn(a_chart((0, "vendor/opus", 40.0)))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(VECTORS), min_size=1, max_size=6, unique=True))
def test_any_model_name_can_be_drawn(names: list[str]):
    shown = a_chart(*((0, f"vendor/{name}", 1.0 + no) for no, name in enumerate(names)), days=8)

    assert drawn(shown)  # a letter the font lacks would be a warning, and warnings are errors here
    assert "\n" not in told(shown)


def test_usage_is_read_four_weeks_before_the_onset_in_whole_hours():
    since = reads_from(INCIDENT, NOW)

    assert since <= INCIDENT.onset_at - timedelta(days=28)
    assert since.timestamp() % HOUR_S == 0


OVER = an_incident(
    1,
    state=IncidentState.RESOLVED,
    onset_at=NOW - timedelta(days=12),
    last_seen_at=NOW - timedelta(hours=2),
    causes=(a_cause("vendor/opus"),),
)


def test_an_incident_that_is_over_is_shown_whole_with_the_day_before_it_and_what_was_done():
    marks = [Mark(NOW - timedelta(hours=2), "disabled"), Mark(NOW - timedelta(days=90), "restored")]

    shown = a_chart((3, "vendor/opus", 40.0), incident=OVER, days=40, marks=marks)

    assert len(shown.hours_s) >= 13 * 24
    assert shown.is_over and shown.marks == (marks[0],)
    said = told(shown)
    assert "Hourly spend of the last 13 days." in said and "The key was disabled 23 Nov 10:00 UTC." in said
    assert "lasted 11 d 22 h." in said


def test_no_picture_reaches_back_for_ever():
    endless = replace(OVER, onset_at=NOW - timedelta(days=300))

    assert len(a_chart(incident=endless).hours_s) == 35 * 24


def test_a_picture_with_marks_is_drawn_and_the_mark_is_seen():
    plain = a_chart((3, "vendor/opus", 40.0), incident=OVER, days=40)
    marked = a_chart((3, "vendor/opus", 40.0), incident=OVER, days=40, marks=[Mark(NOW - timedelta(hours=9), "capped")])

    assert drawn(plain) != drawn(marked)


FINE = ((5, "vendor/opus", 2.0), (6, "vendor/opus", 8.0), (6, "vendor/usual", 1.0), (0, "vendor/opus", 3.0))
HOURS = ((2, "vendor/usual", 1.2), (1, "vendor/opus", 10.0), (1, "vendor/usual", 1.0), (0, "vendor/opus", 3.0))


def test_a_short_incident_is_shown_once_more_by_ten_minutes_as_dollars_an_hour():
    shown = a_chart(*HOURS, days=0, fine=(*FINE, (2, "vendor/stray", 0.0)))
    close = shown.close

    assert close is not None and close.is_fine
    by_model = dict(zip([band.model for band in shown.bands], close.rates_nusd.tolist(), strict=True))
    assert by_model["vendor/opus"][-8:] == [0, 48 * NUSD, 12 * NUSD, 0, 0, 0, 0, 18 * NUSD]
    assert (
        "Above it 6 hours by ten minutes as a close-up: the highest rate is $54.00/h, from 23 Nov 11:00 UTC."
        in told(shown)
    )
    assert dearest(shown) == 18 * NUSD  # the highest ten minutes came before the onset


def test_an_hour_whose_ten_minutes_were_not_all_read_is_level_and_loses_nothing():
    close = a_chart(*HOURS, fine=((0, "vendor/opus", 3.0),)).close

    assert close is not None
    assert set(close.spent_nusd[-7:-1].tolist()) == {11 * NUSD}
    assert close.spent_nusd[-1] == 18 * NUSD


@pytest.mark.parametrize(
    ("lasted", "hours"), [(0.5, 6), (2, 6), (3, 24), (12, 24), (13, None), (200, None)], ids=lambda each: f"{each} h"
)
def test_the_close_up_is_as_long_as_the_incident_needs(lasted: float, hours: int | None):
    incident = an_incident(1, onset_at=NOW - timedelta(hours=lasted), last_seen_at=NOW)

    close = a_chart((0, "vendor/opus", 40.0), incident=incident, now=NOW + timedelta(minutes=50)).close

    assert (None if close is None else -(-len(close.starts_s) // 6)) == hours


def test_a_close_up_of_an_incident_that_is_over_shows_its_time_and_not_the_present():
    over = an_incident(
        1,
        state=IncidentState.RESOLVED,
        onset_at=NOW - timedelta(hours=30),
        last_seen_at=NOW - timedelta(hours=29),
    )

    close = a_chart((29, "vendor/opus", 40.0), incident=over).close

    assert close is not None
    assert close.starts_s[0] <= over.onset_at.timestamp() < over.last_seen_at.timestamp() < close.starts_s[-1]


COST = st.integers(0, 50)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 35), st.sampled_from("abcdefgh"), COST), max_size=30))
def test_the_close_up_comes_to_what_the_week_says_hour_by_hour(buckets: list[tuple[int, str, int]]):
    summed: dict[tuple[int, str], int] = {}
    for no, model, usd in buckets:
        hour = -(-no // 6)  # the bucket that began `no` tens of minutes before NOW, a whole hour
        summed[hour, model] = summed.get((hour, model), 0) + usd
    now = NOW + timedelta(hours=1)
    shown = a_chart(
        *((hour, model, float(usd)) for (hour, model), usd in summed.items()),
        now=now,
        incident=replace(INCIDENT, last_seen_at=now),
        fine=tuple((no, model, float(usd)) for no, model, usd in buckets),
    )

    if shown.close is not None:
        n_hours = len(shown.close.starts_s) // 6
        of_hour = shown.close.rates_nusd.reshape(len(shown.bands), n_hours, 6).sum(axis=2) // 6
        week = np.stack([band.cost_nusd for band in shown.bands])[:, -n_hours:]
        assert np.array_equal(of_hour, week)
    assert (shown.close is None) == (not shown.bands)


def test_what_was_done_outside_the_close_up_is_told_in_the_week():
    over = an_incident(
        1, state=IncidentState.RESOLVED, onset_at=NOW - timedelta(hours=30), last_seen_at=NOW - timedelta(hours=29)
    )
    marks = [Mark(NOW - timedelta(hours=29), "disabled"), Mark(NOW - timedelta(hours=3), "restored")]
    plain = a_chart((29, "vendor/opus", 40.0), incident=over, marks=marks[:1])
    both = a_chart((29, "vendor/opus", 40.0), incident=over, marks=marks)

    assert drawn(plain) != drawn(both)
    assert "The key was restored 23 Nov 09:00 UTC." in told(both)
