"""A theft beside an event of many keys: stopped where the event has an ordinary cause and the theft has nothing to do with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_cause, a_context, a_finding, a_hash, a_key, a_quality, after, settings_with
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.decide import decide
from monitor.domain import TWIN, Dimension, Finding, MessageKind, Reason, Rung, Severity, Twin

MINUTE = timedelta(minutes=1)
ENFORCE = settings_with(response={"mode": "enforce", "max_share_of_keys": 1.0, "max_per_hour": 9, "max_per_run": 9})
QUICK = hypothesis_settings(max_examples=60, deadline=None)
NEWS = a_cause("acme/new", share=0.9)
PROVIDER = a_cause("elsewhere", dimension=Dimension.PROVIDER, share=0.9)
DEARER = a_cause("acme/usual", is_first_seen=False)


def a_twin(kind: Twin, *more, number=1, at=NOW) -> Finding:
    """A key that looks like that ordinary event; `more`: its further causes."""
    said = f"looks like {kind.name.lower()}: 7 other keys"
    note = a_cause(TWIN, dimension=None, is_first_seen=False, sentence=said, twin=kind)
    mild = {"rung": Rung.NOTIFY, "severity": Severity.NOTICE}
    return a_finding(number, at=at, causes=(a_cause("spend", dimension=None, is_first_seen=False), note, *more), **mild)


def event(n=8, kind=Twin.PRICE, *more, at=NOW):
    more = more or {Twin.PRICE: (DEARER,), Twin.FAILOVER: (PROVIDER,), Twin.COMMON: (NEWS,)}[kind]
    return [a_twin(kind, *more, number=number, at=at) for number in range(1, n + 1)]


def a_theft(number=60, *more, at=NOW, model=None, **changes) -> Finding:
    """Nine dollars in ten on a model and in a country that are new to the key, and to nobody else."""
    own = (
        a_cause(model or f"strange/{number}", share=0.9),
        a_cause(f"Z{number}", dimension=Dimension.COUNTRY, share=0.9),
        a_cause("price", dimension=None, is_first_seen=False),
    )
    return a_finding(number, at=at, **({"causes": (*own, *more)} | changes))


def fleet():
    return replace(a_context(*(a_key(number) for number in range(1, 80))), needs_canary=False)


def acted(findings, context=None, at=NOW):
    return {action.key_hash for action in decide(findings, context or fleet(), ENFORCE, at).intents}


@pytest.mark.parametrize("kind", [Twin.PRICE, Twin.FAILOVER, Twin.COMMON])
def test_a_theft_beside_an_event_with_an_ordinary_cause_is_acted_upon_and_nobody_else(kind):
    plan = decide([*event(8, kind), a_theft()], fleet(), ENFORCE, NOW)

    assert {action.key_hash for action in plan.intents} == {a_hash(60)}
    alert, together = sorted(plan.notices, key=lambda notice: notice.kind)
    assert (alert.kind, alert.incident.key_hash) == (MessageKind.ALERT, a_hash(60))
    assert together.detail.startswith("8 keys turned unusual together.") and "nor any key like them" in together.detail
    platform = [each for each in plan.incidents if each.members]
    assert all(len(each.members) == 8 for each in platform)


UNCLEAR = {
    "one key of the event looks like nothing known": [
        *event(),
        a_finding(19, causes=(a_cause("spend", dimension=None),)),
    ],
    "one key of the event broke a hard rule": [
        *event(),
        a_finding(19, p_value=None, causes=(a_cause("spend", dimension=None),)),
    ],
    "few keys of the event look like one that others bear witness to": [
        *(a_twin(Twin.GROWTH, number=number) for number in range(1, 6)),
        *(a_twin(Twin.PRICE, DEARER, number=number) for number in range(6, 9)),
    ],
    "what is new to all of them is no fleet's matter": [
        *(a_twin(Twin.MIGRATION, NEWS, number=number) for number in range(1, 9)),
    ],
    "the keys of a failover went to different providers": [
        *(a_twin(Twin.FAILOVER, a_cause(f"p{no}", dimension=Dimension.PROVIDER), number=no) for no in range(1, 9))
    ],
    "the likeness is of an older version that did not say which": [
        a_finding(no, rung=Rung.NOTIFY, causes=(a_cause(TWIN, dimension=None, is_first_seen=False),))
        for no in range(1, 9)
    ],
    "nothing is known of the event": [a_finding(number) for number in range(1, 9)],
    "the event is small beside the thefts": [*event(5), a_theft(61), a_theft(62)],
    "as many thefts as make a crowd": [*event(50), *(a_theft(no) for no in (61, 62, 63, 64))],
}


@pytest.mark.parametrize("others", UNCLEAR.values(), ids=UNCLEAR)
def test_whatever_is_unclear_freezes_every_key(others):
    plan = decide([*others, a_theft()], fleet(), ENFORCE, NOW)

    assert plan.actions == ()
    (verdict,) = [each for each in plan.verdicts if each.key_hash == a_hash(60)]
    assert verdict.reason is Reason.CORRELATED


SHARED = {
    "the new provider": (Twin.FAILOVER, (PROVIDER,), {}),
    "the new model": (Twin.COMMON, (NEWS,), {}),
    "the model that became dearer": (Twin.PRICE, (), {"model": "acme/usual"}),
    "a likeness to the event": (Twin.PRICE, (a_cause(TWIN, dimension=None, is_first_seen=False, twin=Twin.PRICE),), {}),
    "a likeness to another": (Twin.PRICE, (a_cause(TWIN, dimension=None, is_first_seen=False, twin=Twin.GROWTH),), {}),
}


@pytest.mark.parametrize(("kind", "more", "changes"), SHARED.values(), ids=SHARED)
def test_a_key_that_shares_anything_with_the_event_waits_for_people(kind, more, changes):
    assert acted([*event(9, kind), a_theft(60, *more, **changes)]) == set()


@pytest.mark.parametrize(
    "causes",
    [
        (a_cause("strange/60", share=0.7),),
        (a_cause("elsewhere", dimension=Dimension.PROVIDER, share=1.0),),
        (a_cause("Their App", dimension=Dimension.APP, share=1.0),),
        (a_cause("joint", dimension=None, share=1.0),),
        (a_cause("acme/usual", is_first_seen=False, share=1.0),),
    ],
    ids=["too little of it", "a provider", "an app", "no dimension", "not new"],
)
def test_evidence_that_is_not_mostly_of_new_models_or_places_does_not_set_a_key_apart(causes):
    assert acted([*event(9), a_finding(60, causes=causes)]) == set()


def test_a_rule_alone_does_not_set_a_key_apart():
    assert acted([*event(9), a_theft(p_value=None)]) == set()
    assert acted([*event(9), a_theft(), a_finding(60, p_value=None, causes=(a_cause("usd", dimension=None),))]) == {
        a_hash(60)
    }


def test_two_keys_in_the_hands_of_one_stranger_are_an_event_of_their_own():
    assert acted([*event(20), a_theft(31), a_theft(32)]) == {a_hash(31), a_hash(32)}
    assert acted([*event(20), a_theft(31, model="same"), a_theft(32, model="same")]) == set()


def test_many_models_tried_by_a_stranger_add_up():
    tried = tuple(a_cause(f"m{number}", share=0.1) for number in range(9))
    assert acted([*event(9), a_finding(60, causes=tried)]) == {a_hash(60)}


def explained_later(context, at):
    """Five minutes after nobody knew what it is, all of it turns out to be a price change."""
    context = replace(context, quality={key_hash: a_quality(at) for key_hash in context.keys})
    told = [replace(each, severity=Severity.WARNING) for each in event(at=at)]
    assert acted([*told, a_theft(61, at=at)], context, at) <= {a_hash(61)}  # others may be acted upon
    return acted([*told, a_theft(at=at)], context, at)


def unclear(at=NOW):
    return [a_finding(no, at=at, rung=Rung.NOTIFY, severity=Severity.NOTICE) for no in range(1, 9)]


@pytest.mark.parametrize("rung", [Rung.NOTIFY, Rung.DISABLE])
def test_who_was_of_an_event_once_stays_with_people_also_when_the_event_is_explained(rung):
    context = after(fleet(), decide([*unclear(), a_theft(rung=rung, severity=Severity.NOTICE)], fleet(), ENFORCE, NOW))
    assert explained_later(context, NOW + 5 * MINUTE) == set()


def test_who_was_held_back_during_an_event_stays_with_people_also_when_the_event_is_explained():
    # given: a theft known for an hour that its data did not allow to act upon, and then an event that nobody can explain
    stale = replace(fleet(), source_is_healthy=False)
    context = after(stale, decide([a_theft(at=NOW - 60 * MINUTE)], stale, ENFORCE, NOW - 60 * MINUTE))
    context = replace(context, source_is_healthy=True)
    plan = decide([*unclear(), a_theft()], context, ENFORCE, NOW)
    (incident,) = [each for each in context.incidents if each.key_hash == a_hash(60)]
    assert {each.reason for each in plan.verdicts if each.incident_id == incident.incident_id} == {Reason.CORRELATED}
    assert all(incident.incident_id not in each.members for each in plan.incidents)

    assert explained_later(after(context, plan), NOW + 5 * MINUTE) == set()


def test_a_theft_that_was_stopped_before_its_event_does_not_freeze_a_second_one():
    context = after(fleet(), decide([*event(12), a_theft()], fleet(), ENFORCE, NOW))
    at = NOW + 10 * MINUTE
    context = replace(context, quality={key_hash: a_quality(at) for key_hash in context.keys})
    assert acted([*event(12, at=at), a_theft(61, at=at)], context, at) == {a_hash(61)}


def test_a_theft_that_was_known_before_goes_on_being_acted_upon_during_an_event():
    # given: a theft that its data did not allow to act upon
    stale = replace(fleet(), source_is_healthy=False)
    context = after(stale, decide([a_theft()], stale, ENFORCE, NOW))
    # when: the data is sound again, in the middle of a price change
    at = NOW + 45 * MINUTE
    sound = {key_hash: a_quality(at) for key_hash in context.keys}
    context = replace(context, source_is_healthy=True, quality=sound)
    assert acted([*event(at=at), a_theft(at=at)], context, at) == {a_hash(60)}
    assert acted([*(a_finding(no, at=at) for no in range(1, 9)), a_theft(at=at)], context, at) == set()


@st.composite
def mixtures(draw):
    """(findings of an event and of others beside it, the keys that are thefts of their own)"""
    kind = draw(st.sampled_from([Twin.PRICE, Twin.FAILOVER, Twin.COMMON]))
    shared = {Twin.PRICE: DEARER, Twin.FAILOVER: PROVIDER, Twin.COMMON: NEWS}[kind]
    findings = [a_twin(kind, shared, number=number) for number in range(1, 1 + draw(st.integers(0, 24)))]
    kinds = st.sampled_from(["theft", "theft", "twin", "shares", "odd", "rule"])
    thefts = set()
    for number, what in enumerate(draw(st.lists(kinds, max_size=6)), start=30):
        findings.append(
            {
                "theft": lambda no=number: a_theft(no),
                "twin": lambda no=number: a_twin(draw(st.sampled_from(Twin)), number=no),
                "shares": lambda no=number: a_theft(no, shared if kind is not Twin.PRICE else a_cause("acme/usual")),
                "odd": lambda no=number: a_finding(no, causes=(a_cause("spend", dimension=None),)),
                "rule": lambda no=number: a_finding(no, p_value=None, causes=(a_cause("usd", dimension=None),)),
            }[what]()
        )
        thefts |= {number} if what == "theft" else set()
    return findings, {a_hash(number) for number in thefts}


@given(mixtures(), st.randoms(use_true_random=False))
@QUICK
def test_in_an_event_at_most_the_thefts_of_their_own_are_acted_upon(mixture, random):
    findings, thefts = mixture
    plan = decide(findings, fleet(), ENFORCE, NOW)

    keys = {finding.key_hash for finding in findings}
    if len(keys) >= ENFORCE.response.correlated_keys:
        done = {action.key_hash for action in plan.actions}
        assert done <= thefts
        assert len(thefts) < ENFORCE.response.correlated_keys or not done
    assert decide(random.sample(findings, len(findings)), fleet(), ENFORCE, NOW) == plan
    assert decide(findings, after(fleet(), plan), ENFORCE, NOW).intents == ()


@given(mixtures())
@QUICK
def test_a_key_acted_upon_in_an_event_would_be_acted_upon_alone(mixture):
    findings, _ = mixture
    for action in decide(findings, fleet(), ENFORCE, NOW).intents:
        mine = [finding for finding in findings if finding.key_hash == action.key_hash]
        assert acted(mine) == {action.key_hash}


@given(mixtures(), st.integers(25, 29))
@QUICK
def test_one_more_key_that_looks_like_nothing_known_freezes_every_event(mixture, number):
    findings, _ = mixture
    odd = a_finding(number, causes=(a_cause("spend", dimension=None),))
    if len({finding.key_hash for finding in findings}) + 1 >= ENFORCE.response.correlated_keys:
        assert acted([*findings, odd]) == set()


@given(st.lists(st.integers(1, 79), min_size=5, max_size=30, unique=True))
@QUICK
def test_a_leak_of_many_keys_is_never_acted_upon(numbers):
    assert acted([a_theft(number) for number in numbers]) == set()
