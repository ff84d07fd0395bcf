"""How the monitor did: what people said of its alerts, how soon it saw, and when it did not watch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from build import a_finding, a_spend, an_action, an_incident
from digest_build import WEEKS, a_digest, a_usage

from monitor.domain import NUSD, ActionState
from monitor.report import care
from monitor.report.figures import Alerts, Health, LastRehearsal
from monitor.report.watching import Review, alerts, silences_in
from monitor.report.weeks import Window

WEEK = WEEKS.current
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AT = WEEK.since + 30 * HOUR


def an_opened(number: int, *, took: timedelta = 12 * MINUTE, **changes: object):
    made = an_incident(number, at=AT)
    fields = {"incident_id": f"INC-{number}", "opened_at": AT, "onset_at": AT - took, "spent_nusd": 3 * NUSD}
    return replace(made, **(fields | changes))


def week_of(*incidents, reviews=None, disables=(), findings=(), budget=2.0) -> Alerts:
    return alerts(
        incidents,
        disables,
        week=WEEK,
        reviews=reviews or {},
        budget=budget,
        findings=findings,
        people_within=timedelta(hours=8),
    )


def test_false_and_unreviewed_alerts_together_are_held_against_the_budget() -> None:
    reviews = {"INC-1": Review.FALSE_ALARM, "INC-2": Review.REVIEWED}

    found = week_of(an_opened(1), an_opened(2), an_opened(3), reviews=reviews)

    assert (found.n_opened, found.n_false, found.n_unreviewed, found.is_over_budget) == (3, 1, 1, False)
    assert week_of(an_opened(1), an_opened(3), an_opened(4), reviews=reviews).is_over_budget
    assert "3 of at most 2 a week, over the budget" in care.alert_line(
        week_of(an_opened(1), an_opened(3), an_opened(4), reviews=reviews)
    )


def test_incidents_of_other_weeks_do_not_count() -> None:
    assert week_of(an_opened(1, opened_at=WEEK.until), an_opened(2, opened_at=WEEK.since - MINUTE)).n_opened == 0


def test_time_to_detect_runs_from_the_first_unusual_bucket() -> None:
    found = week_of(an_opened(1, took=10 * MINUTE), an_opened(2, took=20 * MINUTE), an_opened(3, took=3 * HOUR))

    assert (found.median_to_detect, found.longest_to_detect) == (20 * MINUTE, 3 * HOUR)


def test_saved_is_the_unusual_rate_until_somebody_would_have_looked() -> None:
    action = an_action(1, intended_at=AT + HOUR, state=ActionState.DONE, incident_id="INC-1")
    before = a_finding(1, at=AT, spend=a_spend(41.0, expected=1.0))
    later = a_finding(1, at=AT + 2 * HOUR, spend=a_spend(1.0, expected=1.0))

    found = week_of(an_opened(1), disables=[action], findings=[before, later])

    assert (found.n_disabled, found.saved_nusd) == (1, 8 * 40 * NUSD)


def test_a_limit_bounds_what_was_saved_and_a_false_alarm_saves_nothing() -> None:
    action = an_action(1, intended_at=AT + HOUR, state=ActionState.DONE, incident_id="INC-1")
    limited = a_finding(1, at=AT, spend=a_spend(41.0, expected=1.0, limit_remaining_nusd=5 * NUSD))

    assert week_of(an_opened(1), disables=[action], findings=[limited]).saved_nusd == 5 * NUSD
    judged = {"INC-1": Review.FALSE_ALARM}
    assert week_of(an_opened(1), disables=[action], findings=[limited], reviews=judged).saved_nusd == 0


def test_a_disable_that_failed_saves_nothing() -> None:
    action = an_action(1, intended_at=AT, state=ActionState.FAILED, incident_id="INC-1")

    assert week_of(an_opened(1), disables=[action], findings=[a_finding(1, at=AT)]).n_disabled == 0


def test_silences_are_clipped_to_the_week_and_the_last_one_is_still_open() -> None:
    day = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    gaps = [(day.since - HOUR, day.since + HOUR), (day.until + HOUR, day.until + 2 * HOUR)]

    found = silences_in(day, gaps, last_cycle_at=day.until - 2 * HOUR)

    assert found == ((day.since, day.since + HOUR), (day.until - 2 * HOUR, day.until))
    assert silences_in(day, [], last_cycle_at=day.until + HOUR) == ()


def test_the_monitor_s_uptime_is_told_with_its_pauses() -> None:
    pause = (WEEK.since, WEEK.since + 42 * HOUR)
    health = Health(watched_since=WEEK.since, silences=(pause,), watched=126 * HOUR, mode="enforce")

    digest = a_digest(a_usage([]), health=health)

    assert care.watch_line(digest.health).startswith("75% of 7 d, 1 pause of 1 d 18 h in all")
    assert care.silence_lines(health) == ["16 Nov 00:00 UTC to 17 Nov 18:00 UTC (1 d 18 h): not watching"]
    assert care.watch_line(Health()) == "not on record yet"


REHEARSED = LastRehearsal(
    WEEK.since, "1f0c9a2b7d3e" + "0" * 52, "canary\n\u202e", "", (("read", 0.41), ("restore", 75.0))
)


def test_the_last_rehearsal_is_told_with_key_outcome_and_the_delay_of_each_step() -> None:
    assert care.rehearsal_line(REHEARSED) == (
        "16 Nov 00:00 UTC on canary (1f0c9a2b7d3e): passed; read 0.4 s, restore 1 min"
    )
    failed = replace(REHEARSED, problem="the alert did not arrive", steps=())
    assert care.rehearsal_line(failed).endswith("(1f0c9a2b7d3e): FAILED, the alert did not arrive")
    assert "never" in care.rehearsal_line(None) and "openrouter-monitor rehearse KEY" in care.rehearsal_line(None)


def test_a_key_that_a_rehearsal_may_have_left_disabled_needs_attention() -> None:
    left = Health(rehearsal=replace(REHEARSED, problem="it was cut off", is_left=True))
    said = "A rehearsal may have left key 1f0c9a2b7d3e disabled: openrouter-monitor restore 1f0c9a2b7d3e"
    assert said in care.attention(a_digest(a_usage([]), health=left))
    assert said not in care.attention(a_digest(a_usage([]), health=Health(rehearsal=REHEARSED)))
