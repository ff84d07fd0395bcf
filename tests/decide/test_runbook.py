"""Whoever is called finds every reason and every action in the runbook."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.domain import Reason, Verb

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained_with_what_to_do(reason):
    rows = [line for line in RUNBOOK.splitlines() if line.startswith(f"| `{reason}` |")]
    assert len(rows) == 1
    _, _, meaning, remedy, _ = rows[0].split("|")
    assert meaning.strip()
    assert remedy.strip()


@pytest.mark.parametrize("verb", list(Verb))
def test_every_action_is_listed_with_its_undo(verb):
    rows = [line for line in RUNBOOK.splitlines() if line.startswith(f"| `{verb}` |")]
    assert len(rows) == 1
    assert rows[0].split("|")[3].strip()


def test_no_reason_is_explained_that_does_not_exist():
    table = RUNBOOK.split("| Reason |")[1].split("\n\n")[0]
    documented = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert documented == {reason.value for reason in Reason}
