"""A recording from the store's own history: ten-minute rows where the service watched, hours where only hours were read.

An hour that is known in ten-minute buckets is walked in six windows, as it was lived; its own hourly rows, which later
corrections went into, follow once it has settled, as they do in life. An hour known only as a whole is one window at its
end. Where nothing is known the windows say so: unknown stays unknown, and is told as a gap.

What the store does not hold cannot be replayed: when a row was read (each bucket counts as read at its end), what a row was
before it was corrected, the samples of the counters between the usage readings, and settings of keys as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from monitor import frames
from monitor.backtest.knowledge import HOUR, PER_HOUR, Bools, by_hour, gaps_of, known_buckets
from monitor.backtest.reading import Reading, coverage_of
from monitor.backtest.recording import a_key
from monitor.config import Settings
from monitor.domain import BUCKET_S, HOUR_S, ApiKey, floor_to, utc
from monitor.errors import ConfigError, StoreError
from monitor.frames import Catalog
from monitor.pipeline import Window
from monitor.store.base import Store

DAY: Final = timedelta(days=1)

STEP: Final = 6 * HOUR
"""Read at a time: what bounds the memory, however many keys there are."""

DECIDED: Final = 14 * DAY
"""How much is decided on, at most, where nobody says since when: as far as ten-minute rows go back by default."""

TAUGHT: Final = 3 * DAY
"""What is left to teach, if there is so much: with less, nothing can be trained."""


@dataclass(frozen=True, slots=True)
class StoreRecording:
    """The history in a store, read some hours at a time. See `Recording`.

    `is_fine`, `is_hourly`: by hour since `since`, whether it is known for the account as a whole, in every dimension, in
    ten-minute buckets and by rows of its own."""

    store: Store
    keys: tuple[ApiKey, ...]
    since: datetime
    until: datetime
    evaluate_from: datetime
    settle_hours: int
    is_fine: Bools
    is_hourly: Bools
    gaps: tuple[tuple[datetime, datetime], ...]

    @property
    def catalog(self) -> Catalog:
        """The store's own."""
        return self.store.keys.catalog

    def windows(self, since: datetime, until: datetime) -> Iterator[Window]:
        """Windows of ten minutes and of whole hours. `since` is a whole hour."""
        begin = since
        while begin < until:
            end = min(begin + STEP, until)
            yield from self._of_step(begin, end)
            begin = end

    def hourly(self, since: datetime, until: datetime) -> Iterator[pd.DataFrame]:
        """A day at a time, in hours."""
        begin = since
        while begin < until:
            end = min(begin + DAY, until)
            yield self.store.usage.read_hourly(begin, end)
            begin = end

    def _of_step(self, begin: datetime, end: datetime) -> Iterator[Window]:
        settled_from = max(self.since, begin - self.settle_hours * HOUR)
        hourly = Reading.of(self.store, settled_from, end, bucket_s=HOUR_S)
        fine = Reading.of(self.store, begin, end, bucket_s=BUCKET_S)
        parts = [
            (
                at,
                [
                    (fine if size == BUCKET_S else hourly).part(start, stop, at_s=_epoch(at))
                    for start, stop, size in pieces
                ],
            )
            for at, pieces in self._pieces(begin, end)
        ]
        coverage = frames.check(coverage_of([piece for _, pieces in parts for piece in pieces]), frames.COVERAGE)
        row = 0
        for at, pieces in parts:
            n_rows = sum(len(piece.spans) for piece in pieces)
            usage = [piece.usage for piece in pieces if len(piece.usage)] or [pieces[0].usage]
            together = usage[0] if len(usage) == 1 else pd.concat(usage, ignore_index=True)
            yield Window(at, together, coverage.iloc[row : row + n_rows])
            row += n_rows

    def _pieces(self, begin: datetime, end: datetime) -> Iterator[tuple[datetime, list[tuple[int, int, int]]]]:
        """(moment, [(start, end, bucket size) in epoch seconds]) of each window: what is read then, the oldest first."""
        for hour_s in range(_epoch(begin), _epoch(end), HOUR_S):
            no = (hour_s - _epoch(self.since)) // HOUR_S
            settled = no - self.settle_hours
            old = hour_s - self.settle_hours * HOUR_S
            late = [(old, old + HOUR_S, HOUR_S)] if settled >= 0 and self._is_walked_fine(settled) else []
            if not self._is_walked_fine(no):
                yield utc(hour_s + HOUR_S), [*late, (hour_s, hour_s + HOUR_S, HOUR_S)]
                continue
            for start in range(hour_s, min(hour_s + HOUR_S, _epoch(end)), BUCKET_S):
                bucket = (start, start + BUCKET_S, BUCKET_S)
                yield utc(start + BUCKET_S), [*(late if start == hour_s + HOUR_S - BUCKET_S else []), bucket]

    def _is_walked_fine(self, no: int) -> bool:
        return bool(self.is_fine[no] or not self.is_hourly[no])


def from_store(
    store: Store, settings: Settings, *, now: datetime, since: datetime | timedelta | None = None
) -> StoreRecording:
    """The history up to the last bucket known, from `collect.history` before the first decision on.

    `since`: from when on to decide, a time or a span before now; without it, for the last two weeks, or less where little
    would be left to teach.
    Raises ConfigError where `since` is no time that was, StoreError where nothing is known, or nothing after it."""
    history = settings.collect.history
    since = now - since if isinstance(since, timedelta) else since
    if since is not None and since >= now:
        raise ConfigError("--since", f"{since:%Y-%m-%d %H:%M} UTC is not over yet", remedy="name an earlier time")
    found = known_buckets(store, _ceil((since or now - DECIDED) - history), now)
    if found is None:
        raise StoreError("the store holds no usage yet: let the service read the history (`backfill`), then replay")
    first, until, is_fine, is_hourly = found
    turn = _turn(first, until, since)
    begin = max(first, turn - history)
    skipped = (begin - first) // HOUR
    is_fine, is_hourly = is_fine[skipped * PER_HOUR :], is_hourly[skipped:]
    return StoreRecording(
        store=store,
        keys=_keys(store),
        since=begin,
        until=until,
        evaluate_from=turn,
        settle_hours=-(-settings.collect.settle_after // HOUR),
        is_fine=by_hour(is_fine),
        is_hourly=is_hourly,
        gaps=gaps_of(begin, until, is_fine | np.repeat(is_hourly, PER_HOUR)),
    )


def _keys(store: Store) -> tuple[ApiKey, ...]:
    """Also those that are gone now: while they were used nobody knew that they would be."""
    found = (
        a_key(
            key.key_hash,
            name=key.key_name,
            label=key.label,
            workspace_id=key.workspace_id,
            creator_user_id=key.creator_user_id,
            created_at=key.created_at,
        )
        for key in store.keys.keys(include_vanished=True)
    )
    return tuple(sorted(found, key=lambda key: (key.created_at, key.key_hash)))


def _turn(first: datetime, until: datetime, since: datetime | None) -> datetime:
    """The whole hour from which on it is decided."""
    if since is None:
        total = until - first
        taught = max(total / 2, min(TAUGHT, total * 0.75))
        return _ceil(max(until - DECIDED, first + taught))
    if since >= until:
        raise StoreError(f"the store knows usage up to {until:%Y-%m-%d %H:%M} UTC only; choose an earlier --since")
    return max(floor_to(since, HOUR_S), first)


def _ceil(at: datetime) -> datetime:
    floor = floor_to(at, HOUR_S)
    return floor if at == floor else floor + HOUR


def _epoch(at: datetime) -> int:
    return int(at.timestamp())
