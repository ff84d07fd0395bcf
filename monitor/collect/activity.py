"""The fallback for a key that the analytics API cannot serve: `GET /activity`, whole UTC days, model and provider only.

Such rows carry `bucket_s` = DAY_S, so that nobody takes a day for an hour: they serve reports and the question whether a key
is used at all. Today is never in them, and nothing is known of countries and apps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from monitor import frames
from monitor.collect.attribution import usage_frame
from monitor.collect.coverage import SETTLE_LAG_S, coverage_frame
from monitor.domain import NUSD, Dimension, floor_to
from monitor.openrouter.activity import ActivityRow

DAY_S: Final = 86_400
REACH: Final = timedelta(days=30)
"""`/activity` serves the last 30 completed UTC days."""


def daily_usage(
    rows: Sequence[ActivityRow], key_hash: str, since: datetime, until: datetime, *, catalog: frames.Catalog
) -> pd.DataFrame:
    """frames.USAGE in days of [since, until) for one key, by model and by provider; endpoints of one model are added up.

    Cost is credits plus BYOK inference, as `total_usage` is elsewhere."""
    key_no = catalog.key_no(key_hash)
    sums: dict[tuple[int, int], np.ndarray] = {}
    for row in rows:
        day = row.day_start()
        if not since.timestamp() <= day < until.timestamp():
            continue
        cost_nusd = round((row.usage + (row.byok_usage_inference or 0.0)) * NUSD)
        amounts = (
            row.requests,
            row.prompt_tokens or 0,
            row.completion_tokens or 0,
            row.reasoning_tokens or 0,
            cost_nusd,
        )
        for dimension, value in (
            (Dimension.MODEL, row.model_permaslug),
            (Dimension.PROVIDER, row.provider_name or ""),
        ):
            cell = day, catalog.value_no(dimension, value)
            sums[cell] = sums.get(cell, 0) + np.array(amounts, dtype=np.int64)
    if not sums:
        return frames.empty(frames.USAGE)
    cells = np.array(sorted(sums), dtype=np.int64)
    return usage_frame(
        bucket_start=cells[:, 0],
        bucket_s=DAY_S,
        key_no=np.full(len(cells), key_no, dtype=np.int64),
        value_no=cells[:, 1],
        amounts=np.stack([sums[day, value_no] for day, value_no in cells.tolist()]),
        catalog=catalog,
    )


def daily_coverage(
    key_hash: str, since: datetime, until: datetime, *, as_of: datetime, catalog: frames.Catalog
) -> pd.DataFrame:
    """frames.COVERAGE of such a reading: completed days within reach are known by model and provider, all else is unknown."""
    day = timedelta(seconds=DAY_S)
    # A day just over may still be missing from the answer.
    settled = as_of - timedelta(seconds=SETTLE_LAG_S)
    newest = floor_to(min(until, settled), DAY_S)
    oldest = max(_ceiling(since), floor_to(as_of, DAY_S) - REACH)
    key_no, read_s = catalog.key_no(key_hash), int(as_of.timestamp())
    rows = []
    for dimension in Dimension:
        quality = "known" if dimension in (Dimension.MODEL, Dimension.PROVIDER) else "unknown"
        if oldest + day <= newest:
            code = frames.QUALITY_CODES[quality]
            window = int(oldest.timestamp()), int(newest.timestamp())
            rows.append((key_no, int(dimension), DAY_S, *window, code, read_s))
    return coverage_frame(rows)


def _ceiling(at: datetime) -> datetime:
    return at + timedelta(seconds=-at.timestamp() % DAY_S)
