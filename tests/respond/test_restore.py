"""What is particular to restoring: exactly as it was."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_key, an_action, key_settings
from fake_keys import FakeClock, FakeKeys
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.domain import ActionState, KeySettings, Verb
from monitor.errors import ActionFailed
from monitor.respond import executor, requests
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

TTL = timedelta(minutes=10)
PRIOR = st.builds(
    KeySettings,
    is_disabled=st.just(False),
    limit_usd=st.none() | st.floats(0, 1e9, allow_nan=False) | st.integers(0, 10**6).map(lambda cents: cents / 100),
    limit_reset=st.sampled_from([None, "daily", "weekly", "monthly"]),
    include_byok_in_limit=st.booleans(),
)


@hypothesis_settings(max_examples=1000, deadline=None)
@given(prior=PRIOR, meddled=PRIOR)
def test_a_restore_puts_back_exactly_what_a_disable_found(prior, meddled):
    async def disable_and_restore():
        key, clock = a_key(settings=prior), FakeClock(NOW)
        keys = FakeKeys.holding(key)
        intent = requests.revoke_request(key, requested_by="cli:ada", now=NOW, ttl=TTL)
        disabled = await executor.carry_out(intent, DisableKey(keys), clock=clock)
        found = keys.keys[key.key_hash]
        keys.keys[key.key_hash] = replace(found, settings=replace(meddled, is_disabled=True))
        back = requests.restore_request(
            keys.keys[key.key_hash], [disabled], requested_by="cli:ada", now=NOW, ttl=TTL, is_forced=True
        )
        restored = await executor.carry_out(back, RestoreKey(keys), clock=clock)
        return disabled.state, restored.state, keys.keys[key.key_hash]

    disabled, restored, key = asyncio.run(disable_and_restore())
    assert (disabled, restored) == (ActionState.DONE, ActionState.DONE)
    assert key == a_key(settings=prior)


async def test_a_difference_that_remains_is_named():
    keys = FakeKeys.holding(a_key(settings=key_settings(is_disabled=True, limit_usd=1.0)), ignores_changes=True)
    action = an_action(verb=Verb.RESTORE, prior=key_settings(limit_usd=5.0))
    with pytest.raises(ActionFailed, match=r"is_disabled is True instead of False, limit_usd is 1.0 instead of 5.0"):
        await RestoreKey(keys).apply(action)


async def test_an_action_without_prior_settings_restores_nothing():
    keys = FakeKeys.holding(a_key())
    action = an_action(verb=Verb.RESTORE, prior=None)
    with pytest.raises(ActionFailed, match="holds no prior settings") as failure:
        await RestoreKey(keys).apply(action)
    assert failure.value.permanent
    assert keys.calls == []
    assert not await RestoreKey(keys).is_applied(action)


async def test_a_key_that_is_gone_is_not_restored():
    responder = RestoreKey(FakeKeys.holding())
    assert not await responder.is_applied(an_action(verb=Verb.RESTORE))
