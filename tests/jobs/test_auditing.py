"""What bears on acting is written down when it changes, and only then."""

from __future__ import annotations

import json
from pathlib import Path

from build import settings_with
from jobs_build import NOW, a_store, an_app

from monitor.domain import AuditKind
from monitor.jobs import auditing


def kinds(store) -> list[str]:
    return [row.kind for row in store.audit.rows()]


def test_the_first_start_writes_every_setting_that_bears_on_acting(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    auditing.note_settings(store, settings_with(), NOW)
    (row,) = store.audit.rows()
    detail = json.loads(row.detail)
    assert (row.kind, row.why) == ("settings", "the first start")
    assert json.loads(detail["response.max_per_hour"]) == 3
    assert {"response.mode", "response.kill_switch", "incidents.resolve_after"} <= detail.keys()


def test_a_start_with_the_same_settings_writes_nothing(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    for _ in range(3):
        auditing.note_settings(store, settings_with(), NOW)
    assert kinds(store) == ["settings"]


def test_a_change_is_told_by_name_before_and_after(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    auditing.note_settings(store, settings_with(), NOW)
    changed = auditing.note_settings(store, settings_with(response={"max_per_hour": 50}), NOW)
    assert changed == ("response.max_per_hour",)
    assert store.audit.rows()[-1].why == "response.max_per_hour was 3, is 50"


def test_arming_and_disarming_are_rows_of_their_own(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    for mode in ("observe", "enforce", "enforce", "dry-run"):
        auditing.note_settings(store, settings_with(response={"mode": mode}), NOW)
    assert [kind for kind in kinds(store) if kind != "settings"] == ["armed", "disarmed"]


def test_the_kill_switch_is_written_down_when_it_is_thrown_and_when_it_is_taken_back(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    for is_on in (False, True, True, False, False):
        app.kill_switch.touch() if is_on else app.kill_switch.unlink(missing_ok=True)
        assert auditing.note_kill_switch(app, NOW) is is_on
    rows = app.store.audit.rows(kind=AuditKind.KILL_SWITCH)
    assert [row.why for row in rows] == ["is on", "is off"]


def test_no_secret_is_among_what_is_written_down(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    secrets = {"management_key": "sk-or-v1-planted"}
    auditing.note_settings(store, settings_with(openrouter=secrets, slack={"bot_token": "xoxb-planted"}), NOW)
    assert "planted" not in str(store.audit.rows())


def test_the_head_goes_into_the_log(tmp_path: Path, caplog) -> None:
    store = a_store(tmp_path)
    auditing.note_settings(store, settings_with(), NOW)
    with caplog.at_level("INFO"):
        head = auditing.publish(store)
    (record,) = caplog.records
    assert (record.message, record.row, record.head) == ("audit_head", 1, str(head))
