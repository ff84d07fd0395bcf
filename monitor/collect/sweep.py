"""How the regular reading of usage fits the request budget of a fleet of this size. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from monitor.collect.plan import SHARE_FOR_SWEEPS, Density, Fleet, open_dimensions, plan_account, plan_by_hash
from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.openrouter.analytics import Granularity

MARGIN: Final = timedelta(seconds=2 * BUCKET_S)
"""A sweep reads back at least its own cadence and this: the bucket under way and the one that closed last."""
SLOWEST: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What the planner chose for the regular reading of all keys."""

    granularity: Granularity
    lookback: timedelta
    every: timedelta
    n_requests: int
    words: str


def choose_sweep(
    fleet: Fleet, density: Density, *, overlap: timedelta, usage_every: timedelta, per_minute: int
) -> Sweep:
    """The best reading that fits: minutes over the whole overlap, then fewer minutes, then a slower cadence of minutes,
    then hours. Where not even hourly rows each hour fit, that is what is done, and the words say so."""
    allowed_per_minute = per_minute * SHARE_FOR_SWEEPS
    choices = list(_choices(overlap=overlap, usage_every=usage_every))
    for granularity, lookback, every in choices:
        n_requests = _count(fleet, density, granularity=granularity, lookback=lookback)
        fits = n_requests <= allowed_per_minute * every.total_seconds() / 60
        if fits or (granularity, lookback, every) == choices[-1]:
            break
    words = (
        f"at most {n_requests} requests every {_text(every)} read {'ten-minute' if granularity is Granularity.MINUTE else 'hourly'} "
        f"usage of the last {_text(lookback)} for {len(fleet.keys)} keys ({len(fleet.by_hash)} of them asked by hash) by "
        f"model, provider, country and app; {allowed_per_minute:g} of {per_minute} requests a minute are planned for this"
    )
    if not fits:
        words += "; the fleet is too large for this budget: usage lags behind, the counters do not"
    elif (granularity, every) != (Granularity.MINUTE, usage_every):
        words += f"; minute data every {_text(usage_every)} would not fit the budget"
    elif lookback < overlap:
        words += f"; reading back {_text(overlap)} would not fit the budget"
    return Sweep(granularity, lookback, every, n_requests, words)


def _choices(*, overlap: timedelta, usage_every: timedelta) -> Iterator[tuple[Granularity, timedelta, timedelta]]:
    yield Granularity.MINUTE, overlap, usage_every
    for factor in (1, 2, 3, 4):
        every = usage_every * factor
        shortest = every + MARGIN
        if shortest < overlap or factor > 1:
            yield Granularity.MINUTE, min(shortest, timedelta(hours=3)), every
    hour = timedelta(seconds=HOUR_S)
    every = usage_every
    while every < SLOWEST:
        yield Granularity.HOUR, 2 * hour, every
        every *= 2
    yield Granularity.HOUR, 2 * hour, max(SLOWEST, usage_every)


def _count(fleet: Fleet, density: Density, *, granularity: Granularity, lookback: timedelta) -> int:
    window, dimensions = (0, int(lookback.total_seconds())), tuple(Dimension)
    first = plan_account(fleet, *window, granularity=granularity, dimensions=dimensions, density=density)
    still_open = open_dimensions(fleet, granularity, dimensions, density)
    second = plan_by_hash(
        fleet, fleet.by_hash, *window, granularity=granularity, dimensions=still_open, density=density
    )
    return len(first) + len(second)


def _text(span: timedelta) -> str:
    minutes = span.total_seconds() / 60
    return f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:g} h"
