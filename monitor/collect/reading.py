"""One reading of a window: plan, ask, attribute, and say what it covers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from monitor import frames
from monitor.collect.attribution import Attribution, attribute
from monitor.collect.base import UsageBatch
from monitor.collect.coverage import Span, coverage_of, coverage_of_keys
from monitor.collect.plan import Ask, Density, Fleet, KnownKey, fleet_of, plan_asks, plan_one_key
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
        """Usage of every key in `span`. Raises the first error only where every question failed (or Unauthorized).

        A name found to be contested on the way is asked by hash before this returns."""
        keys = list(keys)
        fleet = fleet_of(keys, contested, since_s=span.since_s)
        asks = plan_asks(
            fleet, span.since_s, span.until_s, granularity=granularity, dimensions=DIMENSIONS, density=self.density
        )
        fetched = await self._fetch(asks, fleet)
        self._learn(fetched.replies, fleet, span, granularity)
        found = attribute(fetched.replies, fleet, self.catalog, bucket_s=span.bucket_s)
        if found.contested:
            contested = frozenset(contested) | found.contested
            fleet = fleet_of(keys, contested, since_s=span.since_s)
            more = await self._fetch(_asks_for(found.contested, fleet, span, granularity), fleet)
            fetched = Fetched(fetched.replies + more.replies, fetched.n_requests + more.n_requests)
            # Rows older than the key are counted as unattributed before the name is asked by hash, not after.
            unattributed = found.unattributed
            found = attribute(fetched.replies, fleet, self.catalog, bucket_s=span.bucket_s)
            found.unattributed.update({name: unattributed[name] for name in contested if name in unattributed})
        coverage = coverage_of(
            fetched.replies, span, unresolved=found.unresolved, catalog=self.catalog, dimensions=DIMENSIONS
        )
        return _reading(fetched, found, coverage=coverage, contested=frozenset(contested))

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

    async def _fetch(self, asks: list[Ask], fleet: Fleet) -> Fetched:
        fetched = await fetch(self.api, asks, fleet, concurrency=self.concurrency, now=self.now)
        errors = [reply.error for reply in fetched.replies if reply.error is not None]
        if errors and len(errors) == len(fetched.replies):
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


def _asks_for(names: Collection[str], fleet: Fleet, span: Span, granularity: Granularity) -> list[Ask]:
    """Questions by hash for the keys of names that turned out to be contested."""
    hashes = [key_hash for key_hash in fleet.by_hash if fleet.keys[key_hash].key_name in names]
    asks: list[Ask] = []
    for key_hash in hashes:
        asks += plan_one_key(key_hash, span.since_s, span.until_s, granularity=granularity, dimensions=DIMENSIONS)
    return asks


def _reading(fetched: Fetched, found: Attribution, *, coverage: pd.DataFrame, contested: frozenset[str]) -> Reading:
    as_of_s = min((reply.as_of_s for reply in fetched.replies if reply.answer is not None), default=None)
    batch = UsageBatch(
        usage=found.usage,
        coverage=coverage,
        as_of=None if as_of_s is None else datetime.fromtimestamp(as_of_s, tz=UTC),
        unattributed={name: cost for name, cost in found.unattributed.items() if cost > 0},
        warnings=found.warnings,
        n_requests=fetched.n_requests,
    )
    unserved = frozenset(key_hash for hashes in found.unresolved.values() for key_hash in hashes)
    return Reading(batch, contested, unserved)
