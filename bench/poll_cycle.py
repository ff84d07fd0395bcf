"""CPU time of one poll cycle by part, against the size of the fleet and the length of its history; and the plain way beside it.

    python bench/poll_cycle.py [--keys 1000 3000 10000] [--cycles 18] [--json OUT]

Dense keys (bench/fleet.py): nine values a key; a cycle reads the trailing forty minutes again, nine rows a key, a quarter of
them new. Each size runs in a process of its own; times are medians of CPU time without network, `worst` is the slowest
cycle (the first of an hour: it learns an hour and renews the seasonal baselines). The plain way reads two weeks from the
store and recomputes with vectorised pandas; it is run at the smallest size only, where it takes seconds. `lean` is the
largest size once more, for its memory, with settings of malloc that keep less.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fleet as fleets

import monitor.daemon  # noqa: F401  (what the service has loaded counts in its memory)
from monitor import features, frames
from monitor.collect.attribution import attribute
from monitor.collect.plan import Ask, Fleet, KnownKey, fleet_of
from monitor.collect.quality import Known
from monitor.collect.usage import Reply
from monitor.config import Settings
from monitor.decide import Context, decide
from monitor.detect.forest import Forest
from monitor.domain import BUCKET_S, HOUR_S, NUSD, Dimension
from monitor.features import HabitParams, everything_known
from monitor.features.checkpoint import to_bytes
from monitor.openrouter.analytics import FIELDS, KEY_FIELD, AnalyticsQuery, Granularity, decode_answer
from monitor.store.base import Store
from monitor.store.sqlite import open_store

OVERLAP = 4
"""Buckets read again in a cycle."""

ROWS_AN_ANSWER = 10_000
WARM_UP = 2
PLAIN_DAYS = 14

LEAN = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "1048576"}
"""Settings of glibc that give freed vectors back to the system at once."""


class Watch:
    """CPU seconds by part, one list entry a cycle."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        self.parts[name].append(time.process_time() - begin)


def catalog_of(fleet: fleets.Fleet, store: Store) -> frames.Catalog:
    """Key hashes and values under the numbers the fleet uses."""
    catalog = store.keys.catalog
    for number in range(fleet.n_keys):
        catalog.key_no(f"{number:064x}")
    for dimension, n in fleets.N_VALUES.items():
        for number in range(n):
            catalog.value_no(dimension, f"vendor-{dimension}/value-{number}")
    return catalog


