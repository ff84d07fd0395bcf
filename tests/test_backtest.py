from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from build import settings_with
from recordings import EVALUATE_FROM, START, THEFT_AT, a_recording, hash_of, thefts_simulated

from monitor import backtest, teaching
from monitor.config import Settings
from monitor.domain import BUCKET_S, NUSD, Dimension, Verb
from monitor.errors import StoreError

N_THEFTS = teaching.N_THEFTS
BENCH = Path(__file__).resolve().parents[2] / "shared" / "bench" / "dev"


@pytest.fixture(scope="module", autouse=True)
def few_thefts() -> Iterator[None]:
    with thefts_simulated(500):
        yield


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_recording(tmp_path_factory.mktemp("recording"), theft_at=THEFT_AT)


@pytest.fixture(scope="module")
def replayed(recorded: Path) -> backtest.Replay:
    return backtest.replay(backtest.load(recorded), Settings(), seed=1)


def test_a_theft_is_alerted_and_the_key_revoked_once(replayed: backtest.Replay) -> None:
    assert {decision.key_hash for decision in replayed.decisions} == {hash_of(2)}
    assert replayed.decisions[0].at <= THEFT_AT + 2 * timedelta(seconds=BUCKET_S)
    assert [decision.action for decision in replayed.decisions].count(backtest.REVOKE) == 1
    assert any("acme/opus-9, never used" in reason for reason in replayed.decisions[0].reasons)


def test_where_policy_stops_at_a_cap_the_key_is_capped_once_and_never_revoked(recorded: Path) -> None:
    capping = {"name": "all", "cap": {"enabled": True}, "disable": {"enabled": False}}
    found = backtest.replay(backtest.load(recorded), settings_with(policies=[capping]), seed=1)
    actions = [decision.action for decision in found.decisions]
    assert actions.count("cap") == 1
    assert backtest.REVOKE not in actions
    assert [stop.verb for stop in found.stops] == [Verb.CAP]


def test_what_needs_approval_counts_as_approved_in_a_replay_and_a_hold_is_lived_through(
    recorded: Path, replayed: backtest.Replay
) -> None:
    approving = {"approve": "cli", "approvers": ["cli:ada"]}
    held = {"name": "all", "disable": {"hold": "20m"}}
    recording = backtest.load(recorded)
    (now,) = [stop.at for stop in replayed.stops]
    (approved,) = backtest.replay(recording, settings_with(response=approving), seed=1).stops
    (later,) = backtest.replay(recording, settings_with(policies=[held]), seed=1).stops
    assert approved.at == now
    assert later.at == now + timedelta(minutes=20)


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
    assert {decision.key_hash for decision in found.decisions} == {hash_of(2)}
    assert all("ceiling" in decision.reasons[0] for decision in found.decisions)


def test_decisions_are_written_one_object_a_line(tmp_path: Path, replayed: backtest.Replay) -> None:
    out = tmp_path / "decisions.jsonl"

    backtest.write(replayed.decisions, out)

    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == len(replayed.decisions)
    assert set(lines[0]) == {"at", "key", "action", "score", "reasons"}
    assert lines[0]["at"].startswith("2026-06-03T09:") and lines[0]["at"].endswith("0Z")
    assert list(tmp_path.iterdir()) == [out]


def test_the_folder_goes_in_and_progress_is_told(recorded: Path) -> None:
    told: list[tuple[int, int]] = []

    found = backtest.of_folder(recorded, Settings(), seed=1, progress=lambda done, total: told.append((done, total)))

    assert told[0] == (1, 374)
    assert told[-1] == (374, 374)
    assert "disabled    1 key;" in str(found.summary)
    assert "\x1b" not in str(found.summary)


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

    with pytest.raises(StoreError, match=r"a recording has usage\.parquet and keys\.json"):
        backtest.load(folder)


def test_what_a_recording_lacks_is_named(tmp_path: Path) -> None:
    folder = a_recording(tmp_path, days=0.1)
    table = pd.read_parquet(folder / "usage.parquet")

    table.drop(columns=["value", "total_usage"]).to_parquet(folder / "usage.parquet")
    with pytest.raises(StoreError, match=r"usage\.parquet lacks total_usage, value"):
        backtest.load(folder)

    (folder / "keys.json").write_text("[]")
    with pytest.raises(StoreError, match=r"keys\.json is no JSON object"):
        backtest.load(folder)

    (folder / "keys.json").write_text('{"data": [{"name": "x"}]}')
    with pytest.raises(StoreError, match="'created_at' is missing"):
        backtest.load(folder)


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.exists(), reason="the benchmark recording is not on this machine")
def test_the_benchmark_is_replayed_with_few_alerts_and_keys_revoked_only_in_thefts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(teaching, "N_THEFTS", N_THEFTS)
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
