"""Dollars of a finding and of an incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from build import NOW, a_context, a_finding, a_key, a_spend, key_settings, settings_with
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.decide import decide, money
from monitor.domain import NUSD

EIGHT_HOURS = timedelta(hours=8)


@pytest.mark.parametrize(
    ("spend", "usd"),
    [
        (a_spend(10, expected=4), 6),
        (a_spend(4, expected=10), 0),
        (a_spend(10, expected=9, novel_per_hour_nusd=5 * NUSD), 5),
        (a_spend(10, expected=10, unexplained_nusd=3 * NUSD), 3),
    ],
    ids=["above expectation", "below expectation", "new values", "not accounted for"],
)
def test_unusual_dollars_are_the_largest_sign(spend, usd):
    assert spend.unusual_per_hour_nusd == usd * NUSD


def test_at_risk_is_the_unusual_rate_until_people_look():
    assert money.at_risk(a_spend(11, expected=1), key=a_key(), now=NOW, people_within=EIGHT_HOURS) == 80 * NUSD


@pytest.mark.parametrize(
    ("left", "limit", "reset", "now", "usd"),
    [
        (30, 50.0, None, NOW, 30),
        (-2, 50.0, None, NOW, 0),
        (30, 50.0, "daily", NOW, 30),
        (30, 40.0, "daily", NOW.replace(hour=20), 70),
        (30, 40.0, "weekly", NOW.replace(hour=20), 30),
        (30, 40.0, "weekly", datetime(2026, 11, 22, 20, tzinfo=UTC), 70),
        (30, 40.0, "monthly", datetime(2026, 11, 30, 20, tzinfo=UTC), 70),
        (30, 400.0, "daily", NOW.replace(hour=20), 80),
    ],
    ids=["limit", "used up", "no reset in time", "midnight", "no Monday", "Monday", "first of month", "rate is less"],
)
def test_a_limit_bounds_what_is_at_risk_and_its_resets_lift_the_bound(left, limit, reset, now, usd):
    key = a_key(settings=key_settings(limit_usd=limit, limit_reset=reset))
    spend = a_spend(11, expected=1, limit_remaining_nusd=left * NUSD)
    assert money.at_risk(spend, key=key, now=now, people_within=EIGHT_HOURS) == usd * NUSD


def spent(series, *, minutes=10, expected=0.0):
    """Dollars spent since onset as the incident says, after each bucket of a series of dollars a bucket from onset on."""
    context, told = a_context(a_key()), []
    for number in range(1, len(series) + 1):
        at = NOW + timedelta(minutes=minutes * number)
        hour = series[max(0, number - 6) : number]
        spend = a_spend(
            sum(hour) + expected, expected=expected, last_day_nusd=round((sum(series[:number]) + 24 * expected) * NUSD)
        )
        (incident,) = decide([a_finding(at=at, onset_at=NOW, spend=spend)], context, settings_with(), at).incidents
        context = replace(context, incidents=(incident,))
        told.append(incident.spent_nusd / NUSD)
    return told


def test_spent_since_onset_is_exact_in_the_first_hour():
    assert spent([1, 5, 0, 30, 2, 2]) == [1, 6, 6, 36, 38, 40]


def test_spent_since_onset_is_exact_at_a_steady_rate():
    assert spent([2.0] * 30)[-1] == pytest.approx(60.0)


def test_a_burst_is_not_counted_twice_while_it_leaves_the_trailing_hour():
    assert spent([0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0])[-1] == pytest.approx(100.0)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 50), min_size=1, max_size=40))
def test_spent_never_falls_and_never_exceeds_what_was_spent(series):
    told = spent(series)
    assert told == sorted(told)
    assert told[-1] <= sum(series) * (1 + 1e-6) + 1e-6


def test_an_incident_found_late_counts_from_its_onset():
    spend = a_spend(10, expected=0, last_day_nusd=45 * NUSD)
    finding = a_finding(onset_at=NOW - timedelta(hours=4), spend=spend)
    assert money.spent_since_onset(finding, onset_at=finding.onset_at, before=None) == 40 * NUSD
    assert money.spent_since_onset(finding, onset_at=NOW - timedelta(hours=6), before=None) == 45 * NUSD
