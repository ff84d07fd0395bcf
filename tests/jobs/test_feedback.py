"""Feedback: written down once, ends what it is said of, and is replayed without hindsight."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import an_incident
from jobs_build import NOW, a_store

from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.domain import IncidentState, Opinion, Plan
from monitor.errors import MonitorError
from monitor.jobs import feedback
from monitor.pipeline import abused_incidents, held
from monitor.store.base import Store
from monitor.store.sqlite import open_store

HASH = "a" * 64
HOUR = timedelta(hours=1)


def with_incident(store: Store, **changes):
    incident = an_incident(key_hash=HASH, **changes)
    store.ledger.commit((), Plan(at=NOW, incidents=(incident,)), ())
    return incident


def test_expected_closes_the_open_incident_as_a_false_alarm(store: Store):
    incident = with_incident(store)

    said, ended = feedback.say(store, HASH, Opinion.EXPECTED, by="cli:ann", now=NOW)

    (stored,) = store.ledger.incidents()
    assert said.incident_id == incident.incident_id
    assert ended == (stored,)
    assert (stored.state, stored.resolution) == (IncidentState.RESOLVED, FALSE_ALARM_RESOLUTION)


def test_abuse_leaves_the_incident_open_and_keeps_all_of_it_from_teaching(store: Store):
    incident = with_incident(store, onset_at=NOW - 60 * HOUR, last_seen_at=NOW, p_value=0.001)

    feedback.say(store, HASH, Opinion.ABUSE, by="cli:ann", now=NOW)

    abused = abused_incidents(store.feedback.said())
    assert abused == {incident.incident_id}
    assert held(incident, is_abuse=incident.incident_id in abused) == ((NOW - 60 * HOUR, NOW),)
    assert store.ledger.incidents()[0].state is IncidentState.OPEN


def test_a_plan_says_nothing_of_the_incident_there_is(store: Store):
    with_incident(store)

    said, ended = feedback.say(store, HASH, Opinion.PLANNED, by="cli:ann", now=NOW, until=NOW + 6 * HOUR)

    assert (said.incident_id, ended) == (None, ())


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"opinion": Opinion.PLANNED}, "needs an end"),
        ({"opinion": Opinion.PLANNED, "until": NOW - HOUR}, "name a later time"),
        ({"opinion": Opinion.PLANNED, "until": NOW + timedelta(days=90)}, "at most 31 days"),
        ({"opinion": Opinion.ABUSE, "note": "x" * 301}, "shorten it"),
    ],
)
def test_what_cannot_count_is_refused_with_the_remedy_and_nothing_is_written(store: Store, changes, remedy: str):
    with pytest.raises(MonitorError, match=remedy):
        feedback.say(
            store,
            HASH,
            changes["opinion"],
            by="cli:ann",
            now=NOW,
            **{k: v for k, v in changes.items() if k != "opinion"},
        )

    assert store.feedback.said() == ()


def test_what_was_said_survives_a_restart_and_said_again_in_the_same_minute_is_once(tmp_path: Path):
    store = a_store(tmp_path)
    first, _ = feedback.say(store, HASH, Opinion.ABUSE, by="cli:ann", now=NOW)
    feedback.say(store, HASH, Opinion.ABUSE, by="cli:ann", now=NOW + timedelta(seconds=5))
    feedback.say(store, "b" * 64, Opinion.EXPECTED, by="cli:ann", now=NOW)
    store.maintenance.close()

    again = open_store(str(tmp_path / "monitor.db"))

    assert again.feedback.said(key_hash=HASH) == (first,)
    assert len(again.feedback.said()) == 2
    again.maintenance.close()


def test_what_another_process_says_is_heard(store: Store, tmp_path: Path):
    assert store.feedback.said() == ()
    other = open_store(str(tmp_path / "monitor.db"))

    said, _ = feedback.say(other, HASH, Opinion.ABUSE, by="cli:ann", now=NOW)
    other.maintenance.close()

    assert store.feedback.said() == (said,)


def test_a_false_alarm_teaches_even_if_it_was_called_abuse_before():
    incident = an_incident(onset_at=NOW - HOUR, last_seen_at=NOW, p_value=0.01)
    false = replace(incident, resolution=FALSE_ALARM_RESOLUTION)

    assert held(false, is_abuse=True) == ()


def test_what_was_said_and_what_it_ended_are_in_the_audit_trail(store: Store):
    with_incident(store)

    feedback.say(store, HASH, Opinion.EXPECTED, by="cli:ann", now=NOW, note="our load test")

    rows = [(one.kind, one.by, one.why) for one in store.audit.rows()][-2:]
    assert rows == [("feedback", "cli:ann", "our load test"), ("resolved", "cli:ann", "our load test")]
    assert store.audit.verify().is_ok
