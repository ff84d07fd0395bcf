"""What goes wrong is told in one clear line, with the status that says whose turn it is: 1 ours, 2 yours."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest


def only_line(result) -> str:
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    "args", [["frobnicate"], ["explain"], ["keys", "--frob"], ["explain", "x", "--hours", "0"]], ids=" ".join
)
def test_wrong_usage_is_status_2(run, args):
    result = run(*args)
    assert result.exit_code == 2
    assert "Error:" in result.stderr


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[schedule]\nkeys_evry = "5m"', "did you mean 'keys_every'"),
        ('[schedule]\nkeys_every = "soon"\nusage_every = 5', "schedule.usage_every"),
        ("[schedule", "is not TOML"),
        ('[openrouter]\nmanagement_key = "x"', "secrets do not belong"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(run, tmp_path: Path, text, hint):
    path = tmp_path / "my.toml"
    path.write_text(text)

    result = run("-c", str(path), "status")

    assert result.exit_code == 2
    line = only_line(result)
    assert line.startswith(f"error: {path}") and hint in line


def test_a_config_file_that_is_not_there_is_status_2(run):
    result = run("status", "--config", "none.toml")
    assert result.exit_code == 2
    assert "copy config.example.toml" in only_line(result)


def test_the_file_is_found_by_option_variable_or_place(run, tmp_path: Path):
    (tmp_path / "wrong.toml").write_text("[nonsense]")
    by_variable = run("status", env={"OPENROUTER_MONITOR_CONFIG": "wrong.toml"})
    (tmp_path / "config.toml").write_text("[folly]")
    by_place = run("status")
    by_option = run("status", "-c", "wrong.toml")
    assert "nonsense" in by_variable.stderr and "folly" in by_place.stderr and "nonsense" in by_option.stderr
    assert {by_variable.exit_code, by_place.exit_code, by_option.exit_code} == {2}


@pytest.mark.parametrize(
    "args", [["status"], ["keys"], ["incidents"], ["explain", "x"], ["backup"], ["digest"]], ids=" ".join
)
def test_looking_without_a_store_is_one_line_and_leaves_nothing_behind(run, tmp_path: Path, args):
    result = run(*args)
    assert result.exit_code == 1
    assert only_line(result).startswith("error: ")
    assert not list(tmp_path.rglob("*.db*"))


@pytest.mark.parametrize(
    "args", [["run"], ["once"], ["backfill"], ["revoke", "x", "--yes"], ["restore", "x"]], ids=" ".join
)
def test_a_missing_management_key_is_told_with_the_remedy_and_status_2(run, args):
    result = run(*args, env={"MONITOR__SLACK__ENABLED": "false"})
    assert result.exit_code == 2
    assert "OPENROUTER_MANAGEMENT_KEY" in only_line(result)


def test_check_without_credentials_says_line_by_line_what_is_missing(run, tmp_path: Path):
    result = run("check")

    assert result.exit_code == 1
    lines = {line[6:].split(":")[0]: line for line in result.stdout.splitlines()}
    assert lines["management key"].startswith("FAIL") and "OPENROUTER_MANAGEMENT_KEY" in lines["management key"]
    assert lines["slack"].startswith("FAIL") and "SLACK_BOT_TOKEN" in lines["slack"]
    assert lines["settings"].startswith("ok") and lines["store"].startswith("ok")
    assert result.stderr.splitlines() == ["error: not ready: management key, slack"]
    assert list(tmp_path.iterdir()) == []


def test_check_tells_programs_the_same(run):
    import json

    result = run("check", "--json")
    assert result.exit_code == 1
    assert {one["what"]: one["ok"] for one in json.loads(result.stdout)}["management key"] is False


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_ours_is_one_line(run, store_file, tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    result = run("backup", str(tmp_path / "locked" / "deeper" / "x.db"))
    assert result.exit_code == 1
    assert "Permission denied" in only_line(result)


@pytest.mark.parametrize("args", [["backup", "a-file/x.db"], ["digest", "--out", "a-file/week.md"]], ids=" ".join)
def test_a_path_that_cannot_be_is_one_line(run, store_file, tmp_path: Path, args):
    (tmp_path / "a-file").write_text("")
    result = run(*args)
    assert result.exit_code == 1
    assert "a-file" in only_line(result)


def test_a_second_instance_is_refused(run, tmp_path: Path):
    from monitor.config import Settings
    from monitor.wiring import only_instance

    environ = {"MONITOR__STORE__STATE_DIR": str(tmp_path / "s"), "OPENROUTER_MANAGEMENT_KEY": "k"}
    with only_instance(Settings.model_validate({"store": {"state_dir": tmp_path / "s"}})):
        result = run("once", env=environ)
    assert result.exit_code == 1
    assert "in use by a running monitor" in only_line(result)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["silence", "add", "--for", "2h", "--comment", "x"], "--key, --name, --owner"),
        (["silence", "add", "--name", "(", "--for", "2h", "--comment", "x"], "'(' is no regular expression"),
        (["feedback", "search-prod", "planned"], "--until 6h"),
        (["backtest", "--store", "--since", "0001-01-01"], "is in no year from"),
        (["backtest", "--store", "--since", "99999999d"], "nor a span"),
        (["silence", "add", "--name", "a", "--for", "99999999999d", "--comment", "x"], "is no span"),
        (["backtest", "--store", "--since", "2099-01-01"], "name an earlier time"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else value,
)
def test_what_cannot_be_meant_is_status_2_and_says_what_can(run, store_file, args, said):
    result = run(*args)
    assert result.exit_code == 2
    assert said in result.stderr and result.stdout == ""


def test_a_state_directory_that_cannot_be_is_named_with_its_setting(run, tmp_path: Path):
    (tmp_path / "a-file").write_text("")
    environ = {"MONITOR__STORE__STATE_DIR": "a-file/state", "OPENROUTER_MANAGEMENT_KEY": "k"}
    result = run("once", env=environ | {"MONITOR__SLACK__ENABLED": "false"})
    assert result.exit_code == 1
    line = only_line(result)
    assert "store.state_dir: a-file/state" in line and "change its owner" in line


@pytest.mark.parametrize(
    "args", [["digest", "--html"], ["digest", "--markdown"], ["preview", "alert", "--html"]], ids=" ".join
)
def test_a_disk_that_is_full_leaves_the_page_that_was_there(run, store_file, tmp_path: Path, monkeypatch, args):
    page = tmp_path / "page"
    page.write_text("last week")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = run(*args, str(page))

    assert result.exit_code == 1
    assert f"error: {page}: No space left on device; check path, owner and free space" in result.stderr
    assert page.read_text() == "last week" and not list(tmp_path.glob(".page*"))


async def test_what_fails_in_several_ways_alike_is_said_once(run, world, monkeypatch):
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", "not-the-right-one")
    result = await asyncio.to_thread(run, "once", env={"MONITOR__SLACK__ENABLED": "false"})
    assert result.exit_code == 1
    said = result.stderr.splitlines()[-1]
    assert said.startswith("error: keys, usage") and said.count("management key is refused") == 1


def test_no_incidents_by_owner_is_an_answer_too(run, store_file):
    from monitor.store.sqlite import open_store

    store_file.unlink()
    open_store(str(store_file)).maintenance.close()
    assert run("incidents", "list", "--by", "owner").stdout.startswith("0 incidents")
