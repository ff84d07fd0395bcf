from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from build import settings_with

from monitor import backtest
from monitor.config import Settings
from monitor.domain import BUCKET_S, NUSD, Dimension
from monitor.errors import StoreError

START = datetime(2026, 6, 1, tzinfo=UTC)
BENCH = Path(__file__).resolve().parents[2] / "shared" / "bench" / "dev"
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


def _hash(number: int) -> str:
    return f"{number:064x}"


def a_recording(folder: Path, *, days: float = 2.6, theft_at: datetime | None = None, **meta: Any) -> Path:
    """Five keys that do much the same every ten minutes; key 2 is used by a thief for two hours from `theft_at`."""
    rng = np.random.default_rng(3)
    rows = []
    for bucket in range(int(days * 144)):
        start = START + timedelta(seconds=bucket * BUCKET_S)
        for number in range(N_KEYS):
            rows += _rows(start, _hash(number), HABITS, 0.03 * rng.uniform(0.5, 1.5))
            if bucket % 29 == 5 * number:
                rows += _rows(start, _hash(number), _experiment(bucket), 0.05 * rng.uniform(0.1, 1.0))
        if theft_at is not None and theft_at <= start < theft_at + timedelta(hours=2):
            rows += _rows(start, _hash(2), THEFT, 6.0)
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    table["bucket_start"] = table["bucket_start"].astype("datetime64[us, UTC]")
    table.sample(frac=1.0, random_state=1).to_parquet(folder / "usage.parquet")
    keys = [
        {"hash": _hash(number), "name": f"key\x1b[31m{number}", "created_at": "2026-01-01T00:00:00Z", "disabled": True,
         "limit": 50.0, "limit_remaining": 0.0, "usage": 900.0, "creator_user_id": "u", "workspace_id": "w"}
        for number in range(N_KEYS)
    ]  # fmt: skip
    (folder / "keys.json").write_text(json.dumps({"data": keys}))
    (folder / "meta.json").write_text(json.dumps({"evaluation_start": "2026-06-03T06:00:00Z"} | meta))
    return folder


EVALUATE_FROM = START + timedelta(days=2, hours=6)
THEFT_AT = START + timedelta(days=2, hours=9)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_recording(tmp_path_factory.mktemp("recording"), theft_at=THEFT_AT)


@pytest.fixture(scope="module")
def replayed(recorded: Path) -> backtest.Replay:
    return backtest.replay(backtest.load(recorded), Settings(), seed=1)


def test_a_theft_is_alerted_and_the_key_revoked_once(replayed: backtest.Replay) -> None:
    assert {decision.key_hash for decision in replayed.decisions} == {_hash(2)}
    assert replayed.decisions[0].at <= THEFT_AT + 2 * timedelta(seconds=BUCKET_S)
    assert [decision.action for decision in replayed.decisions].count(backtest.REVOKE) == 1
    assert any("acme/opus-9, never used" in reason for reason in replayed.decisions[0].reasons)


def test_cutting_the_future_changes_no_past_decision(tmp_path: Path, replayed: backtest.Replay) -> None:
    cut = THEFT_AT + timedelta(minutes=50)
    days = (cut - START) / timedelta(days=1)
    shorter = backtest.load(a_recording(tmp_path, days=days, theft_at=THEFT_AT))

    past = backtest.replay(shorter, Settings(), seed=1).decisions

    assert past == tuple(decision for decision in replayed.decisions if decision.at <= cut)
    assert len(past) >= 3


def test_history_before_the_evaluation_only_teaches(tmp_path: Path) -> None:
    folder = a_recording(tmp_path, days=2.3, theft_at=START + timedelta(days=2, hours=4))

    found = backtest.replay(backtest.load(folder), Settings(), seed=1)

    assert found.trained is not None
    assert found.trained.manifest.trained_until <= EVALUATE_FROM
    assert all(decision.at > EVALUATE_FROM for decision in found.decisions)


