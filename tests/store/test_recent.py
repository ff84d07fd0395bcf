"""What is remembered of the newest rows is what the tables hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_build import T0, a_row, a_span, coverage, fill, moment, rows_of, usage

from monitor.domain import BUCKET_S
from monitor.store import recent
from monitor.store.matrices import Matrix
from monitor.store.recent import Window
from monitor.store.sqlite import SqliteStore, open_store

EVER = (moment(0), moment(2 * T0))
ALL_DIMENSIONS = [a_span(T0, T0 + 4 * BUCKET_S, dimension=dimension) for dimension in range(4)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(str(tmp_path / "monitor.db"))
    assert isinstance(opened, SqliteStore)
    fill(opened.keys.catalog)
    yield opened
    opened.maintenance.close()


def matrix(rows: dict[tuple[int, int, int], int]) -> Matrix:
    return np.array([(*place, 0, 0, 0, 0, cost) for place, cost in sorted(rows.items())], np.int64).reshape(-1, 8)


places = st.tuples(st.integers(0, 5).map(lambda n: n * BUCKET_S), st.integers(0, 2), st.integers(0, 2))
contents = st.dictionaries(places, st.integers(0, 9), max_size=12)


@given(stored=contents, changed=contents, gone=st.sets(places, max_size=5))
def test_a_window_changes_as_the_table_does_within_its_bounds(
    stored: dict[tuple[int, int, int], int], changed: dict[tuple[int, int, int], int], gone: set[tuple[int, int, int]]
) -> None:
    since, until = BUCKET_S, 5 * BUCKET_S
    inside = {place: cost for place, cost in stored.items() if since <= place[0] < until}
    gone_rows = matrix(dict.fromkeys(gone, 0))
    window = Window(since, until, matrix(inside)).after(gone_rows, matrix(changed), bucket_s=BUCKET_S)
    expected = {place: cost for place, cost in inside.items() if place not in gone} | {
        place: cost for place, cost in changed.items() if since <= place[0] < until
    }
    assert window.rows.tolist() == matrix(expected).tolist()


def test_only_whole_buckets_are_kept_when_there_are_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MAX_ROWS", 5)
    rows = matrix({(bucket * BUCKET_S, key, 0): 1 for bucket in range(4) for key in range(3)})
    kept = Window(0, 4 * BUCKET_S, rows).newest(bucket_s=BUCKET_S)
    assert (kept.since, kept.until, len(kept.rows)) == (3 * BUCKET_S, 4 * BUCKET_S, 3)


def test_a_reread_after_pruning_writes_the_pruned_rows_again(store: SqliteStore) -> None:
    rows = [a_row(T0 + n * BUCKET_S) for n in range(4)]
    store.usage.write(usage(*rows), coverage(*ALL_DIMENSIONS))
    store.usage.prune(fine_before=moment(T0 + 7200), hourly_before=moment(T0))
    store.usage.write(usage(*rows), coverage(*ALL_DIMENSIONS))
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == rows


def test_another_process_that_writes_in_between_is_noticed(store: SqliteStore) -> None:
    rows = [a_row(T0 + n * BUCKET_S) for n in range(4)]
    store.usage.write(usage(*rows), coverage(*ALL_DIMENSIONS))
    other = open_store(str(store.path))
    other.usage.write(usage(), coverage(*ALL_DIMENSIONS))
    store.usage.write(usage(*rows), coverage(*ALL_DIMENSIONS))
    assert rows_of(other.usage.read(*EVER, bucket_s=BUCKET_S)) == rows
    other.maintenance.close()


def test_a_key_looked_into_between_two_polls_is_remembered(store: SqliteStore) -> None:
    store.usage.write(usage(a_row(cost=1), a_row(key_no=1, cost=1)), coverage(*ALL_DIMENSIONS))
    store.usage.write(usage(a_row(cost=2)), coverage(a_span(key_no=0)))
    store.usage.write(usage(a_row(cost=1), a_row(key_no=1, cost=1)), coverage(*ALL_DIMENSIONS))
    assert [row[-1] for row in rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S))] == [1, 1]
