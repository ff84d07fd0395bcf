"""Dollars of a finding and of an incident: unusual an hour, spent since onset, at risk. Int nano-dollars throughout."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.domain import HOUR_S, NUSD, ApiKey, Finding, Incident, Spend

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def at_risk(spend: Spend, *, key: ApiKey | None, now: datetime, people_within: timedelta) -> int:
    """What the key may still spend beyond its habits until a person looks: its unusual rate times `people_within`,
    bounded by what its limit still allows (with the limit's resets that fall into that time)."""
    open_end = _times(spend.unusual_per_hour_nusd, people_within)
    if spend.limit_remaining_nusd is None:
        return open_end
    allowance = max(0, spend.limit_remaining_nusd)
    if key is not None and key.settings.limit_usd is not None:
        n = n_resets(key.settings.limit_reset, now, now + people_within)
        allowance += n * max(0, round(key.settings.limit_usd * NUSD))
    return min(open_end, allowance)


def spent_since_onset(finding: Finding, *, onset_at: datetime, before: Incident | None) -> int:
    """Spend above expectation since the onset, as far as hourly figures tell; it never falls.

    Within an hour of the onset the trailing hour holds all of it: exact. Later the hourly rate is summed over the time
    since the last finding, which is exact for a steady rate; what a key spent in its last 24 hours bounds the sum."""
    rate = finding.spend.unusual_per_hour_nusd
    age = finding.at - onset_at
    if age <= _HOUR:
        estimate = rate
    elif before is None:
        estimate = _times(rate, min(age, _DAY))
    else:
        estimate = before.spent_nusd + _times(rate, max(timedelta(), finding.at - before.last_seen_at))
    if before is None or age <= _DAY:
        estimate = min(estimate, max(rate, finding.spend.last_day_nusd))
    else:
        estimate = min(estimate, before.spent_nusd + max(rate, finding.spend.last_day_nusd))
    return max(estimate, before.spent_nusd if before else 0)


def _times(per_hour_nusd: int, time: timedelta) -> int:
    """In whole seconds, so that the product stays an exact integer."""
    return per_hour_nusd * max(0, int(time.total_seconds())) // HOUR_S


def n_resets(limit_reset: str | None, since: datetime, until: datetime) -> int:
    """Resets of a key's limit in (since, until]: at midnight UTC, on Mondays, or on the first of the month."""
    n = 0
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    while midnight <= until:
        n += {"daily": True, "weekly": midnight.weekday() == 0, "monthly": midnight.day == 1}.get(
            limit_reset or "", False
        )
        midnight += _DAY
    return n