def test_without_history_only_rules_speak(tmp_path: Path) -> None:
    folder = a_recording(tmp_path, days=0.5, theft_at=START + timedelta(hours=6), evaluation_start=START.isoformat())
    settings = settings_with(detection={"rules": [{"name": "ceiling", "max_usd_per_hour": 20.0}]})

    found = backtest.replay(backtest.load(folder), settings, seed=1)

    assert found.trained is None
    assert {decision.key_hash for decision in found.decisions} == {_hash(2)}
    assert all("ceiling" in decision.reasons[0] for decision in found.decisions)


def test_decisions_are_written_one_object_a_line(tmp_path: Path, replayed: backtest.Replay) -> None:
    out = tmp_path / "decisions.jsonl"

    backtest.write(replayed.decisions, out)

    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == len(replayed.decisions)
    assert set(lines[0]) == {"at", "key", "action", "score", "reasons"}
    assert lines[0]["at"].startswith("2026-06-03T09:") and lines[0]["at"].endswith("0Z")
    assert list(tmp_path.iterdir()) == [out]


def test_the_folder_goes_in_and_progress_is_told(recorded: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    found = backtest.backtest(
        recorded, tmp_path / "out.jsonl", settings=Settings(), progress=lambda done, total: told.append((done, total))
    )

    assert (tmp_path / "out.jsonl").exists()
    assert told[0] == (1, 374)
    assert told[-1] == (374, 374)
    assert "1 keys would have been disabled" in str(found)
    assert "\x1b" not in str(found)


def test_a_recording_is_read_without_what_only_its_last_moment_knows(recorded: Path) -> None:
    recording = backtest.load(recorded)

    assert not any(key.settings.is_disabled for key in recording.keys)
    assert {key.limit_remaining_usd for key in recording.keys} == {None}
    assert {key.usage_nusd for key in recording.keys} == {None}


def test_dollars_and_dimensions_are_kept(recorded: Path) -> None:
    usage = backtest.load(recorded).usage
    table = pd.read_parquet(recorded / "usage.parquet")

    by_dimension = usage.groupby("dimension")["cost_nusd"].sum()

    assert len(usage) == len(table)
    assert by_dimension[int(Dimension.COUNTRY)] == by_dimension[int(Dimension.MODEL)]
    total = table.loc[table["dimension"] == "model", "total_usage"].sum()
    assert by_dimension[int(Dimension.MODEL)] == pytest.approx(total * NUSD, abs=len(table))


@pytest.mark.parametrize("missing", ["usage.parquet", "keys.json"])
def test_a_folder_that_is_no_recording_is_refused(tmp_path: Path, missing: str) -> None:
    folder = a_recording(tmp_path, days=0.1)
    (folder / missing).unlink()

    with pytest.raises(StoreError, match="not a recording"):
        backtest.load(folder)


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.exists(), reason="the benchmark recording is not on this machine")
def test_the_benchmark_is_replayed_with_few_alerts_and_keys_revoked_only_in_thefts() -> None:
    labels = json.loads((BENCH / "labels.json").read_text())
    recording = backtest.load(BENCH)
    late = timedelta(hours=6)

    found = backtest.replay(recording, Settings(), seed=0)

    thefts = [
        (attack["key"], datetime.fromisoformat(attack["start"]), datetime.fromisoformat(attack["end"]) + late)
        for attack in labels["attacks"]
    ]

    def is_theft(key_hash: str, at: datetime) -> bool:
        return any(key == key_hash and start < at <= end for key, start, end in thefts)

    assert all(is_theft(d.key_hash, d.at) for d in found.decisions if d.action == backtest.REVOKE)
    assert sum(not is_theft(incident.key_hash, incident.opened_at) for incident in found.incidents) <= 10
    n_found = sum(
        any(d.key_hash == key and start < d.at <= min(end, start + timedelta(days=1)) for d in found.decisions)
        for key, start, end in thefts
    )
    assert n_found / len(thefts) >= 0.7
