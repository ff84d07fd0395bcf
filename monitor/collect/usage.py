"""Asks the planned questions and follows up until each is answered completely, or known not to be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from monitor.collect.plan import Ask, Fleet, split, split_hashes
from monitor.errors import BadRequest, SourceError, Unauthorized
from monitor.openrouter.analytics import FIELDS, KEY_FIELD, AnalyticsAnswer, AnalyticsApi, AnalyticsQuery

SURE_HASHES: Final = 20
"""A batch this short is not refused for its length: a query may carry twenty filters anyway."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How one question ended: an answer, or the error that left it open.

    `as_of_s`: when the source computed it (`cachedAt`, else just before we asked). `is_cut`: rows are missing and no smaller
    question can bring them."""

    ask: Ask
    answer: AnalyticsAnswer | None
    as_of_s: int
    is_cut: bool = False
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """All replies, and the requests they took (splitting included)."""

    replies: list[Reply]
    n_requests: int


async def fetch(
    api: AnalyticsApi, asks: Sequence[Ask], fleet: Fleet, *, concurrency: int, now: Callable[[], datetime]
) -> Fetched:
    """Replies to `asks`, at most `concurrency` under way; cut answers are split until complete (`plan.split`).

    A question that fails is one reply with its error and leaves the others alone; only Unauthorized ends everything."""
    gate = asyncio.Semaphore(concurrency)
    n_requests = 0

    async def complete(ask: Ask) -> list[Reply]:
        nonlocal n_requests
        as_of_s = int(now().timestamp())
        try:
            async with gate:
                n_requests += 1
                as_of_s = int(now().timestamp())
                answer = await api.query(query_of(ask))
        except Unauthorized:
            raise
        except BadRequest as error:
            # No bound on the length of a filter is documented: a refused long one is tried in halves.
            if len(ask.key_hashes) > SURE_HASHES:
                return await follow(split_hashes(ask))
            return [Reply(ask, None, as_of_s, error=error)]
        except SourceError as error:
            return [Reply(ask, None, as_of_s, error=error)]
        if answer.cached_at is not None:
            as_of_s = min(as_of_s, int(answer.cached_at.timestamp()))
        parts = split(ask, fleet) if answer.is_truncated else []
        if parts:
            return await follow(parts)
        return [Reply(ask, answer, as_of_s, is_cut=answer.is_truncated)]

    async def follow(parts: Sequence[Ask]) -> list[Reply]:
        return [reply for replies in await _all(complete, parts) for reply in replies]

    replies = await follow(asks)
    return Fetched(replies, n_requests)


def query_of(ask: Ask) -> AnalyticsQuery:
    """The question in the API's words. A single hash needs no key column: every row is that key's."""
    fields = tuple(FIELDS[dimension] for dimension in ask.dimensions)
    return AnalyticsQuery(
        granularity=ask.granularity,
        since=datetime.fromtimestamp(ask.since_s, tz=UTC),
        until=datetime.fromtimestamp(ask.until_s, tz=UTC),
        dimensions=fields if len(ask.key_hashes) == 1 else (KEY_FIELD, *fields),
        key_hashes=ask.key_hashes,
    )


async def _all(complete: Callable[[Ask], Awaitable[list[Reply]]], parts: Sequence[Ask]) -> list[list[Reply]]:
    """Like a task group, but raises the first error itself instead of a group."""
    tasks = [asyncio.ensure_future(complete(part)) for part in parts]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
