"""Reading the same buckets again: nothing known is taken back, nothing gone is kept."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from build import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import frames
from monitor.collect.attribution import usage_frame
from monitor.collect.coverage import coverage_frame
from monitor.collect.rereading import Rereading
from monitor.domain import BUCKET_S, Dimension

START = int((NOW - timedelta(hours=1)).timestamp())
CATALOG = frames.Catalog(["a", "b"], [(0, "m/0"), (0, "m/1"), (2, "DE")])


def usage(*rows: tuple[int, int, int, int]) -> pd.DataFrame:
    """(bucket, key_no, value_no, cost) by number of the bucket."""
    if not rows:
        return frames.empty(frames.USAGE)
    table = np.array(rows, dtype=np.int64)
    amounts = np.repeat(table[:, 3:4], 5, axis=1)
    return usage_frame(
        bucket_start=START + table[:, 0] * BUCKET_S,
        bucket_s=BUCKET_S,
        key_no=table[:, 1],
        value_no=table[:, 2],
        amounts=amounts,
        catalog=CATALOG,
    )


def coverage(*rows: tuple[int, int, int, int, str]) -> pd.DataFrame:
    """(key_no, dimension, first bucket, end bucket, quality)."""
    return coverage_frame(
        [
            (
                key_no,
                dimension,
                BUCKET_S,
                START + a * BUCKET_S,
                START + b * BUCKET_S,
                frames.QUALITY_CODES[quality],
                START,
            )
            for key_no, dimension, a, b, quality in rows
        ]
    )


ALL, MODEL = frames.ALL_KEYS, int(Dimension.MODEL)
KNOWN_HOUR = coverage((ALL, MODEL, 0, 6, "known"))


def test_the_first_reading_passes_as_it_is() -> None:
    rows = usage((0, 0, 0, 5))

    found, covers = Rereading(n_buckets=36).settle(rows, KNOWN_HOUR)

    pd.testing.assert_frame_equal(found, rows)
    pd.testing.assert_frame_equal(covers, KNOWN_HOUR)


def test_a_failure_leaves_known_buckets_alone_and_marks_the_others() -> None:
    memory = Rereading(n_buckets=36)
    memory.settle(usage(), coverage((ALL, MODEL, 0, 4, "known"), (ALL, MODEL, 4, 5, "partial")))

    _, covers = memory.settle(usage(), coverage((ALL, MODEL, 0, 6, "unknown")))

    assert frames.epoch_s(covers["since"]).tolist() == [START + 4 * BUCKET_S, START + 5 * BUCKET_S]


def test_one_keys_trouble_is_kept_apart_from_all_others() -> None:
    memory = Rereading(n_buckets=36)
    memory.settle(usage(), coverage((ALL, MODEL, 0, 6, "known"), (1, MODEL, 0, 6, "unknown")))

    _, covers = memory.settle(usage(), coverage((ALL, MODEL, 0, 6, "unknown"), (1, MODEL, 0, 6, "unknown")))

    assert set(covers["key_no"]) == {1}


def test_a_row_that_is_gone_is_told_by_coverage_alone() -> None:
    memory = Rereading(n_buckets=36)
    memory.settle(usage((5, 0, 0, 5)), coverage((ALL, MODEL, 5, 6, "partial")))
    whole = coverage((ALL, MODEL, 5, 6, "known"))

    found, covers = memory.settle(usage(), whole)

    assert found.empty
    pd.testing.assert_frame_equal(covers, whole)


def test_what_is_older_than_the_memory_is_forgotten() -> None:
    memory = Rereading(n_buckets=3)
    memory.settle(usage((0, 0, 0, 5)), coverage((ALL, MODEL, 0, 1, "known")))
    memory.settle(usage(), coverage((ALL, MODEL, 3, 5, "known")))

    found, covers = memory.settle(usage(), coverage((ALL, MODEL, 0, 1, "unknown")))

    assert found.empty
    assert len(covers) == 1


_ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 1), st.integers(1, 9)), max_size=6)
_ANSWERS = st.lists(st.tuples(_ROWS, st.sampled_from(["known", "partial", "unknown"])), max_size=5)


@settings(max_examples=60, deadline=None)
@given(_ROWS, _ANSWERS)
def test_after_a_whole_answer_only_a_whole_answer_changes_what_is_stored(
    whole: list[tuple[int, int, int, int]], later: list[tuple[list[tuple[int, int, int, int]], str]]
) -> None:
    memory = Rereading(n_buckets=36)
    stored: dict[tuple[int, ...], int] = {}

    for rows, quality in [(whole, "known"), *later]:
        answer = usage(*{row[:3]: row for row in rows}.values())
        found, covers = memory.settle(answer, coverage((ALL, MODEL, 0, 6, quality)))
        stored = after_write(stored, found, covers)

    last = [whole, *(rows for rows, quality in later if quality == "known")][-1]
    assert stored == {row[:3]: row[3] for row in last}


def after_write(
    stored: dict[tuple[int, ...], int], rows: pd.DataFrame, covers: pd.DataFrame
) -> dict[tuple[int, ...], int]:
    """What a store holds then: known buckets hold the rows given and no others; all rows given are set."""
    known = covers[covers["quality"] == frames.QUALITY_CODES["known"]]
    spans = list(zip(frames.epoch_s(known["since"]), frames.epoch_s(known["until"]), strict=True))
    left = {
        cell: cost
        for cell, cost in stored.items()
        if not any(since <= START + cell[0] * BUCKET_S < until for since, until in spans)
    }
    buckets = (frames.epoch_s(rows["bucket_start"]) - START) // BUCKET_S
    cells = zip(buckets.tolist(), rows["key_no"].tolist(), rows["value_no"].tolist(), strict=True)
    return left | dict(zip(cells, rows["cost_nusd"].tolist(), strict=True))
