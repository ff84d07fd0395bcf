"""The command `digest`: for people, for programs, as a page, for one owner, for one week."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from monitor.wiring import SystemClock

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "digest.schema.json").read_text(encoding="utf-8"))
ROUTES = '[[routes]]\nkey_name = "^search"\nchannel = "#search"\nowner = "Search team"\n'
EVIL = set("\x1b\x07\x08\u202e\u2066\u200b")


@pytest.fixture(autouse=True)
def routes(store_file: Path) -> None:
    """One team has a route; the store is the one with a theft in it, and with hostile names."""
    Path("config.toml").write_text(ROUTES, encoding="utf-8")


def test_it_is_printed_as_markdown_that_no_name_can_color_or_reverse(run) -> None:
    result = run("digest")

    assert result.exit_code == 0
    assert result.stdout.startswith("# Usage digest, ")
    assert not EVIL & set(result.stdout)


def test_it_is_written_as_a_page_and_as_markdown_at_once(run) -> None:
    result = run("digest", "--html", "week.html", "--markdown", "week.md")

    assert result.stdout.split() == ["week.html", "week.md"]
    html = Path("week.html").read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>") and "<script" not in html
    assert Path("week.md").read_text(encoding="utf-8").startswith("# Usage digest, ")


def test_json_is_the_documented_one_also_beside_a_page(run) -> None:
    result = run("digest", "--json", "--html", "week.html")

    told = json.loads(result.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert Path("week.html").exists()


def test_one_owner_s_digest_holds_no_other_s_keys(run) -> None:
    told = json.loads(run("digest", "--owner", "Search team", "--json").stdout)

    assert told["owner"] == "Search team"
    assert {each["key_name"] for each in told["keys"]} == {"search-prod"}
    assert run("digest", "--owner", "Search team").stdout.startswith("# Search team: usage digest")


def test_an_owner_who_is_none_is_refused_with_those_there_are(run) -> None:
    result = run("digest", "--owner", "Nobody")

    assert result.exit_code == 2
    assert "--owner: 'Nobody' has no keys; the owners are Search team" in result.stderr


def test_a_week_can_be_named(run) -> None:
    first = (SystemClock().now() - timedelta(days=30)).date()

    told = json.loads(run("digest", "--week", first.isoformat(), "--json").stdout)

    assert told["week"]["since"] == f"{first}T00:00:00Z"
    assert told["limits"] == [] and told["totals"]["unattributed_nusd"] is None


@pytest.mark.parametrize("week", ["2099-W01", "soon"])
def test_a_week_that_is_none_or_not_over_is_refused(run, week: str) -> None:
    result = run("digest", "--week", week)

    assert result.exit_code == 2
    assert result.stderr.startswith("error: --week: ")


QUIET = {"OPENROUTER_MANAGEMENT_KEY": "nobody-is-asked", "MONITOR__SLACK__ENABLED": "false"}


def test_it_is_sent_once_to_the_organisation_and_to_each_owner(run) -> None:
    first, again = run("digest", "--send", env=QUIET), run("digest", "--send", env=QUIET)

    assert (first.exit_code, again.exit_code) == (0, 1)
    assert first.stdout.count("Details, ") == 1
    assert first.stdout.count("Search team, $") == 1
    assert "this digest was sent before" in again.stderr
    assert not EVIL & set(first.stdout)


def test_one_owner_s_digest_is_sent_to_that_owner_alone(run) -> None:
    result = run("digest", "--send", "--owner", "Search team", env=QUIET)

    assert result.exit_code == 0
    assert "Search team, $" in result.stdout and "Details, " not in result.stdout


def test_an_owner_without_a_channel_is_not_written_to(run) -> None:
    result = run("digest", "--send", "--owner", "", env=QUIET)

    assert result.exit_code == 2
    assert "has no channel of its own" in result.stderr
