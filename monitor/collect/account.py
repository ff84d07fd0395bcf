"""An OpenRouter account as a `collect.base.Source`: inventory, usage in every grain, and how each lane fares."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import pandas as pd

from monitor import frames
from monitor.collect.activity import REACH, daily_coverage, daily_usage
from monitor.collect.attribution import NOT_READ
from monitor.collect.base import UsageBatch
from monitor.collect.check import check_account
from monitor.collect.coverage import Span
from monitor.collect.inventory import take_inventory
from monitor.collect.plan import ROWS_AIM, Density, KnownKey, fleet_of
from monitor.collect.reading import DIMENSIONS, Reader, Reading
from monitor.collect.rereading import Rereading
from monitor.collect.sweep import Sweep, choose_sweep
from monitor.config import Settings
from monitor.domain import BUCKET_S, HOUR_S, ApiKey, Check, Clock, Inventory, LaneHealth, Member, floor_to
from monitor.errors import SourceError
from monitor.openrouter.analytics import AnalyticsApi, Caller, Granularity
from monitor.openrouter.keys_api import KeysApi
from monitor.openrouter.lanes import LaneName
from monitor.openrouter.members import members

FALLBACK_EVERY: Final = timedelta(hours=12)
FALLBACK_KEYS: Final = 20
"""Keys a reading that are looked up in `/activity`, one request each."""
QUESTIONS_A_KEY: Final = 2
MINUTES_REACH: Final = timedelta(hours=3)


class AccountTransport(Caller, Protocol):
    """The transport, as far as the account needs it."""

    @property
    def skew(self) -> timedelta:
        """How far the source's clock is ahead of ours."""
        ...

    def n_free(self, lane: LaneName) -> int:
        """Requests of this lane that could be sent at once."""
        ...


@dataclass(slots=True)
class _Lane:
    """What `health` tells of one kind of reading."""

    plan: str
    last_ok_at: datetime | None = None
    complete_until: datetime | None = None
    last_error: str = ""
    n_requests: int = 0


