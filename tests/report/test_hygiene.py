"""Hygiene debts: what makes a theft cheaper for the thief."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.domain import ApiKey, KeySettings
from monitor.report.hygiene import Debt, audit

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_key(key_hash: str = "a", **changes: object) -> ApiKey:
    settings = KeySettings(is_disabled=False, limit_usd=50.0, limit_reset="monthly", include_byok_in_limit=False)
    key = ApiKey(
        key_hash=key_hash,
        key_name=f"name-{key_hash}",
        label="sk-or-v1-abc...123",
        workspace_id=None,
        creator_user_id="user_1",
        settings=settings,
        limit_remaining_usd=None,
        usage_nusd=0,
        usage_daily_nusd=0,
        usage_weekly_nusd=0,
        usage_monthly_nusd=0,
        byok_usage_nusd=0,
        created_at=NOW - timedelta(days=100),
    )
    return replace(key, **changes)  # type: ignore[arg-type]


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
