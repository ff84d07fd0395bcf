"""A call for a wider audience: what nobody took, since when, and the one command that ends the calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from build import NOW, a_hash, a_key, an_incident

from monitor.domain import IncidentKind, Message, MessageKind, Notice
from monitor.notify.message import compose


def a_call(**changes) -> Message:
    fields = {"told_at": NOW - timedelta(minutes=20), "n_escalations": 1, "escalated_at": NOW, "step": 2}
    incident = replace(an_incident(1, at=NOW), **(fields | changes))
    notice = Notice(MessageKind.ESCALATION, NOW, incident=incident)
    key = a_key(1, key_name="search-prod") if incident.key_hash else None
    return compose(notice, key, channel="#on-call", owner="search", workspace_name="Research", now=NOW, data_as_of=None)


def test_a_call_says_what_it_costs_and_how_to_end_it():
    message = a_call()
    assert message.title == "Nobody has acknowledged: search-prod"
    assert "was told of 20 min ago and nobody took it: $194.96 above usual so far, $167.11/h now." in message.summary
    assert ("Owner", "search") in message.facts
    assert message.sections[0][1][0] == "Say that you look at it: openrouter-monitor incidents ack INC-0001"
    assert any(a_hash(1)[:12] in line for line in message.sections[0][1])


def test_each_call_is_a_message_of_its_own_in_a_thread_of_its_own():
    first, second = a_call(), a_call(n_escalations=2)
    assert (first.message_id, second.message_id) == ("INC-0001:2:escalation:1", "INC-0001:2:escalation:2")
    assert first.thread == second.thread == "INC-0001:escalation"
    assert "This is call 2." in second.summary


def test_a_call_for_an_event_of_many_keys_names_no_key_to_stop():
    message = a_call(kind=IncidentKind.PLATFORM, key_hash="", incident_id="EVT-1")
    assert message.title == "Nobody has acknowledged: EVT-1"
    assert message.facts == ()
    assert not any("revoke" in line for line in message.sections[0][1])
