"""status, keys, incidents, explain: true to the store, readable for people, JSON for programs, safe for terminals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from build import a_hash
from cli_build import HOSTILE, STOLEN, TWINS

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
LOOKING = (["status"], ["keys"], ["keys", "--all"], ["incidents"], ["incidents", "INC-stolen"], ["explain", STOLEN])

WRITER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
held.execute("CREATE TABLE under_way (x)")
print("holding", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def store(store_file: Path) -> Path:
    return store_file


def test_status_tells_of_cycles_data_kill_switch_and_trouble(run):
    shown = run("status").stdout
    assert "7 since start" in shown and "KILL SWITCH ON" in shown and "forest of 2026-11-20" in shown
    assert re.search(r"usage +3 min ago +never +minutes, every 5 min", shown)
    assert "TROUBLE      usage since 2026-11-23 10:00 UTC" in shown
    assert "LATE" not in shown


def test_status_for_programs(run):
    facts = json.loads(run("status", "--json").stdout)
    assert facts["mode"] == "observe" and facts["n_cycles"] == 7
    assert facts["outbox"] == {"waiting": 0, "given_up": 0}


def test_status_before_the_first_cycle_says_what_to_do(run, tmp_path: Path):
    from monitor.store.sqlite import open_store

    open_store(str(tmp_path / "new" / "monitor.db")).maintenance.close()
    result = run("status", env={"MONITOR__STORE__STATE_DIR": str(tmp_path / "new")})
    assert result.exit_code == 0
    assert "No watch cycle has completed yet" in result.stdout


def test_keys_are_listed_dearest_first_with_limit_and_debts(run):
    rows = [line for line in run("keys").stdout.splitlines() if "Research" in line]
    assert len(rows) == 3 + len(HOSTILE)
    assert re.search(rf"search-prod +{STOLEN[:12]} +Research +live +\$500/monthly +\$39.00", rows[0])
    assert sum("shared name" in row for row in rows) == 2


def test_a_deleted_key_is_listed_only_when_asked_for(run):
    assert "old-notebook" not in run("keys").stdout
    assert "old-notebook" in run("keys", "--all").stdout


def test_keys_for_programs_carry_whole_hashes_and_whole_names(run):
    rows = {row["key_hash"]: row for row in json.loads(run("keys", "--json").stdout)}
    assert rows.keys() == {STOLEN, *TWINS, *HOSTILE}
    assert rows[STOLEN]["week_nusd"] == 39_000_000_000
    assert all(rows[key_hash]["name"] == name for key_hash, name in HOSTILE.items())


def test_an_incident_is_told_with_its_money_and_causes(run):
    assert re.search(r"INC-stolen +open +critical +search-prod +1f0c9a2b7d3e", run("incidents").stdout)
    one = run("incidents", "INC-stolen").stdout
    assert "$194.96 above habit so far" in one and "because   $39.00 on vendor/opus" in one
    (row,) = json.loads(run("incidents", "--json").stdout)
    assert row["severity"] == "critical" and row["state"] == "open" and row["key_hash"] == STOLEN


def test_an_incident_that_does_not_exist_is_status_1(run):
    result = run("incidents", "INC-none")
    assert result.exit_code == 1
    assert "incidents --all" in result.stderr


def test_explain_tells_usage_findings_verdicts_with_reasons_and_actions(run):
    shown = run("explain", "search-prod").stdout
    assert re.search(r"model +vendor/opus +400 +\$39.00", shown)
    assert "finding by forest: critical p=1e-06" in shown
    assert "verdict: do not act (disable): observe_mode response.mode is observe" in shown
    assert "disable by monitor: done" in shown


def test_explain_for_programs(run):
    story = json.loads(run("explain", STOLEN[:12], "--json").stdout)
    assert story["key"]["key_hash"] == STOLEN
    assert ("model", "vendor/opus") in {(row["dimension"], row["value"]) for row in story["used"]}
    assert story["verdicts"][0]["reason"] == "observe_mode"


def test_explain_knows_deleted_keys(run):
    assert "old-notebook" in run("explain", "old-notebook").stdout


@pytest.mark.parametrize(
    "args", [*LOOKING, *(["explain", key_hash] for key_hash in HOSTILE)], ids=lambda args: " ".join(args)[:24]
)
def test_no_text_from_outside_can_move_the_cursor_or_hide_anything(run, args):
    result = run(*args)
    assert result.exit_code == 0
    assert not CONTROLS.search(result.stdout.replace("\r\n", "\n"))
    as_json = run(*args, "--json").stdout
    assert as_json.isascii() and json.loads(as_json)


def test_markup_in_a_name_is_text(run):
    assert "[bold red]markup[/bold red]" in run("keys").stdout


def test_an_ambiguous_name_is_refused_with_the_candidates(run):
    result = run("explain", "ci")
    assert result.exit_code == 1
    assert all(each[:12] in result.stderr for each in TWINS)
    assert "name one by its hash" in result.stderr


def test_an_ambiguous_hash_is_refused_and_a_longer_one_is_not(run):
    assert "2 keys match" in run("explain", "aaaaaa").stderr
    assert run("explain", "aaaaaa22").exit_code == 0


def test_a_short_piece_of_a_hash_is_no_name(run):
    assert "no key has the name" in run("explain", STOLEN[:5]).stderr


def test_a_name_made_to_look_like_another_keys_hash_is_ambiguous_and_the_whole_hash_is_not(run):
    from build import a_key

    from monitor.cli.common import find_key
    from monitor.errors import MonitorError

    wanted = a_key(STOLEN)
    posing = a_key(7, key_name=STOLEN[:12])
    copied = a_key(8, key_name=STOLEN)
    with pytest.raises(MonitorError, match="2 keys match"):
        find_key((wanted, posing), STOLEN[:12])
    assert find_key((copied, wanted), STOLEN) is wanted


def test_an_unknown_key_is_told_with_the_remedy(run):
    result = run("explain", a_hash(77))
    assert result.exit_code == 1
    assert "`openrouter-monitor keys` lists them" in result.stderr


def test_status_works_while_another_process_holds_the_store_for_writing(run, store_file: Path):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "holding\n"
        results = [run("status"), run("keys"), run("explain", "search-prod")]
        writer.communicate("")
    assert [result.exit_code for result in results] == [0, 0, 0]
    assert "7 since start" in results[0].stdout


def test_what_goes_on_is_one_episode_in_explain_with_the_causes_of_its_strongest_finding():
    from datetime import timedelta

    from build import NOW, a_cause, a_finding

    from monitor.cli.look import _episodes, because

    minutes = [0, 1, 2, 600]
    found = [a_finding(at=NOW + timedelta(minutes=minute)) for minute in minutes]
    by_rule = a_finding(at=NOW + timedelta(minutes=1), detector="rules", p_value=None)
    assert [len(episode) for episode in _episodes([*found, by_rule])] == [3, 1, 1]

    lead = a_cause(dimension=None, sentence="92% of $41.00/h is acme/opus-9", credit=0.6)
    parts = [a_cause(sentence="on acme/opus-9", credit=0.6), a_cause(sentence="by its volume", credit=0.0)]
    assert because([lead, *parts]) == [
        "92% of $41.00/h is acme/opus-9",
        "on acme/opus-9  (60% of the score)",
        "by its volume",
    ]
