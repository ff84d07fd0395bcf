"""What is particular to lowering a limit: never a higher one, never below what was used, everything else as it was."""

from __future__ import annotations

import pytest
from build import a_key, an_action, key_settings
from fake_keys import FakeKeys
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.domain import NUSD, Verb
from monitor.errors import ActionFailed
from monitor.respond.cap import CapKey, ZeroLimit

FOUND = key_settings(limit_usd=80.0, limit_reset="monthly", include_byok_in_limit=True)


def cap(limit_usd, **changes):
    return an_action(limit_usd=limit_usd, **({"verb": Verb.CAP, "prior": FOUND} | changes))


def holding(settings=FOUND, *, used_usd=30, **changes):
    return FakeKeys.holding(a_key(settings=settings, usage_monthly_nusd=used_usd * NUSD, **changes))


def settings_of(keys):
    return keys.keys[a_key().key_hash].settings


@given(
    limit=st.none() | st.integers(0, 10**6).map(lambda cents: cents / 100),
    reset=st.sampled_from([None, "daily", "weekly", "monthly"]),
    byok=st.booleans(),
    is_disabled=st.booleans(),
    cents=st.integers(10_000, 10**6),
)
@hypothesis_settings(max_examples=200, deadline=None)
async def test_a_cap_only_ever_lowers_the_limit_and_keeps_everything_else(limit, reset, byok, is_disabled, cents):
    found = key_settings(limit_usd=limit, limit_reset=reset, include_byok_in_limit=byok, is_disabled=is_disabled)
    keys = holding(found)
    await CapKey(keys).apply(cap(cents / 100, prior=found))
    left = settings_of(keys)
    assert left.limit_usd == (cents / 100 if limit is None else min(limit, cents / 100))
    assert (left.limit_reset, left.include_byok_in_limit, left.is_disabled) == (reset, byok, is_disabled)


async def test_a_key_that_used_more_meanwhile_is_judged_anew_instead_of_stopped():
    keys = holding(used_usd=41)
    with pytest.raises(ActionFailed, match="used more than the cap of 40 USD meanwhile") as failure:
        await CapKey(keys).apply(cap(40.0))
    assert failure.value.permanent
    assert settings_of(keys) == FOUND


@pytest.mark.parametrize("responder", [CapKey, ZeroLimit])
async def test_settings_that_somebody_changed_since_are_not_changed_on_old_knowledge(responder):
    keys = holding(key_settings(limit_usd=70.0, limit_reset="weekly"))
    verb = responder(keys).verb
    with pytest.raises(ActionFailed, match="were changed since it was judged"):
        await responder(keys).apply(cap(60.0, verb=verb))
    assert keys.calls == ["read"]


async def test_a_key_disabled_meanwhile_is_capped_and_stays_disabled():
    keys = holding(key_settings(is_disabled=True, limit_usd=80.0, limit_reset="monthly", include_byok_in_limit=True))
    await CapKey(keys).apply(cap(40.0))
    assert settings_of(keys).is_disabled


async def test_a_cap_without_a_limit_does_nothing():
    keys = holding()
    with pytest.raises(ActionFailed, match="does not say to what"):
        await CapKey(keys).apply(cap(None))
    assert keys.calls == []


async def test_limit_0_stops_whatever_was_used():
    keys = holding(used_usd=79)
    await ZeroLimit(keys).apply(cap(None, verb=Verb.ZERO))
    assert settings_of(keys).limit_usd == 0.0
