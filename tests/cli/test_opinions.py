"""feedback: what a person says of a key from the command line."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from build import NOW, a_key, an_incident

from monitor.domain import IncidentState, Inventory, Plan
from monitor.store.sqlite import open_store


@pytest.fixture
def key_hash(tmp_path: Path) -> str:
    store = open_store(str(tmp_path / "state" / "monitor.db"))
    key = a_key(key_name="pay\x1b[31mments", created_at=NOW - timedelta(days=40))
    store.keys.record(Inventory(NOW, (key,), ()))
    store.ledger.commit((), Plan(at=NOW, incidents=(an_incident(key_hash=key.key_hash),)), ())
    store.maintenance.close()
    return key.key_hash


def test_expected_ends_the_incident_and_is_listed(run, key_hash: str, tmp_path: Path):
    said = run("feedback", key_hash, "expected", "--note", "our \x1b[31mload test")
    listed = run("feedback", key_hash)

    assert said.exit_code == 0, said.output
    assert "is over: a false alarm" in said.output
    assert "expected" in listed.output and "load test" in listed.output
    assert "\x1b" not in said.output + listed.output
    store = open_store(str(tmp_path / "state" / "monitor.db"), read_only=True)
    assert [one.state for one in store.ledger.incidents()] == [IncidentState.RESOLVED]
    store.maintenance.close()


def test_abuse_says_how_to_take_the_key_out_of_service(run, key_hash: str):
    said = run("feedback", key_hash, "abuse")

    assert f"openrouter-monitor revoke {key_hash[:12]}" in said.output


def test_a_plan_takes_a_span_or_a_time_and_says_until_when(run, key_hash: str):
    said = run("feedback", key_hash, "planned", "--until", "6h", "--json")

    one = json.loads(said.stdout)["feedback"]
    assert one["opinion"] == "planned"
    assert one["until"] > one["said_at"]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [(("planned",), "needs an end"), (("planned", "--until", "soon"), "neither a date"), ((), "nobody said anything")],
)
def test_what_cannot_be_done_is_refused_with_a_remedy(run, key_hash: str, arguments: tuple[str, ...], remedy: str):
    refused = run("feedback", key_hash, *arguments)

    assert refused.exit_code != 0
    assert remedy in refused.output
