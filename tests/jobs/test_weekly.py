"""The digest of a week out of the store: every dollar of it, whatever became of the keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from build import a_hash, a_key, an_incident, coverage, usage
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs_build import a_batch, a_store, an_app, an_inventory, settings_in

from monitor.decide.incidents import FALSE_ALARM_RESOLUTION, KEY_GONE_RESOLUTION
from monitor.domain import IncidentState, Message, MessageKind, Opinion, Plan, Severity
from monitor.jobs import facts, feedback, silences, unattributed, weekly
from monitor.jobs.watch import CycleReport, Watch
from monitor.report.markdown import to_markdown
from monitor.report.page import to_html
from monitor.report.watching import Review
from monitor.report.weeks import Window, weeks_named

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MIDNIGHT = MONDAY.replace(hour=0)
WEEK, HOUR, MINUTE = timedelta(days=7), timedelta(hours=1), timedelta(minutes=1)
FIRST = MIDNIGHT - 8 * WEEK

ROWS = st.lists(
    st.tuples(
        st.integers(0, 7),  # key
        st.integers(0, 2),  # model
        st.one_of(st.integers(0, 8 * 168 - 1), st.integers(6 * 168 - 2, 8 * 168 - 1)),  # hour
        st.integers(0, 10**15),
    ),
    max_size=80,
    unique_by=lambda row: row[:3],
)


@settings(deadline=None, max_examples=12)
@given(
    ROWS,
    st.sets(st.integers(0, 7)),
    st.sets(st.integers(0, 7)),
    st.dictionaries(st.integers(0, 335), st.integers(0, 10**12)),
)
def test_the_digest_s_totals_are_the_store_s_to_the_nano_dollar(
    rows: list[tuple[int, int, int, int]], gone: set[int], twins: set[int], lost: dict[int, int]
) -> None:
    with TemporaryDirectory() as folder:
        store, config = a_store(Path(folder)), settings_in(Path(folder), slack={"default_channel": "#a"})
        keys = [a_key(no, key_name="twin" if no in twins else f"key-{no}") for no in range(6)]  # 6 and 7: never listed
        left = tuple(key for no, key in enumerate(keys) if no not in gone)
        store.keys.record(an_inventory(*keys, at=FIRST))
        store.keys.record(an_inventory(*left, at=MONDAY, vanished=tuple(a_hash(no) for no in gone if no < 6)))
        catalog = store.keys.catalog
        models = [catalog.value_no(0, f"vendor/{name}") for name in "abc"]
        made = [
            (FIRST + hour * HOUR, catalog.key_no(a_hash(no)), 0, models[model], 1, cost)
            for no, model, hour, cost in rows
        ]
        store.usage.write(usage(*made, bucket_s=3600), coverage(FIRST, MIDNIGHT, bucket_s=3600))
        by_hour = {MIDNIGHT - 2 * WEEK + hour * HOUR: nusd for hour, nusd in lost.items()}
        unattributed.note(store, a_batch(by_hour, MIDNIGHT - 2 * WEEK, MIDNIGHT), MONDAY)

        digest = weekly.make(store, config, MONDAY)

        for total, since in ((digest.spent_nusd, MIDNIGHT - WEEK), (digest.before_nusd, MIDNIGHT - 2 * WEEK)):
            assert total == int(store.usage.read_hourly(since, since + WEEK)["cost_nusd"].sum())
        for parts in (digest.keys, digest.models, digest.owners):
            assert sum(each.spent_nusd for each in parts) == digest.spent_nusd
            assert sum(each.before_nusd for each in parts) == digest.before_nusd
            assert sum(each.norm_nusd for each in parts) == digest.norm_nusd
        assert digest.unattributed_nusd == sum(nusd for at, nusd in by_hour.items() if at >= MIDNIGHT - WEEK)
        assert sum(digest.by_day_nusd) == sum(cost for *_, cost in rows)
        assert len({line.key_hash for line in digest.keys}) == len(digest.keys)
        assert to_html(digest) and to_markdown(digest, top=3)
        store.maintenance.close()


def test_unattributed_dollars_of_a_week_long_ago_are_not_called_none(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY)
    weeks = weeks_named("2026-W44", zone=app.settings.digest.zone, now=MONDAY)

    digest = weekly.make(app.store, app.settings, MONDAY, weeks=weeks)

    assert (digest.unattributed_nusd, digest.gap_nusd) == (None, None)
    assert "not on record" in to_markdown(digest, top=3) or "not known" in to_markdown(digest, top=3)


@pytest.mark.parametrize(
    ("state", "resolution", "review"),
    [
        (IncidentState.OPEN, None, Review.UNREVIEWED),
        (IncidentState.ACKNOWLEDGED, None, Review.REVIEWED),
        (IncidentState.RESOLVED, "nothing unusual for 6 h", Review.UNREVIEWED),
        (IncidentState.RESOLVED, KEY_GONE_RESOLUTION, Review.UNREVIEWED),
        (IncidentState.RESOLVED, FALSE_ALARM_RESOLUTION, Review.FALSE_ALARM),
        (IncidentState.RESOLVED, "a person said: theft", Review.REVIEWED),
    ],
)
def test_what_people_said_of_an_incident_counts(state: IncidentState, resolution: str | None, review: Review) -> None:
    assert weekly.review_of(replace(an_incident(1), state=state, resolution=resolution)) is review


def test_feedback_on_an_incident_is_a_word_on_it(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY)
    at = MIDNIGHT - 30 * HOUR
    incident = replace(an_incident(1, at=at), opened_at=at, onset_at=at)
    app.store.ledger.commit((), Plan(at=at, incidents=(incident,)), ())
    feedback.say(app.store, incident.key_hash, Opinion.ABUSE, by="cli:me", now=at + HOUR)

    assert weekly.make(app.store, app.settings, MONDAY).alerts.n_unreviewed == 0


def test_the_week_s_alerts_are_held_against_the_budget_of_the_settings(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY, detection={"max_false_alerts_per_week": 0.5})
    at = MIDNIGHT - 30 * HOUR
    incident = replace(an_incident(1, at=at), opened_at=at, onset_at=at - 10 * MINUTE)
    app.store.ledger.commit((), Plan(at=at, incidents=(incident,)), ())

    alerts = weekly.make(app.store, app.settings, MONDAY).alerts

    assert (alerts.n_opened, alerts.n_unreviewed, alerts.budget, alerts.is_over_budget) == (1, 1, 0.5, True)
    assert alerts.median_to_detect == 10 * MINUTE


def test_a_message_given_up_this_week_is_told(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY)
    message = Message("M:0:test", MessageKind.TEST, "#a", Severity.NOTICE, "t", "s", created_at=MONDAY - 2 * 24 * HOUR)
    app.store.outbox.add((message,), MONDAY)
    app.store.outbox.dead("M:0:test", "channel_not_found")

    assert weekly.make(app.store, app.settings, MONDAY).health.n_undelivered == 1


def cycle(app, at: datetime) -> None:
    """What a completed cycle publishes."""
    facts.publish(Watch(app), CycleReport(at))


def test_a_pause_in_the_watch_is_noted_by_the_first_cycle_after_it(tmp_path: Path) -> None:
    app, at = an_app(tmp_path), MIDNIGHT - 2 * WEEK
    for minute in (0, 1, 2, 3, 200, 201, 204):
        cycle(app, at + minute * MINUTE)

    found = silences.read(app.store)

    assert (found.since, found.last_at) == (at, at + 204 * MINUTE)
    assert found.spans == ((at + 3 * MINUTE, at + 200 * MINUTE),)


def test_an_even_beat_writes_nothing_and_a_clock_set_back_makes_no_pause(tmp_path: Path) -> None:
    app, at = an_app(tmp_path), MIDNIGHT
    for minute in (0, 1, 2, -120, -119, -118):
        cycle(app, at + minute * MINUTE)

    assert silences.read(app.store).spans == ()


def test_a_slow_beat_is_no_pause(tmp_path: Path) -> None:
    app, at = an_app(tmp_path, schedule={"keys_every": "10m"}), MIDNIGHT
    for minute in (0, 10, 35):
        cycle(app, at + minute * MINUTE)

    assert silences.read(app.store).spans == ()


def test_the_digest_says_how_long_nobody_watched_also_since_the_last_cycle(tmp_path: Path) -> None:
    app, at = an_app(tmp_path, now=MONDAY), MIDNIGHT - 8 * 24 * HOUR
    for moment in (at, MIDNIGHT - 30 * HOUR, MIDNIGHT - 20 * HOUR):
        cycle(app, moment)

    health = weekly.health(app.store, app.settings, Window(MIDNIGHT - WEEK, MIDNIGHT), MIDNIGHT)

    assert health.silences == (
        (MIDNIGHT - WEEK, MIDNIGHT - 30 * HOUR),
        (MIDNIGHT - 30 * HOUR, MIDNIGHT - 20 * HOUR),
        (MIDNIGHT - 20 * HOUR, MIDNIGHT),
    )
    assert health.watched == timedelta()


def test_before_the_first_cycle_nothing_is_called_a_pause(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY)
    cycle(app, MIDNIGHT - HOUR)
    cycle(app, MONDAY)

    health = weekly.health(app.store, app.settings, Window(MIDNIGHT - WEEK, MIDNIGHT), MIDNIGHT)

    assert (health.silent, health.watched) == (HOUR, timedelta())
