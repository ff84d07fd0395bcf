"""Hygiene debts: what makes a theft cheaper for the thief."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import build
from build import key_settings

from monitor.domain import ApiKey, KeySettings
from monitor.report.hygiene import Debt, audit

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_key(key_hash: str = "a", **changes: object) -> ApiKey:
    """One that owes nothing."""
    settings = key_settings(limit_usd=50.0, limit_reset="monthly")
    name, created = f"name-{key_hash}", NOW - timedelta(days=100)
    return build.a_key(key_hash, **({"key_name": name, "settings": settings, "created_at": created} | changes))


def test_a_well_kept_key_owes_nothing() -> None:
    assert audit([a_key()], {"a": 5}, NOW) == {}


def test_each_debt_is_found_on_its_own() -> None:
    keys = [
        a_key("no-limit", settings=KeySettings(False, None, None, False)),
        a_key("no-reset", settings=KeySettings(False, 10.0, None, False)),
        a_key("twin-1", key_name="twin"),
        a_key("twin-2", key_name="twin"),
        a_key("stale"),
        a_key("unowned", creator_user_id=None),
    ]
    spent = {key.key_hash: 1 for key in keys if key.key_hash != "stale"}
    assert audit(keys, spent, NOW) == {
        "no-limit": (Debt.NO_LIMIT,),
        "no-reset": (Debt.NO_RESET,),
        "twin-1": (Debt.SHARED_NAME,),
        "twin-2": (Debt.SHARED_NAME,),
        "stale": (Debt.STALE,),
        "unowned": (Debt.UNOWNED,),
    }


def test_a_new_key_without_usage_is_not_called_stale_and_a_disabled_key_owes_nothing() -> None:
    new = a_key("new", created_at=NOW - timedelta(days=2))
    off = a_key("off", settings=KeySettings(True, None, None, False))
    assert audit([new, off], {}, NOW) == {}
