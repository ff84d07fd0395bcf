"""Key hygiene: debts that make a theft cheaper for the thief or slower to find. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from monitor.domain import ApiKey

STALE_AFTER = timedelta(days=30)


class Debt(enum.StrEnum):
    """What is wrong with how a key is kept; each is explained in docs/runbook.md."""

    NO_LIMIT = "no limit"
    NO_RESET = "limit never resets"
    SHARED_NAME = "shared name"
    STALE = "unused for 30 days"
    UNOWNED = "no creator"
    UNREACHED = "nobody to tell"


def audit(
    keys: Sequence[ApiKey],
    month_nusd: Mapping[str, int],
    now: datetime,
    *,
    owners: Mapping[str, str] | None = None,
) -> dict[str, tuple[Debt, ...]]:
    """Debts of each live key by hash; keys without debts, and disabled keys, are absent.

    `month_nusd`: spend of the last 30 days by hash; a key that is absent there spent nothing known. `owners`: by hash; with it, keys
    whose messages reach no owner of theirs are named. A limit that never
    resets is a debt because it is compared with lifetime usage and stops a healthy key one day."""
    names = Counter(key.key_name for key in keys if not key.settings.is_disabled)
    found: dict[str, tuple[Debt, ...]] = {}
    for key in keys:
        if key.settings.is_disabled:
            continue
        has_limit = key.settings.limit_usd is not None
        checks = (
            (Debt.NO_LIMIT, not has_limit),
            (Debt.NO_RESET, has_limit and key.settings.limit_reset is None),
            (Debt.SHARED_NAME, names[key.key_name] > 1),
            (Debt.STALE, not month_nusd.get(key.key_hash) and now - key.created_at > STALE_AFTER),
            (Debt.UNOWNED, key.creator_user_id is None),
            (Debt.UNREACHED, owners is not None and not owners.get(key.key_hash)),
        )
        debts = tuple(debt for debt, is_owed in checks if is_owed)
        if debts:
            found[key.key_hash] = debts
    return found
