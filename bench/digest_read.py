"""How long the weekly digest takes to read its usage, with and without leaving dimensions out. Run: python bench/digest_read.py

Dense keys: each uses two values of every dimension in every hour of eight weeks. `--keys`, `--weeks` for less."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from monitor import frames
from monitor.domain import HOUR_S, Dimension
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, USAGE, Catalog
from monitor.report.history import condense
from monitor.store.base import Store
from monitor.store.sqlite import open_store

T0 = datetime(2026, 10, 5, tzinfo=UTC)
DAY = timedelta(days=1)
N_VALUES = 2


def a_day(catalog: Catalog, n_keys: int, day: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(usage, coverage) of all keys on one day."""
    start = int((T0 + day * DAY).timestamp())
    numbers = [
        [catalog.value_no(dimension, f"{dimension.name}-{no}") for no in range(N_VALUES)] for dimension in Dimension
    ]
    hour, key, dimension, value = (
        each.ravel()
        for each in np.meshgrid(np.arange(24), np.arange(n_keys), np.arange(4), np.arange(N_VALUES), indexing="ij")
    )
    table = frames.empty(USAGE).reindex(range(len(hour)))
    values = np.array(numbers)[dimension, value]
    usage = table.assign(
        bucket_start=frames.utc_seconds((start + HOUR_S * hour).astype(np.int64)),
        bucket_s=HOUR_S,
        key_no=key,
        dimension=dimension,
        value_no=values,
        n_requests=3,
        tokens_prompt=1_000,
        tokens_completion=100,
        tokens_reasoning=0,
        cost_nusd=1_000_000 + key,
    ).astype(dict(USAGE))
    spans = [
        {"key_no": ALL_KEYS, "dimension": int(each), "bucket_s": HOUR_S, "quality": QUALITY_CODES["known"]}
        for each in Dimension
    ]
    at = {"since": T0 + day * DAY, "until": T0 + (day + 1) * DAY, "as_of": T0 + (day + 1) * DAY}
    return usage, pd.DataFrame([span | at for span in spans]).astype(dict(COVERAGE))


def timed(store: Store, edges: list[datetime], wanted: Sequence[set[Dimension] | None]) -> tuple[float, float, int]:
    """(seconds of reading, seconds with summing up by day, rows)."""
    n_rows, read_s, began = 0, 0.0, time.perf_counter()

    def weeks() -> Iterator[pd.DataFrame]:
        nonlocal n_rows, read_s
        for (since, until), some in zip(pairwise(edges[::7]), wanted, strict=True):
            at = time.perf_counter()
            usage = store.usage.read_hourly(since, until, dimensions=some)
            read_s += time.perf_counter() - at
            n_rows += len(usage)
            yield usage

    condense(weeks(), edges)
    return read_s, time.perf_counter() - began, n_rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--weeks", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "monitor.db"))
        catalog = store.keys.catalog
        for number in range(given.keys):
            catalog.key_no(f"{number:064x}")
        for day in range(7 * given.weeks):
            store.usage.write(*a_day(catalog, given.keys, day))
        edges = [T0 + day * DAY for day in range(7 * given.weeks + 1)]
        as_digest: list[set[Dimension] | None] = [{Dimension.MODEL}] * (given.weeks - 2)
        as_digest += [{Dimension.MODEL, Dimension.APP}] * 2
        asked: tuple[tuple[str, Sequence[set[Dimension] | None]], ...] = (
            ("every dimension", [None] * given.weeks),
            ("what the digest needs", as_digest),
            ("models alone", [{Dimension.MODEL}] * given.weeks),
        )
        for said, wanted in asked:
            read_s, whole_s, n_rows = timed(store, edges, wanted)
            print(f"{said:>22}: {n_rows:>9,} rows, read {read_s:6.1f} s, with sums {whole_s:6.1f} s")
        store.maintenance.close()


if __name__ == "__main__":
    main()
