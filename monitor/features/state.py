"""The fleet state: all that features need, kept between polls, so that a cycle touches only new or corrected buckets.

Order of a cycle: `advance(now)`, `take_window(usage, coverage)`, `take_counters(deltas)`, then `features.build`. Cells are
set, never added to. Habits are decayed sums kept *forward*: an hour h adds its amount times 2**((h - landmark) / half-life),
so that nothing has to be touched for time to pass (Cormode, Shkapenyuk, Srivastava, Xu 2009); ratios of such sums are those
of sums decayed backward. See docs/adr/0003-incremental-fleet-state.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.features import counters, known, levels
from monitor.features.columns import Array, Bools, Columns, Floats, Ints, distinct, total_by
from monitor.features.params import FINE_HOURS, FINE_PER_HOUR, FORGET_H, HabitParams
from monitor.features.slots import FINE, MEASURES, NEVER, Slots
from monitor.frames import COVERAGE, DELTAS, USAGE, check, empty, epoch_s

LANDMARK_H: Final = 1_735_689_600 // HOUR_S
"""2025-01-01: forward weights are powers of two of the half-lives since then."""

RESCALE: Final = 512
"""Half-lives after which all forward weights are divided by 2**512, exactly."""

NO_HOUR: Final = -1
_MODEL: Final = int(Dimension.MODEL)
_COLUMNS: Final = (
    "bucket_s",
    "key_no",
    "value_no",
    "dimension",
    "cost_nusd",
    "n_requests",
    "tokens_prompt",
    "tokens_completion",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the rows given: set, not set because ahead of `advance`, and corrections of what was learned."""

    n_set: int
    n_ahead: int
    n_late: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """USAGE rows of one bucket size as vectors; `key` is key_no + 1, `bucket` the number of the bucket since the epoch."""

    key: Ints
    value: Ints
    dimension: Ints
    bucket: Ints
    measures: dict[str, Ints]

    def where(self, mask: Bools) -> _Rows:
        measures = {name: values[mask] for name, values in self.measures.items()}
        return _Rows(self.key[mask], self.value[mask], self.dimension[mask], self.bucket[mask], measures)


