"""The audit trail: nothing is written without its row, and no row is altered without being found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import NOW, an_action, an_incident
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.domain import ActionState, AuditEntry, AuditHead, AuditKind, AuditRow, IncidentState, Plan
from monitor.domain.audit import EMPTY_TRAIL, chained, head_line, verified
from monitor.errors import StoreError
from monitor.store.audit import parse_head
from monitor.store.base import Store
from monitor.store.sqlite import open_store


def an_entry(number: int = 1, **changes) -> AuditEntry:
    fields = {
        "at": NOW + timedelta(seconds=number), "kind": AuditKind.ACKNOWLEDGED, "by": "cli:ada", "subject": f"INC-{number}",
        "incident_id": f"INC-{number}", "why": "because", "detail": {"step": str(number)},
    }  # fmt: skip
    return AuditEntry(**(fields | changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "monitor.db"


@pytest.fixture
def store(path: Path):
    opened = open_store(str(path))
    yield opened
    opened.maintenance.close()


def tampered(path: Path, statement: str) -> None:
    """What somebody with the file can do: drop the triggers, and write what they like."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS audit_no_update")
        connection.execute("DROP TRIGGER IF EXISTS audit_no_delete")
        connection.execute(statement)
        connection.commit()


def with_rows(store: Store, n_rows: int = 5) -> AuditHead:
    return store.audit.append([an_entry(number) for number in range(1, n_rows + 1)])


def test_an_empty_trail_is_in_order_and_says_so(store: Store):
    assert store.audit.verify().is_ok
    assert store.audit.head() == EMPTY_TRAIL
    assert head_line(store.audit.head()) == "Audit trail: no row yet"


def test_an_action_leaves_a_row_for_its_intent_and_one_for_its_outcome(store: Store):
    action = an_action(1)
    store.ledger.commit((), Plan(at=NOW, actions=(action,)), ())
    done = replace(action, state=ActionState.DONE, finished_at=NOW, detail="read back: disabled")
    store.ledger.finish(done, ())
    store.ledger.finish(done, ())  # told twice is once
    rows = store.audit.rows()
    assert [(row.kind, row.by, row.subject) for row in rows] == [
        ("intent", "monitor", action.action_id),
        ("outcome", "monitor", action.action_id),
    ]
    assert rows[1].why == "read back: disabled"


def test_a_proposal_and_who_said_yes_or_no_to_it_are_in_the_trail(store: Store):
    proposed = an_action(state=ActionState.PROPOSED)
    said = replace(proposed, state=ActionState.DENIED, decided_by="cli:ada")

    store.ledger.commit((), Plan(NOW, actions=(proposed,)), ())
    store.ledger.commit((), Plan(NOW, actions=(said,)), ())

    rows = [(row.kind, row.by) for row in store.audit.rows()]
    assert rows == [("proposed", proposed.requested_by), ("decided", "cli:ada")]


def test_the_life_of_an_incident_is_in_the_trail_and_its_figures_are_not(store: Store):
    incident = an_incident(1)
    over = replace(incident, state=IncidentState.RESOLVED, resolved_at=NOW, resolution="quiet")
    for each in (incident, replace(incident, spent_nusd=1), replace(incident, step=2), over, over):
        store.ledger.commit((), Plan(at=NOW, incidents=(each,)), ())
    assert [row.kind for row in store.audit.rows(incident_id=incident.incident_id)] == [
        "opened", "stepped", "resolved",
    ]  # fmt: skip


def test_a_transaction_that_fails_leaves_neither_the_deed_nor_its_row(store: Store):
    def refuse(_incident):
        raise RuntimeError("second thoughts")

    store.ledger.commit((), Plan(at=NOW, incidents=(an_incident(1),)), ())
    head = store.audit.head()
    with pytest.raises(RuntimeError):
        store.desk.change("INC-0001", refuse)
    assert store.audit.head() == head


