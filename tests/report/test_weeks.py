"""Which hours a digest speaks about."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.report.weeks import weeks_before

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_monday_digest_is_about_the_calendar_week_that_ended() -> None:
    weeks = weeks_before(datetime(2026, 11, 23, 9, 0, tzinfo=UTC), ZoneInfo("UTC"))

    assert (weeks.current.since, weeks.current.until) == (
        datetime(2026, 11, 16, tzinfo=UTC),
        datetime(2026, 11, 23, tzinfo=UTC),
    )
    assert weeks.days == "16 Nov to 22 Nov"


@pytest.mark.parametrize(
    ("now", "n_hours"),
    [
        (datetime(2026, 10, 26, 9, tzinfo=UTC), 169),
        (datetime(2026, 3, 30, 9, tzinfo=UTC), 167),
        (datetime(2026, 11, 23, 9, tzinfo=UTC), 168),
    ],
    ids=["clocks back", "clocks forward", "ordinary"],
)
def test_a_week_follows_the_team_s_calendar_when_clocks_change(now: datetime, n_hours: int) -> None:
    weeks = weeks_before(now, BERLIN)

    assert weeks.current.n_hours == n_hours
    assert weeks.current.since.astimezone(BERLIN).hour == 0


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants naive bounds
    st.sampled_from(sorted(available_timezones())),
)
def test_the_weeks_meet_are_whole_hours_and_lie_in_the_past(now: datetime, zone: str) -> None:
    weeks = weeks_before(now, ZoneInfo(zone))

    assert weeks.previous.until == weeks.current.since
    assert weeks.current.until <= now
    assert all(each.minute == 0 for each in (weeks.previous.since, weeks.current.since, weeks.current.until))
    assert 166 <= weeks.current.n_hours <= 170 or zone.startswith("Pacific/")


def test_a_window_holds_its_beginning_and_not_its_end() -> None:
    week = weeks_before(datetime(2026, 11, 23, 9, 0, tzinfo=UTC), ZoneInfo("UTC")).current

    assert week.since in week
    assert week.until not in week
