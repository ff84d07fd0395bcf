"""Grouped by whatever cause, every incident is in exactly one group."""

from __future__ import annotations

from build import a_cause, a_hash, an_incident
from hypothesis import given
from hypothesis import strategies as st

from monitor.decide import groups
from monitor.domain import NUSD, Dimension, IncidentKind


@st.composite
def some_incidents(draw):
    return [
        an_incident(
            number,
            at_risk_nusd=draw(st.integers(0, 10**12)),
            part_of=draw(st.sampled_from([None, "EVT-1", "SRC-1"])),
            causes=tuple(a_cause(model) for model in draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=2))),
        )
        for number in range(1, draw(st.integers(0, 12)) + 1)
    ]


@given(some_incidents())
def test_no_incident_is_lost_or_doubled(incidents):
    owners = {a_hash(number): "ab"[number % 2] for number in range(1, 13)}
    for made in (groups.by_owner(incidents, owners), groups.by_model(incidents), groups.by_platform(incidents)):
        grouped = [each.incident_id for group in made for each in group.incidents]
        assert sorted(grouped) == sorted(each.incident_id for each in incidents)
        assert [group.at_risk_nusd for group in made] == sorted((g.at_risk_nusd for g in made), reverse=True)


def test_a_group_is_called_after_owner_model_or_event():
    dear = a_cause("vendor/opus", cost_nusd=9 * NUSD)
    cheap = a_cause("vendor/mini", cost_nusd=NUSD)
    france = a_cause("FR", dimension=Dimension.COUNTRY, cost_nusd=90 * NUSD)
    incident = an_incident(1, causes=(cheap, france, dear), part_of="EVT-1")
    assert [group.cause for group in groups.by_owner([incident], {a_hash(1): "search"})] == ["search"]
    assert [group.cause for group in groups.by_model([incident])] == ["vendor/opus"]
    assert [group.cause for group in groups.by_platform([incident])] == ["EVT-1"]
    assert [group.cause for group in groups.by_owner([incident], {})] == ["nobody named"]


def test_events_and_source_incidents_are_no_members_of_a_group():
    assert groups.by_model([an_incident(1, kind=IncidentKind.PLATFORM)]) == ()
