"""How much a simulated theft takes: as much as the disable of this very key is meant for, and never more than its limit leaves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from monitor.config import Policy, Response
from monitor.domain import HOUR_S, NUSD, ApiKey, used_nusd
from monitor.wording import dollars

USD_PER_HOUR: Final = 72.0
"""What a stranger spends at least: dollars by which also a dear key's theft shows at once (detect/levels.py)."""

TIMES_USUAL: Final = 3.0
"""Usual hours that a stranger spends in one, so that most of what is seen on the key is the stranger's."""

BEYOND: Final = 2.0
"""Times what a setting asks for before a key is disabled."""


@dataclass(frozen=True, slots=True)
class Theft:
    """What a stranger takes an hour, and in all at most (None: the key has no limit); `why`: what the rate follows from."""

    usd_per_hour: float
    at_most_usd: float | None
    why: str

    @property
    def told(self) -> str:
        """In words, for whoever is asked to agree to it."""
        bound = "" if self.at_most_usd is None else f", {dollars(self.at_most_usd)} at most, which its limit leaves"
        return f"a theft of {dollars(self.usd_per_hour)}/h ({self.why}){bound}"


def theft_of(key: ApiKey, policy: Policy, response: Response, *, usual_hour_nusd: float) -> Theft:
    """`usual_hour_nusd`: the most that the key spends or is expected to spend in an hour of the time that is played; 0 where it is
    not known."""
    within_h = max(response.people_within.total_seconds(), 60.0) / HOUR_S
    asked = policy.disable
    candidates = (
        (USD_PER_HOUR, "more than a colleague on any key was seen to spend"),
        (TIMES_USUAL * usual_hour_nusd / NUSD, f"{TIMES_USUAL:g} times its usual hour"),
        (BEYOND * asked.usd_per_hour, f"{BEYOND:g} times what its policy asks for"),
        (BEYOND * asked.usd_at_risk / within_h, f"{BEYOND:g} times the risk that its policy asks for"),
        (BEYOND * response.min_usd_per_hour, f"{BEYOND:g} times response.min_usd_per_hour"),
    )
    usd_per_hour, why = max(candidates, key=lambda each: each[0])
    return Theft(usd_per_hour, left_usd(key), why)


def left_usd(key: ApiKey) -> float | None:
    """What the key's limit still allows; the limit itself where it is not known what counts against it."""
    limit = key.settings.limit_usd
    if limit is None:
        return None
    if key.limit_remaining_usd is not None:
        return max(0.0, key.limit_remaining_usd)
    used = used_nusd(key)
    return max(0.0, limit - (used or 0) / NUSD)