@pytest.mark.parametrize("statement", ["UPDATE audit SET why = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_a_row(store: Store, path: Path, statement: str):
    with_rows(store)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "column", ["at_us", "kind", "by", "subject", "key_hash", "incident_id", "why", "detail", "chain"]
)
def test_an_edited_row_is_found_and_named(store: Store, path: Path, column: str):
    with_rows(store)
    value = "at_us + 1" if column == "at_us" else f"\"{column}\" || 'x'"
    tampered(path, f'UPDATE audit SET "{column}" = {value} WHERE number = 3')
    found = store.audit.verify()
    assert (found.bad_number, found.is_ok) == (3, False)
    assert "row 3 was altered" in found.problem


def test_a_deleted_row_is_found_and_named(store: Store, path: Path):
    with_rows(store)
    tampered(path, "DELETE FROM audit WHERE number = 2")
    found = store.audit.verify()
    assert found.bad_number == 2
    assert "row 2 is missing" in found.problem


def test_rows_deleted_and_numbered_anew_are_found(store: Store, path: Path):
    with_rows(store)
    tampered(path, "DELETE FROM audit WHERE number = 2")
    tampered(path, "UPDATE audit SET number = number - 1 WHERE number > 2")
    assert store.audit.verify().bad_number == 2


def test_a_cut_tail_is_found_only_with_a_head_kept_outside(store: Store, path: Path):
    head = with_rows(store)
    tampered(path, "DELETE FROM audit WHERE number > 3")
    assert store.audit.verify().is_ok
    found = store.audit.verify(head)
    assert found.bad_number == 4
    assert "it once reached row 5" in found.problem


def test_a_trail_written_anew_from_some_row_on_is_found_with_a_head_kept_outside(store: Store, path: Path):
    head = with_rows(store)
    tampered(path, "DELETE FROM audit WHERE number > 3")
    store.audit.append([an_entry(90), an_entry(91), an_entry(92)])
    assert store.audit.verify().is_ok
    assert store.audit.verify(head).bad_number == 5


def test_an_older_head_kept_outside_still_fits_a_trail_that_went_on(store: Store):
    head = with_rows(store)
    with_rows(store, 20)
    assert store.audit.verify(head).is_ok


def test_a_backup_carries_the_trail_and_the_trail_goes_on(store: Store, tmp_path: Path):
    head = with_rows(store)
    store.maintenance.backup(tmp_path / "copy.db")
    copy = open_store(str(tmp_path / "copy.db"))
    assert copy.audit.head() == head
    copy.audit.append([an_entry(6)])
    assert copy.audit.verify(head).is_ok
    copy.maintenance.close()


def test_care_of_the_ledger_never_takes_a_row_of_the_trail(store: Store):
    head = with_rows(store)
    store.maintenance.prune_ledger(NOW + timedelta(days=4000))
    assert store.audit.head() == head


@pytest.mark.parametrize("text", ["", "5", "5:abc", "x:" + "0" * 64, "5:" + "G" * 64, "-1:" + "0" * 64])
def test_a_head_that_is_none_is_refused(text: str):
    with pytest.raises(StoreError, match="64 hex digits"):
        parse_head(text)


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)


@st.composite
def some_rows(draw):
    head, rows = EMPTY_TRAIL.chain, []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        row = AuditRow(number, draw(st.integers(0, 9)), *(draw(TEXT) for _ in range(7)), "")
        head = chained(head, row)
        rows.append(replace(row, chain=head))
    return rows


@given(some_rows(), st.data())
@hypothesis_settings(max_examples=50, deadline=None)
def test_moving_a_letter_from_one_field_to_the_next_is_found(rows, data):
    at = data.draw(st.integers(0, len(rows) - 1))
    names = ["kind", "by", "subject", "key_hash", "incident_id", "why", "detail"]
    no = data.draw(st.integers(0, len(names) - 2))
    left, right = getattr(rows[at], names[no]), getattr(rows[at], names[no + 1])
    moved = replace(rows[at], **{names[no]: left + right[:1], names[no + 1]: right[1:]})
    found = verified([*rows[:at], moved, *rows[at + 1 :]])
    assert found.is_ok is (moved == rows[at])
