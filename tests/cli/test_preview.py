"""preview and routes test: what would be sent and where to, beside the running service, without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_build import STOLEN, TWINS

from monitor.store.sqlite import open_store


def test_an_alert_of_the_store_is_shown_with_where_it_goes(run, store_file: Path):
    result = run("preview", "alert", "--key", STOLEN, env={"MONITOR__SLACK__DEFAULT_CHANNEL": "#ops"})

    assert result.exit_code == 0
    assert "search-prod" in result.stdout and "[picture: Hourly spend of the last seven days." in result.stdout
    assert "goes to: #ops" in result.stderr


def test_the_page_is_written_and_named(run, store_file: Path, tmp_path: Path):
    result = run("preview", "alert", "--html", str(tmp_path / "alert.html"))

    assert result.exit_code == 0 and result.stdout.strip().endswith("alert.html")
    assert "data:image/png;base64," in (tmp_path / "alert.html").read_text(encoding="utf-8")


def test_before_the_first_start_a_made_up_alert_is_shown(run):
    result = run("preview", "alert")

    assert result.exit_code == 0 and "made-up" in result.stderr
    assert not Path("state").exists()


def test_a_key_without_incident_is_refused_and_not_made_up(run, store_file: Path):
    result = run("preview", "alert", "--key", TWINS[0])

    assert result.exit_code == 1 and "has no incident" in result.stderr


def test_a_storm_is_shown_made_up_where_the_store_has_none(run, store_file: Path, tmp_path: Path):
    shown = run("preview", "storm")
    page = run("preview", "storm", "--html", str(tmp_path / "storm.html"))

    assert shown.exit_code == 0 and "made-up" in shown.stderr and "12 keys at once" in shown.stdout
    assert page.exit_code == 0 and "All 12 keys" in (tmp_path / "storm.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("what", ["storm", "digest", "home"])
def test_only_an_alert_is_of_one_key(run, store_file: Path, what: str):
    result = run("preview", what, "--key", STOLEN)

    assert result.exit_code == 2 and "only with `preview alert`" in result.stderr


def test_before_the_first_start_a_made_up_storm_is_shown(run):
    result = run("preview", "storm")

    assert result.exit_code == 0 and "made-up" in result.stderr
    assert not Path("state").exists()


def test_the_digest_is_shown(run, store_file: Path):
    result = run("preview", "digest", env={"MONITOR__DIGEST__CHANNEL": "#weekly"})

    assert result.exit_code == 0 and "goes to: #weekly" in result.stderr


def test_a_preview_changes_nothing(run, store_file: Path):
    before = store_file.read_bytes()

    run("preview", "alert")
    run("preview", "digest")

    assert store_file.read_bytes() == before


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "no route matches, and its creator was not looked up yet"),
        ({"MONITOR__SLACK__MESSAGE_CREATORS": "false"}, "no route matches"),
        ({"MONITOR__SLACK__ENABLED": "false"}, "no route matches"),
        ({"MONITOR__ROUTES": '[{channel = "#search", key_name = "^search-", owner = "Search"}]'}, "routes[1]"),
    ],
    ids=["nobody yet", "turned off", "terminal", "a route"],
)
def test_routes_test_explains_where_a_key_goes(run, store_file: Path, env: dict[str, str], said: str):
    result = run("routes", "test", "search-prod", env={"MONITOR__SLACK__DEFAULT_CHANNEL": "#ops", **env})

    assert result.exit_code == 0
    assert said in result.stdout


def test_routes_test_names_the_creator_that_was_found(run, store_file: Path):
    store = open_store(str(store_file))
    at = "2026-11-23T12:00:00+00:00"
    store.state.put("creators", {"user-1": {"user": "U0ANN00001", "name": "Ann Lee", "why": "", "at": at}})
    store.maintenance.close()

    told = json.loads(run("routes", "test", "search-prod", "--json").stdout)

    assert (told["channel"], told["owner"], told["why"]) == (
        "U0ANN00001",
        "Ann Lee",
        "the key's creator: no route matches",
    )


def test_keys_whose_messages_reach_nobody_are_a_finding_of_hygiene(run, store_file: Path):
    rows = json.loads(
        run("keys", "--json", env={"MONITOR__ROUTES": '[{channel = "#search", key_name = "^search-"}]'}).stdout
    )

    hygiene = {row["name"]: row["hygiene"] for row in rows}
    assert "nobody to tell" not in hygiene["search-prod"] and "nobody to tell" in hygiene["ci"]


def test_the_home_is_shown_as_an_operator_sees_it(run, store_file: Path, tmp_path: Path):
    result = run("preview", "home")

    assert result.exit_code == 0 and "All keys: " in result.stdout and "search-prod" in result.stdout
    assert "as an operator sees it" in result.stderr
    assert run("preview", "home", "--html", str(tmp_path / "home.html")).exit_code == 0
    assert "All keys: " in (tmp_path / "home.html").read_text(encoding="utf-8")
