"""A recording: the usage of some keys over a time, and the keys; read from a folder.

A folder holds `usage.parquet` (one row a bucket, key, dimension and value, dollars as floats), `keys.json` (the answer of
`GET /keys`) and, if there is one, `meta.json` (`evaluation_start`: what lies before only teaches). Whatever else lies in
the folder is not read. The settings and counters in `keys.json` are those of its last moment, which nobody knows while the
recording runs: only a key's identity, name, owner and time of creation are used, from that time on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from monitor import frames
from monitor.domain import BUCKET_S, NUSD, ApiKey, Dimension, KeySettings
from monitor.errors import StoreError

COUNTS: Final = {
    "request_count": "n_requests",
    "tokens_prompt": "tokens_prompt",
    "tokens_completion": "tokens_completion",
    "reasoning_tokens": "tokens_reasoning",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """Usage of some keys over [since, until), sorted by time; `evaluate_from`: before it, nothing is decided."""

    catalog: frames.Catalog
    keys: tuple[ApiKey, ...]
    usage: pd.DataFrame
    since: datetime
    until: datetime
    evaluate_from: datetime


def load(folder: Path) -> Recording:
    """The recording in a folder. Raises StoreError naming the file that is missing or does not fit."""
    try:
        listed = json.loads((folder / "keys.json").read_text(encoding="utf-8"))["data"]
        keys = sorted((_key(entry) for entry in listed), key=lambda key: (key.created_at, key.key_hash))
        meta_file = folder / "meta.json"
        meta = json.loads(meta_file.read_text(encoding="utf-8")) if meta_file.exists() else {}
        table = pq.read_table(folder / "usage.parquet").to_pandas()
        catalog = frames.Catalog(key.key_hash for key in keys)
        usage = _usage(table, catalog)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{folder}: not a recording ({error}); it needs usage.parquet and keys.json") from error
    if usage.empty:
        raise StoreError(f"{folder}: usage.parquet has no rows")
    starts = frames.epoch_s(usage["bucket_start"])
    first, last = _utc(int(starts[0])), _utc(int(starts[-1]) + BUCKET_S)
    return Recording(catalog, tuple(keys), usage, first, last, _time(meta.get("evaluation_start")) or first)


def _key(entry: dict[str, Any]) -> ApiKey:
    """Identity, name, owner and creation: all else in the listing belongs to the end of the recording."""
    created = _time(entry["created_at"])
    assert created is not None
    return ApiKey(
        key_hash=entry["hash"],
        key_name=entry.get("name") or "",
        label=entry.get("label") or "",
        workspace_id=entry.get("workspace_id"),
        creator_user_id=entry.get("creator_user_id"),
        settings=KeySettings(is_disabled=False, limit_usd=None, limit_reset=None, include_byok_in_limit=False),
        limit_remaining_usd=None,
        usage_nusd=None,
        usage_daily_nusd=None,
        usage_weekly_nusd=None,
        usage_monthly_nusd=None,
        byok_usage_nusd=None,
        created_at=created,
    )


def _usage(table: pd.DataFrame, catalog: frames.Catalog) -> pd.DataFrame:
    """Recorded rows as frames.USAGE, sorted by time. Numbers are given in order of appearance: the future changes none."""
    texts = {name: table[name].astype("category") for name in ("api_key_hash", "dimension", "value")}
    ranks = {name: column.cat.codes.to_numpy().astype(np.int64) for name, column in texts.items()}
    start = table["bucket_start"].dt.tz_convert("UTC").to_numpy(dtype="datetime64[s]").astype(np.int64)
    order = np.lexsort((ranks["value"], ranks["dimension"], ranks["api_key_hash"], start))
    key_no = np.array([catalog.key_no(text) for text in texts["api_key_hash"].cat.categories], dtype=np.int32)
    named = [Dimension[text.upper()] for text in texts["dimension"].cat.categories]
    dimension = np.array([int(d) for d in named], dtype=np.int8)
    n_values = len(texts["value"].cat.categories)
    pair = (ranks["dimension"] * n_values + ranks["value"])[order]
    distinct, first = np.unique(pair, return_index=True)
    value_no = np.zeros(len(named) * n_values, dtype=np.int32)
    values = texts["value"].cat.categories
    for at in np.argsort(first).tolist():
        code = int(distinct[at])
        value_no[code] = catalog.value_no(named[code // n_values], values[code % n_values])
    columns: dict[str, Any] = {
        "bucket_start": frames.utc_seconds(start[order]),
        "bucket_s": np.full(len(order), BUCKET_S, dtype=np.int32),
        "key_no": key_no[ranks["api_key_hash"][order]],
        "dimension": dimension[ranks["dimension"][order]],
        "value_no": value_no[pair],
    }
    columns |= {ours: table[theirs].to_numpy(dtype=np.int64)[order] for theirs, ours in COUNTS.items()}
    columns["cost_nusd"] = np.rint(table["total_usage"].to_numpy(dtype=np.float64)[order] * NUSD).astype(np.int64)
    return frames.check(pd.DataFrame(columns), frames.USAGE)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _utc(epoch_s: int) -> datetime:
    return datetime.fromtimestamp(epoch_s, tz=UTC)
