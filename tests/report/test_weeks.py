"""Which hours a digest speaks about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigError
from monitor.report.weeks import Window, weeks_before, weeks_named

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
    edges = weeks.edges
    assert (edges[-1], edges[-8], edges[-15]) == (weeks.current.until, weeks.current.since, weeks.previous.since)
    assert len(edges) == 57 and list(edges) == sorted(set(edges))
    assert weeks.norm[-1] == weeks.previous and len(weeks.norm) == 4
    assert weeks.month.since <= weeks.current.until < weeks.month.until or zone.startswith("Pacific/")


def test_a_window_holds_its_beginning_and_not_its_end() -> None:
    week = weeks_before(datetime(2026, 11, 23, 9, 0, tzinfo=UTC), ZoneInfo("UTC")).current

    assert week.since in week
    assert week.until not in week


NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-W47", "2026-11-16"])
def test_a_week_is_named_by_its_number_or_its_first_day(text: str) -> None:
    weeks = weeks_named(text, zone=BERLIN, now=NOW)

    assert weeks == weeks_before(datetime(2026, 11, 23, 9, 0, tzinfo=UTC), BERLIN)


@pytest.mark.parametrize("text", ["2026-W60", "47", "", "last week", "2026-13-01", "0001-01-01", "9999-12-31"])
def test_what_is_no_week_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--week: .* is (no week|not over yet); (write 2026-W47|the latest)"):
        weeks_named(text, zone=BERLIN, now=NOW)


def test_a_week_that_is_not_over_is_refused() -> None:
    with pytest.raises(ConfigError, match="not over yet; the latest seven whole days begin with 2026-11-17"):
        weeks_named("2026-W48", zone=BERLIN, now=NOW)


def test_a_month_is_the_one_the_week_s_end_lies_in() -> None:
    weeks = weeks_before(datetime(2026, 12, 1, 9, tzinfo=UTC), ZoneInfo("UTC"))

    assert weeks.month == Window(datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_a_day_on_which_clocks_change_is_one_day() -> None:
    edges = weeks_before(datetime(2026, 10, 26, 9, tzinfo=UTC), BERLIN).edges

    assert edges[-1] - edges[-2] == timedelta(hours=25)
    assert {each.astimezone(BERLIN).hour for each in edges} == {0}
