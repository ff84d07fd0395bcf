"""How far a limit is lowered: what the key has used, and some hours of what it normally spends."""

from __future__ import annotations

from typing import Final

from monitor.config import Response
from monitor.domain import HOUR_S, NUSD, ApiKey, used_nusd

_CENT_NUSD: Final = NUSD // 100
_DAY_H: Final = 24


def limit_for(
    key: ApiKey, response: Response, *, usual_day_nusd: int | None, expected_per_hour_nusd: int
) -> float | None:
    """The limit of a cap in dollars, on whole cents rounded up; None where the issuer does not tell what was used.

    Never below what counts against the limit already, so that the key is not stopped by the cap itself. `usual_day_nusd`: normal
    spend of a day, None where the key has too little history; the expectation of this hour counts where it is more."""
    used = used_nusd(key)
    if used is None:
        return None
    per_hour = max((usual_day_nusd or 0) // _DAY_H, expected_per_hour_nusd)
    normal = per_hour * round(response.cap_hours * HOUR_S) // HOUR_S
    total = max(used, 0) + max(normal, round(response.cap_min_usd * NUSD))
    return -(-total // _CENT_NUSD) / 100
