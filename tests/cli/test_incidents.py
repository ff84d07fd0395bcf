"""incidents, silence, audit: what people decide from the command line, beside the running service and without credentials."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_build import STOLEN


@pytest.fixture(autouse=True)
def store(store_file: Path) -> Path:
    return store_file


def state_of(run) -> dict:
    return json.loads(run("incidents", "show", "INC-stolen", "--json").stdout)["incident"]


@pytest.mark.parametrize("args", [[], ["list"], ["--all"], ["list", "--all"]], ids=" ".join)
def test_incidents_alone_lists_them(run, args):
    result = run("incidents", *args)
    assert result.exit_code == 0
    assert re.search(r"INC-stolen +open +critical +search-prod", result.stdout)


def test_an_id_alone_shows_the_incident_with_times_actions_and_trail(run):
    shown = run("incidents", "INC-stolen").stdout
    assert shown == run("incidents", "show", "INC-stolen").stdout
    assert "times     noticed 10 min after it began" in shown
    assert "opened INC-stolen by monitor" in shown


@pytest.mark.parametrize(
    ("by", "cause"), [("model", "vendor/opus"), ("owner", "nobody named"), ("platform", "on its own")]
)
def test_incidents_are_grouped_by_what_they_have_in_common(run, by, cause):
    shown = run("incidents", "list", "--by", by).stdout
    assert f"{cause}: 1 incidents" in shown and "search-prod" in shown
    (group,) = json.loads(run("incidents", "list", "--by", by, "--json").stdout)
    assert group["cause"] == cause and group["incidents"][0]["key_hash"] == STOLEN


def test_an_incident_is_acknowledged_silenced_and_resolved_and_the_trail_tells_who(run):
    assert "INC-stolen: acknowledged" in run("incidents", "ack", "INC-stolen", "--why", "asking").stdout
    assert re.search(r"silenced until 2\d{3}-", run("incidents", "silence", "INC-stolen", "--for", "2h").stdout)
    assert "resolved" in run("incidents", "resolve", "INC-stolen", "--false-alarm", "--why", "load test").stdout
    one = state_of(run)
    assert (one["state"], one["resolution"]) == ("resolved", "false_alarm")
    assert one["resolved_by"].startswith("cli:")
    rows = json.loads(run("audit", "list", "--incident", "INC-stolen", "--json").stdout)
    assert [row["kind"] for row in rows] == ["opened", "acknowledged", "silenced", "resolved"]
    assert [row["why"] for row in rows[1:]] == ["asking", "", "load test"]


def test_a_request_about_another_step_is_status_1_and_says_look_again(run):
    result = run("incidents", "ack", "INC-stolen", "--step", "7")
    assert result.exit_code == 1
    assert "look again" in result.stderr
    assert state_of(run)["state"] == "open"


@pytest.mark.parametrize("span", ["0h", "-2h", "soon", "90"])
def test_a_span_that_is_none_is_wrong_usage(run, span):
    result = run("incidents", "silence", "INC-stolen", "--for", span)
    assert result.exit_code == 2
    assert "30m, 2h or 7d" in result.stderr


def test_a_silence_is_added_listed_and_expired(run):
    added = run("silence", "add", "--key", "search-prod", "--for", "2h", "--comment", "load test")
    assert added.exit_code == 0
    (silence,) = json.loads(run("silence", "list", "--json").stdout)
    assert (silence["key_hash"], silence["comment"]) == (STOLEN, "load test")
    assert run("silence", "expire", silence["silence_id"]).exit_code == 0
    assert json.loads(run("silence", "list", "--json").stdout) == []
    assert "load test" in run("silence", "list", "--all").stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--name", "^ci", "--for", "31d", "--comment", "x"], "at most 30 days"),
        (["--key", "ci", "--for", "2h", "--comment", "x"], "2 keys match"),
    ],
    ids=["long", "ambiguous"],
)
def test_a_silence_that_is_refused_is_status_1(run, args, said):
    result = run("silence", "add", *args)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_trail_as_written_is_status_0_and_tells_its_head(run):
    run("incidents", "ack", "INC-stolen")
    result = run("audit", "verify")
    assert result.exit_code == 0
    head = re.search(r"head (\d+:[0-9a-f]{64})", result.stdout)
    assert head and run("audit", "verify", "--head", head[1]).exit_code == 0


@pytest.mark.parametrize("head", ["nonsense", "12", "1:abc", ":", "-1:" + "0" * 64, "1:" + "g" * 64])
def test_a_head_that_is_none_is_a_wrong_use_and_says_what_is_allowed(run, head: str):
    result = run("audit", "verify", "--head", head)
    assert result.exit_code == 2
    assert "--head" in result.stderr and "64 hex digits" in result.stderr


def test_an_altered_trail_is_status_1_and_names_the_first_bad_row(run, store_file: Path):
    run("incidents", "ack", "INC-stolen")
    n_rows = len(json.loads(run("audit", "list", "--json").stdout))
    with closing(sqlite3.connect(store_file)) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET why = 'nothing happened' WHERE number = ?", (n_rows,))
        connection.commit()
    result = run("audit", "verify")
    assert result.exit_code == 1
    assert f"row {n_rows} was altered" in result.stderr


def test_a_cut_tail_is_found_with_the_head_from_elsewhere(run, store_file: Path):
    run("incidents", "ack", "INC-stolen")
    head = json.loads(run("audit", "verify", "--json").stdout)["head"]
    with closing(sqlite3.connect(store_file)) as connection:
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute("DELETE FROM audit WHERE kind = 'acknowledged'")
        connection.commit()
    assert run("audit", "verify").exit_code == 0
    result = run("audit", "verify", "--head", head)
    assert result.exit_code == 1
    assert "the trail ends at row" in result.stderr


def test_a_bundle_holds_the_hours_the_actions_and_checksums_that_are_right(run, tmp_path: Path):
    out = tmp_path / "claim"
    assert run("incidents", "bundle", "INC-stolen", "--out", str(out)).exit_code == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert {path.name for path in out.iterdir()} == {"manifest.json", *manifest["files"]}
    for name, told in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == told["sha256"]
    with (out / "hourly.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dimension"] == "model"]
    assert [(row["value"], row["requests"], row["cost_usd"]) for row in rows] == [
        ("vendor/opus", "400", "39.000000000")
    ]
    assert "search-prod" in (out / "summary.md").read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in out.iterdir())


def test_a_bundle_never_mixes_with_other_files(run, tmp_path: Path):
    (tmp_path / "claim").mkdir()
    (tmp_path / "claim" / "other.csv").touch()
    result = run("incidents", "bundle", "INC-stolen", "--out", str(tmp_path / "claim"))
    assert result.exit_code == 1
    assert "is not empty" in result.stderr


@pytest.mark.parametrize("n_written", range(4))
def test_a_disk_that_is_full_leaves_no_file_of_a_bundle(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_written: int
):
    out, write, written = tmp_path / "claim", Path.write_bytes, []

    def full(path: Path, content: bytes) -> int:
        if len(written) == n_written:
            write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        result = run("incidents", "bundle", "INC-stolen", "--out", str(out))
    assert result.exit_code == 1
    assert "No space left on device; no file of the bundle was kept" in result.stderr
    assert len(written) == n_written
    assert not [path.name for path in tmp_path.iterdir() if "claim" in path.name]

    assert run("incidents", "bundle", "INC-stolen", "--out", str(out)).exit_code == 0
    assert (out / "manifest.json").exists()


def test_what_follows_a_group_finds_the_settings_named_before_it(run, tmp_path: Path):
    (tmp_path / "other.toml").write_text('[store]\nstate_dir = "elsewhere"\n')
    for place in (
        ["-c", "other.toml", "incidents"],
        ["incidents", "-c", "other.toml"],
        ["incidents", "list", "-c", "other.toml"],
    ):
        result = run(*place, env={"MONITOR__STORE__STATE_DIR": None})
        assert result.exit_code == 1
        assert "elsewhere" in result.stderr
