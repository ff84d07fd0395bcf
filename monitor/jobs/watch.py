"""One watch cycle: read keys and usage, judge, write down, tell, act.

1. keys: inventory and counters, every cycle; a counter burst is looked into at once by the key's hash
2. usage: the trailing overlap of all keys, when `schedule.usage_every` has passed
3. settle: the hours that may still change, when `schedule.settle_every` has passed
4. judge: features, findings, plan, off the event loop
5. commit: findings, incidents, intents and messages in one synced transaction
6. act: each intent carried out, read back, its outcome written with the message that tells of it
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.collect import counters
from monitor.collect.base import UsageBatch
from monitor.collect.coverage import SETTLE_LAG_S
from monitor.decide import sources
from monitor.decide.sources import Noted, Trouble
from monitor.domain import (
    ALIVE,
    BUCKET_S,
    HOUR_S,
    NUSD,
    Action,
    ActionState,
    Incident,
    Inventory,
    Plan,
    Reason,
    floor_to,
)
from monitor.errors import SourceError, StoreFull
from monitor.jobs import act, auditing, context, days, effects, facts, health, rehearsed, startup, timing, unattributed
from monitor.jobs.app import App
from monitor.jobs.broken import PROGRAM
from monitor.jobs.timing import TIME, Look, Timing
from monitor.pipeline import Judgement

log = logging.getLogger(__name__)

MINUTE_REACH = timedelta(hours=3)
"""Minute data is served in windows of at most three hours; older gaps are closed by the settle lane."""

MAX_PATIENCE_S = 15.0
"""How long a cycle waits at most for usage readings before it judges what it has; a quarter of the cadence if that is less."""

DRILL_REACH = timedelta(minutes=80)
"""How far back a drill-down asks: the trailing hour of the newest bucket that is over and settled, so that its answer alone is enough to
act upon, also where all keys together are read in hours only. It is one question for up to three hours."""

DRILL_AGAIN_S = 30.0
"""A key that goes on bursting is asked about again after this long."""

RECALL = timedelta(minutes=10)
"""Counters older than this say little about now: after a longer pause they begin anew."""

BURST_RATIO = 2.0
"""Counter spend above this many times the usual is looked into at once; looking costs two requests and harms nobody."""


@dataclass(slots=True)
class CycleReport:
    """What one cycle did: for the log line, `once`, `status` and the tests. `skew`: as it was when the cycle began."""

    at: datetime
    n_keys: int = 0
    n_usage_rows: int = 0
    n_bursts: int = 0
    n_findings: int = 0
    actions: tuple[Action, ...] = ()
    errors: dict[str, SourceError] = field(default_factory=dict)
    worked: set[str] = field(default_factory=set)
    skew: timedelta = timedelta(0)
    time: Look = field(default_factory=Look)


@dataclass(slots=True)
class Lane:
    """One kind of reading with a beat of its own; `read` returns what it read, and up to where it now is complete."""

    name: str
    every: timedelta
    read: Callable[[datetime], Awaitable[tuple[UsageBatch, datetime]]]
    due: float = float("-inf")
    complete_until: datetime | None = None


class Watch:
    """The watch job, and what it remembers between cycles: last counters, when lanes are due, what is in trouble."""

    def __init__(self, app: App) -> None:
        self.app, schedule = app, app.settings.schedule
        self.lock = asyncio.Lock()  # one cycle at a time
        self.pipeline_lock = asyncio.Lock()  # one thread in the pipeline at a time
        self.n_cycles = 0
        self.troubles: Mapping[str, Trouble] = {}
        self._as_of: datetime | None = None
        self._counters: pd.DataFrame | None = None
        self._patience_s = min(MAX_PATIENCE_S, schedule.keys_every.total_seconds() / 4)
        self.has_read = asyncio.Event()
        """Set once the usage lane has had its first turn: the backfill lets it go first."""
        self._timing = Timing(facts.published_at(app.store))
        self._n_said = len(app.store.feedback.said())
        self._drilled: dict[int, float] = {}
        self._under_way: dict[str, asyncio.Task[int | SourceError]] = {}
        self.lanes = (
            Lane("usage", schedule.usage_every, self._read_usage),
            Lane("settle", schedule.settle_every, self._read_settling),
        )
        self._recall()

    def _recall(self) -> None:
        """After a restart: the last counters, and how far each lane was; restarts must not spend the request budget."""
        now, monotonic = self.app.now(), self.app.clock.monotonic()
        a_moment = timedelta(seconds=1)  # samples are of whole seconds: the last one may be of this very one
        recent = self.app.store.usage.counters(now - RECALL, now + a_moment)
        if len(recent):
            self._counters = recent.drop_duplicates("key_no", keep="last").reset_index(drop=True)
        self.troubles = sources.recalled(self.app.store.ledger.incidents(states=ALIVE))
        told = self.app.store.state.get("lanes") or {}
        for lane in self.lanes:
            if (text := told.get(lane.name)) is not None:
                lane.complete_until = datetime.fromisoformat(str(text))
                left = lane.every - (now - lane.complete_until)
                if lane.name == "settle" and left <= lane.every:
                    lane.due = monotonic + left.total_seconds()

    async def cycle(self) -> CycleReport:
        """Runs one cycle. A failing lane is recorded and told of while the others go on. Raises StoreError."""
        async with self.lock:
            report = CycleReport(at=self.app.now(), skew=self.app.source.skew)
            inventory = await self._read_keys(report.at, report)
            now = await self._timed(report)
            if inventory is not None and not report.time.doubt:
                await act.resolve_open(self.app, older_than=act.LEFT_ALONE)
                await rehearsed.put_back(self.app, older_than=act.LEFT_ALONE)
            await self._run_lanes(now, report)
            noted = await asyncio.to_thread(self._look_at_source, inventory, report, now)
            is_healthy = inventory is not None and inventory.is_complete
            judgement = Judgement(now, (), Plan(now), 0)  # by a time that is in doubt nothing is judged
            if not report.time.doubt:
                judgement = await self._judge(now, is_healthy=is_healthy, noted=noted.incidents)
            report.n_findings = len(judgement.findings)
            await self._commit(judgement, noted, now)
            self.troubles = noted.troubles
            report.actions = await act.carry_out(self.app, judgement.plan.actions)
            self.n_cycles += 1
            await asyncio.to_thread(facts.publish, self, report)
            _log(report)
            return report

    async def _timed(self, report: CycleReport) -> datetime:
        """The time of this cycle, now that the source has answered, with which the state agrees, or the doubt is noted."""
        async with self.pipeline_lock:
            now, state = self.app.now(), self.app.pipeline.state
            corrected = self.app.source.skew - report.skew
            is_first = self.n_cycles == 0
            report.time = self._timing.look(state, now, corrected=corrected, is_first=is_first)
            if report.time.is_stale:
                await asyncio.to_thread(startup.begin_anew, self.app, now)
            self.app.pipeline.state.advance(now)  # before any usage is taken in
        report.at = now
        return now

    async def take(self, batch: UsageBatch) -> None:
        """Writes a batch to the store, then takes it into the state of the fleet."""
        await asyncio.to_thread(self.app.store.usage.write, batch.usage, batch.coverage)
        await asyncio.to_thread(unattributed.note, self.app.store, batch, self.app.now())
        async with self.pipeline_lock:
            await asyncio.to_thread(self.app.pipeline.take, batch.usage, batch.coverage)

    async def _read_keys(self, now: datetime, report: CycleReport) -> Inventory | None:
        """The fast lane. None where the listing failed: then nothing automatic happens in this cycle."""
        store = self.app.store
        try:
            stored = await asyncio.to_thread(store.keys.keys)
            known = [key.key_hash for key in stored if key.expires_at is None or key.expires_at > now]  # not listed
            inventory = await self.app.source.inventory(known)
            now = self.app.now()  # as the answers say
        except SourceError as error:
            report.errors["keys"] = error
            return None
        await asyncio.to_thread(store.keys.record, inventory)
        await asyncio.to_thread(self._note_effects, inventory)
        report.worked.add("keys")
        report.n_keys = len(inventory.keys)
        sample = counters.sample(inventory, store.keys.catalog)
        await asyncio.to_thread(store.usage.write_counters, sample)
        before, self._counters = self._counters, sample
        if before is not None:
            self._counters = counters.latest(before, sample)
            deltas = counters.deltas(before, sample)
            async with self.pipeline_lock:
                self.app.pipeline.take_counters(deltas)
            self._drill_down(self._bursts(deltas, now), now, report)
        return inventory

    def _note_effects(self, inventory: Inventory) -> None:
        """Whether keys that were acted upon stand still. The inventory was asked for after every action so far had ended."""
        store, taken_at = self.app.store, inventory.taken_at
        done = store.ledger.actions(states={ActionState.DONE}, since=taken_at - effects.WATCHED_FOR)
        actions = [action for action in done if action.reason is not Reason.REHEARSAL]
        keys = {key.key_hash: key for key in inventory.keys}
        effects.note(store.state, actions, keys, taken_at, grace=self.app.settings.response.escalate_after)

    def _bursts(self, deltas: pd.DataFrame, now: datetime) -> npt.NDArray[np.int32]:
        settings = self.app.settings
        return counters.bursts(
            deltas,
            self.app.pipeline.expected_per_hour_nusd(now),
            floor_per_hour_nusd=settings.detection.min_usd_per_hour * NUSD,
            ratio=BURST_RATIO,
            limit=settings.collect.drilldown_keys,
        )

    def _drill_down(self, key_nos: npt.NDArray[np.int32], now: datetime, report: CycleReport) -> None:
        """Starts to ask what bursting keys spend their money on; the answer goes where all usage goes. One drill-down at a
        time, and a key that goes on bursting is asked about again after a while: neither may use up the budget."""
        monotonic = self.app.clock.monotonic()
        fresh = [no for no in key_nos.tolist() if monotonic - self._drilled.get(no, float("-inf")) >= DRILL_AGAIN_S]
        report.n_bursts = len(key_nos)
        if not fresh or "drilldown" in self._under_way:
            return
        self._under_way["drilldown"] = asyncio.create_task(self._run_drill_down(fresh, now))

    async def _run_drill_down(self, key_nos: list[int], now: datetime) -> int | SourceError:
        """Rows read, or why not."""
        hashes = [self.app.store.keys.catalog.key_hash(no) for no in key_nos]
        try:
            reach = max(DRILL_REACH, self.app.settings.collect.overlap)
            batch = await self.app.source.drilldown(hashes, floor_to(now - reach, BUCKET_S), now)
        except SourceError as error:
            return error
        monotonic = self.app.clock.monotonic()
        self._drilled = {no: at for no, at in self._drilled.items() if monotonic - at < DRILL_AGAIN_S}
        self._drilled |= dict.fromkeys(batch.coverage["key_no"].tolist(), monotonic)
        await self.take(batch)
        return len(batch.usage)

    async def _run_lanes(self, now: datetime, report: CycleReport) -> None:
        """Starts the lanes that are due and waits a little for them. A reading that waits for its request budget goes on
        beside the next cycles: the counters must not wait for it. After a failure a lane is due again at once (the circuit
        breaker paces it)."""
        monotonic = self.app.clock.monotonic()
        for lane in self.lanes:
            if lane.name not in self._under_way and monotonic >= lane.due:
                self._under_way[lane.name] = asyncio.create_task(self._run_lane(lane, now, monotonic))
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=self._patience_s)
        for name in [name for name, task in self._under_way.items() if task.done()]:
            outcome = self._under_way.pop(name).result()
            if isinstance(outcome, SourceError):
                report.errors[name] = outcome
            else:
                report.worked.add(name)
                report.n_usage_rows += outcome

    async def _run_lane(self, lane: Lane, now: datetime, monotonic: float) -> int | SourceError:
        """Rows read, or why not."""
        try:
            batch, lane.complete_until = await lane.read(now)
        except SourceError as error:
            return error
        finally:
            self.has_read.set()
        await self.take(batch)
        if lane.name == "usage" and batch.as_of is not None:
            self._as_of = batch.as_of
        lane.due = monotonic + lane.every.total_seconds()
        until = {each.name: each.complete_until.isoformat() for each in self.lanes if each.complete_until}
        await asyncio.to_thread(self.app.store.state.put, "lanes", until)
        return len(batch.usage)

    async def close(self) -> None:
        """Ends readings under way; what they would have read is read again."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._under_way.clear()

    async def _read_usage(self, now: datetime) -> tuple[UsageBatch, datetime]:
        """The overlap, or after a gap from where it began, as far as minute data reaches. At the very first reading an hour
        more: without the trailing hour nothing would be acted on for as long."""
        until = self.lanes[0].complete_until or now - timedelta(seconds=HOUR_S)
        since = max(now - MINUTE_REACH, min(until, now) - self.app.settings.collect.overlap)
        return await self.app.source.recent(floor_to(since, BUCKET_S), now), now

    async def _read_settling(self, now: datetime) -> tuple[UsageBatch, datetime]:
        """Whole hours that may still change, or after a gap all hours since. One that ended a moment ago is not asked for:
        the answer could not be whole."""
        settled = self.lanes[1].complete_until or now
        since = max(now - self.app.settings.collect.history, min(settled, now) - self.app.settings.collect.settle_after)
        until = floor_to(now - timedelta(seconds=SETTLE_LAG_S), HOUR_S)
        return await self.app.source.hourly(floor_to(since, HOUR_S), until), until

    def _look_at_source(self, inventory: Inventory | None, report: CycleReport, now: datetime) -> Noted:
        worked = frozenset(report.worked)
        is_sound = {PROGRAM} if self.n_cycles else set()  # a whole cycle of this process has ended well
        seen = health.Seen(report.errors, worked, inventory, as_of=self._as_of, well=is_sound)
        seen.note(TIME, timing.symptom(report.time))
        return health.noted(self.app, seen, self.troubles, now)

    async def _judge(self, now: datetime, *, is_healthy: bool, noted: tuple[Incident, ...]) -> Judgement:
        await asyncio.to_thread(auditing.note_kill_switch, self.app, now)
        facts_now = await asyncio.to_thread(context.gather, self.app, now, is_healthy=is_healthy, noted=noted)
        said = await asyncio.to_thread(self.app.store.feedback.said)
        if len(said) != self._n_said:  # called expected, a ramp is none any more
            self._n_said = len(said)
            await self.weigh_growth(now)
        async with self.pipeline_lock:
            await asyncio.to_thread(startup.take_up, self.app)
            self.app.pipeline.hear(said)
            return await asyncio.to_thread(self.app.pipeline.judge, now, facts_now)

    async def weigh_growth(self, now: datetime) -> None:
        """Which keys grow too fast, as the days and people say now."""
        found = await asyncio.to_thread(days.breaches, self.app.store, self.app.settings, now)
        async with self.pipeline_lock:
            self.app.pipeline.ramps = found

    async def _commit(self, judgement: Judgement, noted: Noted, now: datetime) -> None:
        """One synced transaction; skipped where there is nothing to write."""
        incidents = {each.incident_id: each for each in (*noted.incidents, *judgement.plan.incidents)}
        plan = replace(judgement.plan, incidents=tuple(incidents.values()))
        messages = await asyncio.to_thread(act.compose, self.app, (*noted.notices, *plan.notices), now)
        if judgement.findings or plan.incidents or plan.actions or plan.verdicts or messages:
            try:
                await asyncio.to_thread(self.app.store.ledger.commit, judgement.findings, plan, messages)
            except StoreFull:  # its reserve was given up: what is decided now must not wait for the next cycle
                await asyncio.to_thread(self.app.store.ledger.commit, judgement.findings, plan, messages)


def _log(report: CycleReport) -> None:
    log.info(
        "watch_cycle",
        extra={
            "keys": report.n_keys,
            "rows": report.n_usage_rows,
            "bursts": report.n_bursts,
            "findings": report.n_findings,
            "actions": len(report.actions),
            "doubt": report.time.doubt or "none",
            "errors": "; ".join(f"{lane}: {error}" for lane, error in report.errors.items()) or "none",
        },
    )
