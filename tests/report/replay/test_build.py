"""From hourly spend and incidents to what the report shows: totals that add up, and the right things in the pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from build import a_hash, a_key
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_build import DAY, DISABLED, HOUR, ROWS, SINCE, STORIES, Story, Verbs, a_report

from monitor.domain import NUSD, Verb
from monitor.report.replay.build import MAX_ACTED, MAX_ALERTED


@settings(deadline=None)
@given(STORIES, ROWS, st.integers(0, 3))
def test_days_owners_and_keys_each_add_up_to_the_figures(stories, rows, usual_usd) -> None:
    report = a_report(stories, rows, usual_usd=usual_usd)
    summary = report.summary

    assert sum(day.n_alerted + day.n_capped + day.n_disabled for day in report.days) == len(summary.cases)
    assert sum(day.n_disabled for day in report.days) == sum(case.disabled_at is not None for case in summary.cases)
    assert sum(day.spent_nusd for day in report.days) == sum(cost for *_, cost in rows)
    for groups in (report.owners, report.keys):
        assert sum(group.n_incidents for group in groups) == len(summary.cases)
        assert sum(group.spent_nusd for group in groups) == summary.spent_nusd
        assert sum(group.stopped_nusd for group in groups) == summary.stopped_nusd
        assert sum(group.n_keys for group in groups) == summary.n_alerted_keys
    assert len(report.owners) == len(summary.owners)
    assert len(report.pictures) + report.n_without_picture == summary.n_alerted_keys


@settings(deadline=None)
@given(STORIES, ROWS, st.integers(0, 3))
def test_unusual_spend_is_part_of_the_day_and_of_the_keys_with_incidents(stories, rows, usual_usd) -> None:
    report = a_report(stories, rows, usual_usd=usual_usd)
    of_incident_keys = sum(cost for _, key, _, cost in rows if key in {story.key for story in stories})

    assert all(0 <= day.unusual_nusd <= day.spent_nusd for day in report.days)
    assert sum(day.unusual_nusd for day in report.days) <= of_incident_keys


@settings(deadline=None)
@given(STORIES, ROWS)
def test_a_picture_holds_all_the_key_spent(stories, rows) -> None:
    for picture in a_report(stories, rows).pictures:
        spent = sum(cost for _, key, _, cost in rows if a_hash(key) == picture.key_hash)
        assert int(picture.spent_nusd.sum()) == sum(model.spent_nusd for model in picture.models) == spent
        assert len(picture.hours_s) == len(picture.usual_nusd) == len(picture.spent_nusd) == 7 * 24


def test_unusual_is_what_lies_above_the_usual_in_the_hours_of_the_incident() -> None:
    rows = [(7, 1, 0, 4 * NUSD), (8, 1, 0, 5 * NUSD), (9, 1, 1, NUSD // 4), (20, 1, 0, 9 * NUSD), (8, 2, 0, 9 * NUSD)]

    report = a_report([DISABLED], rows, usual_usd=0.5)

    assert [day.unusual_nusd for day in report.days[:2]] == [4_500_000_000, 0]


def test_two_incidents_of_one_hour_count_its_dollars_once() -> None:
    twice = [Story(opened=10.0), Story(opened=10.5)]

    assert a_report(twice, [(9, 1, 0, 3 * NUSD)], usual_usd=0).days[0].unusual_nusd == 3 * NUSD


def test_where_the_usual_is_not_known_all_of_it_is_above() -> None:
    assert a_report([DISABLED], [(9, 1, 0, 3 * NUSD)], usual_usd=np.nan).days[0].unusual_nusd == 3 * NUSD


def test_a_day_begins_at_midnight_and_is_cut_to_the_time_decided_on() -> None:
    at_midnight = Story(opened=24.0)

    days = a_report([at_midnight], days=1.5).days

    assert [(day.since - SINCE, day.until - SINCE) for day in days] == [(0 * DAY, DAY), (DAY, 1.5 * DAY)]
    assert [day.n_alerted for day in days] == [1, 0]


@pytest.mark.parametrize(
    ("stops", "counted"),
    [((), (1, 0, 0)), ((("cap", 11, 1.0),), (0, 1, 0)), ((("cap", 11, 1.0), ("disable", 12, 2.0)), (0, 0, 1))],
    ids=["alerted", "capped", "capped, then disabled"],
)
def test_an_incident_counts_once_by_the_most_that_would_have_been_done(stops, counted) -> None:
    story = Story(stops=tuple((Verbs(verb), at, usd) for verb, at, usd in stops))

    day = a_report([story]).days[0]

    assert (day.n_alerted, day.n_capped, day.n_disabled) == counted


def test_the_models_of_the_incident_are_named_however_little_they_cost_and_stand_on_top() -> None:
    usual = [(hour, 1, model, (10 + model) * NUSD) for hour in range(40, 60) for model in range(2, 7)]
    theft = [(10, 1, 0, NUSD // 100), (10, 1, 1, NUSD // 50)]

    (picture,) = a_report([DISABLED], usual + theft).pictures

    assert [model.model for model in picture.models] == [None, "lab/e", "lab/d", "acme/opus-9", "acme/mini"]
    assert picture.places == (0, 1, 2, 3, 4)
    assert picture.models[3].in_incidents_nusd == NUSD // 50
    assert picture.models[0].spent_nusd == 20 * (12 + 13 + 14) * NUSD


def test_a_key_without_usage_has_a_picture_without_models() -> None:
    (picture,) = a_report([Story(key=999)], []).pictures

    assert picture.models == ()
    assert picture.spent_nusd.tolist() == [0] * len(picture.hours_s)


def test_pictures_show_those_acted_on_first_and_of_the_others_the_dearest() -> None:
    alerted = [Story(key=number, opened=1.0 + number / 10, spent_usd=number) for number in range(1, 41)]
    acted = [replace(DISABLED, key=200, opened=9.0), replace(DISABLED, key=100, opened=8.0)]

    report = a_report(alerted + acted, [])

    shown = [int(picture.key_hash, 16) for picture in report.pictures]
    assert shown == [100, 200, *range(41 - MAX_ALERTED, 41)]
    assert [picture.is_acted_on for picture in report.pictures] == [True] * 2 + [False] * MAX_ALERTED
    assert report.n_without_picture == 40 - MAX_ALERTED
    assert report.n_acted_on == 2


def test_there_are_never_more_pictures_than_a_page_can_hold() -> None:
    acted = [replace(DISABLED, key=number, opened=5 + number / 100) for number in range(MAX_ACTED + 9)]

    report = a_report(acted, [])

    assert (len(report.pictures), report.n_without_picture) == (MAX_ACTED, 9)


def test_the_most_disturbed_come_first() -> None:
    keys = [a_key(number, creator_user_id=owner) for number, owner in ((1, "ann"), (2, "bo"), (3, "bo"), (4, None))]
    stories = [
        Story(key=number, opened=float(number), stops=((Verb.DISABLE, number + 1.0, 1.0),)) for number in (1, 2, 3)
    ]

    report = a_report([*stories, Story(key=2, opened=50.0), Story(key=4)], keys=keys)

    assert [(group.owner, group.n_keys, group.n_incidents, group.n_disabled) for group in report.owners] == [
        ("bo", 2, 3, 2),
        ("ann", 1, 1, 1),
        ("ws-1", 1, 1, 0),
    ]
    assert (report.keys[0].key_hash, report.keys[0].n_incidents) == (a_hash(2), 2)


def test_alerts_count_every_step_of_an_incident() -> None:
    report = a_report([Story(changes=(("step", 3),)), Story(key=2)])

    assert [group.n_alerts for group in report.keys] == [3, 1]


def test_a_time_that_begins_within_an_hour_shows_that_hour_whole() -> None:
    report = a_report([DISABLED], [(0, 1, 0, NUSD)], days=0.99)

    assert report.length == timedelta(days=0.99)
    assert len(report.pictures[0].hours_s) == 24
    assert report.unknown_share == 0
    assert report.pictures[0].rows[0].incident.opened_at == SINCE + 10 * HOUR
