"""How long it took: to notice, to contain, to end."""

from __future__ import annotations

from datetime import timedelta

from build import NOW, an_action, an_incident

from monitor.domain import ActionState, IncidentKind, IncidentState, Verb
from monitor.report import response_times
from monitor.report.response_times import Summary, Times

MINUTE = timedelta(minutes=1)


def an_end(minutes: int, **changes):
    return an_action(
        1,
        incident_id="INC-0001",
        state=ActionState.DONE,
        intended_at=NOW,
        finished_at=NOW + minutes * MINUTE,
        **changes,
    )


def opened(number=1, **changes):
    return an_incident(number, opened_at=NOW, onset_at=NOW - 10 * MINUTE, **changes)


def test_times_are_told_from_the_onset_and_from_the_notice():
    incident = opened(acknowledged_at=NOW + MINUTE, resolved_at=NOW + 60 * MINUTE, state=IncidentState.RESOLVED)
    times = response_times.of(incident, (an_end(3), an_end(90)))
    assert times == Times(10 * MINUTE, MINUTE, 3 * MINUTE, 60 * MINUTE)
    assert response_times.lines(times) == (
        "noticed 10 min after it began",
        "acknowledged 1 min after it was noticed",
        "contained 3 min after it was noticed",
        "over 1 h after it was noticed",
    )


def test_what_has_not_come_is_not_told():
    assert response_times.lines(response_times.of(opened(), ())) == ("noticed 10 min after it began",)


def test_neither_a_restore_nor_a_failed_disable_nor_that_of_another_incident_contains():
    others = (
        an_end(1, verb=Verb.RESTORE),
        an_action(1, incident_id="INC-0001", state=ActionState.FAILED, finished_at=NOW),
        an_action(1, incident_id="INC-9", state=ActionState.DONE, finished_at=NOW),
    )
    assert response_times.of(opened(), others).contain is None


def test_an_onset_after_the_notice_is_no_negative_time():
    assert response_times.of(an_incident(1, opened_at=NOW, onset_at=NOW + MINUTE), ()).detect == timedelta(0)


def test_the_summary_is_of_medians_over_keys():
    incidents = (
        opened(1),
        an_incident(2, opened_at=NOW, onset_at=NOW - 30 * MINUTE, resolved_at=NOW + 40 * MINUTE),
        an_incident(3, opened_at=NOW, onset_at=NOW - 20 * MINUTE),
        opened(4, kind=IncidentKind.PLATFORM),
    )
    found = response_times.summary(incidents, (an_end(5),))
    assert found == Summary(3, 1, 1, 20 * MINUTE, 5 * MINUTE, 40 * MINUTE)
    assert response_times.summary_line(found) == (
        "Incidents, in the median: noticed 20 min after the onset, contained 5 min later (1 of 3), over 40 min later (1 of 3)"
    )


def test_a_week_without_incidents_says_nothing():
    assert response_times.summary_line(response_times.summary((), ())) == ""
