"""One slot for each (key, value) that was ever seen together: recent cells, and what has been learned of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.features.columns import Array, Bools, Column, Columns, Ints
from monitor.features.params import FINE_HOURS, FINE_PER_HOUR, HabitParams

NEVER: Final = np.iinfo(np.int32).max
"""`first_seen` of a slot that has not been learned yet."""

FINE: Final = FINE_HOURS * FINE_PER_HOUR
MEASURES: Final = ("cost", "requests", "tokens")
_LIMITS: Final = {"cost": np.iinfo(np.int64).max, "requests": np.iinfo(np.int32).max, "tokens": np.iinfo(np.uint32).max}


def _spec(params: HabitParams) -> dict[str, Column]:
    fine, hours = (FINE,), (params.ring_hours,)
    return {
        "key": Column((), "int32"),  # internal key index: key_no + 1
        "value": Column((), "int32"),
        "dimension": Column((), "int8"),
        "fine_cost": Column(fine, "int64"),  # nano-dollars by ten-minute bucket, at bucket % FINE
        "fine_requests": Column(fine, "int32"),
        "fine_tokens": Column(fine, "uint32"),  # prompt and completion; saturates at 4.3e9
        "hour_cost": Column(hours, "int64"),  # by hour, at hour % ring_hours
        "hour_requests": Column(hours, "int32"),
        "hour_tokens": Column(hours, "uint32"),
        "habit": Column((), "float64"),  # decayed weight, forward: see state.FleetState
        "usual": Column((), "float64"),  # decayed nano-dollars
        "first_seen": Column((), "int32", NEVER),  # learned hours only
        "last_seen": Column((), "int32", -1),
        "peak_cost": Column((), "int64"),  # largest learned hour
    }


class Slots:
    """The slots as columns, found by (key, value). Their order is that of arrival; `canonical` gives the one by code."""

    def __init__(self, params: HabitParams) -> None:
        self.table = Columns(_spec(params), has_template=False)
        self._codes: Ints = np.empty(0, np.int64)
        self._order: Ints = np.empty(0, np.int64)

    def __getitem__(self, name: str) -> Array:
        return self.table[name]

    @property
    def n(self) -> int:
        """Slots there are."""
        return self.table.n

    def find(self, key: Array, value: Array, dimension: Array) -> Ints:
        """The slot of each row, made anew where there is none."""
        codes = (key.astype(np.int64) << 32) | value.astype(np.int64)
        at, is_found = self._locate(codes)
        if not is_found.all():
            new, first = np.unique(codes[~is_found], return_index=True)
            self._add(new, dimension[~is_found][first])
            at, _ = self._locate(codes)
        return self._order[at]

    def canonical(self) -> Ints:
        """Slots by (key, value): the order in which floats are summed and states compared, however rows arrived."""
        return self._order

    def clear_fine(self, bucket: int) -> None:
        """Forgets a ten-minute bucket whose place is needed."""
        for measure in MEASURES:
            self[f"fine_{measure}"][bucket % FINE] = 0

    def clear_hour(self, hour: int) -> None:
        """Forgets an hour whose place is needed."""
        for measure in MEASURES:
            ring = self[f"hour_{measure}"]
            ring[hour % len(ring)] = 0

    def put(self, ring: str, at: int, slots: Ints, rows: dict[str, Array], *, cleared: Bools | None) -> None:
        """Sets cells of one bucket (ring `fine` or `hour`, row `at`), after zeroing the slots marked in `cleared`."""
        for measure in MEASURES:
            cells = self[f"{ring}_{measure}"][at]
            if cleared is not None:
                cells[cleared] = 0
            cells[slots] = np.minimum(rows[measure], _LIMITS[measure])

    def sum_hour(self, hour: int, is_fine: Bools) -> None:
        """Sets the hour's cells to the sum of its ten-minute cells, where `is_fine`."""
        first = hour * FINE_PER_HOUR % FINE
        for measure in MEASURES:
            fine = self[f"fine_{measure}"][first : first + FINE_PER_HOUR].sum(axis=0, dtype=np.int64)
            ring = self[f"hour_{measure}"]
            cells = ring[hour % len(ring)]
            np.copyto(cells, np.minimum(fine, _LIMITS[measure]), where=is_fine, casting="unsafe")

    def is_empty(self) -> Bools:
        """Slots that say nothing: never learned, and no cell holds anything."""
        has_cells = self["fine_requests"].any(axis=0) | self["fine_cost"].any(axis=0)
        has_cells |= self["hour_requests"].any(axis=0) | self["hour_cost"].any(axis=0)
        empty: Bools = (self["first_seen"] == NEVER) & ~has_cells
        return empty

    def keep(self, positions: Ints) -> None:
        """Keeps only these slots, in this order."""
        self.table.keep(positions)
        self.index()

    def index(self) -> None:
        """Rebuilds the look-up from the columns."""
        codes = (self["key"].astype(np.int64) << 32) | self["value"].astype(np.int64)
        self._order = np.argsort(codes, kind="stable")
        self._codes = codes[self._order]

    def _locate(self, codes: Ints) -> tuple[Ints, Bools]:
        if not len(self._codes):
            return np.zeros(len(codes), np.int64), np.zeros(len(codes), np.bool_)
        at = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return at, self._codes[at] == codes

    def _add(self, codes: Ints, dimension: Array) -> None:
        """New slots for these distinct codes, ascending."""
        first = self.n
        self.table.grow_to(first + len(codes))
        self["key"][first:] = codes >> 32
        self["value"][first:] = codes & 0xFFFFFFFF
        self["dimension"][first:] = dimension
        places = np.searchsorted(self._codes, codes)
        self._codes = np.insert(self._codes, places, codes)
        self._order = np.insert(self._order, places, np.arange(first, self.n))
