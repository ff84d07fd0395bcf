from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from monitor import frames
from monitor.collect.quality import Known
from monitor.domain import Dimension, Quality
from monitor.frames import ALL_KEYS, QUALITY_CODES

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def answers(
    *rows: tuple[int, datetime, datetime, str], dimensions: tuple[Dimension, ...] = tuple(Dimension)
) -> pd.DataFrame:
    """COVERAGE: (key_no, since, until, quality), each for all these dimensions, computed at `until`."""
    table = [
        {"key_no": key_no, "dimension": int(dimension), "bucket_s": 600, "since": since, "until": until,
         "quality": QUALITY_CODES[quality], "as_of": until}
        for key_no, since, until, quality in rows
        for dimension in dimensions
    ]  # fmt: skip
    return pd.DataFrame(table, columns=list(frames.COVERAGE)).astype(dict(frames.COVERAGE))


def known(*frames_in: pd.DataFrame) -> Known:
    result = Known()
    for frame in frames_in:
        result.take(frame)
    return result


TWO_HOURS = (ALL_KEYS, NOON - 120 * MINUTE, NOON, "known")


def test_what_nobody_asked_is_unknown() -> None:
    quality = known().of([3], NOON)[3]

    assert (quality.state, quality.complete_until) == (Quality.UNKNOWN, None)


def test_an_answer_for_all_keys_holds_for_keys_that_appear_later() -> None:
    quality = known(answers(TWO_HOURS)).of([0, 999], NOON)

    assert [each.state for each in quality.values()] == [Quality.KNOWN, Quality.KNOWN]
    assert quality[999].complete_until == NOON


def test_the_bucket_under_way_does_not_make_a_key_partial() -> None:
    under_way = (ALL_KEYS, NOON, NOON + 10 * MINUTE, "partial")

    quality = known(answers(TWO_HOURS, under_way)).of([0], NOON + 4 * MINUTE)[0]

    assert (quality.state, quality.complete_until) == (Quality.KNOWN, NOON)


def test_an_answer_that_ends_inside_a_bucket_leaves_that_bucket_partial() -> None:
    quality = known(answers(TWO_HOURS, (ALL_KEYS, NOON, NOON + 4 * MINUTE, "known"))).of([0], NOON + 20 * MINUTE)[0]

    assert quality.complete_until == NOON


def test_a_truncated_bucket_in_the_last_hour_makes_that_key_partial_and_no_other() -> None:
    cut = answers((1, NOON - 30 * MINUTE, NOON - 20 * MINUTE, "partial"))

    quality = known(answers(TWO_HOURS), cut).of([1, 2], NOON)

    assert [each.state for each in quality.values()] == [Quality.PARTIAL, Quality.KNOWN]


def test_a_later_answer_replaces_an_earlier_one() -> None:
    cut = answers((1, NOON - 30 * MINUTE, NOON - 20 * MINUTE, "partial"))
    again = answers((ALL_KEYS, NOON - 40 * MINUTE, NOON, "known"))

    assert known(answers(TWO_HOURS), cut, again).of([1], NOON)[1].state is Quality.KNOWN


def test_a_dimension_that_failed_keeps_the_bucket_from_being_complete() -> None:
    failed = answers((ALL_KEYS, NOON - 10 * MINUTE, NOON, "unknown"), dimensions=(Dimension.APP,))

    quality = known(answers(TWO_HOURS), failed).of([0], NOON)[0]

    assert quality.complete_until == NOON - 10 * MINUTE


def test_taking_the_same_answers_twice_changes_nothing() -> None:
    batch = answers(TWO_HOURS, (4, NOON - 30 * MINUTE, NOON, "partial"))

    assert known(batch, batch).of(range(6), NOON) == known(batch).of(range(6), NOON)


def test_old_answers_fade_out_of_sight() -> None:
    later = answers((ALL_KEYS, NOON + timedelta(hours=9), NOON + timedelta(hours=9, minutes=10), "unknown"))

    quality = known(answers(TWO_HOURS), later).of([0], NOON + timedelta(hours=10))[0]

    assert quality.state is Quality.UNKNOWN


def test_the_age_of_the_data_is_that_of_its_oldest_dimension() -> None:
    fresh = answers((ALL_KEYS, NOON, NOON + 10 * MINUTE, "known"), dimensions=(Dimension.MODEL, Dimension.APP))

    assert known(answers(TWO_HOURS), fresh).of([0], NOON + 10 * MINUTE)[0].as_of == NOON


@pytest.mark.parametrize("key_no", [0, ALL_KEYS], ids=["one key", "all keys"])
def test_hours_count_as_the_buckets_they_cover(key_no: int) -> None:
    hour = answers((key_no, NOON - 60 * MINUTE, NOON, "known")).assign(bucket_s=3600).astype({"bucket_s": "int32"})

    quality = known(hour).of([0], NOON)[0]

    assert (quality.state, quality.complete_until) == (Quality.KNOWN, NOON)


@pytest.mark.parametrize("quality", ["partial", "unknown"])
@pytest.mark.parametrize("key_no", [0, ALL_KEYS], ids=["one key", "all keys"])
def test_an_hour_that_is_not_over_takes_nothing_from_what_its_buckets_said(key_no: int, quality: str) -> None:
    hour = answers((key_no, NOON - 60 * MINUTE, NOON, quality)).assign(bucket_s=3600).astype({"bucket_s": "int32"})

    assert known(answers(TWO_HOURS), hour).of([0], NOON)[0].state is Quality.KNOWN
