"""Recordings of five keys that do much the same every day, one of them stolen; as a folder, and in a store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from monitor import backtest, frames, teaching
from monitor.domain import BUCKET_S, HOUR_S, Inventory
from monitor.frames import ALL_KEYS, QUALITY_CODES
from monitor.store.base import Store

START = datetime(2026, 6, 1, tzinfo=UTC)
HABITS = {"model": "acme/mini", "provider": "acme", "country": "DE", "app": "shop"}
THEFT = {"model": "acme/opus-9", "provider": "elsewhere", "country": "KP", "app": ""}
N_KEYS = 5


def _rows(start: datetime, key_hash: str, values: dict[str, str], usd: float) -> list[dict[str, Any]]:
    return [
        {"bucket_start": start, "api_key_hash": key_hash, "dimension": dimension, "value": value, "request_count": 9,
         "tokens_prompt": 900, "tokens_completion": 90, "reasoning_tokens": 0, "total_usage": usd}
        for dimension, value in values.items()
    ]  # fmt: skip


def _experiment(number: int) -> dict[str, str]:
    """What owners do now and then: a model, a country and an app that are new to the key, for cents."""
    return {"model": f"lab/m{number}", "provider": f"lab{number}", "country": f"X{number % 9}", "app": f"try{number}"}


@contextmanager
def thefts_simulated(number: int) -> Iterator[None]:
    """Training asks for thousands of simulated thefts; most tests need a detector, not the best one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "N_THEFTS", number)
        yield


def hash_of(number: int) -> str:
    return f"{number:064x}"


def a_recording(
    folder: Path, *, days: float = 2.6, theft_at: datetime | None = None, usd: float = 15.0, **meta: Any
) -> Path:
    """Five keys that do much the same every ten minutes; key 2 is used by a thief for two hours from `theft_at`, for `usd` a bucket."""
    rng = np.random.default_rng(3)
    rows = []
    for bucket in range(int(days * 144)):
        start = START + timedelta(seconds=bucket * BUCKET_S)
        for number in range(N_KEYS):
            rows += _rows(start, hash_of(number), HABITS, 0.03 * rng.uniform(0.5, 1.5))
            if bucket % 29 == 5 * number:
                rows += _rows(start, hash_of(number), _experiment(bucket), 0.05 * rng.uniform(0.1, 1.0))
        if theft_at is not None and theft_at <= start < theft_at + timedelta(hours=2):
            rows += _rows(start, hash_of(2), THEFT, usd)
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    table["bucket_start"] = table["bucket_start"].astype("datetime64[us, UTC]")
    table.sample(frac=1.0, random_state=1).to_parquet(folder / "usage.parquet")
    keys = [
        {"hash": hash_of(number), "name": f"key\x1b[31m{number}", "created_at": "2026-01-01T00:00:00Z", "disabled": True,
         "limit": 50.0, "limit_remaining": 0.0, "usage": 900.0, "creator_user_id": "u", "workspace_id": "w"}
        for number in range(N_KEYS)
    ]  # fmt: skip
    (folder / "keys.json").write_text(json.dumps({"data": keys}))
    (folder / "meta.json").write_text(json.dumps({"evaluation_start": "2026-06-03T06:00:00Z"} | meta))
    return folder


EVALUATE_FROM = START + timedelta(days=2, hours=6)
THEFT_AT = START + timedelta(days=2, hours=9)


def into_store(
    store: Store, folder: Path, *, until: datetime | None = None, fine_from: datetime = START, is_settled: bool = False
) -> None:
    """A recording as the service would have stored it: hours before `fine_from`, ten-minute rows from then on; and hours there
    as well where `is_settled`. Everything after `until` has not happened yet."""
    recording = backtest.load(folder)
    end = until or recording.until
    catalog = store.keys.catalog
    for key_hash in recording.catalog.keys_from(0):
        catalog.key_no(key_hash)
    store.keys.record(Inventory(end, recording.keys, ()))
    starts = recording.usage["bucket_start"]
    usage = recording.usage[(starts < pd.Timestamp(end)).to_numpy()]
    for dimension, value in recording.catalog.values_from(0)[
        : usage["value_no"].max() + 1
    ]:  # of the future none is known
        catalog.value_no(dimension, value)
    fine = usage[(usage["bucket_start"] >= pd.Timestamp(fine_from)).to_numpy()]
    hours = in_hours(usage if is_settled else usage[(usage["bucket_start"] < pd.Timestamp(fine_from)).to_numpy()])
    last_hour = end - timedelta(seconds=end.timestamp() % HOUR_S)
    hours = hours[(hours["bucket_start"] < pd.Timestamp(last_hour)).to_numpy()]
    if fine_from < end:
        store.usage.write(fine.reset_index(drop=True), known(fine_from, end, bucket_s=BUCKET_S))
    if is_settled or fine_from > recording.since:
        hourly_until = last_hour if is_settled else min(fine_from, last_hour)
        store.usage.write(hours.reset_index(drop=True), known(recording.since, hourly_until, bucket_s=HOUR_S))


def in_hours(usage: pd.DataFrame) -> pd.DataFrame:
    """Ten-minute USAGE summed to hours."""
    names = ["bucket_start", "key_no", "dimension", "value_no"]
    numbers = [name for name in frames.USAGE if name not in {*names, "bucket_s"}]
    hours = frames.utc_seconds(frames.epoch_s(usage["bucket_start"]) // HOUR_S * HOUR_S)
    summed = usage.assign(bucket_start=hours.to_numpy()).groupby(names, as_index=False)[numbers].sum()
    summed["bucket_start"] = frames.utc_seconds(summed["bucket_start"].to_numpy("datetime64[s]").astype(np.int64))
    summed["bucket_s"] = HOUR_S
    return summed[list(frames.USAGE)].astype(dict(frames.USAGE))


def known(
    since: datetime, until: datetime, *, bucket_s: int, key_no: int = ALL_KEYS, quality: str = "known"
) -> pd.DataFrame:
    """COVERAGE in all dimensions."""
    stamp = {name: pd.Timestamp(at).as_unit("s") for name, at in (("since", since), ("until", until), ("as_of", until))}
    fields = {"key_no": key_no, "quality": QUALITY_CODES[quality], "bucket_s": bucket_s}
    made = pd.DataFrame({"dimension": list(range(4)), **stamp, **fields})
    return made[list(frames.COVERAGE)].astype(dict(frames.COVERAGE))
