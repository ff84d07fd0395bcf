"""One reading of a window: plan, ask, attribute, and say what it covers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from monitor import frames
from monitor.collect.attribution import Attribution, Survey, attribute, survey
from monitor.collect.base import UsageBatch
from monitor.collect.coverage import Span, coverage_of, coverage_of_keys
from monitor.collect.plan import (
    Ask,
    Density,
    Fleet,
    KnownKey,
    fleet_of,
    open_dimensions,
    plan_account,
    plan_by_hash,
    plan_one_key,
)
from monitor.collect.usage import Fetched, Reply, fetch
from monitor.domain import Dimension
from monitor.openrouter.analytics import AnalyticsApi, Granularity

DIMENSIONS = tuple(Dimension)


@dataclass(frozen=True, slots=True)
class Reading:
    """A batch, the names it found to be borne by keys we do not know, and the hashes the source could not serve."""

    batch: UsageBatch
    contested: frozenset[str] = frozenset()
    unserved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reader:
    """What every reading needs. `now` is the source's time."""

    api: AnalyticsApi
    catalog: frames.Catalog
    density: Density
    concurrency: int
    now: Callable[[], datetime]

    async def all_keys(
        self, keys: Iterable[KnownKey], span: Span, granularity: Granularity, *, contested: Collection[str]
    ) -> Reading:
        """Usage of every key in `span`, in two rounds: the account by name, then by hash the keys that share a name with rows
        (or turn out to). Raises the first error only where the whole first round failed, and Unauthorized."""
        keys = list(keys)
        fleet = fleet_of(keys, contested, since_s=span.since_s)
        window = span.since_s, span.until_s
        asks = plan_account(fleet, *window, granularity=granularity, dimensions=DIMENSIONS, density=self.density)
        dimensions = open_dimensions(fleet, granularity, DIMENSIONS, self.density)
        first = await self._fetch(asks, fleet)
        found = survey(first.replies, fleet, dimensions)
        contested = frozenset(contested) | found.contested
        fleet = fleet_of(keys, contested, since_s=span.since_s)
        hashes = [key_hash for key_hash in fleet.by_hash if _is_wanted(fleet.keys[key_hash].key_name, found)]
        asks = plan_by_hash(
            fleet, hashes, *window, granularity=granularity, dimensions=dimensions, density=self.density
        )
        self._learn(first.replies, fleet, span, granularity)
        second = await self._fetch(asks, fleet, is_needed=False)
        fetched = Fetched(first.replies + second.replies, first.n_requests + second.n_requests)
        placed = attribute(fetched.replies, fleet, self.catalog, bucket_s=span.bucket_s)
        coverage = coverage_of(
            fetched.replies, span, unresolved=placed.unresolved, catalog=self.catalog, dimensions=DIMENSIONS
        )
        return _reading(fetched, placed, coverage=coverage, contested=contested)

    async def keys(self, key_hashes: Collection[str], span: Span) -> Reading:
        """Ten-minute usage of single keys, asked by hash in minutes. Raises as `all_keys` does."""
        asks: list[Ask] = []
        for key_hash in dict.fromkeys(key_hashes):
            asks += plan_one_key(
                key_hash, span.since_s, span.until_s, granularity=Granularity.MINUTE, dimensions=DIMENSIONS
            )
        fleet = fleet_of(KnownKey(key_hash, "", 0) for key_hash in key_hashes)
        fetched = await self._fetch(asks, fleet)
        found = attribute(fetched.replies, fleet, self.catalog, bucket_s=span.bucket_s)
        coverage = coverage_of_keys(
            fetched.replies, span, unresolved=found.unresolved, catalog=self.catalog, dimensions=DIMENSIONS
        )
        return _reading(fetched, found, coverage=coverage, contested=frozenset())

    async def _fetch(self, asks: list[Ask], fleet: Fleet, *, is_needed: bool = True) -> Fetched:
        """Raises the first error where every question failed; without `is_needed` only Unauthorized."""
        fetched = await fetch(self.api, asks, fleet, concurrency=self.concurrency, now=self.now)
        errors = [reply.error for reply in fetched.replies if reply.error is not None]
        if is_needed and errors and len(errors) == len(fetched.replies):
            raise errors[0]
        return fetched

    def _learn(self, replies: list[Reply], fleet: Fleet, span: Span, granularity: Granularity) -> None:
        n_cells = len(fleet.keys) * -(-(span.until_s - span.since_s) // granularity.seconds)
        for dimension in DIMENSIONS:
            ours = [reply for reply in replies if reply.ask.dimensions == (dimension,)]
            answers = [reply.answer for reply in ours if reply.answer is not None]
            if ours and len(answers) == len(ours):
                n_rows = sum(len(answer.bucket_start) for answer in answers)
                self.density.learn(granularity, dimension, n_rows=n_rows, n_cells=n_cells)


def _is_wanted(name: str, found: Survey) -> bool:
    """A shared name without a row in a whole account-wide answer is silent: its keys need no question of their own."""
    return not name or not found.is_whole or name in found.seen


def _reading(fetched: Fetched, found: Attribution, *, coverage: pd.DataFrame, contested: frozenset[str]) -> Reading:
    as_of_s = min((reply.as_of_s for reply in fetched.replies if reply.answer is not None), default=None)
    batch = UsageBatch(
        usage=found.usage,
        coverage=coverage,
        as_of=None if as_of_s is None else datetime.fromtimestamp(as_of_s, tz=UTC),
        unattributed={name: cost for name, cost in found.unattributed.items() if cost > 0},
        unattributed_by_hour={hour: cost for hour, cost in found.unattributed_by_hour.items() if cost > 0},
        warnings=found.warnings,
        n_requests=fetched.n_requests,
    )
    unserved = frozenset(key_hash for hashes in found.unresolved.values() for key_hash in hashes)
    return Reading(batch, contested, unserved)
