"""`backtest`: one source, a clear since, a summary for people and programs; and what it means for arming."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from jobs_build import a_store
from recordings import EVALUATE_FROM, START, THEFT_AT, a_recording, hash_of, into_store

from monitor import backtest, teaching
from monitor.config import Settings
from monitor.jobs import arming, artifacts
from monitor.wiring import SystemClock
from monitor.wording import moment, money

STOLEN_AT = START + timedelta(days=3, hours=4)
"""When the key is stolen in `three_days`: hours are replayed faster than ten minutes."""

SINCE = EVALUATE_FROM.strftime("%Y-%m-%dT%H:%MZ")
NO_KEY = {"MONITOR__RESPONSE__MODE": "enforce", "MONITOR__SLACK__ENABLED": "false"}
ARMED = NO_KEY | {"OPENROUTER_MANAGEMENT_KEY": "nobody"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_recording(tmp_path_factory.mktemp("recording"), theft_at=THEFT_AT)


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to arm by."""
    return a_recording(tmp_path_factory.mktemp("three-days"), days=3.3, theft_at=STOLEN_AT)


@pytest.fixture(scope="module")
def detector(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector trained once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "N_THEFTS", 200)
        trained = backtest.replay(backtest.load(folder), Settings(), seed=1).trained
    assert trained is not None
    return artifacts.save(trained, tmp_path_factory.mktemp("models"), name="five-keys")


@pytest.fixture(autouse=True)
def configured(detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR__DETECTION__ARTIFACT", str(detector))


@pytest.fixture
def lived(three_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory whose store has lived through three days, the last hours of them in ten minutes; commands look there."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    store = a_store(state_dir)
    into_store(store, three_days, fine_from=STOLEN_AT - timedelta(hours=1))
    store.maintenance.close()
    monkeypatch.setenv("MONITOR__STORE__STATE_DIR", str(state_dir))
    return state_dir


@pytest.mark.parametrize("args", [[], ["--store", "."]], ids=["neither", "both"])
def test_exactly_one_source_is_named(run, args):
    result = run("backtest", *args)

    assert result.exit_code == 2
    assert "name one source: a FOLDER, or --store" in result.stderr


@pytest.mark.parametrize("text", ["yesterday", "7", "-7d", "0s", "2026-13-01", ""])
def test_a_since_that_is_no_time_is_refused_with_what_is_allowed(run, text):
    result = run("backtest", "--store", "--since", text)

    assert result.exit_code == 2
    assert "is neither a date (2026-06-01, 2026-06-01T12:00Z) nor a span (7d, 36h)" in result.stderr


def test_a_store_that_was_never_made_is_one_line(run):
    result = run("backtest", "--store")

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_is_replayed_and_leaves_no_record(run, folder, lived, tmp_path):
    result = run("backtest", str(folder), "--out", "decisions.jsonl")

    assert result.exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert {line["action"] for line in lines if line["key"] == hash_of(2)} == {"alert", "revoke"}
    assert "disabled    1 key; $" in result.stdout
    assert "owners      1 would have been disturbed" in result.stdout
    assert run("once", env=ARMED).exit_code == 2


def test_the_report_tells_the_figures_that_are_printed(run, folder, tmp_path):
    result = run("backtest", str(folder), "--report", "report.html", "--json")

    summary = json.loads(result.stdout)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert result.exit_code == 0
    assert f"<title>Replay of Recording {folder.name}</title>" in page
    assert f'<span class="figure">{money(summary["stopped_nusd"])}</span>' in page
    (disabled_at,) = (case["disabled_at"] for case in summary["cases"] if case["disabled_at"])
    assert f"disabled {moment(datetime.fromisoformat(disabled_at))}" in page
    assert "<code>000000000000</code>" in page
    assert "key\x1b" not in page
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_report_of_the_store_is_of_the_same_days(run, lived, tmp_path):
    result = run("backtest", "--store", "--since", SINCE, "--report", "report.html")

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert result.exit_code == 0
    assert "The account&#39;s own history" in page
    assert "<strong>3 Jun 06:00 UTC</strong> to <strong>4 Jun 07:10 UTC</strong>" in page
    assert 'id="key-1"' in page
    assert page.count('class="expected"') > 1


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_a_file_in_a_folder_that_does_not_exist_is_refused_before_the_replay(run, folder, option):
    result = run("backtest", str(folder), option, "nowhere/file")

    assert result.exit_code == 2
    assert "does not exist" in result.stderr


@pytest.mark.parametrize("since", ["0.5d", "3h"])
def test_a_span_counts_back_from_the_end_of_a_folder(run, folder, since):
    result = run("backtest", str(folder), "--since", since, "--json")

    summary = json.loads(result.stdout)
    length = datetime.fromisoformat(summary["until"]) - datetime.fromisoformat(summary["since"])
    assert length == timedelta(hours={"0.5d": 12, "3h": 3}[since])


def test_the_store_is_replayed_and_that_is_what_arming_asks_for(run, lived):
    before = run("check", "--json", env=NO_KEY)
    refused = run("once", env=ARMED)

    result = run("backtest", "--store", "--since", SINCE, "--json")

    assert refused.exit_code == 2
    assert refused.stderr.startswith('error: response.mode: is "enforce", but this account was never replayed; run ')
    assert len(refused.stderr.splitlines()) == 1
    assert result.exit_code == 0 and "recorded:" in result.stderr
    summary = json.loads(result.stdout)
    assert summary["n_disabled_keys"] == 1
    assert summary["detector"] == "the configured five-keys.json"
    assert [case["key_hash"] for case in summary["cases"] if case["disabled_at"]] == [hash_of(2)]
    assert armed_check(before) == {"what": "replay before arming", "ok": False} | {
        "detail": f"this account was never replayed; {arming.REMEDY}"
    }
    assert armed_check(run("check", "--json", env=NO_KEY))["ok"]
    store = a_store(lived)
    record = store.state.get(arming.NAME) or {}
    store.maintenance.close()
    assert (record["alerts"], record["disables"]) == (len(summary["cases"]), 1)


def armed_check(result) -> dict[str, object]:
    return next(one for one in json.loads(result.stdout) if one["what"] == "replay before arming")


def test_a_replay_of_less_than_a_day_is_shown_but_does_not_arm(run, lived):
    result = run("backtest", "--store", "--since", "2026-06-04T02:00Z")

    assert result.exit_code == 0
    assert "not recorded: less than a day" in result.stderr
    assert run("once", env=ARMED).exit_code == 2


@pytest.mark.parametrize("command", ["run", "once"])
def test_a_replay_with_another_policy_does_not_arm(run, lived, command):
    run("backtest", "--store", "--since", SINCE, env={"MONITOR__RESPONSE__MIN_USD_PER_HOUR": "50"})

    result = run(command, env=ARMED | {"MONITOR__RESPONSE__MIN_USD_PER_HOUR": "2"})

    assert result.exit_code == 2
    assert "another policy: response.min_usd_per_hour was 50.0 and is 2.0" in result.stderr


def test_the_status_shows_what_must_not_be_forgotten(run, store_file):
    store = a_store(store_file.parent)
    facts = dict(store.state.get("status") or {})
    at = SystemClock().now().isoformat()
    store.state.put("status", facts | {"at": at, "warnings": ["armed without a replay \x1b[2J"]})
    store.maintenance.close()

    result = run("status")

    assert "ATTENTION    armed without a replay" in result.stdout
    assert "\x1b" not in result.stdout