class FleetState:
    """Recent cells and learned habits of every key of the fleet. Not safe to share between threads."""

    def __init__(self, params: HabitParams) -> None:
        self.params = params
        self.slots = Slots(params)
        self.keys = Columns(levels.key_spec(params), has_template=True)
        self.head_hour = NO_HOUR  # the hour under way
        self.learned_hour = NO_HOUR  # the newest hour that taught its habits
        self.n_rescaled = 0
        self.version = 0  # grows when what was learned changes: caches of derived values go by it
        self.n_rebuilt = 0  # grows when hours learned long ago change
        self.exclusions = np.empty((0, 3), np.int64)  # key index, first hour, end hour
        self.cache: dict[str, Any] = {}
        self._to_rebuild: set[int] = set()

    @property
    def n_keys(self) -> int:
        """Keys the state has room for: every key_no below was seen, in usage, coverage, counters or `ensure_keys`."""
        return self.keys.n - 1

    @property
    def needs_rebuild(self) -> frozenset[int]:
        """key_no of keys whose learned hours were corrected afterwards; `features.replay.rebuild` puts them right."""
        return frozenset(key - 1 for key in self._to_rebuild)

    def ensure_keys(self, n_keys: int) -> None:
        """Makes room for key numbers below `n_keys`."""
        self.keys.grow_to(n_keys + 1)

    # time

    def advance(self, now: datetime) -> None:
        """Rolls the rings to the hour of `now` and learns, in order and once, each hour that has left the quarantine.

        A clock set back changes nothing. Costs one small step an hour passed, so nothing within an hour."""
        head = -(-int(now.timestamp()) // HOUR_S) - 1
        if self.head_hour == NO_HOUR:
            self.head_hour = head
            self.learned_hour = head - self.params.ring_hours
        for hour in range(self.head_hour + 1, head + 1):
            self._roll_to(hour)
            self._learn_until(hour - 1 - self.params.quarantine_h)
        self._learn_until((int(now.timestamp()) - self.params.quarantine_h * HOUR_S) // HOUR_S - 1)

    def gain(self, hour: float) -> float:
        """The forward weight of an hour: what an observation then counts beside the sums kept."""
        return float(np.exp2((hour - LANDMARK_H) / self.params.half_life_h - self.n_rescaled * RESCALE))

    def _roll_to(self, hour: int) -> None:
        """Makes `hour` the head: its places in the rings, held until now by hours that are too old, become unknown."""
        self.head_hour = hour
        self.slots.clear_hour(hour)
        at = hour % self.params.ring_hours
        for name in ("hour_quality", "is_hourly", "is_all_fine", "counter_hour"):
            self.keys[name][at] = 0
        for bucket in range(hour * FINE_PER_HOUR, (hour + 1) * FINE_PER_HOUR):
            self.slots.clear_fine(bucket)
            self.keys["fine_quality"][bucket % FINE] = 0
            self.keys["counter_fine"][bucket % FINE] = 0

    # usage

    def take(self, usage: pd.DataFrame) -> Taken:
        """Sets the cells of these USAGE rows; says nothing about cells without a row. See `take_window`."""
        return self.take_window(usage, empty(COVERAGE))

    def take_window(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> Taken:
        """Takes what one reading returned: USAGE rows, and the COVERAGE of that very reading.

        Where coverage says known, cells without a row become zero; where it says partial or unknown they stay as they
        are. Rows of hours after the head are refused (`advance` first), so a wild clock cannot roll the rings away.
        An hour's own hourly rows win over its ten-minute rows, whichever came first. Of two rows for one cell the later
        wins. Corrections of hours already learned put the key into `needs_rebuild`."""
        check(usage, USAGE)
        check(coverage, COVERAGE)
        if self.head_hour == NO_HOUR:
            raise ValueError("advance the state to a moment before it takes usage")
        fine_spans, hour_spans = known.spans_of(coverage, BUCKET_S, HOUR_S)
        fine, hourly = _rows_of(usage, BUCKET_S, HOUR_S)
        self.keys.grow_to(1 + max(int(r.key.max(initial=0)) for r in (fine_spans, hour_spans, fine, hourly)))
        n_ahead, n_late = 0, 0
        n_set = 0
        for taken in (self._take_fine(fine, fine_spans), self._take_hourly(hourly, hour_spans)):
            n_set, n_ahead, n_late = n_set + taken.n_set, n_ahead + taken.n_ahead, n_late + taken.n_late
        return Taken(n_set, n_ahead, n_late)

    def take_counters(self, deltas: pd.DataFrame) -> int:
        """Takes counter spend (DELTAS), each delta once: repeating a frame changes nothing. Returns deltas taken."""
        check(deltas, DELTAS)
        self.keys.grow_to(2 + int(deltas["key_no"].max()) if len(deltas) else 1)
        return counters.take(self.keys, deltas, head_hour=self.head_hour)

    def _take_fine(self, rows: _Rows, spans: known.Spans) -> Taken:
        oldest = (self.head_hour - FINE_HOURS + 1) * FINE_PER_HOUR
        end = (self.head_hour + 1) * FINE_PER_HOUR
        n_late = self._note_late_fine(rows.where(rows.bucket < oldest))
        kept = rows.where((rows.bucket >= oldest) & (rows.bucket < end))
        slots = self.slots.find(kept.key, kept.value, kept.dimension)
        read = {
            bucket: known.apply(part, self.keys["fine_quality"][bucket % FINE])
            for bucket, part in known.cells(spans, first=oldest, last=end)
        }
        for bucket in sorted({*read, *distinct(kept.bucket)}):
            here = kept.bucket == bucket
            self.slots.put(
                "fine", bucket % FINE, slots[here], kept.where(here).measures, cleared=self._cleared(read.get(bucket))
            )
        for hour in sorted({bucket // FINE_PER_HOUR for bucket in [*read, *distinct(kept.bucket)]}):
            self._settle_fine(hour)
        return Taken(len(slots), int((rows.bucket >= end).sum()), n_late)

    def _settle_fine(self, hour: int) -> None:
        """The hour's cells from its ten-minute cells, wherever the hour has no rows of its own."""
        at, first = hour % self.params.ring_hours, hour * FINE_PER_HOUR % FINE
        quality = self.keys["fine_quality"][first : first + FINE_PER_HOUR]
        self.keys["is_all_fine"][at] = (quality == known.KNOWN).all(axis=0)
        is_fine = ~self.keys["is_hourly"][at]
        self.slots.sum_hour(hour, is_fine[self.slots["dimension"], self.slots["key"]])

    def _take_hourly(self, rows: _Rows, spans: known.Spans) -> Taken:
        oldest, end = self.head_hour - self.params.ring_hours + 1, self.head_hour + 1
        old = rows.where(rows.bucket < oldest)
        self._to_rebuild.update(distinct(old.key))
        kept = rows.where((rows.bucket >= oldest) & (rows.bucket < end))
        slots = self.slots.find(kept.key, kept.value, kept.dimension)
        read = {
            hour: known.apply(part, self.keys["hour_quality"][hour % self.params.ring_hours])
            for hour, part in known.cells(spans, first=oldest, last=end)
        }
        n_late = len(old.key)
        for hour in sorted({*read, *distinct(kept.bucket)}):
            n_late += self._set_hour(hour, slots, kept, is_read=read.get(hour))
        return Taken(len(slots), int((rows.bucket >= end).sum()), n_late)

    def _set_hour(self, hour: int, slots: Ints, rows: _Rows, *, is_read: Bools | None) -> int:
        """Sets one hour from its own rows; returns how many learned cells that changed."""
        at = hour % self.params.ring_hours
        here = rows.bucket == hour
        own = rows.where(here)
        is_hourly = self.keys["is_hourly"][at]
        if is_read is not None:
            is_hourly |= is_read
        is_first = ~is_hourly[own.dimension, own.key]
        cleared = self._cleared(is_read)
        if is_first.any():  # rows of its own replace the sums of ten-minute rows altogether
            fresh = np.zeros(is_hourly.shape, np.bool_)
            fresh[own.dimension[is_first], own.key[is_first]] = True
            is_hourly |= fresh
            fresh_slots = self._cleared(fresh)
            cleared = fresh_slots if cleared is None else cleared | fresh_slots
        before = self._hour_copy(at) if hour <= self.learned_hour else None
        self.slots.put("hour", at, slots[here], own.measures, cleared=cleared)
        if before is None:
            return 0
        changed = np.zeros(self.slots.n, np.bool_)
        for measure, cells in before.items():
            changed |= self.slots[f"hour_{measure}"][at] != cells
        self._to_rebuild.update(distinct(self.slots["key"][changed]))
        return int(changed.sum())

    def _hour_copy(self, at: int) -> dict[str, Array]:
        return {measure: self.slots[f"hour_{measure}"][at].copy() for measure in MEASURES}

    def _cleared(self, is_read: Bools | None) -> Any:
        """Slots whose (dimension, key) was read completely; None where nothing was."""
        if is_read is None or not is_read.any():
            return None
        return is_read[self.slots["dimension"], self.slots["key"]]

    def _note_late_fine(self, rows: _Rows) -> int:
        """Ten-minute rows too old for the ring: nothing new where the hour has its own rows, else the key is rebuilt."""
        hour = rows.bucket // FINE_PER_HOUR
        in_ring = hour > self.head_hour - self.params.ring_hours
        has_own = self.keys["is_hourly"][hour % self.params.ring_hours, rows.dimension, rows.key] & in_ring
        self._to_rebuild.update(distinct(rows.key[~has_own]))
        return int((~has_own).sum())

    # what may teach

    def exclude(self, key_no: int, since: datetime, until: datetime) -> None:
        """Keeps the hours touched by [since, until) from teaching this key: flagged, or of an open incident."""
        self.keys.grow_to(key_no + 2)
        first, end = int(since.timestamp()) // HOUR_S, -(-int(until.timestamp()) // HOUR_S)
        row = np.array([key_no + 1, first, end], np.int64)
        if not (self.exclusions == row).all(axis=1).any():  # incidents say the same at each moment of an hour
            self.exclusions = np.unique(np.concatenate((self.exclusions, row[None])), axis=0)

    def acknowledge(self, key_no: int, since: datetime, until: datetime) -> None:
        """A person has cleared these hours: they teach after all. Where some have been passed over already, the key is
        put into `needs_rebuild`."""
        first, end = int(since.timestamp()) // HOUR_S, -(-int(until.timestamp()) // HOUR_S)
        key, begin, stop = self.exclusions.T
        met = (key == key_no + 1) & (begin < end) & (stop > first)
        if (begin[met] <= self.learned_hour).any():
            self._to_rebuild.add(key_no + 1)
        rest = self.exclusions[met]
        heads = rest[rest[:, 1] < first].copy()
        tails = rest[rest[:, 2] > end].copy()
        heads[:, 2], tails[:, 1] = first, end
        self.exclusions = np.unique(np.concatenate((self.exclusions[~met], heads, tails)), axis=0)

    def rebuilt(self, key_nos: Collection[int]) -> None:
        """These keys are right again (`features.replay.rebuild`)."""
        self._to_rebuild -= {key_no + 1 for key_no in key_nos}
        self.version += 1
        self.n_rebuilt += 1

    def restore_rebuild(self, keys: Collection[int]) -> None:
        """Puts back the marks of a checkpoint."""
        self._to_rebuild = set(keys)

    # learning

    def _learn_until(self, hour: int) -> None:
        while self.learned_hour < hour:
            self.learned_hour += 1
            self._learn(self.learned_hour)
            self.version += 1
            if self.learned_hour % levels.DAY_H == 0:
                self._forget(self.learned_hour)

    def _learn(self, hour: int) -> None:
        """One hour of all keys, from the hour ring: the only place where habits change."""
        self._rescale(hour)
        at, n_keys = hour % self.params.ring_hours, self.keys.n
        kept = self._may_teach(hour)
        key, dimension = self.slots["key"], self.slots["dimension"]
        used = np.flatnonzero((self.slots["hour_requests"][at] > 0) & kept[key])
        code = dimension[used].astype(np.int64) * n_keys + key[used]
        requests = self.slots["hour_requests"][at][used]
        total = total_by(code, requests, known.N_DIMENSIONS * n_keys)
        gain = self.gain(hour)
        amount = np.where(total > 0, (1.0 + np.log(np.maximum(total, 1.0))) * gain, 0.0)
        self.keys["habit_total"][:] += amount.reshape(known.N_DIMENSIONS, n_keys)
        self._learn_slots(hour, used, requests / total[code] * amount[code], gain=gain)
        self._learn_keys(hour, used[dimension[used] == _MODEL], amount[:n_keys], kept=kept, gain=gain)

    def _learn_slots(self, hour: int, used: Ints, weight: Floats, *, gain: float) -> None:
        cost = self.slots["hour_cost"][hour % self.params.ring_hours][used]
        self.slots["habit"][used] += weight
        self.slots["usual"][used] += gain * cost
        self.slots["first_seen"][used] = np.minimum(self.slots["first_seen"][used], hour)
        self.slots["last_seen"][used] = hour
        self.slots["peak_cost"][used] = np.maximum(self.slots["peak_cost"][used], cost)

    def _learn_keys(self, hour: int, models: Ints, amount: Floats, *, kept: Bools, gain: float) -> None:
        at, n_keys = hour % self.params.ring_hours, self.keys.n
        key = self.slots["key"][models]
        cost, requests, tokens = (
            total_by(key, self.slots[f"hour_{measure}"][at][models], n_keys) for measure in MEASURES
        )
        taught = levels.hour_is_known(self.keys, hour)[_MODEL] & kept
        self.keys["known_hours"][:] += taught
        self.keys["clock"][:] += np.where(taught, gain, 0.0)
        self.keys["rhythm"][hour % levels.DAY_H] += amount
        active = np.flatnonzero(requests > 0)
        self.keys["last_active"][active] = hour
        levels.learn_levels(self.keys, hour, cost=cost, requests=requests, taught=taught)
        levels.learn_ratios(self.keys, cost=cost, requests=requests, tokens=tokens, active=active, gain=gain)

    def _may_teach(self, hour: int) -> Bools:
        """By key index: whether the hour may teach it."""
        key, first, end = self.exclusions.T
        allowed = np.ones(self.keys.n, np.bool_)
        allowed[key[(first <= hour) & (hour < end)]] = False
        return allowed

    def _rescale(self, hour: int) -> None:
        """Divides all forward weights by 2**512 before they overflow; exact, and at the same hour in every replay."""
        while (hour - LANDMARK_H) / self.params.half_life_h - self.n_rescaled * RESCALE > RESCALE:
            self.n_rescaled += 1
            for column in [self.slots["habit"], self.slots["usual"], *(self.keys[name] for name in levels.FADING)]:
                column *= 2.0**-RESCALE

    def _forget(self, hour: int) -> None:
        """Drops slots not seen for a quarter of a year, and those that never came to say anything."""
        is_old = (self.slots["last_seen"] < hour - FORGET_H) & (self.slots["first_seen"] != NEVER)
        if len(self.exclusions):
            self.exclusions = self.exclusions[self.exclusions[:, 2] > hour - FORGET_H]
        has_cells = self.slots["hour_requests"].any(axis=0) | self.slots["fine_requests"].any(axis=0)
        gone = (is_old & ~has_cells) | self.slots.is_empty()
        if gone.any():
            self.slots.keep(np.flatnonzero(~gone))


def _rows_of(usage: pd.DataFrame, *sizes: int) -> Iterator[_Rows]:
    """The rows of each of these bucket sizes."""
    column = {name: usage[name].to_numpy() for name in _COLUMNS}
    start_s = epoch_s(usage["bucket_start"])
    every = _Rows(
        column["key_no"].astype(np.int64) + 1,
        column["value_no"].astype(np.int64),
        column["dimension"].astype(np.int64),
        start_s,
        {
            "cost": column["cost_nusd"],
            "requests": column["n_requests"],
            "tokens": column["tokens_prompt"] + column["tokens_completion"],
        },
    )
    for bucket_s in sizes:
        is_own = column["bucket_s"] == bucket_s
        own = every if is_own.all() else every.where(is_own)
        yield replace(own, bucket=own.bucket // bucket_s)
