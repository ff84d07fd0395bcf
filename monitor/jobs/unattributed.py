"""Dollars that no key could be given: kept by hour, so that a digest's parts add up to the account."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from monitor import frames
from monitor.collect.base import UsageBatch
from monitor.domain import HOUR_S, Dimension
from monitor.frames import ALL_KEYS, QUALITY_CODES
from monitor.report.weeks import Window
from monitor.store.base import Store

KEEP: Final = timedelta(days=22)
"""How long they are kept: two weeks, and a digest that is made up for within the third."""

_NAME: Final = "unattributed"
_NOTING: Final = threading.Lock()
"""The backfill and the settle lane read side by side; neither may write over what the other noted."""


def note(store: Store, batch: UsageBatch, now: datetime) -> None:
    """Keeps the dollars of a reading that no key could be given, by hour. Raises StoreError.

    Only readings of all keys in whole hours speak; each *sets* the hours it knows, so that an hour read again counts once,
    and one that was cleared up since counts no more. An hour that is only partly read can but raise its amount."""
    known, partial = _hours_told(batch.coverage)
    if not known and not partial:
        return
    oldest = int((now - KEEP).timestamp())
    with _NOTING:
        kept = _kept(store)
        hours = {hour: nusd for hour, nusd in kept.items() if hour >= oldest and hour not in known}
        for hour in known | partial:
            nusd = batch.unattributed_by_hour.get(hour, 0)
            if hour >= oldest and (nusd := nusd if hour in known else max(nusd, hours.get(hour, 0))):
                hours[hour] = nusd
        if hours != kept:
            store.state.put(_NAME, {str(hour): nusd for hour, nusd in sorted(hours.items())})


def of(store: Store, window: Window, *, now: datetime) -> int | None:
    """Nano-dollars of the window that no key could be given, as last read; None where that is too long ago. Raises StoreError."""
    if window.since < now - KEEP:
        return None
    since, until = int(window.since.timestamp()), int(window.until.timestamp())
    return sum(nusd for hour, nusd in _kept(store).items() if since <= hour < until)


def _hours_told(coverage: pd.DataFrame) -> tuple[set[int], set[int]]:
    """(known, partial) hours, by start in epoch seconds, of a reading of all keys in hours."""
    is_ours = (coverage["bucket_s"] == HOUR_S) & (coverage["key_no"] == ALL_KEYS)
    rows = coverage[is_ours & (coverage["dimension"] == int(Dimension.MODEL))]
    told: tuple[set[int], set[int]] = set(), set()
    columns = (frames.epoch_s(rows["since"]), frames.epoch_s(rows["until"]), rows["quality"])
    for since, until, quality in zip(*(column.tolist() for column in columns), strict=True):
        if quality != QUALITY_CODES["unknown"]:
            told[quality != QUALITY_CODES["known"]].update(range(since - since % HOUR_S, until, HOUR_S))
    return told


def _kept(store: Store) -> dict[int, int]:
    return {int(hour): int(str(nusd)) for hour, nusd in (store.state.get(_NAME) or {}).items()}
