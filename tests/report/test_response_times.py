"""How long it took: to notice, to contain, to end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from build import NOW, a_key, an_action, an_incident
from digest_build import MONDAY, WEEKS, a_digest, a_usage

from monitor.domain import NUSD, ActionState, IncidentKind, IncidentState, Verb
from monitor.report import response_times
from monitor.report.document import to_document
from monitor.report.markdown import to_markdown
from monitor.report.page import to_html
from monitor.report.render import to_messages
from monitor.report.response_times import Summary, Taken, Times

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
    assert found == Summary(
        3,
        detect=Taken(3, 20 * MINUTE, 30 * MINUTE),
        acknowledge=Taken(),
        contain=Taken(1, 5 * MINUTE, 5 * MINUTE),
        resolve=Taken(1, 40 * MINUTE, 40 * MINUTE),
    )
    assert response_times.rows(found) == (
        ("Time to detect", "20 min in the median, 30 min at most (3 of 3 incidents)"),
        ("Time to disable or cap", "5 min (1 of 3 incidents)"),
        ("Time to resolve", "40 min (1 of 3 incidents)"),
        ("Not yet", "none acknowledged (of 3 incidents)"),
    )
    assert response_times.short_line(found) == (
        "detect 20 min, disable or cap 5 min, resolve 40 min (medians of 3 incidents)"
    )


def test_a_week_without_incidents_says_so():
    found = response_times.summary((), ())

    assert response_times.rows(found) == (("Response times", "no incidents this week: nothing to measure"),)
    assert response_times.short_line(found) == "no incidents this week: nothing to measure"


def test_the_digest_counts_the_incidents_opened_in_its_week_in_every_form():
    opened_now = replace(
        an_incident(1, at=WEEKS.current.since + 9 * timedelta(hours=1)),
        acknowledged_at=WEEKS.current.since + 9 * timedelta(hours=1),
    )
    before = an_incident(2, at=WEEKS.current.since + 30 * MINUTE)  # opened in the week before, seen in this one
    digest = a_digest(a_usage([(1, 0, 200, NUSD)]), [a_key(1)], incidents=[opened_now, before])

    assert digest.times.n_incidents == 1
    assert to_document(digest)["response_times"]["acknowledge"] == {"n": 1, "median_s": 3600, "longest_s": 3600}
    assert "Time to acknowledge | 1 h (1 of 1 incident)" in to_markdown(digest, top=5)
    head, details = to_messages(digest, channel="#a", now=MONDAY, top=5)[:2]
    assert ("Time to acknowledge", "1 h (1 of 1 incident)") in details.facts
    assert "acknowledge 1 h" in dict(head.facts)["Response times"]
    page = to_html(digest)
    assert "Time to acknowledge" in page and "1 of 1 incident" in page


def test_a_digest_without_incidents_says_so_in_every_form():
    digest = a_digest(a_usage([(1, 0, 200, NUSD)]), [a_key(1)])
    said = "no incidents this week: nothing to measure"

    assert said in to_markdown(digest, top=5)
    assert said in str(to_messages(digest, channel="#a", now=MONDAY, top=5)[0].facts)
    assert said.capitalize() in to_html(digest)
    assert to_document(digest)["response_times"]["n_incidents"] == 0


def test_what_has_not_come_is_one_line_of_words_and_no_empty_figures():
    at = WEEKS.current.since + 9 * timedelta(hours=1)
    digest = a_digest(a_usage([(1, 0, 200, NUSD)]), [a_key(1)], incidents=[an_incident(1, at=at)])
    said = "none acknowledged, none disabled or capped, none over (of 1 incident)"

    page = to_html(digest)
    assert f"Not yet: {said}." in page and "Time to acknowledge" not in page and "Time to detect" in page
    assert said in to_markdown(digest, top=5)
    assert ("Not yet", said) in to_messages(digest, channel="#a", now=MONDAY, top=5)[1].facts
