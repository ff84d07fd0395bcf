"""What people decide: once, with who and why, never about what has moved on, and never lost to a pass under way."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import a_hash, a_key, an_incident
from jobs_build import NOW, an_app, an_inventory

from monitor.domain import AuditKind, Incident, IncidentKind, IncidentState, MessageKind, Plan, Rung
from monitor.errors import RequestRefused, StaleRequest, UnknownIncident
from monitor.jobs import desk
from monitor.jobs.app import App

HOUR = timedelta(hours=1)
BY = "slack:U1"


def an_office(state_dir: Path, *incidents: Incident) -> App:
    app = an_app(state_dir)
    app.store.keys.record(an_inventory(a_key(1), a_key(2)))
    app.store.ledger.commit((), Plan(at=NOW, incidents=incidents or (an_incident(1, at=NOW),)), ())
    return app


def the_incident(app: App, incident_id: str = "INC-0001") -> Incident:
    return next(each for each in app.store.ledger.incidents() if each.incident_id == incident_id)


def trail(app: App) -> list[tuple[str, str, str]]:
    return [(row.kind, row.by, row.why) for row in app.store.audit.rows() if row.kind != "opened"]


async def test_an_acknowledgement_keeps_who_when_and_why(tmp_path: Path) -> None:
    app = an_office(tmp_path)
    changed = await desk.acknowledge(app, "INC-0001", by=BY, why="asking the owner")
    assert changed == the_incident(app)
    assert (changed.state, changed.acknowledged_by, changed.acknowledged_at) == (
        IncidentState.ACKNOWLEDGED, BY, NOW,
    )  # fmt: skip
    assert trail(app) == [("acknowledged", BY, "asking the owner")]
    assert app.store.audit.rows()[-1].incident_id == "INC-0001"


@pytest.mark.parametrize(
    "press",
    [
        lambda app: desk.acknowledge(app, "INC-0001", by=BY),
        lambda app: desk.silence(app, "INC-0001", by=BY, lasting=HOUR),
        lambda app: desk.resolve(app, "INC-0001", by=BY),
        lambda app: desk.resolve(app, "INC-0001", by=BY, is_false_alarm=True),
    ],
    ids=["ack", "silence", "resolve", "false alarm"],
)
async def test_a_button_pressed_twice_is_pressed_once(tmp_path: Path, press) -> None:
    app = an_office(tmp_path)
    first = await press(app)
    app.clock.pass_time(2)
    assert await press(app) == first
    assert len(trail(app)) == 1
    assert len(app.store.outbox.entries()) <= 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda app, step: desk.acknowledge(app, "INC-0001", by=BY, expected_step=step),
        lambda app, step: desk.silence(app, "INC-0001", by=BY, lasting=HOUR, expected_step=step),
        lambda app, step: desk.resolve(app, "INC-0001", by=BY, expected_step=step),
    ],
    ids=["ack", "silence", "resolve"],
)
async def test_what_was_asked_about_an_earlier_step_is_refused(tmp_path: Path, ask) -> None:
    app = an_office(tmp_path, an_incident(1, at=NOW, step=3))
    with pytest.raises(StaleRequest, match="step 3 by now, and this was asked at step 2: look again"):
        await ask(app, 2)
    assert the_incident(app).state is IncidentState.OPEN
    assert trail(app) == []
    assert (await ask(app, 3)).state is not IncidentState.OPEN


async def test_an_incident_that_does_not_exist_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UnknownIncident, match="incidents --all"):
        await desk.acknowledge(an_office(tmp_path), "INC-none", by=BY)


async def test_what_is_over_is_neither_acknowledged_nor_silenced(tmp_path: Path) -> None:
    app = an_office(tmp_path)
    await desk.resolve(app, "INC-0001", by=BY, why="rotated")
    for ask in (desk.acknowledge(app, "INC-0001", by=BY), desk.silence(app, "INC-0001", by=BY, lasting=HOUR)):
        with pytest.raises(RequestRefused, match="is over"):
            await ask


async def test_a_resolved_incident_is_told_of_once_where_it_was_told_of_at_all(tmp_path: Path) -> None:
    app = an_office(tmp_path, an_incident(1, at=NOW), an_incident(2, at=NOW, told_step=0))
    await desk.resolve(app, "INC-0001", by=BY, why="rotated")
    await desk.resolve(app, "INC-0002", by=BY, why="rotated")
    (entry,) = app.store.outbox.entries()
    assert (entry.message.kind, entry.message.thread) == (MessageKind.RESOLVED, "INC-0001")


async def test_what_is_over_may_still_be_called_a_false_alarm(tmp_path: Path) -> None:
    app = an_office(tmp_path)
    over = await desk.resolve(app, "INC-0001", by=BY, why="rotated")
    app.clock.pass_time(3600)
    false = await desk.resolve(app, "INC-0001", by="cli:bob", is_false_alarm=True)
    assert (false.resolution, false.resolved_at, false.resolved_by) == ("false_alarm", over.resolved_at, "cli:bob")


@pytest.mark.parametrize("lasting", [timedelta(0), -HOUR, timedelta(days=30, seconds=1)], ids=str)
async def test_no_silence_is_endless_or_longer_than_thirty_days(tmp_path: Path, lasting: timedelta) -> None:
    app = an_office(tmp_path)
    with pytest.raises(RequestRefused, match="at most 30 days"):
        await desk.silence(app, "INC-0001", by=BY, lasting=lasting)
    with pytest.raises(RequestRefused, match="at most 30 days"):
        await desk.add_silence(app, by=BY, lasting=lasting, comment="x", conditions={"key_name": "^ci"})


async def test_a_word_spoken_while_a_pass_was_under_way_stands(tmp_path: Path) -> None:
    app = an_office(tmp_path)
    seen_by_the_pass = the_incident(app)
    await desk.acknowledge(app, "INC-0001", by=BY)
    grown = replace(seen_by_the_pass, rung=Rung.DISABLE, step=2, spent_nusd=10**12)
    app.store.ledger.commit((), Plan(at=NOW, incidents=(grown,)), ())
    kept = the_incident(app)
    assert (kept.state, kept.acknowledged_by) == (IncidentState.ACKNOWLEDGED, BY)
    assert (kept.step, kept.spent_nusd) == (2, 10**12)


async def test_a_decision_about_an_event_holds_for_its_keys(tmp_path: Path) -> None:
    members = (an_incident(1, at=NOW), an_incident(2, at=NOW, state=IncidentState.RESOLVED, resolved_at=NOW))
    event = replace(
        an_incident(3, at=NOW), incident_id="EVT-1", key_hash="", kind=IncidentKind.PLATFORM,
        members=("INC-0001", "INC-0002"),
    )  # fmt: skip
    app = an_office(tmp_path, *members, event)
    await desk.acknowledge(app, "EVT-1", by=BY)
    states = {each.incident_id: each.state for each in app.store.ledger.incidents()}
    assert states == {
        "EVT-1": IncidentState.ACKNOWLEDGED,
        "INC-0001": IncidentState.ACKNOWLEDGED,
        "INC-0002": IncidentState.RESOLVED,
    }


async def test_two_people_at_once_are_written_down_one_after_the_other(tmp_path: Path) -> None:
    app = an_office(tmp_path, *(an_incident(number, at=NOW) for number in range(1, 9)))

    def press(number: int) -> None:
        import asyncio

        asyncio.run(desk.acknowledge(app, f"INC-{number:04}", by=f"cli:{number}"))

    people = [threading.Thread(target=press, args=(number,)) for number in range(1, 9)]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert len(trail(app)) == 8
    assert app.store.audit.verify().is_ok


async def test_a_silence_is_durable_with_author_and_comment_and_ends_early_on_a_word(tmp_path: Path) -> None:
    app = an_office(tmp_path)
    made = await desk.add_silence(
        app, by=BY, lasting=2 * HOUR, comment="load test", conditions={"key_name": "^ci", "severity": "warning"}
    )
    app.store.maintenance.close()
    app = an_app(tmp_path)
    assert app.store.desk.silences(active_at=NOW) == (made,)
    assert (made.created_by, made.comment, made.conditions) == (
        BY, "load test", {"key_name": "^ci", "severity": "warning"},
    )  # fmt: skip
    ended = await desk.end_silence(app, made.silence_id, by="cli:bob", why="done")
    assert ended.ended_at == NOW
    assert await desk.end_silence(app, made.silence_id, by="cli:bob") == ended
    assert app.store.desk.silences(active_at=NOW) == ()
    assert app.store.desk.silences() == (ended,)
    assert trail(app) == [("silence_added", BY, "load test"), ("silence_ended", "cli:bob", "done")]


@pytest.mark.parametrize(
    ("conditions", "comment", "said"),
    [
        ({}, "x", "would cover every key"),
        ({"colour": "red"}, "x", "unknown condition 'colour'"),
        ({"key_name": "("}, "x", "no regular expression"),
        ({"severity": "mild"}, "x", "write notice, warning or critical"),
        ({"owner": "ads"}, "  ", "needs a comment"),
    ],
    ids=["none", "unknown", "regex", "severity", "comment"],
)
async def test_a_silence_that_cannot_be_meant_is_refused(tmp_path: Path, conditions, comment, said) -> None:
    app = an_office(tmp_path)
    with pytest.raises(RequestRefused, match=said):
        await desk.add_silence(app, by=BY, lasting=HOUR, comment=comment, conditions=conditions)
    assert app.store.desk.silences() == ()


async def test_the_head_of_the_trail_is_in_the_log_after_each_decision(tmp_path: Path, caplog) -> None:
    app = an_office(tmp_path)
    with caplog.at_level("INFO"):
        await desk.acknowledge(app, "INC-0001", by=BY)
    heads = [record.head for record in caplog.records if record.message == "audit_head"]
    assert heads == [str(app.store.audit.head())]


async def test_the_trail_knows_the_step_a_decision_was_about(tmp_path: Path) -> None:
    app = an_office(tmp_path, an_incident(1, at=NOW, step=4))
    await desk.acknowledge(app, "INC-0001", by=BY, expected_step=4)
    (row,) = app.store.audit.rows(kind=AuditKind.ACKNOWLEDGED)
    assert json.loads(row.detail) == {"step": "4"}
    assert row.key_hash == a_hash(1)
