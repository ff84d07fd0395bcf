"""Forgetting in batches, thinning of counters, joining of coverage, and giving space back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from store_build import T0, a_row, a_span, counters, coverage, fill, moment, rows_of, usage

from monitor.domain import BUCKET_S, HOUR_S
from monitor.store import retention
from monitor.store.sqlite import SqliteStore, open_store

EVER = (moment(0), moment(2 * T0))
DAY_S = 24 * HOUR_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(str(tmp_path / "monitor.db"))
    assert isinstance(opened, SqliteStore)
    fill(opened.keys.catalog, n_keys=200, n_values=4)
    yield opened
    opened.maintenance.close()


def many(n_buckets: int) -> list[tuple[int, ...]]:
    return [a_row(T0 + b * BUCKET_S, key_no=key) for b in range(n_buckets) for key in range(200)]


def test_pruning_in_many_batches_deletes_exactly_what_is_old(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH_ROWS", 450)
    store.usage.write(usage(*many(18)), coverage())
    assert store.usage.prune(fine_before=moment(T0 + 2 * HOUR_S), hourly_before=moment(T0)) == 12 * 200
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == many(18)[12 * 200 :]


def test_a_bucket_size_is_pruned_by_its_own_age_in_whole_hours(store: SqliteStore) -> None:
    store.usage.write(usage(a_row(T0 + 600), a_row(size=HOUR_S)), coverage())
    assert store.usage.prune(fine_before=moment(T0 + 3599), hourly_before=moment(T0 + 3599)) == 0
    assert store.usage.prune(fine_before=moment(T0 + 3600), hourly_before=moment(T0)) == 1
    assert len(store.usage.read(*EVER, bucket_s=HOUR_S)) == 1


def test_old_counters_are_thinned_to_the_first_sample_of_each_hour(store: SqliteStore) -> None:
    old = [(T0 + minute * 60, 0, minute, minute) for minute in range(120)]
    new = [(T0 + 3 * DAY_S + minute * 60, 0, minute, minute) for minute in range(5)]
    store.usage.write_counters(counters(*old, *new))
    assert store.usage.prune(fine_before=moment(T0), hourly_before=moment(T0)) == 118
    assert rows_of(store.usage.counters(*EVER)) == [old[0], old[60], *new]
    assert store.usage.prune(fine_before=moment(T0), hourly_before=moment(T0)) == 0


def test_a_month_of_polling_leaves_a_handful_of_coverage_rows(store: SqliteStore) -> None:
    ends = [T0 + (poll + 1) * HOUR_S for poll in range(31 * 24)]
    for day in range(31):
        spans = [a_span(end - 2 * HOUR_S, end, as_of=end + 60) for end in ends[day * 24 : day * 24 + 24]]
        store.usage.write(usage(), coverage(*spans))
    store.usage.prune(fine_before=moment(0), hourly_before=moment(0))
    spans = rows_of(store.usage.coverage(*EVER))
    assert len(spans) <= 50
    assert all(earlier[4] == later[3] for earlier, later in pairwise(spans))
    assert (spans[0][3], spans[-1][4]) == (T0 - HOUR_S, ends[-1])
    assert (spans[0][6], spans[-1][6]) == (ends[0] + 60, ends[-1] + 60)


def test_a_day_of_ten_minute_polls_does_not_wait_for_pruning_to_stay_small(store: SqliteStore) -> None:
    ends = [T0 + (poll + 1) * BUCKET_S for poll in range(24 * 6)]
    for end in ends:
        own = a_span(end - BUCKET_S, end, key_no=1, quality="partial", as_of=end + 60)
        store.usage.write(usage(), coverage(own))
    spans = rows_of(store.usage.coverage(*EVER))
    assert len(spans) <= 7 * 6 + 1
    assert all(earlier[4] == later[3] for earlier, later in pairwise(spans))
    assert spans[-36:] == [
        a_span(end - BUCKET_S, end, key_no=1, quality="partial", as_of=end + 60) for end in ends[-36:]
    ]


def test_spans_of_different_quality_are_not_joined(store: SqliteStore) -> None:
    far = a_span(T0 + 9 * DAY_S, T0 + 9 * DAY_S + BUCKET_S)
    old = [a_span(T0, T0 + 600), a_span(T0 + 600, T0 + 1200, quality="partial"), a_span(T0 + 1800, T0 + 2400)]
    store.usage.write(usage(), coverage(*old, far))
    store.usage.prune(fine_before=moment(T0), hourly_before=moment(T0))
    assert rows_of(store.usage.coverage(*EVER)) == [*old, far]


def test_freed_space_goes_back_to_the_disk(store: SqliteStore) -> None:
    store.usage.write(usage(*many(100)), coverage())
    store.maintenance.vacuum()
    full = store.path.stat().st_size
    store.usage.prune(fine_before=moment(T0 + DAY_S), hourly_before=moment(T0))
    store.maintenance.vacuum()
    assert store.path.stat().st_size < full / 2
