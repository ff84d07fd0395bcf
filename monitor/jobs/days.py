"""Spend by day, summed up once a day is settled; and which keys ramp by it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import numpy as np

from monitor import frames
from monitor.config import Settings
from monitor.detect import ramp
from monitor.detect.limits import Breach
from monitor.detect.ramp import Ramp
from monitor.detect.train import Excluded
from monitor.domain import BUCKET_S, Dimension, Opinion, utc
from monitor.store.base import Store

DAY: Final = timedelta(days=1)
DAY_S: Final = 86_400
REACH: Final = 182
"""Days looked at: half a year of drift is as much as anybody can judge."""


def sum_up(store: Store, settings: Settings, now: datetime) -> int:
    """Writes down the spend by key of each settled UTC day that is known as a whole and not written yet; returns how many.

    Raises StoreError."""
    last = _day_of(now - settings.collect.settle_after)
    written, n_days = store.days.known(), 0
    for day in range(max(last - REACH, 0), last):
        if day in written or not _is_known(store, day):
            continue
        usage = store.usage.read_hourly(_start(day), _start(day + 1), dimensions={Dimension.MODEL})
        spent = usage.groupby("key_no", sort=True)["cost_nusd"].sum()
        store.days.write(day, spent.index.to_numpy(), spent.to_numpy(dtype=np.int64))
        n_days += 1
    return n_days


def ramping(store: Store, settings: Settings, now: datetime) -> tuple[Ramp, ...]:
    """The keys whose spend ramps, as of the last day summed up. Raises StoreError."""
    known = store.days.known()
    if not known:
        return ()
    until = max(known) + 1
    since = max(min(known), until - REACH)
    daily = store.days.read(since, until, n_keys=store.keys.catalog.n_keys)
    accepted = {}
    for said in store.feedback.said():
        key_no = store.keys.catalog.known_key_no(said.key_hash)
        if said.opinion is Opinion.EXPECTED and key_no is not None and said.said_at <= now:
            accepted[key_no] = _day_of(said.said_at) - since
    return ramp.ramps(daily, max_drift_per_week=settings.detection.max_drift_per_week, accepted=accepted)


def breaches(store: Store, settings: Settings, now: datetime) -> tuple[Breach, ...]:
    """The same, as broken rules. Raises StoreError."""
    found = ramping(store, settings, now)
    return ramp.breaches(found, max_drift_per_week=settings.detection.max_drift_per_week)


def untaught(found: tuple[Ramp, ...], now: datetime) -> list[Excluded]:
    """The weeks of a ramp, and the one it began in: they do not train the detector."""
    return [Excluded(one.key_no, now - timedelta(weeks=one.n_weeks + 1), now) for one in found]


def _is_known(store: Store, day: int) -> bool:
    """Whether all keys' usage by model is known in every ten minutes of the day."""
    found = store.usage.coverage(_start(day), _start(day + 1))
    is_whole = (
        (found["key_no"].to_numpy() == frames.ALL_KEYS)
        & (found["dimension"].to_numpy() == int(Dimension.MODEL))
        & (found["quality"].to_numpy() == frames.QUALITY_CODES["known"])
    )
    since, until = frames.epoch_s(found["since"])[is_whole], frames.epoch_s(found["until"])[is_whole]
    known = np.zeros(DAY_S // BUCKET_S, dtype=np.bool_)
    for begin, end in zip(since - day * DAY_S, until - day * DAY_S, strict=True):
        known[max(-(-int(begin) // BUCKET_S), 0) : max(int(end) // BUCKET_S, 0)] = True
    return bool(known.all())


def _day_of(at: datetime) -> int:
    return int(at.timestamp()) // DAY_S


def _start(day: int) -> datetime:
    return utc(day * DAY_S)
