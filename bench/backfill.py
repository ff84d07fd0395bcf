"""Our CPU time for a day of backfilled history, against the time that the documented request limit allows for it.

    python bench/backfill.py [--keys 1000] [--days 3] [--json OUT]

Dense keys (bench/fleet.py): nine hourly rows a key. The real reader plans, asks, splits and attributes; a stand-in for the
API answers from memory, and its own CPU time is left out. What was read is written to a store on disk, newest day first as
in life, and at the end replayed from there into a new state. In life the state is built anew after a day, a week and at the
end, so a month of history is replayed 39/31 times; the total counts that in. `api_s` is requests / 64 a minute, at the
number of requests the reader really made; `least_requests` is rows / 10,000 for each dimension.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fleet as fleets
from poll_cycle import Watch, catalog_of, child

from monitor import frames
from monitor.collect.backfill import SHARE_OF_BUDGET
from monitor.collect.coverage import Span
from monitor.collect.plan import Density, KnownKey
from monitor.collect.reading import Reader, Reading
from monitor.config import Settings
from monitor.domain import HOUR_S, NUSD, Dimension
from monitor.jobs.replay import replay
from monitor.openrouter.analytics import FIELDS, KEY_FIELD, MAX_ROWS, METRICS, AnalyticsApi, Granularity
from monitor.pipeline import Pipeline, new_state
from monitor.store.sqlite import open_store

REQUESTS_A_MINUTE = 64
REPLAYS = 39 / 31
"""Days replayed for each day of a month: after 1, 7 and 31 days."""

ADVERTISED = {
    "metrics": [{"name": name} for name in METRICS],
    "dimensions": [{"name": name} for name in (KEY_FIELD, *FIELDS.values())],
    "granularities": [{"name": granularity.value} for granularity in Granularity],
    "operators": [{"name": name} for name in ("eq", "in")],
}


class Answers:
    """The analytics API over a fleet's hours, from memory. `own_s`: CPU seconds spent here and not by the monitor."""

    def __init__(self, fleet: fleets.Fleet, catalog: frames.Catalog) -> None:
        self.fleet, self.catalog = fleet, catalog
        self.own_s = 0.0
        self._hours: dict[int, list[tuple[int, dict[str, object]]]] = {}

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: object = None,
        body: Mapping[str, object] | None = None,
        lane: str = "keys",
    ) -> bytes:
        begin = time.process_time()
        answer = {"data": ADVERTISED} if method == "GET" else {"data": self._answer(body or {})}
        payload = json.dumps(answer).encode()
        self.own_s += time.process_time() - begin
        return payload

    def _answer(self, body: Mapping[str, object]) -> dict[str, object]:
        """Rows of the window and keys asked for, at most `limit` of them."""
        window = dict(body["time_range"])  # type: ignore[call-overload]
        first, last = (int(datetime.fromisoformat(window[name]).timestamp()) // HOUR_S for name in ("start", "end"))
        field = next(name for name in body["dimensions"] if name != KEY_FIELD)  # type: ignore[attr-defined]
        dimension = next(one for one, name in FIELDS.items() if name == field)
        wanted = {value for one in body.get("filters", []) for value in np.atleast_1d(one["value"])}  # type: ignore[attr-defined]
        rows = [
            row
            for hour in range(first, last)
            for key_no, row in self._rows(hour, dimension)
            if not wanted or self.catalog.key_hash(key_no) in wanted
        ]
        limit = int(str(body["limit"]))
        served = rows[:limit]
        return {"data": served, "metadata": {"truncated": len(rows) > limit, "row_count": len(served)}}

    def _rows(self, hour: int, dimension: Dimension) -> list[tuple[int, dict[str, object]]]:
        code = hour * len(Dimension) + int(dimension)
        if code not in self._hours:
            usage = self.fleet.hourly(hour, 1)
            usage = usage[usage["dimension"] == int(dimension)]
            stamp = f"{datetime.fromtimestamp(hour * HOUR_S, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
            columns = ("key_no", "value_no", "n_requests", "tokens_prompt", "tokens_completion", "cost_nusd")
            self._hours[code] = [
                (key_no, _row(stamp, key_no, FIELDS[dimension], self.catalog.value(value_no), numbers))
                for key_no, value_no, *numbers in zip(*(usage[name].tolist() for name in columns), strict=True)
            ]
        return self._hours[code]


def _row(stamp: str, key_no: int, field: str, value: str, numbers: list[int]) -> dict[str, object]:
    return {
        "date__hour": stamp,
        KEY_FIELD: f"key-{key_no}",
        field: value,
        "request_count": str(numbers[0]),
        "tokens_prompt": numbers[1],
        "tokens_completion": numbers[2],
        "reasoning_tokens": 0,
        "total_usage": numbers[3] / NUSD,
    }


def measure(n_keys: int, days: int) -> dict[str, object]:
    """CPU seconds a day by part, requests a day, and the ratio to the time the API takes."""
    fleet, settings, watch = fleets.a_fleet(n_keys), Settings(), Watch()
    end = datetime.fromtimestamp(fleets.NOW_S, tz=UTC)
    n_rows = n_requests = 0
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(str(Path(directory) / "bench.db"))
        answers = Answers(fleet, catalog_of(fleet, store))
        keys = [KnownKey(f"{no:064x}", f"key-{no}", 0) for no in range(n_keys)]
        now = end + timedelta(days=2)
        reader = Reader(AnalyticsApi(answers), store.keys.catalog, Density(), 8, lambda: now)
        for back in range(days):
            reading = read_day(reader, keys, end - timedelta(days=back), watch, answers)
            n_rows += len(reading.batch.usage)
            n_requests += reading.batch.n_requests
            with watch.part("store"):
                store.usage.write(reading.batch.usage, reading.batch.coverage)
        pipeline = Pipeline(settings, store.keys.catalog, new_state(settings))
        with watch.part("replay"):
            replay(store, pipeline, since=end - timedelta(days=days), until=end)
        store.maintenance.close()
    parts_s = {name: sum(spent) / days for name, spent in watch.parts.items()}
    cpu_s = parts_s["read"] + parts_s["store"] + parts_s["replay"] * REPLAYS
    api_s = n_requests / days * 60 / REQUESTS_A_MINUTE
    return {
        "n_keys": n_keys,
        "days": days,
        "rows_a_day": n_rows // days,
        "requests_a_day": round(n_requests / days, 1),
        "least_requests_a_day": least_requests(fleet),
        "parts_s_a_day": {name: round(spent, 2) for name, spent in parts_s.items()},
        "cpu_s_a_day": round(cpu_s, 2),
        "api_s_a_day": round(api_s, 1),
        "cpu_to_api": round(cpu_s / api_s, 3),
        "cpu_to_least_api": round(cpu_s / (least_requests(fleet) * 60 / REQUESTS_A_MINUTE), 3),
        "cpu_to_our_pace": round(cpu_s / (api_s / SHARE_OF_BUDGET), 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def read_day(reader: Reader, keys: list[KnownKey], end: datetime, watch: Watch, answers: Answers) -> Reading:
    """One day through plan, decode, split and attribution; the answering itself is taken off the time."""
    span = Span(int((end - timedelta(days=1)).timestamp()), int(end.timestamp()), HOUR_S)
    before = answers.own_s
    with watch.part("read"):
        reading = asyncio.run(reader.all_keys(keys, span, Granularity.HOUR, contested=()))
    watch.parts["read"][-1] -= answers.own_s - before
    return reading


def least_requests(fleet: fleets.Fleet) -> int:
    """Answers of 10,000 rows that a day needs at least."""
    a_day = np.bincount(fleet.dimension, minlength=len(Dimension)) * 24
    return int((-(-a_day // MAX_ROWS)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.keys, options.days)))
        return
    found = child("--one", "--keys", str(options.keys), "--days", str(options.days), script=__file__)
    print(json.dumps(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
