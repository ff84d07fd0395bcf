"""A recording from a folder.

It holds `usage.parquet` (one row a bucket, key, dimension and value, dollars as floats), `keys.json` (the answer of
`GET /keys`) and, if there is one, `meta.json` (`evaluation_start`: what lies before only teaches). Whatever else lies in
the folder is not read. The settings and counters in `keys.json` are those of its last moment, which nobody knows while the
recording runs: only a key's identity, name, owner and time of creation are used, from that time on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from monitor import frames
from monitor.backtest.recording import a_key
from monitor.domain import BUCKET_S, NUSD, ApiKey, Dimension, utc
from monitor.errors import StoreError
from monitor.pipeline import Window, windows

NEEDED: Final = "a recording has usage.parquet and keys.json (docs/runbook.md)"
COLUMNS: Final = ("bucket_start", "api_key_hash", "dimension", "value", "total_usage")
COUNTS: Final = {
    "request_count": "n_requests",
    "tokens_prompt": "tokens_prompt",
    "tokens_completion": "tokens_completion",
    "reasoning_tokens": "tokens_reasoning",
}


@dataclass(frozen=True, slots=True)
class FolderRecording:
    """Usage in ten-minute buckets, sorted by time; every bucket is known to be complete at its end. See `Recording`."""

    catalog: frames.Catalog
    keys: tuple[ApiKey, ...]
    usage: pd.DataFrame
    since: datetime
    until: datetime
    evaluate_from: datetime
    gaps: tuple[tuple[datetime, datetime], ...] = ()

    def windows(self, since: datetime, until: datetime) -> Iterator[Window]:
        """One window a bucket of [since, until)."""
        return windows(self.usage, since=since, until=until)

    def hourly(self, since: datetime, until: datetime) -> Iterator[pd.DataFrame]:
        """All at once."""
        at = frames.epoch_s(self.usage["bucket_start"])
        first, last = np.searchsorted(at, [int(since.timestamp()), int(until.timestamp())])
        yield self.usage.iloc[int(first) : int(last)]


def load(folder: Path, *, evaluate_from: datetime | timedelta | None = None) -> FolderRecording:
    """The recording in a folder. `evaluate_from`, a time or a span before the end, is in place of its own.

    Raises StoreError naming what does not fit."""
    try:
        meta_file = folder / "meta.json"
        meta = _table(meta_file) if meta_file.exists() else {}
        keys = sorted(_keys(folder / "keys.json"), key=lambda key: (key.created_at, key.key_hash))
        table = pq.read_table(folder / "usage.parquet").to_pandas()
        lacking = sorted({*COLUMNS, *COUNTS} - set(table.columns))
        if lacking:
            raise ValueError(f"usage.parquet lacks {', '.join(lacking)}")
        catalog = frames.Catalog(key.key_hash for key in keys)
        usage = _usage(table, catalog)
    except FileNotFoundError as error:
        raise StoreError(f"{error.filename}: there is no such file; {NEEDED}") from error
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"{error} is missing, or unknown" if isinstance(error, KeyError) else str(error)
        raise StoreError(f"{folder}: no recording that can be read ({said}); {NEEDED}") from error
    if usage.empty:
        raise StoreError(f"{folder}: usage.parquet has no rows; {NEEDED}")
    starts = frames.epoch_s(usage["bucket_start"])
    first, last = utc(int(starts[0])), utc(int(starts[-1]) + BUCKET_S)
    if isinstance(evaluate_from, timedelta):
        evaluate_from = last - evaluate_from
    turn = evaluate_from or _time(meta.get("evaluation_start")) or first
    if turn >= last:
        raise StoreError(
            f"{folder}: nothing to decide on after {turn:%Y-%m-%d %H:%M} UTC; usage ends {last:%Y-%m-%d %H:%M}"
        )
    return FolderRecording(catalog, tuple(keys), usage, first, last, max(turn, first))


def _table(file: Path) -> dict[str, Any]:
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} is no JSON object")
    return found


def _keys(file: Path) -> list[ApiKey]:
    listed = _table(file).get("data")
    if not isinstance(listed, list):
        raise ValueError(f'{file.name} has no list "data", as the answer of GET /keys has')
    return [_key(entry) for entry in listed]


def _key(entry: dict[str, Any]) -> ApiKey:
    """Identity, name, owner and creation: all else in the listing belongs to the end of the recording."""
    created = _time(entry["created_at"])
    assert created is not None
    return a_key(
        entry["hash"],
        name=entry.get("name") or "",
        label=entry.get("label") or "",
        workspace_id=entry.get("workspace_id"),
        creator_user_id=entry.get("creator_user_id"),
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
