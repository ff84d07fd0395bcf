"""API keys as the inventory knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.domain.units import NUSD


@dataclass(frozen=True, slots=True)
class KeySettings:
    """The settings of a key that a response may change, exactly as the issuer returned them."""

    is_disabled: bool
    limit_usd: float | None
    limit_reset: str | None
    include_byok_in_limit: bool


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key as last seen in the inventory.

    `key_hash` is the only identity; `key_name` is free text, not unique. Counters are int nano-dollars,
    None where the issuer did not send them. `settings.limit_usd` None means no limit."""

    key_hash: str
    key_name: str
    label: str
    workspace_id: str | None
    creator_user_id: str | None
    settings: KeySettings
    created_at: datetime
    limit_remaining_usd: float | None = None
    usage_nusd: int | None = None
    usage_daily_nusd: int | None = None
    usage_weekly_nusd: int | None = None
    usage_monthly_nusd: int | None = None
    byok_usage_nusd: int | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    byok_usage_daily_nusd: int | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace of the account."""

    workspace_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the organization; `user_id` is what `ApiKey.creator_user_id` names. E-mail and name are text from outside."""

    user_id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every key of every workspace at `taken_at`. `is_complete` is False where a listing failed or looked cut off;
    `vanished` are hashes known before that the issuer now confirms as gone (404); `n_unsettled` known keys are missing from
    complete listings in a way that cannot be believed (an empty list, most keys at once)."""

    taken_at: datetime
    keys: tuple[ApiKey, ...]
    workspaces: tuple[Workspace, ...]
    vanished: tuple[str, ...] = ()
    is_complete: bool = True
    warnings: tuple[str, ...] = ()
    n_unsettled: int = 0


def is_limited_to(key: ApiKey, limit_usd: float) -> bool:
    """Whether the key's limit is as low already: a cap never raises one."""
    return key.settings.limit_usd is not None and key.settings.limit_usd <= limit_usd


def used_nusd(key: ApiKey) -> int | None:
    """What counts against the key's limit in the present reset period, never too little; None where the issuer does not tell.

    The issuer's own `limit - limit_remaining` where there is a limit, and the counters of the period, whichever is more. Bring-
    your-own-key usage counts where `include_byok_in_limit`; of a week or a month only its lifetime counter is known here."""
    settings, known = key.settings, []
    if settings.limit_usd is not None and key.limit_remaining_usd is not None:
        known.append(round((settings.limit_usd - key.limit_remaining_usd) * NUSD))
    counter = {
        None: key.usage_nusd,
        "daily": key.usage_daily_nusd,
        "weekly": key.usage_weekly_nusd,
        "monthly": key.usage_monthly_nusd,
    }.get(settings.limit_reset)
    own = 0
    if settings.include_byok_in_limit:
        of_today = key.byok_usage_daily_nusd if settings.limit_reset == "daily" else None
        own = of_today if of_today is not None else (key.byok_usage_nusd or 0)
    if counter is not None:
        known.append(counter + own)
    return max(known, default=None)
