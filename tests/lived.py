"""A service that lives through hours of polls, settling, late data, failures and counters, on a real store.

What `jobs.watch` does with what it reads, without the network: write to the store, then take into the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import build
import numpy as np
import pandas as pd

from monitor import frames
from monitor.collect import counters
from monitor.features import FleetState
from monitor.jobs.app import App

HOUR, BUCKET = timedelta(hours=1), timedelta(minutes=10)
N_KEYS, N_VALUES = 4, 12


@dataclass
class Life:
    """Seeded traffic of four keys, and the readings of it."""

    app: App
    seed: int = 1
    cells: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)
    last_sample: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        catalog = self.app.store.keys.catalog
        for number in range(N_KEYS):
            catalog.key_no(build.a_hash(number))
        for number in range(N_VALUES):
            catalog.value_no(number % 4, f"value-{number}")

    def happen(self, since: datetime, until: datetime) -> None:
        """Usage in every bucket of the window, and now and then a change of a bucket up to three hours old."""
        for bucket in range(int(since.timestamp()) // 600, int(until.timestamp()) // 600):
            for late in (0, 0, 0, int(self.rng.integers(0, 18))):
                cell = (bucket - late, int(self.rng.integers(N_KEYS)), int(self.rng.integers(N_VALUES)))
                self.cells[cell] = (int(self.rng.integers(1, 400)), int(self.rng.integers(0, 3 * 10**9)))
            if self.rng.random() < 0.2:
                recent = [cell for cell in self.cells if cell[0] > bucket - 18]
                del self.cells[recent[int(self.rng.integers(len(recent)))]]

    def rows(self, since: datetime, until: datetime, *, bucket_s: int) -> pd.DataFrame:
        return build.usage(*build.bucket_rows(self.cells, since, until, bucket_s=bucket_s), bucket_s=bucket_s)

    def backfill(self, since: datetime, until: datetime) -> None:
        """Hourly history, into the store alone."""
        self.happen(since, until)
        spans = build.coverage(since, until, bucket_s=3600)
        self.app.store.usage.write(self.rows(since, until, bucket_s=3600), spans)

    def read(self, since: datetime, until: datetime, *, bucket_s: int, **changes: object) -> None:
        """One reading: to the store, then into the state. `quality=0`: it failed, and no rows came."""
        rows = self.rows(since, until, bucket_s=bucket_s) if changes.get("quality", 2) else frames.empty(frames.USAGE)
        stamp = pd.Timestamp(self.app.clock.now()).as_unit("s")  # answers tell when they were computed
        self.take(rows, build.coverage(since, until, bucket_s=bucket_s, as_of=stamp, **changes))

    def take(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> None:
        """What a reading brought, written and taken in."""
        self.app.store.usage.write(usage, coverage)
        self.app.pipeline.take(usage, coverage)

    def count(self, now: datetime) -> None:
        """A sample of the counters; one key is missing from it now and then."""
        spent = np.zeros(N_KEYS, np.int64)
        for (_, key_no, value_no), (_, cost) in self.cells.items():
            spent[key_no] += cost * (value_no % 4 == 0)
        listed = [no for no in range(N_KEYS) if self.rng.random() < 0.9]
        stamp = pd.Timestamp(now).as_unit("s")
        sample = pd.DataFrame(
            {"sampled_at": stamp, "key_no": listed, "usage_nusd": spent[listed], "usage_daily_nusd": -1}
        ).astype(dict(frames.COUNTERS))
        self.app.store.usage.write_counters(sample)
        before, self.last_sample = self.last_sample, sample
        if before is not None:
            self.app.pipeline.take_counters(counters.deltas(before, sample))
            self.last_sample = counters.latest(before, sample)

    def poll(self, now: datetime, *, settles: bool) -> None:
        """One cycle: counters, ten-minute rows of the last hour, every other time the hours that may still change."""
        self.happen(now - 3 * BUCKET, now)
        self.app.clock.at = now
        self.app.pipeline.state.advance(now)
        self.count(now)
        whole = now - timedelta(seconds=now.timestamp() % 600)
        if self.rng.random() < 0.1:
            self.read(whole - HOUR, now, bucket_s=600, quality=0)
        else:
            self.read(whole - HOUR, whole, bucket_s=600)
            if whole < now:
                self.read(whole, now, bucket_s=600, quality=1)
        if settles:
            end = now - timedelta(seconds=now.timestamp() % 3600)
            self.read(end - 4 * HOUR, end, bucket_s=3600)

    def live(self, since: datetime, until: datetime, *, settles: bool = True) -> None:
        """Polls every half hour in (since, until]."""
        now = since
        while (now := now + 3 * BUCKET) <= until:
            self.poll(now, settles=settles and now.minute < 30)


def differences(ours: FleetState, theirs: FleetState) -> list[str]:
    """The names of what is not the same in two states, with the first cells where: what bytes alone do not tell."""
    found = [
        name for name in ("head_hour", "learned_hour", "needs_rebuild") if getattr(ours, name) != getattr(theirs, name)
    ]
    orders = []
    for state in (ours, theirs):
        order = state.slots.canonical()
        orders.append(order[~state.slots.is_empty()[order]])
    if len(orders[0]) != len(orders[1]):
        return [*found, f"slots: {len(orders[0])} and {len(orders[1])}"]
    columns = [
        (name, ours.slots[name][..., orders[0]], theirs.slots[name][..., orders[1]]) for name in ours.slots.table
    ]
    columns += [(name, ours.keys[name], theirs.keys[name]) for name in ours.keys]
    for name, mine, other in columns:
        if mine.shape != other.shape:
            found.append(f"{name}: {mine.shape} and {other.shape}")
        elif mine.tobytes() != other.tobytes():
            at = np.argwhere(mine != other)[:4]
            found.append(f"{name} at {at.tolist()}: {[mine[tuple(i)] for i in at]} and {[other[tuple(i)] for i in at]}")
    if not np.array_equal(ours.exclusions, theirs.exclusions):
        found.append("exclusions")
    return found
