"""A restore puts back exactly what was there before the first of our changes still in force, after any sequence of acts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_key, an_action, key_settings
from fake_keys import FakeClock, FakeKeys, Fault, Moment
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.domain import ActionState, KeySettings, Verb
from monitor.errors import ActionFailed, Unavailable
from monitor.respond import executor, requests, undoing
from monitor.respond.cap import CapKey, ZeroLimit
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

TTL = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
RESPONDERS = {Verb.DISABLE: DisableKey, Verb.CAP: CapKey, Verb.ZERO: ZeroLimit, Verb.RESTORE: RestoreKey}
USD = st.none() | st.integers(0, 10**7).map(lambda cents: cents / 100) | st.floats(0, 1e9, allow_nan=False)
PRIOR = st.builds(
    KeySettings,
    is_disabled=st.just(False),
    limit_usd=USD,
    limit_reset=st.sampled_from([None, "daily", "weekly", "monthly"]),
    include_byok_in_limit=st.booleans(),
)
OURS = st.tuples(
    st.sampled_from([Verb.DISABLE, Verb.CAP, Verb.ZERO]),
    st.integers(0, 10**6).map(lambda cents: cents / 100),
    st.sampled_from([None, None, None, Moment.BEFORE, Moment.AFTER]),
)


class Account:
    """One key at a fake issuer, and the journal of what we did to it."""

    def __init__(self, settings):
        self.key = a_key(settings=settings, usage_nusd=0, usage_daily_nusd=0, usage_weekly_nusd=0, usage_monthly_nusd=0)
        self.keys, self.journal, self.clock = FakeKeys.holding(self.key), [], FakeClock(NOW)

    @property
    def settings(self):
        return self.keys.keys[self.key.key_hash].settings

    def set(self, **changes):
        """Somebody else's hand."""
        found = self.keys.keys[self.key.key_hash]
        self.keys.keys[self.key.key_hash] = replace(found, settings=replace(found.settings, **changes))

    async def do(self, verb, *, limit_usd=None, fault=None, request=None):
        number = len(self.journal)
        at = NOW + number * MINUTE
        self.clock = FakeClock(at)
        action = request or an_action(
            action_id=f"ACT-{number}", intended_at=at, verb=verb, prior=self.settings, limit_usd=limit_usd
        )
        first = len(self.keys.calls)
        # the change and everything after it fails: the outcome is unknown, so the action ends as FAILED
        error = Unavailable("no answer")
        self.keys.faults = {} if fault is None else {first + 1: Fault(error, fault), **_down(first + 2, error)}
        ended = await executor.carry_out(action, RESPONDERS[verb](self.keys), clock=self.clock)
        self.keys.faults = {}
        self.journal.append(ended)
        return ended

    async def restore(self, *, is_forced=False):
        at = NOW + len(self.journal) * MINUTE
        found = self.keys.keys[self.key.key_hash]
        request = requests.restore_request(
            found, self.journal, requested_by="cli:ada", now=at, ttl=TTL, is_forced=is_forced
        )
        return await self.do(Verb.RESTORE, request=request)


def _down(first, error):
    return {number: Fault(error) for number in range(first, first + 40)}


@hypothesis_settings(max_examples=1000, deadline=None)
@given(prior=PRIOR, ours=st.lists(OURS, min_size=1, max_size=6), again=st.lists(OURS, max_size=3))
def test_a_restore_is_exact_after_any_sequence_of_our_acts(prior, ours, again):
    async def lived():
        account = Account(prior)
        for acts in (ours, again):
            for verb, limit_usd, fault in acts:
                await account.do(verb, limit_usd=limit_usd, fault=fault)
            if undoing.undo_of(account.journal) is not None:
                restored = await account.restore()
                assert restored.state is ActionState.DONE
                assert account.settings == prior
        assert account.keys.keys[account.key.key_hash] == account.key

    asyncio.run(lived())


CHANGES = st.fixed_dictionaries(
    {}, optional={"limit_usd": USD, "limit_reset": st.sampled_from([None, "daily", "weekly"])}
)


@hypothesis_settings(max_examples=200, deadline=None)
@given(prior=PRIOR, first=OURS, second=OURS, theirs=CHANGES)
def test_what_somebody_changed_between_two_of_our_acts_is_what_is_put_back(prior, first, second, theirs):
    async def lived():
        account = Account(prior)
        await account.do(first[0], limit_usd=first[1])
        ours = account.settings
        account.set(**theirs)
        changed = {name for name, value in theirs.items() if getattr(ours, name) != value}
        await account.do(second[0], limit_usd=second[1])
        await account.restore()
        wanted = replace(prior, **{name: theirs[name] for name in changed})
        assert account.settings == wanted

    asyncio.run(lived())


async def disabled(settings=None):
    account = Account(settings or key_settings(limit_usd=100.0, limit_reset="monthly"))
    await account.do(Verb.CAP, limit_usd=10.0)
    await account.do(Verb.DISABLE)
    return account


async def test_what_somebody_changed_since_is_not_overwritten_blindly():
    account = await disabled()
    account.set(limit_usd=55.0)
    with pytest.raises(ActionFailed, match=r"limit_usd is 55.0 now and would be 100.0.*--force") as failure:
        await account.restore()
    assert failure.value.permanent
    assert account.settings == key_settings(is_disabled=True, limit_usd=55.0, limit_reset="monthly")


async def test_what_somebody_changed_since_is_overwritten_when_a_person_insists():
    account = await disabled()
    account.set(limit_usd=55.0, limit_reset="daily")
    await account.restore(is_forced=True)
    assert account.settings == key_settings(limit_usd=100.0, limit_reset="monthly")


async def test_somebody_who_switched_the_key_on_did_what_the_restore_would_do():
    account = await disabled()
    account.set(is_disabled=False)
    assert (await account.restore()).state is ActionState.DONE
    assert account.settings == key_settings(limit_usd=100.0, limit_reset="monthly")


async def test_after_a_restore_only_later_changes_count():
    account = await disabled()
    await account.restore()
    account.set(limit_usd=20.0)
    with pytest.raises(ActionFailed, match="was restored already"):
        await account.restore()
    await account.do(Verb.DISABLE)
    await account.restore()
    assert account.settings == key_settings(limit_usd=20.0, limit_reset="monthly")


async def test_a_cap_alone_is_undone_too():
    account = Account(key_settings(include_byok_in_limit=True))
    await account.do(Verb.CAP, limit_usd=4.0)
    assert account.settings.limit_usd == 4.0
    await account.restore()
    assert account.settings == key_settings(include_byok_in_limit=True)
