"""The source's health: told once when it matters, once when it is over, and no flapping."""

from __future__ import annotations

from datetime import timedelta

import pytest
from build import NOW, settings_with
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.decide.sources import PATIENCE, Symptom, noted, recalled
from monitor.domain import IncidentState, Severity

MINUTE = timedelta(minutes=1)
SETTINGS = settings_with()
DOWN = Symptom("usage", "usage: the source does not answer (503)")
REFUSED = Symptom("access", "the management key is refused (401)", Severity.CRITICAL, is_urgent=True)


class World:
    """Troubles and incidents from minute to minute, as the watch keeps them."""

    def __init__(self, *, is_forgetful: bool = False) -> None:
        self.troubles, self.incidents, self.told, self.is_forgetful = {}, {}, [], is_forgetful

    def minute(self, number: int, *symptoms: Symptom, well: str = "usage access") -> None:
        now = NOW + number * MINUTE
        if self.is_forgetful:
            self.troubles = recalled(self.incidents.values())
        found = noted(self.troubles, symptoms, frozenset(well.split()), self.incidents.values(), SETTINGS, now)
        self.troubles = dict(found.troubles)
        self.incidents |= {each.incident_id: each for each in found.incidents}
        self.told += [(number, notice.detail) for notice in found.notices]


@pytest.mark.parametrize("is_forgetful", [False, True], ids=["running on", "restarted every minute"])
def test_a_refused_key_is_told_at_once_and_once_and_once_more_when_it_works(is_forgetful):
    world = World(is_forgetful=is_forgetful)
    for number in range(120):
        world.minute(number, REFUSED, well="")
    world.minute(120)
    assert [number for number, _ in world.told] == [0, 120]
    assert "works again after 120 min" in world.told[1][1]


def test_a_short_outage_is_not_told():
    world = World()
    for number in range(9):
        world.minute(number, DOWN, well="")
    world.minute(9)
    assert (world.told, world.incidents, world.troubles) == ([], {}, {})


def test_a_long_outage_is_one_incident_with_its_end():
    world = World()
    for number in range(360):
        world.minute(number, DOWN, well="access")
    world.minute(360)
    (incident,) = world.incidents.values()
    assert [number for number, _ in world.told] == [10, 360]
    assert (incident.onset_at, incident.state) == (NOW, IncidentState.RESOLVED)
    assert PATIENCE == 10 * MINUTE


def test_a_lane_that_did_not_run_keeps_its_trouble():
    world = World()
    for number in range(12):
        world.minute(number, DOWN, well="")
    before = dict(world.troubles)
    world.minute(12, well="access")
    assert world.troubles == before


def test_a_trouble_that_comes_back_is_the_same_incident_and_must_then_be_gone_for_longer():
    world = World()
    for number in range(0, 240, 20):  # twelve minutes down, eight minutes up
        for minute in range(12):
            world.minute(number + minute, DOWN, well="access")
        for minute in range(12, 20):
            world.minute(number + minute)
    (incident,) = world.incidents.values()
    assert len(incident.spells) == 1
    assert len(world.told) == 3  # down, up, down: the second return never ends for ten minutes
    assert world.told[1][1].endswith("missed usage is being read again.")


def test_several_troubles_are_incidents_of_their_own():
    world = World()
    for number in range(11):
        world.minute(number, DOWN, REFUSED, well="")
    assert {each.fingerprint for each in world.incidents.values()} == {"source:usage", "source:access"}


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 15)), max_size=20))
@hypothesis_settings(max_examples=50, deadline=None)
def test_every_beginning_told_has_at_most_one_end_and_they_alternate(spells):
    world = World()
    minutes = [(is_down, has_run) for is_down, has_run, n in spells for _ in range(n)]
    for number, (is_down, has_run) in enumerate(minutes):
        world.minute(number, *([DOWN] if is_down and has_run else []), well="usage" if has_run else "")
    ends = ["missed usage is being read again" in detail for _, detail in world.told]
    assert ends == [number % 2 == 1 for number in range(len(ends))]
    alive = [each for each in world.incidents.values() if each.is_alive]
    assert len(alive) == len(ends) % 2
