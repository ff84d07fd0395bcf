"""History, newest first, so that the service is useful while it is read; what is done is known from COVERAGE alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.collect.attribution import NOT_READ
from monitor.collect.base import UsageBatch
from monitor.domain import HOUR_S, Clock, Dimension, utc
from monitor.errors import RateLimited, Unavailable

Window = tuple[datetime, datetime]

MAX_TRIES: Final = 5
FIRST_PAUSE_S: Final = 15.0
SHARE_OF_BUDGET: Final = 0.5
"""Of the requests a minute; the rest stays for the regular readings and for drill-downs."""


class HistorySource(Protocol):
    """What backfill needs of a source."""

    async def history(self, since: datetime, until: datetime) -> UsageBatch:
        """Usage of all keys in whole hours, asked without regard to earlier readings."""
        ...


def chunks(
    since: datetime, until: datetime, covered: pd.DataFrame, *, longest: timedelta, settle_after: timedelta
) -> list[Window]:
    """Windows of whole hours that still have to be read within [since, until), newest first, each at most `longest`.

    `covered` is frames.COVERAGE, oldest first. An hour is done when all four dimensions are known for ALL_KEYS, computed no
    earlier than an hour before it was final. What is unknown for single keys (hashes the source cannot resolve) does not
    bring an hour back, or backfill would never end."""
    first = -(-int(since.timestamp()) // HOUR_S)
    last = int(until.timestamp()) // HOUR_S
    if last <= first:
        return []
    is_open = ~_done(covered, first, last, settle_after=settle_after)
    n_longest = max(1, int(longest.total_seconds()) // HOUR_S)
    windows: list[Window] = []
    end = last
    while end > first:
        if not is_open[end - 1 - first]:
            end -= 1
            continue
        start = end - 1
        while start > first and is_open[start - 1 - first] and end - start < n_longest:
            start -= 1
        windows.append((_hour(start), _hour(end)))
        end = start
    return windows


async def backfill(
    source: HistorySource, windows: Sequence[Window], *, clock: Clock, requests_per_minute: int
) -> AsyncIterator[tuple[Window, UsageBatch]]:
    """Reads window after window; the caller stores each batch with its coverage before it asks for the next, so that a kill
    costs at most the window under way. Paced to SHARE_OF_BUDGET. A source that is down is waited for, MAX_TRIES times a
    window with growing pauses, then its error is raised; other errors are raised at once."""
    seconds_a_request = 60.0 / (requests_per_minute * SHARE_OF_BUDGET)
    for window in windows:
        started = clock.monotonic()
        batch = await _patiently(source, window, clock)
        yield window, batch
        rest_s = batch.n_requests * seconds_a_request - (clock.monotonic() - started)
        if rest_s > 0 and window != windows[-1]:
            await clock.sleep(rest_s)


async def _patiently(source: HistorySource, window: Window, clock: Clock) -> UsageBatch:
    for attempt in range(MAX_TRIES):
        try:
            batch = await source.history(*window)
        except RateLimited as error:
            if attempt + 1 == MAX_TRIES:
                raise
            await clock.sleep(error.retry_after)
            continue
        except Unavailable:
            if attempt + 1 == MAX_TRIES:
                raise
            await clock.sleep(FIRST_PAUSE_S * 2**attempt)
            continue
        if attempt + 1 == MAX_TRIES or not _has_gap(batch):
            return batch
        await clock.sleep(FIRST_PAUSE_S * 2**attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _has_gap(batch: UsageBatch) -> bool:
    """Whether a question went unanswered that may be answered later. (A refused hash is refused again.)"""
    return any(warning.startswith(NOT_READ) for warning in batch.warnings)


def _done(covered: pd.DataFrame, first: int, last: int, *, settle_after: timedelta) -> npt.NDArray[np.bool_]:
    """bool[last - first]: hours (numbered from the epoch) that need no further reading."""
    rows = covered[(covered["key_no"] == frames.ALL_KEYS) & (covered["bucket_s"] == HOUR_S)]
    done = np.zeros((len(Dimension), last - first), dtype=bool)
    final_after_s = settle_after.total_seconds() - HOUR_S
    columns = [frames.epoch_s(rows[name]) for name in ("since", "until", "as_of")]
    columns += [rows[name].to_numpy(dtype=np.int64) for name in ("dimension", "quality")]
    for since_s, until_s, as_of_s, dimension, quality in zip(*(column.tolist() for column in columns), strict=True):
        start = max(-(-since_s // HOUR_S), first)
        end = min(until_s // HOUR_S, last)
        if end <= start:
            continue
        ends_s = np.arange(start + 1, end + 1) * HOUR_S
        is_known = quality == frames.QUALITY_CODES["known"]
        done[dimension, start - first : end - first] = is_known & (as_of_s >= ends_s + final_after_s)
    is_done: npt.NDArray[np.bool_] = np.logical_and.reduce(done)
    return is_done


def _hour(number: int) -> datetime:
    return utc(number * HOUR_S)