class OpenRouterSource:
    """Watches one account. It knows the fleet's names from its last inventory, and how many rows to expect from answers.

    `remember` tells it of keys that the store knew before (vanished ones too: their usage is still served by name)."""

    def __init__(self, transport: AccountTransport, catalog: frames.Catalog, settings: Settings, clock: Clock) -> None:
        self._transport = transport
        self._keys_api = KeysApi(transport)
        self._settings, self._clock, self._catalog = settings, clock, catalog
        self._api = AnalyticsApi(transport)
        self._density = Density()
        self._reader = Reader(self._api, catalog, self._density, settings.openrouter.concurrency, self.now)
        self._looker = replace(self._reader, api=AnalyticsApi(transport, lane="drilldown"))
        self._known: dict[str, KnownKey] = {}
        self._inventory_at: datetime | None = None
        self._contested: frozenset[str] = frozenset()
        self._recent = Rereading(n_buckets=36)
        self._hourly = Rereading(n_buckets=48)
        self._read_until: datetime | None = None
        self._sweep_due = 0.0
        self._fallback_due: dict[str, float] = {}
        self._lanes = {name: _Lane("nothing read yet") for name in ("keys", "usage", "settle", "backfill", "drilldown")}

    @property
    def skew(self) -> timedelta:
        """How far the source's clock is ahead of ours."""
        return self._transport.skew

    def now(self) -> datetime:
        """The source's time."""
        return self._clock.now() + self._transport.skew

    def remember(self, keys: Iterable[ApiKey]) -> None:
        """Keys known from earlier runs. Those the next complete inventory does not list are taken as gone by then."""
        for key in keys:
            self._known.setdefault(key.key_hash, _known_key(key))

    async def inventory(self, known: Collection[str]) -> Inventory:
        """Every key of every workspace (`collect.inventory`)."""
        lane = self._lanes["keys"]
        try:
            inventory = await take_inventory(self._keys_api, known, self.now())
        except SourceError as error:
            lane.last_error = str(error)
            raise
        listed = {key.key_hash: _known_key(key) for key in inventory.keys}
        gone = set(inventory.vanished) | (self._known.keys() - listed.keys() if inventory.is_complete else set())
        gone_s = int(inventory.taken_at.timestamp())
        for key_hash in gone & self._known.keys():
            if self._known[key_hash].gone_s is None:
                self._known[key_hash] = replace(self._known[key_hash], gone_s=gone_s)
        self._known.update(listed)
        self._inventory_at = inventory.taken_at
        lane.plan = (
            f"{len(inventory.keys)} keys of {len(inventory.workspaces)} workspaces "
            f"every {self._settings.schedule.keys_every.total_seconds():g} s"
        )
        if inventory.is_complete:
            lane.last_ok_at, lane.complete_until, lane.last_error = self.now(), inventory.taken_at, ""
        else:
            lane.last_error = "; ".join(inventory.warnings)
        return inventory

    async def key(self, key_hash: str) -> ApiKey:
        """One key, read directly. Raises NotFound."""
        return await self._keys_api.key(key_hash)

    async def members(self) -> tuple[Member, ...]:
        """The people of the organization."""
        return await members(self._transport)

    async def check(self) -> tuple[Check, ...]:
        """Whether the account can be watched; raises nothing of the source's."""
        return await check_account(self._keys_api, self._api, lambda: self.skew, self.now())

    async def recent(self, since: datetime, until: datetime) -> UsageBatch:
        """Usage of all keys in ten-minute buckets; in hours where minutes do not fit the request budget (`Sweep`).

        Where the budget asks for a slower cadence than `schedule.usage_every`, a call before its time reads nothing and
        says so in a warning: what is known stays as it is."""
        await self._know_fleet()
        sweep = self._choose(since)
        if self._clock.monotonic() < self._sweep_due:
            return _nothing(f"not due yet: {sweep.words}")
        until = min(until, self.now())
        start = self._start(sweep, since, until)
        bucket_s = BUCKET_S if sweep.granularity is Granularity.MINUTE else HOUR_S
        reading = await self._read("usage", _span(start, until, bucket_s), sweep.granularity)
        usage, coverage = self._recent.settle(reading.batch.usage, reading.batch.coverage)
        batch = replace(reading.batch, usage=usage, coverage=coverage)
        self._read_until = until
        if sweep.every > self._settings.schedule.usage_every:
            self._sweep_due = self._clock.monotonic() + sweep.every.total_seconds()
        self._note("usage", batch)
        return batch

    async def hourly(self, since: datetime, until: datetime) -> UsageBatch:
        """Usage of all keys in the whole hours of [since, until)."""
        reading = await self._read_hours("settle", since, until)
        usage, coverage = self._hourly.settle(reading.batch.usage, reading.batch.coverage)
        batch = replace(reading.batch, usage=usage, coverage=coverage)
        self._note("settle", batch)
        return await self._with_fallback(batch, reading.unserved)

    async def history(self, since: datetime, until: datetime) -> UsageBatch:
        """As `hourly`, for `backfill`: not held against earlier readings."""
        reading = await self._read_hours("backfill", since, until)
        self._note("backfill", reading.batch)
        return await self._with_fallback(reading.batch, reading.unserved)

    def chunk(self) -> timedelta:
        """How much history one step of the backfill may hold: about two minutes of our request budget, at most a week."""
        rows_an_hour = sum(self._density.rows(Granularity.HOUR, dimension) for dimension in DIMENSIONS)
        n_requests = 2 * self._settings.openrouter.analytics_per_minute
        n_hours = n_requests * ROWS_AIM / max(1.0, rows_an_hour * len(self._known))
        return timedelta(hours=min(7 * 24, max(1, int(n_hours))))

    async def drilldown(self, key_hashes: Collection[str], since: datetime, until: datetime) -> UsageBatch:
        """Ten-minute usage of a few keys, each asked by its hash: two questions a key and three hours.

        As many of the first as the budget allows at once; `coverage` says which. The rest is left for the next call, which
        knows better by then what is urgent."""
        until = min(until, self.now())
        key_hashes = list(key_hashes)[: self._transport.n_free("drilldown") // QUESTIONS_A_KEY]
        if not key_hashes or until <= since:
            return _nothing("nothing asked")
        lane = self._lanes["drilldown"]
        lane.plan = "two requests a key that bursts, by hash, in minutes"
        try:
            reading = await self._looker.keys(key_hashes, _span(since, until, BUCKET_S))
        except SourceError as error:
            lane.last_error = str(error)
            raise
        self._note("drilldown", reading.batch)
        return reading.batch

    def health(self) -> tuple[LaneHealth, ...]:
        """What the planner chose and how each lane fares."""
        return tuple(
            LaneHealth(
                lane=name,
                plan=lane.plan,
                last_ok_at=lane.last_ok_at,
                complete_until=lane.complete_until,
                last_error=lane.last_error,
                detail={"n_requests": str(lane.n_requests)},
            )
            for name, lane in self._lanes.items()
        )

    def _choose(self, since: datetime) -> Sweep:
        settings = self._settings
        fleet = fleet_of(self._known.values(), self._contested, since_s=int(since.timestamp()))
        sweep = choose_sweep(
            fleet,
            self._density,
            overlap=settings.collect.overlap,
            usage_every=settings.schedule.usage_every,
            per_minute=settings.openrouter.analytics_per_minute,
        )
        self._lanes["usage"].plan = sweep.words
        return sweep

    def _start(self, sweep: Sweep, since: datetime, until: datetime) -> datetime:
        """From where to read: as asked, less where the budget is short, more where a slow cadence needs it."""
        if sweep.every > self._settings.schedule.usage_every:
            return max(min(since, until - sweep.lookback), until - MINUTES_REACH)
        if sweep.lookback >= self._settings.collect.overlap:
            return since
        last = self._read_until or since
        return max(since, min(until - sweep.lookback, last - timedelta(seconds=BUCKET_S)))

    async def _read_hours(self, lane: str, since: datetime, until: datetime) -> Reading:
        await self._know_fleet()
        until = floor_to(min(until, self.now()), HOUR_S)
        self._lanes[
            lane
        ].plan = f"hourly usage of all keys; about {self._density.rows(Granularity.HOUR, DIMENSIONS[0]):.2g} rows a key and hour"
        return await self._read(lane, _span(since, until, HOUR_S), Granularity.HOUR)

    async def _read(self, lane: str, span: Span, granularity: Granularity) -> Reading:
        if span.until_s <= span.since_s:
            return Reading(_nothing("empty window"))
        try:
            reading = await self._reader.all_keys(self._known.values(), span, granularity, contested=self._contested)
        except SourceError as error:
            self._lanes[lane].last_error = str(error)
            raise
        self._contested |= reading.contested
        return reading

    async def _know_fleet(self) -> None:
        """Names can only be told apart by who bears them: no usage without an inventory."""
        if self._inventory_at is None:
            await self.inventory(list(self._known))

    async def _with_fallback(self, batch: UsageBatch, unserved: frozenset[str]) -> UsageBatch:
        """Adds daily rows of keys that analytics cannot serve; a failure there changes nothing of the rest."""
        now, monotonic = self.now(), self._clock.monotonic()
        due = [key_hash for key_hash in sorted(unserved) if self._fallback_due.get(key_hash, 0.0) <= monotonic]
        usage, coverage, warnings = [batch.usage], [batch.coverage], list(batch.warnings)
        for key_hash in due[:FALLBACK_KEYS]:
            self._fallback_due[key_hash] = monotonic + FALLBACK_EVERY.total_seconds()
            try:
                rows = await self._api.activity(key_hash)
            except SourceError as error:
                warnings.append(f"activity of key {key_hash[:12]}: {error}")
                continue
            window = now - REACH - timedelta(days=1), now
            usage.append(daily_usage(rows, key_hash, *window, catalog=self._catalog))
            coverage.append(daily_coverage(key_hash, *window, as_of=now, catalog=self._catalog))
            warnings.append(f"key {key_hash[:12]}: only daily usage by model and provider can be had (GET /activity)")
        return replace(
            batch,
            usage=_stacked(usage),
            coverage=_stacked(coverage),
            warnings=tuple(warnings),
            n_requests=batch.n_requests + len(due[:FALLBACK_KEYS]),
        )

    def _note(self, name: str, batch: UsageBatch) -> None:
        lane = self._lanes[name]
        lane.last_ok_at, lane.n_requests = self.now(), batch.n_requests
        failed = [warning for warning in batch.warnings if warning.startswith(NOT_READ)]
        lane.last_error = failed[0] if failed else ""
        known = batch.coverage[
            (batch.coverage["key_no"] == frames.ALL_KEYS) & (batch.coverage["quality"] == frames.QUALITY_CODES["known"])
        ]
        newest = known.groupby("dimension")["until"].max()
        if len(newest) == len(DIMENSIONS):
            lane.complete_until = datetime.fromtimestamp(int(frames.epoch_s(newest).min()), tz=UTC)


def _known_key(key: ApiKey) -> KnownKey:
    return KnownKey(key.key_hash, key.key_name, int(key.created_at.timestamp()))


def _span(since: datetime, until: datetime, bucket_s: int) -> Span:
    """The window from the start of its first bucket; the end stays where it is: the last bucket may be under way."""
    since_s = int(since.timestamp())
    return Span(since_s - since_s % bucket_s, int(until.timestamp()), bucket_s)


def _nothing(why: str) -> UsageBatch:
    return UsageBatch(frames.empty(frames.USAGE), frames.empty(frames.COVERAGE), as_of=None, warnings=(why,))


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if not part.empty]
    return pd.concat(filled, ignore_index=True) if len(filled) > 1 else (filled or parts)[0]
