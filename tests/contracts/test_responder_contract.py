"""What every responder must do, whatever its verb. A further responder is a further row of RESPONDERS."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from build import a_key, an_action, key_settings
from fake_keys import FakeKeys, Fault, Moment

from monitor.domain import NUSD, KeySettings, Verb
from monitor.errors import ActionFailed, BadPayload, BadRequest, NotFound, RateLimited, Unauthorized, Unavailable
from monitor.respond.cap import CapKey, ZeroLimit
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

ON = key_settings(limit_usd=12.5, limit_reset="weekly", include_byok_in_limit=True)
OFF = replace(ON, is_disabled=True)
CAPPED, ZERO = replace(ON, limit_usd=7.25), replace(ON, limit_usd=0.0)
CHANGED_SINCE = key_settings(is_disabled=True, limit_usd=1.0)


@dataclass(frozen=True)
class Row:
    """A responder, the settings it finds and those it must leave, and its name for a change."""

    make: type
    verb: Verb
    found: KeySettings
    wanted: KeySettings


RESPONDERS = [
    pytest.param(Row(DisableKey, Verb.DISABLE, ON, OFF), id="disable"),
    pytest.param(Row(CapKey, Verb.CAP, ON, CAPPED), id="cap"),
    pytest.param(Row(ZeroLimit, Verb.ZERO, ON, ZERO), id="zero"),
    pytest.param(Row(RestoreKey, Verb.RESTORE, CHANGED_SINCE, ON), id="restore"),
]
pytestmark = pytest.mark.parametrize("row", RESPONDERS)

TEMPORARY = [
    pytest.param(Unavailable("no answer in time"), id="unavailable"),
    pytest.param(RateLimited("429", retry_after=3.0), id="rate limited"),
    pytest.param(BadPayload("no JSON"), id="bad payload"),
]
REFUSED = [pytest.param(Unauthorized("401"), id="unauthorized"), pytest.param(BadRequest("400"), id="bad request")]


def before(row, **changes):
    keys = FakeKeys.holding(a_key(1, settings=row.found, usage_weekly_nusd=5 * NUSD), a_key(2), **changes)
    return keys, row.make(keys), an_action(verb=row.verb, prior=ON, limit_usd=7.25)


def settings_of(keys):
    return keys.keys[a_key(1).key_hash].settings


async def test_it_says_its_verb(row):
    assert before(row)[1].verb is row.verb


async def test_it_changes_the_key_and_reads_it_back(row):
    keys, responder, action = before(row)
    assert await responder.apply(action)
    assert settings_of(keys) == row.wanted
    assert [name for name in keys.calls if name == "read"] == ["read", "read"]
    assert keys.calls[-1] == "read"


async def test_it_leaves_other_keys_alone(row):
    keys, responder, action = before(row)
    await responder.apply(action)
    assert keys.keys[a_key(2).key_hash] == a_key(2)


async def test_a_key_in_the_wanted_state_is_not_changed_again(row):
    keys, responder, action = before(row)
    await responder.apply(action)
    keys.calls.clear()
    assert await responder.apply(action)
    assert keys.calls == ["read"]


async def test_whether_it_is_applied_is_read_from_the_key(row):
    _, responder, action = before(row)
    assert not await responder.is_applied(action)
    await responder.apply(action)
    assert await responder.is_applied(action)


async def failed(responder, action):
    with pytest.raises(ActionFailed) as failure:
        await responder.apply(action)
    return failure.value


async def test_a_change_accepted_but_without_effect_is_a_failure(row):
    keys, responder, action = before(row, ignores_changes=True)
    failure = await failed(responder, action)
    assert not failure.permanent
    assert not failure.is_outcome_unknown
    assert settings_of(keys) == row.found


@pytest.mark.parametrize("error", TEMPORARY)
async def test_an_answer_lost_after_the_change_is_settled_by_reading_back(row, error):
    keys, responder, action = before(row, faults={1: Fault(error, Moment.AFTER)})
    assert await responder.apply(action)
    assert settings_of(keys) == row.wanted


@pytest.mark.parametrize("error", TEMPORARY)
async def test_a_change_that_never_arrived_is_worth_another_try(row, error):
    keys, responder, action = before(row, faults={1: Fault(error)})
    failure = await failed(responder, action)
    assert not failure.permanent
    assert not failure.is_outcome_unknown
    assert failure.__cause__ is error
    assert settings_of(keys) == row.found


@pytest.mark.parametrize("error", TEMPORARY)
async def test_a_failed_reading_before_the_change_touches_nothing(row, error):
    keys, responder, action = before(row, faults={0: Fault(error)})
    failure = await failed(responder, action)
    assert (failure.permanent, failure.is_outcome_unknown) == (False, False)
    assert keys.calls == ["read"]


@pytest.mark.parametrize("error", TEMPORARY)
async def test_a_failed_reading_after_the_change_leaves_the_outcome_unknown(row, error):
    _, responder, action = before(row, faults={2: Fault(error)})
    failure = await failed(responder, action)
    assert (failure.permanent, failure.is_outcome_unknown) == (False, True)


@pytest.mark.parametrize("error", REFUSED)
@pytest.mark.parametrize("call", [0, 1], ids=["reading", "changing"])
async def test_a_refusal_is_permanent(row, error, call):
    keys, responder, action = before(row, faults={call: Fault(error)})
    failure = await failed(responder, action)
    assert failure.permanent
    assert settings_of(keys) == row.found


async def test_an_applied_state_that_cannot_be_read_is_not_guessed(row):
    _, responder, action = before(row, faults={0: Fault(Unavailable("down"))})
    with pytest.raises(Unavailable):
        await responder.is_applied(action)


async def test_a_failure_names_the_key_by_its_short_hash_only(row):
    _, responder, action = before(row, faults={1: Fault(BadRequest("400"))})
    failure = await failed(responder, action)
    assert action.key_hash[:12] in str(failure)
    assert action.key_hash not in str(failure)


@pytest.mark.parametrize("call", [0, 1, 2], ids=["before", "at the change", "reading back"])
async def test_a_key_that_vanishes_never_leaves_a_claim_that_it_works(row, call):
    _, responder, action = before(row, faults={call: Fault(NotFound("404"))})
    if row.verb is not Verb.RESTORE:
        assert "no longer exists" in (await responder.apply(action)).said
    else:
        with pytest.raises(ActionFailed, match="no longer exists") as failure:
            await responder.apply(action)
        assert failure.value.permanent
