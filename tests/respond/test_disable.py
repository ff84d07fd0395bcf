"""What is particular to disabling."""

from __future__ import annotations

from build import a_key, an_action, key_settings
from fake_keys import FakeKeys

from monitor.respond.disable import DisableKey


async def test_nothing_but_disabled_is_changed():
    key = a_key(settings=key_settings(limit_usd=7.0, limit_reset="daily", include_byok_in_limit=True))
    keys = FakeKeys.holding(key)
    await DisableKey(keys).apply(an_action())

    settings = keys.keys[key.key_hash].settings
    assert settings == key_settings(is_disabled=True, limit_usd=7.0, limit_reset="daily", include_byok_in_limit=True)
    assert keys.calls == ["read", "set_disabled", "read"]


async def test_a_key_that_is_gone_is_contained():
    responder = DisableKey(FakeKeys.holding())
    assert "contained" in (await responder.apply(an_action())).said
    assert await responder.is_applied(an_action())


async def test_a_key_that_a_person_disabled_meanwhile_is_done():
    keys = FakeKeys.holding(a_key(settings=key_settings(is_disabled=True)))
    assert (await DisableKey(keys).apply(an_action())).said == "was disabled already"
    assert keys.calls == ["read"]
