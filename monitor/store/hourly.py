"""Usage in whole hours, from hourly rows where they were read and from ten-minute rows elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Final

import numpy as np
import sqlalchemy as sa

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.frames import ALL_KEYS
from monitor.store.coverage import BUCKET_SIZE, DIMENSION, KEY, KNOWN, QUALITY, SINCE, UNTIL, join_neighbors, read_spans
from monitor.store.matrices import Mask, Matrix, Packing, positions
from monitor.store.usage_rows import N_COLUMNS, read_rows

_N_DIMENSIONS: Final = len(Dimension)


def hours_of(
    connection: sa.Connection,
    since: int,
    until: int,
    *,
    dimensions: Matrix,
    key_nos: Collection[int] | None,
    wanted: Collection[Dimension] | None = None,
) -> Matrix:
    """Rows with an hour's start in [since, until), sorted by (bucket_start, key_no, value_no); dimensions by value_no.
    `wanted`: of these dimensions only; each is judged by itself, so that the others make no difference."""
    value_nos = None if wanted is None else np.flatnonzero(np.isin(dimensions, [int(each) for each in wanted]))
    hourly = read_rows(connection, since, until, bucket_s=HOUR_S, key_nos=key_nos, value_nos=value_nos)
    first, last = since + -since % HOUR_S, until + -until % HOUR_S
    if first >= last:
        return hourly
    known = KnownHours(read_spans(connection, first, last, bucket_s=HOUR_S), first, last)
    fine = [
        read_rows(connection, begin, end, bucket_s=BUCKET_S, key_nos=key_nos, value_nos=value_nos)
        for begin, end in known.windows_to_sum(wanted)
    ]
    summed = _sum_by_hour(np.concatenate(fine) if fine else np.empty((0, N_COLUMNS), np.int64))
    if not len(summed):
        return hourly
    of_row = dimensions[summed[:, 2]]
    is_own = known.contain(summed[:, 0], summed[:, 1], of_row) | _has_rows(hourly, summed, dimensions)
    rows = np.concatenate((hourly, summed[~is_own]))
    return rows[np.argsort(Packing.around(rows, bucket_s=HOUR_S).pack(rows), kind="stable")]


class KnownHours:
    """Which hours of [first, last) the hourly coverage says are known, by key and dimension."""

    def __init__(self, spans: Matrix, first: int, last: int) -> None:
        spans = spans[np.lexsort((spans[:, SINCE], spans[:, KEY], spans[:, DIMENSION], spans[:, BUCKET_SIZE]))]
        spans = join_neighbors(spans)
        self._first = first
        self._n_hours = (last - first) // HOUR_S
        self._of_all = spans[spans[:, KEY] == ALL_KEYS]
        self._of_one = spans[spans[:, KEY] != ALL_KEYS]
        whole = self._of_all[self._of_all[:, QUALITY] == KNOWN]
        self._all_known = np.stack(
            [self._count(whole[whole[:, DIMENSION] == dimension], inner=True) > 0 for dimension in range(_N_DIMENSIONS)]
        )

    def windows_to_sum(self, wanted: Collection[Dimension] | None = None) -> list[tuple[int, int]]:
        """Spans of hours that are not known for every key and (wanted) dimension: only there ten-minute rows can count."""
        numbers = [int(each) for each in (Dimension if wanted is None else wanted)]
        of_one = self._of_one[np.isin(self._of_one[:, DIMENSION], numbers)]
        lacking = of_one[of_one[:, QUALITY] != KNOWN]
        is_settled = self._all_known[numbers].all(axis=0) & (self._count(lacking, inner=False) == 0)
        edges = np.flatnonzero(np.diff(np.concatenate(([True], is_settled, [True])).astype(np.int8)))
        return [(self._first + int(a) * HOUR_S, self._first + int(b) * HOUR_S) for a, b in pairwise(edges)][::2]

    def contain(self, hours: Matrix, key_nos: Matrix, dimensions: Matrix) -> Mask:
        """Whether each (hour, key, dimension) is known: by the key's own span if one touches the hour, else by all keys'."""
        known = self._all_known[dimensions, (hours - self._first) // HOUR_S]
        own = self._of_one
        if not len(own):
            return known
        n_keys = int(max(own[:, KEY].max(), key_nos.max())) + 1
        width = (self._n_hours + 2) * HOUR_S

        def place(dimension: Matrix, key_no: Matrix, moment: Matrix) -> Matrix:
            offset = np.clip(moment - self._first, 0, width - 1)
            placed: Matrix = (dimension * n_keys + key_no) * width + offset
            return placed

        starts = place(own[:, DIMENSION], own[:, KEY], own[:, SINCE])
        after_start = np.searchsorted(starts, place(dimensions, key_nos, hours), side="right")
        after_hour = np.searchsorted(starts, place(dimensions, key_nos, hours + HOUR_S), side="left")
        at = np.maximum(after_start - 1, 0)
        is_same = (after_start > 0) & (own[at, KEY] == key_nos) & (own[at, DIMENSION] == dimensions)
        touches = (is_same & (own[at, UNTIL] > hours)) | (after_hour > after_start)
        holds = is_same & (own[at, UNTIL] >= hours + HOUR_S) & (own[at, QUALITY] == KNOWN)
        return np.where(touches, holds, known)

    def _count(self, spans: Matrix, *, inner: bool) -> Matrix:
        """How many spans hold each hour whole (`inner`) or touch it, int64[n_hours]."""
        up, down = -(-(spans[:, SINCE] - self._first) // HOUR_S), (spans[:, SINCE] - self._first) // HOUR_S
        begin = np.clip(up if inner else down, 0, self._n_hours)
        end_up, end_down = -(-(spans[:, UNTIL] - self._first) // HOUR_S), (spans[:, UNTIL] - self._first) // HOUR_S
        end = np.clip(end_down if inner else end_up, begin, self._n_hours)
        steps = np.zeros(self._n_hours + 1, np.int64)
        np.add.at(steps, begin, 1)
        np.add.at(steps, end, -1)
        counts: Matrix = np.cumsum(steps)[:-1]
        return counts


def _sum_by_hour(fine: Matrix) -> Matrix:
    """Ten-minute rows as hourly rows, sorted."""
    if not len(fine):
        return fine
    rows = fine.copy()
    rows[:, 0] -= rows[:, 0] % HOUR_S
    packed = Packing.around(rows, bucket_s=HOUR_S).pack(rows)
    order = np.argsort(packed, kind="stable")
    rows, packed = rows[order], packed[order]
    starts = np.flatnonzero(np.concatenate(([True], packed[1:] != packed[:-1])))
    summed = rows[starts].copy()
    summed[:, 3:] = np.add.reduceat(rows[:, 3:], starts, axis=0)
    return summed


def _has_rows(hourly: Matrix, wanted: Matrix, dimensions: Matrix) -> Mask:
    """Whether hourly rows exist for the (hour, key, dimension) of each wanted row."""

    def cells(rows: Matrix) -> Matrix:
        return np.column_stack((rows[:, 0], rows[:, 1], dimensions[rows[:, 2]]))

    there, asked = cells(hourly), cells(wanted)
    packing = Packing.around(there, asked, bucket_s=HOUR_S)
    return positions(np.unique(packing.pack(there)), packing.pack(asked))[1]