def payloads(usage: pd.DataFrame, catalog: frames.Catalog) -> list[tuple[Dimension, bytes]]:
    """The usage as the API would have answered it: minute rows by key name and value, ten thousand an answer."""
    answers = []
    for dimension in Dimension:
        own = usage[usage["dimension"] == int(dimension)]
        stamps = own["bucket_start"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = [
            {
                "date__minute": stamp,
                KEY_FIELD: f"key-{key_no}",
                FIELDS[dimension]: catalog.value(value_no),
                "request_count": str(n),
                "tokens_prompt": prompt,
                "tokens_completion": completion,
                "reasoning_tokens": 0,
                "total_usage": cost / NUSD,
            }
            for stamp, key_no, value_no, n, prompt, completion, cost in zip(
                stamps,
                own["key_no"],
                own["value_no"],
                own["n_requests"],
                own["tokens_prompt"],
                own["tokens_completion"],
                own["cost_nusd"],
                strict=True,
            )
        ]
        for first in range(0, len(rows), ROWS_AN_ANSWER):
            part = rows[first : first + ROWS_AN_ANSWER]
            body = {"data": {"data": part, "metadata": {"truncated": False, "row_count": len(part)}}}
            answers.append((dimension, json.dumps(body).encode()))
    return answers


def decoded(answers: list[Path], known: Fleet, catalog: frames.Catalog, since_s: int, until_s: int) -> pd.DataFrame:
    """What collect does with answers, one after another as they come: decode, name to hash, minutes to buckets."""
    replies = []
    for file in answers:
        dimension, payload = Dimension(int(file.name.split("-")[1])), file.read_bytes()
        window = (datetime.fromtimestamp(since_s, tz=UTC), datetime.fromtimestamp(until_s, tz=UTC))
        query = AnalyticsQuery(Granularity.MINUTE, *window, (KEY_FIELD, FIELDS[dimension]))
        ask = Ask(Granularity.MINUTE, since_s, until_s, (dimension,))
        replies.append(Reply(ask, decode_answer(payload, query), until_s))
    return attribute(replies, known, catalog, bucket_s=BUCKET_S).usage


def measure(n_keys: int, days: int, n_cycles: int) -> dict[str, object]:
    """Medians of one size, in milliseconds, and the peak of resident memory."""
    fleet = fleets.a_fleet(n_keys)
    settings = Settings()
    watch = Watch()
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(str(Path(directory) / "bench.db"))
        catalog = catalog_of(fleet, store)
        known = fleet_of(KnownKey(f"{no:064x}", f"key-{no}", 0) for no in range(n_keys))
        state = fleets.prefilled(fleet, HabitParams.from_settings(settings.detection), days=days)
        inventory = fleets.inventory(fleet)
        child("--record", str(n_keys), directory, "--cycles", str(n_cycles))
        detector = trained(features.build(state, inventory, datetime.fromtimestamp(fleets.NOW_S, tz=UTC)))
        n_rows, quality = 0, Known()
        for cycle in range(n_cycles):
            now_s = fleets.NOW_S + BUCKET_S * (cycle + 1)
            now = datetime.fromtimestamp(now_s, tz=UTC)
            since = now - timedelta(seconds=OVERLAP * BUCKET_S)
            answers = recorded(Path(directory), cycle)
            coverage = everything_known(since, now, bucket_s=BUCKET_S)
            with watch.part("decode"):
                usage = decoded(answers, known, catalog, now_s - OVERLAP * BUCKET_S, now_s)
            n_rows = len(usage)
            with watch.part("store"):
                store.usage.write(usage, coverage)
            with watch.part("advance"):
                state.advance(now)
            with watch.part("take"):
                state.take_window(usage, coverage)
                quality.take(coverage)
            with watch.part("build"):
                batch = features.build(state, inventory, now)
            with watch.part("score"):
                detector.score(batch.values)
            with watch.part("decide"):
                decide((), Context(), settings, now)
        store.maintenance.close()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found = report(watch, n_keys=n_keys, days=days, n_rows=n_rows)
    return found | {"peak_mb": peak_mb, "checkpoint_mb": round(len(to_bytes(state)) / 1e6, 1)}


def record(n_keys: int, directory: Path, n_cycles: int) -> None:
    """Writes the answers of every cycle to files; in a process of its own, whose memory is not the monitor's."""
    fleet = fleets.a_fleet(n_keys)
    names = frames.Catalog()
    for dimension, n in fleets.N_VALUES.items():
        for number in range(n):
            names.value_no(dimension, f"vendor-{dimension}/value-{number}")
    for cycle in range(n_cycles):
        last = fleets.NOW_S // BUCKET_S + cycle + 1
        for number, (dimension, answer) in enumerate(payloads(fleet.usage(last - OVERLAP, OVERLAP), names)):
            (directory / f"{cycle:03d}-{int(dimension)}-{number:03d}.json").write_bytes(answer)


def recorded(directory: Path, cycle: int) -> list[Path]:
    """The files of one cycle's answers, in order."""
    return sorted(directory.glob(f"{cycle:03d}-*.json"))


def trained(batch: frames.FeatureBatch) -> Forest:
    """A forest of 200 trees over rows like those it will score."""
    detector = Forest(batch.names)
    rng = np.random.default_rng(3)
    some = np.nan_to_num(batch.values[rng.integers(0, len(batch.values), 8_000)])
    rows = some * rng.uniform(0.5, 2.0, some.shape)
    detector.fit(rows, np.ones(len(rows)), seed=1)
    return detector


def report(watch: Watch, *, n_keys: int, days: int, n_rows: int) -> dict[str, object]:
    kept = {name: np.array(seconds[WARM_UP:]) * 1e3 for name, seconds in watch.parts.items()}
    total = sum(kept.values())
    state = kept["advance"] + kept["take"] + kept["build"]
    return {
        "n_keys": n_keys,
        "days": days,
        "rows": n_rows,
        "parts_ms": {name: round(float(np.median(values)), 2) for name, values in kept.items()},
        "state_ms": round(float(np.median(state)), 1),
        "state_worst_ms": round(float(state.max()), 1),
        "cycle_ms": round(float(np.median(total)), 1),
        "cycle_worst_ms": round(float(np.max(total)), 1),
    }


def plain(n_keys: int) -> dict[str, object]:
    """Re-read two weeks of hourly rows from the store and recompute habits, baselines and shares with pandas."""
    fleet = fleets.a_fleet(n_keys)
    watch = Watch()
    until = datetime.fromtimestamp(fleets.NOW_S, tz=UTC)
    since = until - timedelta(days=PLAIN_DAYS)
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(str(Path(directory) / "plain.db"))
        catalog_of(fleet, store)
        for day in range(PLAIN_DAYS):
            begin = since + timedelta(days=day)
            rows = fleet.hourly(int(begin.timestamp()) // HOUR_S, 24)
            store.usage.write(rows, everything_known(begin, begin + timedelta(days=1), bucket_s=HOUR_S))
        for _ in range(3):
            with watch.part("read"):
                usage = store.usage.read(since, until, bucket_s=HOUR_S)
            with watch.part("recompute"):
                recomputed(usage)
        store.maintenance.close()
    parts = {name: round(float(np.median(seconds)) * 1e3, 1) for name, seconds in watch.parts.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"n_keys": n_keys, "days": PLAIN_DAYS, "parts_ms": parts, "cycle_ms": sum(parts.values()), "peak_mb": peak}


def recomputed(usage: pd.DataFrame) -> pd.DataFrame:
    """The heart of the features without state: decayed shares by value, seasonal medians and spreads by key."""
    age_h = (usage["bucket_start"].max() - usage["bucket_start"]).dt.total_seconds() / HOUR_S
    by_hour = ["key_no", "dimension", "bucket_start"]
    total = usage.groupby(by_hour, sort=False)["n_requests"].transform("sum")
    weight = usage["n_requests"] / total * (1 + np.log(total)) * np.exp2(-age_h / 168)
    habit = weight.groupby([usage["key_no"], usage["value_no"]]).sum()
    models = usage[usage["dimension"] == 0]
    spend = models.groupby(["key_no", "bucket_start"], as_index=False)[["cost_nusd", "n_requests"]].sum()
    season = spend["bucket_start"].dt.day_of_week * 24 + spend["bucket_start"].dt.hour
    median = spend.groupby(["key_no", season])["cost_nusd"].median()
    deviation = (spend["cost_nusd"] - spend.groupby("key_no")["cost_nusd"].transform("median")).abs()
    spread = deviation.groupby(spend["key_no"]).median()
    return pd.DataFrame(
        {"habit": habit.groupby("key_no").max(), "median": median.groupby("key_no").max(), "spread": spread}
    )


def child(*arguments: str, script: str = __file__, environment: Mapping[str, str] | None = None) -> dict[str, object]:
    """One measurement in a process of its own."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | dict(environment or {}))
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, nargs="+", default=[1_000, 3_000, 10_000])
    parser.add_argument("--cycles", type=int, default=18)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--record", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.cycles)))
        return
    if options.record:
        record(int(options.record[0]), Path(options.record[1]), options.cycles)
        print("{}")
        return
    if options.plain:
        print(json.dumps(plain(options.plain)))
        return
    results = [
        child("--one", str(n), str(days), "--cycles", str(options.cycles)) for n in options.keys for days in (14, 90)
    ]
    beside = child("--plain", str(options.keys[0]))
    lean = child("--one", str(options.keys[-1]), "14", "--cycles", "8", environment=LEAN) | {"malloc": "lean"}
    for result in [*results, lean, beside]:
        print(json.dumps(result))
    summary = summarized(results, beside)
    print(json.dumps(summary))
    if options.json:
        options.json.write_text(
            json.dumps({"cycles": results, "lean": lean, "plain": beside, "summary": summary}, indent=1)
        )


def summarized(results: list[dict[str, object]], beside: dict[str, object]) -> dict[str, float]:
    """Exponent of growth over the sizes, cost of long history, and how much dearer the plain way is."""
    short = [result for result in results if result["days"] == 14]
    long = [result for result in results if result["days"] == 90]
    first, last = short[0], short[-1]
    grown = {"n_keys": float(str(last["n_keys"])) / float(str(first["n_keys"]))}
    grown |= {name: float(str(last[name])) / float(str(first[name])) for name in ("cycle_ms", "state_ms")}
    several = len(short) > 1
    return {
        "exponent_cycle": round(math.log(grown["cycle_ms"]) / math.log(grown["n_keys"]), 3) if several else math.nan,
        "exponent_state": round(math.log(grown["state_ms"]) / math.log(grown["n_keys"]), 3) if several else math.nan,
        "long_history_factor": round(
            max(float(str(b["cycle_ms"])) / float(str(a["cycle_ms"])) for a, b in zip(short, long, strict=True)), 2
        ),
        "plain_factor": round(float(str(beside["cycle_ms"])) / float(str(first["cycle_ms"])), 1),
    }


if __name__ == "__main__":
    main()
