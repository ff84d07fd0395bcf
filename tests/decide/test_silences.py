"""A silence holds back words, not facts; it ends, and covers nothing it does not name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_cause, a_context, a_finding, a_hash, a_key, a_quality, after, an_incident, settings_with

from monitor.decide import decide
from monitor.domain import Belonging, IncidentKind, IncidentState, MessageKind, Quality, Reason, Severity, Silence
from monitor.domain.silences import LONGEST_SILENCE, covers

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ENFORCE = settings_with(response={"mode": "enforce"})


def a_silence(**changes):
    fields = {
        "silence_id": "SIL-1",
        "created_at": NOW - HOUR,
        "expires_at": NOW + HOUR,
        "created_by": "cli:ada",
        "comment": "load test",
    }
    return Silence(**(fields | changes))


BELONGING = Belonging({a_hash(1): "search"}, {"ws-1": "Research"})
KEY = a_key(1, key_name="search-prod")


@pytest.mark.parametrize(
    ("conditions", "is_covered"),
    [
        ({"key_hash": a_hash(1)}, True),
        ({"key_hash": a_hash(2)}, False),
        ({"key_name": "^search-"}, True),
        ({"key_name": "^prod"}, False),
        ({"owner": "search"}, True),
        ({"owner": "ads"}, False),
        ({"workspace": "Research"}, True),
        ({"workspace": "ws-1"}, True),
        ({"workspace": "ws-2"}, False),
        ({"detector": "forest"}, True),
        ({"detector": "vendor/opus"}, True),
        ({"detector": "rules"}, False),
        ({"severity": Severity.WARNING}, True),
        ({"severity": Severity.NOTICE}, False),
        ({"key_name": "^search-", "severity": Severity.NOTICE}, False),
        ({}, False),
    ],
    ids=repr,
)
def test_every_condition_must_hold_and_none_covers_nothing(conditions, is_covered):
    incident = an_incident(1, severity=Severity.WARNING, causes=(a_cause("vendor/opus"),))
    assert covers(a_silence(**conditions), incident, KEY, BELONGING) is is_covered


def test_a_key_that_is_not_known_matches_by_hash_only():
    incident = an_incident(1)
    assert covers(a_silence(key_hash=a_hash(1)), incident, None, Belonging({}, {}))
    assert not covers(a_silence(key_name=".*"), incident, None, Belonging({}, {}))


def test_no_silence_outlives_thirty_days_whatever_it_says():
    silence = a_silence(expires_at=NOW + timedelta(days=400))
    assert silence.is_active(NOW)
    assert not silence.is_active(silence.created_at + LONGEST_SILENCE)


@pytest.mark.parametrize("at", [NOW - 2 * HOUR, NOW + HOUR], ids=["before", "after"])
def test_a_silence_covers_only_its_time(at):
    assert not a_silence().is_active(at)


def test_a_silenced_key_is_recorded_but_neither_told_of_nor_disabled():
    context = a_context(KEY, silences=(a_silence(key_hash=a_hash(1)),))
    plan = decide([a_finding()], context, ENFORCE, NOW)
    assert [each.kind for each in plan.incidents] == [IncidentKind.KEY]
    assert (plan.notices, plan.actions) == ((), ())
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.SILENCED]


def test_a_silenced_key_is_never_disabled_and_an_unsilenced_twin_is():
    context = a_context(KEY, a_key(2, key_name="search-prod"), silences=(a_silence(key_hash=a_hash(1)),))
    plan = decide([a_finding(1), a_finding(2)], context, ENFORCE, NOW)
    assert [action.key_hash for action in plan.actions] == [a_hash(2)]


def test_what_a_silence_held_back_is_told_when_it_ends_and_it_is_not_over():
    context = a_context(KEY, silences=(a_silence(key_hash=a_hash(1)),))
    context = after(context, decide([a_finding()], context, settings_with(), NOW))
    at = NOW + HOUR
    plan = decide([], replace(context, quality={a_hash(1): a_quality(at)}), settings_with(), at)
    assert [(notice.kind, notice.incident.key_hash) for notice in plan.notices] == [(MessageKind.ALERT, a_hash(1))]


def test_what_was_never_told_ends_without_a_word():
    context = a_context(KEY, silences=(a_silence(key_hash=a_hash(1), expires_at=NOW + 20 * HOUR),))
    context = after(context, decide([a_finding()], context, settings_with(), NOW))
    at = NOW + 21 * HOUR
    plan = decide([], replace(context, silences=(), quality={a_hash(1): a_quality(at)}), settings_with(), at)
    assert [each.resolution for each in plan.incidents] == ["nothing unusual for 6 h"]
    assert plan.notices == ()


def a_source(**changes):
    fields = {"kind": IncidentKind.SOURCE, "incident_id": "SRC-1", "fingerprint": "source:usage", "key_hash": ""}
    return replace(an_incident(severity=Severity.WARNING), **(fields | changes))


def doubtful(number=1, **changes):
    return a_finding(number, severity=Severity.WARNING, quality=a_quality(NOW, state=Quality.PARTIAL), **changes)


def test_a_key_unusual_on_doubtful_data_is_named_in_the_source_incident_and_not_told_apart():
    context = a_context(KEY, a_key(2), incidents=(a_source(),))
    plan = decide([doubtful(1), doubtful(2)], context, ENFORCE, NOW)
    (notice,) = plan.notices
    assert (notice.kind, notice.thread) == (MessageKind.SOURCE, "SRC-1")
    assert "search-prod" in notice.detail and len(notice.incidents) == 2
    source = next(each for each in plan.incidents if each.kind is IncidentKind.SOURCE)
    assert set(source.members) == {each.incident_id for each in plan.incidents if each.kind is IncidentKind.KEY}
    assert all(each.part_of == "SRC-1" for each in plan.incidents if each.kind is IncidentKind.KEY)


def test_it_is_told_by_itself_once_the_source_is_well_again():
    context = a_context(KEY, incidents=(a_source(),))
    context = after(context, decide([doubtful()], context, ENFORCE, NOW))
    well = tuple(
        replace(each, state=IncidentState.RESOLVED, resolved_at=NOW) if each.kind is IncidentKind.SOURCE else each
        for each in context.incidents
    )
    plan = decide([], replace(context, incidents=well), ENFORCE, NOW + MINUTE)
    assert [notice.kind for notice in plan.notices] == [MessageKind.ALERT]


def test_a_critical_incident_is_told_whatever_the_state_of_the_source():
    worse = replace(doubtful(), severity=Severity.CRITICAL)
    plan = decide([worse], a_context(KEY, incidents=(a_source(),)), ENFORCE, NOW)
    assert MessageKind.ALERT in [notice.kind for notice in plan.notices]


def test_nothing_automatic_happens_while_a_source_incident_is_open():
    plan = decide([a_finding()], a_context(KEY, incidents=(a_source(),)), ENFORCE, NOW)
    assert plan.actions == ()
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.STALE_DATA]
    assert "SRC-1" in plan.verdicts[0].detail
