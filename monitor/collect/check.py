"""Whether the account can be watched: key, workspaces, analytics, clock. Reads only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from monitor.domain import Check
from monitor.errors import SourceError
from monitor.openrouter.analytics import AnalyticsApi, AnalyticsQuery, Granularity
from monitor.openrouter.keys_api import KeysApi

MAX_SKEW: Final = timedelta(minutes=2)


async def check_account(
    keys: KeysApi, analytics: AnalyticsApi, skew: Callable[[], timedelta], now: datetime
) -> tuple[Check, ...]:
    """Never raises SourceError: what fails is a Check that says so. `skew` is asked last, when answers have been seen."""
    try:
        own = await keys.own_key()
    except SourceError as error:
        return (Check("management key", False, str(error)),)
    if not own.is_management_key:
        remedy = "this is an inference key; create a management key in OpenRouter's settings"
        return (Check("management key", False, remedy),)
    found = [
        Check("management key", True, f"accepted ({own.label})"),
        await _tried("workspaces and keys", _count_keys(keys)),
        await _tried("analytics", _ask_usage(analytics, now)),
    ]
    ahead = skew()
    is_close = abs(ahead) <= MAX_SKEW
    detail = f"the account's clock is {ahead.total_seconds():+.0f} s from ours"
    found.append(Check("clock", is_close, detail if is_close else f"{detail}: set this machine's clock"))
    return tuple(found)


async def _tried(what: str, asked: Awaitable[str]) -> Check:
    try:
        return Check(what, True, await asked)
    except SourceError as error:
        return Check(what, False, str(error))


async def _count_keys(keys: KeysApi) -> str:
    workspaces = await keys.workspaces()
    first = await keys.keys_page(workspaces[0].workspace_id if workspaces else None, 0)
    return f"{len(workspaces)} workspaces, {len(first.keys)} keys on the first page"


async def _ask_usage(analytics: AnalyticsApi, now: datetime) -> str:
    query = AnalyticsQuery(Granularity.HOUR, now - timedelta(hours=1), now, dimensions=("model",))
    answer = await analytics.query(query)
    return f"every metric and dimension we use is served; {len(answer.n_requests)} models in the last hour"
