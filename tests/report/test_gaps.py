"""What no coverage row says is unknown, never zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, empty
from monitor.report.gaps import find_gaps
from monitor.report.weeks import Window

START = datetime(2026, 11, 16, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1))


def covered(
    first_h: float,
    last_h: float,
    quality: str = "known",
    *,
    key_no: int = ALL_KEYS,
    bucket_s: int = HOUR_S,
    **more: int,
) -> dict[str, object]:
    since, until = START + timedelta(hours=first_h), START + timedelta(hours=last_h)
    fields = {"key_no": key_no, "dimension": int(Dimension.MODEL), "bucket_s": bucket_s, "since": since, "until": until}
    return fields | {"quality": QUALITY_CODES[quality], "as_of": until} | more


def frame(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COVERAGE)).astype(dict(COVERAGE))


def test_without_coverage_every_hour_is_unknown() -> None:
    gaps = find_gaps(empty(COVERAGE), DAY)

    assert gaps.n_hours == 24
    assert gaps.account == (DAY,)


def test_a_day_known_in_hours_has_no_gap() -> None:
    assert find_gaps(frame(covered(-5, 30)), DAY).n_hours == 0


def test_hours_asked_but_not_fully_answered_are_a_gap() -> None:
    gaps = find_gaps(frame(covered(0, 24), covered(3, 5, "partial"), covered(20, 21, "unknown")), DAY)

    hour = timedelta(hours=1)
    assert gaps.account == (Window(START + 3 * hour, START + 5 * hour), Window(START + 20 * hour, START + 21 * hour))
    assert gaps.n_hours == 3


def test_a_later_reading_fills_the_gap() -> None:
    assert find_gaps(frame(covered(0, 24, "unknown"), covered(0, 24)), DAY).n_hours == 0


def test_fine_rows_make_an_hour_known_only_if_all_six_are() -> None:
    whole = find_gaps(frame(covered(0, 23), covered(23, 24, bucket_s=BUCKET_S)), DAY)
    torn = find_gaps(frame(covered(0, 23), covered(23, 23.8, bucket_s=BUCKET_S)), DAY)

    assert (whole.n_hours, torn.n_hours) == (0, 1)


def test_a_partial_fine_row_does_not_spoil_an_hour_known_in_hours() -> None:
    assert find_gaps(frame(covered(0, 24), covered(0, 24, "partial", bucket_s=BUCKET_S)), DAY).n_hours == 0


def test_another_dimension_says_nothing_about_this_one() -> None:
    assert find_gaps(frame(covered(0, 24, dimension=int(Dimension.COUNTRY))), DAY).n_hours == 24


def test_a_key_s_own_failed_reading_is_its_own_gap() -> None:
    gaps = find_gaps(frame(covered(0, 24), covered(4, 6, "unknown", key_no=7)), DAY)

    assert (gaps.n_hours, gaps.of(7), gaps.of(8), gaps.of(None)) == (0, 2, 0, 0)


def test_a_key_s_old_failure_is_mended_by_a_later_reading_of_all_keys() -> None:
    assert find_gaps(frame(covered(4, 6, "unknown", key_no=7), covered(0, 24)), DAY).of(7) == 0


def test_a_key_read_on_its_own_is_known_where_the_account_is_not() -> None:
    gaps = find_gaps(frame(covered(0, 24, "unknown"), covered(0, 24, key_no=7)), DAY)

    assert (gaps.n_hours, gaps.of(7)) == (24, 0)
