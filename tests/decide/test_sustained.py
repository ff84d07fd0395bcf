"""A rung that asks for time is reached when its other conditions have held without a break for so long: no sooner, and a
restart forgets nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import NOW, a_context, a_finding, a_key, a_quality, after, settings_with
from hypothesis import given
from hypothesis import strategies as st
from jobs_build import a_store

from monitor.decide import decide
from monitor.domain import IncidentState, Quality, Reason, Rung

MINUTE = timedelta(minutes=1)
ENOUGH, TOO_LITTLE = 60.0, 40.0
"""Dollars an hour: the policies here ask for 50."""


def policies(rung="disable", minutes=20):
    return [{"name": "web", rung: {"usd_per_hour": 50.0, "sustained_for": f"{minutes}m", "enabled": True}}]


class Watched:
    """One key judged once a minute; what was planned is written down."""

    def __init__(self, rung="disable", minutes=20):
        self.settings = settings_with(response={"mode": "enforce"}, policies=policies(rung, minutes))
        self.context, self.at, self.acted, self.told = a_context(a_key()), NOW, [], []

    def minutes(self, n, usd=ENOUGH, *, quality=Quality.KNOWN, is_healthy=True):
        """`usd` None: nothing is found."""
        for _ in range(n):
            found = [] if usd is None else [a_finding(at=self.at, usd_per_hour=usd)]
            known = {a_key().key_hash: replace(a_quality(self.at), state=quality)}
            self.context = replace(self.context, quality=known, source_is_healthy=is_healthy)
            plan = decide(found, self.context, self.settings, self.at)
            self.context = after(self.context, plan)
            self.acted += [(self.at - NOW) // MINUTE for _ in plan.intents]
            self.told += [(self.at - NOW) // MINUTE for _ in plan.notices]
            self.at += MINUTE
        return self

    def pause(self, minutes):
        self.at += minutes * MINUTE
        return self

    @property
    def incident(self):
        (incident,) = self.context.incidents
        return incident


def test_a_disable_waits_until_its_dollars_have_held_so_long_whenever_the_use_began():
    key = Watched().minutes(30, TOO_LITTLE)
    assert key.incident.onset_at < NOW and key.acted == []
    key.minutes(20)
    assert key.acted == []
    key.minutes(1)
    assert key.acted == [50]


def test_one_pass_that_finds_less_begins_it_anew():
    key = Watched().minutes(15).minutes(1, TOO_LITTLE).minutes(20)
    assert key.acted == []
    assert key.minutes(1).acted == [36]


def test_one_pass_that_finds_nothing_on_sound_data_begins_it_anew():
    key = Watched().minutes(15).minutes(1, None)
    assert key.incident.held == ()
    assert key.minutes(21).acted == [36]


@pytest.mark.parametrize("blind", [{"quality": Quality.UNKNOWN}, {"is_healthy": False}], ids=str)
def test_a_pass_that_cannot_see_breaks_nothing(blind):
    key = Watched().minutes(15).minutes(3, None, **blind)
    assert key.incident.held != ()
    assert key.minutes(3).acted == [20]


def test_a_restart_begins_nothing_anew_and_a_longer_pause_than_an_hour_does():
    assert Watched().minutes(15).pause(4).minutes(2).acted == [20]
    assert Watched().minutes(15).pause(60).minutes(1).acted == []
    assert Watched().minutes(15).pause(60).minutes(21).acted == [95]


def test_what_holds_outlives_the_process(tmp_path: Path):
    key = Watched().minutes(15)
    store = a_store(tmp_path)
    plan = decide([a_finding(at=key.at, usd_per_hour=ENOUGH)], key.context, key.settings, key.at)
    store.ledger.commit((), plan, ())
    store.maintenance.close()

    again = a_store(tmp_path)
    (stored,) = again.ledger.incidents()
    again.maintenance.close()

    assert [(each.rung, each.since, each.seen_at) for each in stored.held] == [(Rung.DISABLE, NOW, NOW + 15 * MINUTE)]
    key.context = replace(key.context, incidents=(stored,))
    assert key.pause(1).minutes(5).acted == [20]


def test_an_alert_that_is_asked_to_hold_is_told_then_and_not_before():
    key = Watched()
    told_only = [{**policies("notify", 10)[0], "disable": {"enabled": False}}]
    key.settings = settings_with(response={"mode": "enforce"}, policies=told_only)
    key.minutes(10)
    assert key.told == [] and key.context.verdicts[-1].reason is Reason.BELOW_NOTICE
    assert key.minutes(5).told == [10]


def test_how_long_it_has_held_and_must_is_said():
    key = Watched()
    plan = decide([a_finding(usd_per_hour=ENOUGH)], key.context, key.settings, NOW)
    (verdict,) = plan.verdicts
    assert verdict.reason is Reason.POLICY
    assert "disable asks that this holds for 20 min, it has just begun to" in verdict.detail


def test_a_cause_that_comes_back_begins_anew():
    key = Watched().minutes(15)
    over = replace(key.incident, state=IncidentState.RESOLVED, resolved_at=key.at, resolution="quiet")
    key.context = replace(key.context, incidents=(over,))
    key.minutes(20)
    assert key.incident.spells and key.acted == []


def test_without_a_policy_that_asks_for_time_nothing_is_kept():
    key = Watched()
    key.settings = settings_with(response={"mode": "enforce"})
    assert key.minutes(2).incident.held == ()


@given(st.lists(st.sampled_from([ENOUGH, TOO_LITTLE, None]), max_size=40), st.integers(1, 12))
def test_it_is_reached_at_the_first_pass_that_ends_so_long_a_run_and_at_no_other(passes, minutes):
    key = Watched(minutes=minutes)
    for usd in passes:
        key.minutes(1, usd)
    run, expected = -1, []
    for minute, usd in enumerate(passes):
        run = run + 1 if usd == ENOUGH else -1
        if run == minutes:
            expected.append(minute)
            break
    assert key.acted[:1] == expected
