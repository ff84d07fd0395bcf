"""Intents carried out in time, retried, and taken up again after an interruption at any point."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_hash, a_key, an_action, key_settings
from fake_keys import FakeClock, FakeKeys, Fault, Moment, always
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.domain import ActionState, MessageKind, Verb
from monitor.errors import BadPayload, BadRequest, NotFound, RateLimited, Unauthorized, Unavailable
from monitor.respond import executor
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

PRIOR = key_settings(limit_usd=12.5, limit_reset="weekly")
DOWN = Unavailable("no answer in time")
N_CALLS = 3
"""Calls of an undisturbed apply: read, change, read back."""

VERBS = [
    pytest.param(Verb.DISABLE, PRIOR, replace(PRIOR, is_disabled=True), id="disable"),
    pytest.param(Verb.RESTORE, key_settings(is_disabled=True), PRIOR, id="restore"),
]


class World:
    """One key, its responders, and a clock."""

    def __init__(self, found, **changes):
        self.keys = FakeKeys.holding(a_key(settings=found), **changes)
        self.responders = {Verb.DISABLE: DisableKey(self.keys), Verb.RESTORE: RestoreKey(self.keys)}
        self.clock = FakeClock(NOW)

    @property
    def settings(self):
        return self.keys.keys[a_hash(1)].settings

    async def carry_out(self, action):
        return await executor.carry_out(action, self.responders[action.verb], clock=self.clock)

    async def resolve(self, *actions):
        return await executor.resolve_open(actions, self.responders, clock=self.clock)


@pytest.mark.parametrize(("verb", "found", "wanted"), VERBS)
async def test_an_intent_is_carried_out(verb, found, wanted):
    world = World(found)
    done = await world.carry_out(an_action(verb=verb, prior=PRIOR))
    assert (done.state, done.finished_at) == (ActionState.DONE, NOW)
    assert "read back" in done.detail
    assert world.settings == wanted


@pytest.mark.parametrize(
    "found", [replace(PRIOR, is_disabled=True), replace(PRIOR, limit_usd=20.0)], ids=["disabled", "limit"]
)
async def test_what_somebody_changed_since_the_intent_is_what_a_restore_puts_back(found):
    world = World(found)
    done = await world.carry_out(an_action(prior=PRIOR))
    assert (done.state, done.prior) == (ActionState.DONE, found)


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("call", range(N_CALLS))
async def test_what_we_may_have_done_ourselves_is_never_what_a_restore_puts_back(call, moment):
    world = World(PRIOR, faults={call: Fault(DOWN, moment)})
    assert (await world.carry_out(an_action(prior=PRIOR))).prior == PRIOR
    world, action = await cut_off(Verb.DISABLE, PRIOR, call, moment)
    (resolved,) = await world.resolve(action)
    assert resolved.prior == PRIOR


async def test_an_expired_intent_touches_nothing():
    world = World(PRIOR)
    ended = await world.carry_out(an_action(intended_at=NOW - timedelta(minutes=10)))
    assert ended.state is ActionState.EXPIRED
    assert world.keys.calls == []


@pytest.mark.parametrize("state", [ActionState.DONE, ActionState.FAILED, ActionState.EXPIRED])
async def test_an_action_with_an_outcome_is_not_carried_out_again(state):
    world, action = World(PRIOR), an_action(state=state)
    assert await world.carry_out(action) is action
    assert await world.resolve(action) == ()
    assert world.keys.calls == []


async def test_a_responder_is_never_asked_for_another_verb():
    world = World(PRIOR)
    with pytest.raises(ValueError, match="asks for restore"):
        await executor.carry_out(an_action(verb=Verb.RESTORE), world.responders[Verb.DISABLE], clock=world.clock)


@pytest.mark.parametrize(("verb", "found", "wanted"), VERBS)
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("call", range(N_CALLS + 1))
async def test_one_fault_at_any_call_is_survived(verb, found, wanted, moment, call):
    world = World(found, faults={call: Fault(DOWN, moment)})
    done = await world.carry_out(an_action(verb=verb, prior=PRIOR))
    assert done.state is ActionState.DONE
    assert world.settings == wanted


async def cut_off(verb, found, call, moment):
    """The process dies at this call; the intent stays as journalled."""
    action = an_action(verb=verb, prior=PRIOR)
    world = World(found, faults={call: Fault(asyncio.CancelledError(), moment)})
    with pytest.raises(asyncio.CancelledError):
        await world.carry_out(action)
    return world, action


@pytest.mark.parametrize(("verb", "found", "wanted"), VERBS)
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("call", range(N_CALLS))
async def test_an_interruption_at_any_call_is_taken_up_again(verb, found, wanted, moment, call):
    world, action = await cut_off(verb, found, call, moment)

    # when: it starts again
    (resolved,) = await world.resolve(action)

    # then: there is an outcome, and it is true
    assert resolved.state is ActionState.DONE
    assert world.settings == wanted


@pytest.mark.parametrize(("verb", "found", "wanted"), VERBS)
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("call", range(N_CALLS))
async def test_after_a_long_interruption_the_outcome_is_what_the_key_shows(verb, found, wanted, moment, call):
    world, action = await cut_off(verb, found, call, moment)
    shown = world.settings
    world.clock.slept.append(3600.0)

    (resolved,) = await world.resolve(action)

    assert resolved.state is (ActionState.DONE if shown == wanted else ActionState.EXPIRED)
    assert world.settings == shown


async def test_an_intent_whose_key_cannot_be_read_stays_open():
    world = World(PRIOR, faults=always(DOWN))
    assert await world.resolve(an_action(intended_at=NOW - timedelta(hours=1))) == ()


async def test_several_open_intents_are_each_resolved():
    world = World(PRIOR, faults={0: Fault(DOWN)})
    gone = an_action(2)
    assert [a.key_hash for a in await world.resolve(an_action(), gone)] == [gone.key_hash]


async def test_temporary_failures_are_tried_four_times_and_no_more():
    world = World(PRIOR, faults=always(DOWN))
    failed = await world.carry_out(an_action())
    assert failed.state is ActionState.FAILED
    assert world.clock.slept == [1.0, 4.0, 15.0]
    assert "no answer in time" in failed.detail


@pytest.mark.parametrize("error", [Unauthorized("401"), BadRequest("400")])
async def test_a_refusal_is_not_tried_again(error):
    world = World(PRIOR, faults=always(error))
    assert (await world.carry_out(an_action())).state is ActionState.FAILED
    assert world.clock.slept == []


@pytest.mark.parametrize(("asked_s", "waits_s"), [(0.5, 1.0), (20.0, 20.0), (900.0, 60.0)])
async def test_a_rate_limit_is_honored_within_bounds(asked_s, waits_s):
    world = World(PRIOR, faults={0: Fault(RateLimited("429", retry_after=asked_s))})
    assert (await world.carry_out(an_action())).state is ActionState.DONE
    assert world.clock.slept == [waits_s]


async def test_no_attempt_is_made_after_the_intent_has_expired():
    world = World(PRIOR, faults=always(RateLimited("429", retry_after=45.0)))
    action = replace(an_action(), expires_at=NOW + timedelta(seconds=100))
    assert (await world.carry_out(action)).state is ActionState.FAILED
    assert world.clock.slept == [45.0, 45.0]


async def test_an_unknown_outcome_is_said():
    faults = {0: Fault(DOWN), 1: Fault(DOWN), 2: Fault(DOWN)} | {4: Fault(DOWN, Moment.AFTER)} | always(DOWN, first=5)
    failed = await World(PRIOR, faults=faults).carry_out(an_action())
    assert failed.state is ActionState.FAILED
    assert "whether it was done is unknown" in failed.detail


LOST = st.builds(
    Fault, st.sampled_from([DOWN, RateLimited("429", retry_after=2.0), BadPayload("no JSON")]), st.sampled_from(Moment)
)
REFUSED = st.builds(Fault, st.sampled_from([Unauthorized("401"), NotFound("404")]))  # then nothing was done


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.integers(0, 12), LOST | LOST | REFUSED, max_size=10), st.sampled_from([v.values for v in VERBS])
)
def test_whatever_goes_wrong_the_outcome_is_never_a_false_claim(faults, case):
    verb, found, wanted = case
    is_gone = {number for number, fault in faults.items() if isinstance(fault.error, NotFound)}
    world = World(found, faults=faults)
    ended = asyncio.run(world.carry_out(an_action(verb=verb, prior=PRIOR)))

    if ended.state is ActionState.DONE and not is_gone:
        assert world.settings == wanted
    if ended.state is ActionState.FAILED and world.settings != found and not is_gone:
        assert "whether it was done is unknown" in ended.detail
    assert ended.state in {ActionState.DONE, ActionState.FAILED}


async def test_a_disable_without_effect_fails_loudly():
    world = World(PRIOR, ignores_changes=True)
    failed = await world.carry_out(an_action())
    notice = executor.outcome_notice(failed, at=NOW)
    assert failed.state is ActionState.FAILED
    assert notice.kind is MessageKind.ACTION_FAILED
    assert "still enabled" in notice.detail


@pytest.mark.parametrize(
    ("state", "requested_by", "kind"),
    [
        (ActionState.DONE, "monitor", MessageKind.ACTION),
        (ActionState.DONE, "cli:ada", MessageKind.ACTION),
        (ActionState.FAILED, "monitor", MessageKind.ACTION_FAILED),
        (ActionState.FAILED, "cli:ada", MessageKind.ACTION_FAILED),
        (ActionState.EXPIRED, "cli:ada", MessageKind.ACTION_FAILED),
        (ActionState.EXPIRED, "slack:U1 (ada)", MessageKind.ACTION_FAILED),
    ],
)
def test_every_outcome_that_concerns_people_is_told(state, requested_by, kind):
    action = an_action(state=state, requested_by=requested_by)
    notice = executor.outcome_notice(action, at=NOW)
    assert (notice.kind, notice.action) == (kind, action)


@pytest.mark.parametrize(
    ("state", "requested_by"),
    [(ActionState.EXPIRED, "monitor"), (ActionState.INTENDED, "monitor"), (ActionState.INTENDED, "cli:ada")],
)
def test_an_outcome_that_is_judged_anew_or_not_known_yet_is_not_told(state, requested_by):
    assert executor.outcome_notice(an_action(state=state, requested_by=requested_by), at=NOW) is None
