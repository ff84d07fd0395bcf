"""A monitor that lives through a theft, is killed at planned places, started anew, and left alone until it is quiet.

All in virtual time and one thread, so that a place is the same moment in every run of the same plan. Findings are made by hand
out of the counters that were read; everything between a finding and a changed key is the product's own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import build
import httpx
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from fake_clock import FakeClock
from fault_points import FaultyDatabase, Killed, Points
from fault_world import HONEST_USD, N_KEYS, STOLEN, Issuer, Sink
from jobs_build import a_store
from pydantic import SecretStr

from monitor.collect.account import OpenRouterSource
from monitor.config import Settings
from monitor.decide import Context, decide
from monitor.domain import ALIVE, NUSD, ActionState, ApiKey, Finding, KeySettings, MessageKind, Rung, Verb
from monitor.errors import MonitorError
from monitor.jobs import manual, startup
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.jobs.watch import Watch
from monitor.openrouter.control import OpenRouterControl
from monitor.openrouter.transport import Transport
from monitor.pipeline import Judgement, Pipeline, new_state
from monitor.respond.cap import CapKey, ZeroLimit
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey
from monitor.store import sqlite
from monitor.store.base import Delivery, Store

Job = Callable[[], Awaitable[object]]

_ARMED = {
    "mode": "enforce",
    "armed_without_replay": True,
    "max_share_of_keys": 1.0,
    "max_share_of_spend": 1.0,
}
"""The fuses are not what is tested here."""


@cache
def _any_settings() -> Settings:
    caps = [{"name": "all", "cap": {"enabled": True}}]
    return Settings.model_validate({"response": _ARMED, "policies": caps, "slack": {"default_channel": "#alerts"}})


def _settings(state_dir: Path) -> Settings:
    """Armed, with caps; checking settings takes longer than a whole life."""
    settings = _any_settings()
    return settings.model_copy(update={"store": settings.store.model_copy(update={"state_dir": state_dir})})


MAX_CYCLES = 60
A_MINUTE_S = 60.0
DEADLINE = timedelta(seconds=0.05)
"""Of a request, in the loop's own time: only an answer that never ends waits for it."""


class HandMade(Pipeline):
    """Judges by the counters of the inventory alone: a key that a thief has used has a finding. It keeps no state of the fleet:
    that it comes back after a kill is another test's."""

    def take(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> None:
        pass

    def take_counters(self, deltas: pd.DataFrame) -> None:
        pass

    def expected_per_hour_nusd(self, now: datetime) -> npt.NDArray[np.float64]:
        return np.full(N_KEYS, 1e18)  # nothing is a burst: drill-downs only read

    def judge(self, now: datetime, context: Context) -> Judgement:
        found = tuple(
            self.finding(key, now) for key in context.keys.values() if (key.usage_nusd or 0) > HONEST_USD * NUSD
        )
        plan = decide(found, context, self.settings, now)
        return Judgement(now, found, plan, len(context.keys))

    def finding(self, key: ApiKey, now: datetime) -> Finding:
        numbers = {build.a_hash(number): asked for number, asked in STOLEN.items()}
        rung = Rung.DISABLE if numbers[key.key_hash] == "disable" else Rung.CAP
        return build.a_finding(key.key_hash, at=now, rung=rung, usd_per_hour=2_400.0)


@contextlib.contextmanager
def in_one_thread(points: Points) -> Iterator[pytest.MonkeyPatch]:
    """Work for threads is done at once, and every store opened has places."""

    async def at_once(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    class Here(FaultyDatabase):
        pass

    Here.points = points
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", at_once)
        patch.setattr(sqlite, "Database", Here)
        yield patch


@dataclass
class Life:
    """One run. `pauses`: how long it stays dead after each kill, in turn."""

    state_dir: Path
    points: Points
    pauses: Sequence[float] = (5.0,)
    clock: FakeClock = field(default_factory=lambda: FakeClock(build.NOW))
    wrong: list[str] = field(default_factory=list)
    n_cycles: int = 0
    n_lives: int = 0

    def __post_init__(self) -> None:
        self.issuer = self._issuer()
        self.sink = Sink(self.points)

    def _issuer(self) -> Issuer:
        return Issuer(self.clock, self.points, before_change=self._journalled_before)

    def _settings(self) -> Settings:
        return _settings(self.state_dir)

    def _pipeline(self, settings: Settings, store: Store) -> Pipeline:
        return HandMade(settings, store.keys.catalog, new_state(settings))

    def _prepare(self, store: Store) -> None:
        """What is on disk before the first process begins."""

    @contextlib.contextmanager
    def _world(self) -> Iterator[None]:
        with in_one_thread(self.points) as patch:
            patch.setattr(startup, "bring_up", lambda app, now: app.pipeline.state.advance(now))
            yield

    def _jobs(self, app: App, watch: Watch) -> Sequence[Job]:
        """What is done each minute, in this order."""
        return (watch.cycle, lambda: deliver(app))

    def _is_quiet(self, app: App) -> bool:
        return _is_quiet(app)

    def _wrong(self, app: App, at_work: Seen) -> Iterator[str]:
        yield from self._journal_wrong(app, at_work)
        yield from self._messages_wrong(app)

    async def run(self) -> Seen:
        """Lives until quiet, then a person puts every key back, and it lives until quiet again."""
        asyncio.get_running_loop().set_exception_handler(_unless_killed)
        store = a_store(self.state_dir)
        self._prepare(store)
        store.maintenance.close()
        with self._world():
            await self._until(self._contained)
            at_work = self._look()
            await self._until(self._restored)
            return self._checked(at_work)

    async def _until(self, live: Any) -> None:
        """Starts processes until one of them reached its goal without being killed."""
        while True:
            try:
                await self._one_life(live)
            except Killed:
                await _bury()
                self.clock.pass_time(self.pauses[self.n_lives % len(self.pauses)])
                self.issuer.live()
                self.points.revive()
            except MonitorError:  # it could not start, or a command of a person failed: again
                await _bury()
                self.clock.pass_time(5.0)
            else:
                return
            finally:
                self.n_lives += 1
            assert self.n_lives < 200, "it never came to an end"

    async def _one_life(self, live: Any) -> None:
        app = self._app()
        try:
            await startup.start(app, self.state_dir / "no detector")
            watch = Watch(app)
            await live(app, watch)
            await watch.close()
        finally:
            app.store.maintenance.close()

    async def _contained(self, app: App, watch: Watch) -> None:
        await self._cycles(app, watch, is_there=lambda: len(self._contained_keys()) == len(STOLEN))

    async def _restored(self, app: App, watch: Watch) -> None:
        """A person restores key after key, and says it again where they see that it was not done."""
        listed = app.store.keys.keys()
        for key in listed:
            while self.issuer.settings()[key.key_hash] != self.issuer.was[key.key_hash]:
                await manual.restore(app, key, requested_by="cli:op")
        await self._cycles(app, watch, is_there=lambda: self.issuer.settings() == self.issuer.was)

    async def _cycles(self, app: App, watch: Watch, *, is_there: Any) -> None:
        """A cycle a minute, until one leaves nothing to do."""
        is_done = False
        while not is_done:
            self.n_cycles += 1
            assert not self.wrong, self.wrong
            assert self.n_cycles < MAX_CYCLES + 10 * self.points.n_kills, "it never became quiet"
            self.clock.pass_time(A_MINUTE_S)
            self.issuer.live()
            for job in self._jobs(app, watch):
                with contextlib.suppress(MonitorError):  # as the service does: the next beat tries again
                    await job()
            is_done = is_there() and self._is_quiet(app)

    def _app(self) -> App:
        settings, store = self._settings(), a_store(self.state_dir)
        door, at_source = httpx.MockTransport(self.issuer), settings.openrouter
        at_source = at_source.model_copy(update={"request_timeout": DEADLINE})
        key, rng = SecretStr("sk-or-v1-management"), random.Random(1)
        transport = Transport(door, at_source, key, self.clock, rng, budgets={})
        source = OpenRouterSource(transport, store.keys.catalog, settings, self.clock)
        source.remember(store.keys.keys(include_vanished=True))
        control = OpenRouterControl(transport)
        kinds = (DisableKey(control), CapKey(control), ZeroLimit(control), RestoreKey(control))
        return App(
            settings=settings,
            clock=self.clock,
            state_dir=self.state_dir,
            store=store,
            source=source,
            history=source,
            control=control,
            responders={responder.verb: responder for responder in kinds},
            notifier=self.sink,
            pipeline=self._pipeline(settings, store),
        )

    def _contained_keys(self) -> frozenset[str]:
        now = self.issuer.settings()
        return frozenset(key_hash for key_hash, was in self.issuer.was.items() if now[key_hash] != was)

    def _journalled_before(self, key_hash: str) -> None:
        """Called by the issuer as it changes a key: the store on disk must hold an open intent for that key."""
        uri = f"file:{self.state_dir / 'monitor.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            (n_open,) = connection.execute(
                "select count(*) from action_events e where key_hash = ? and state = 'intended' and not exists"
                " (select 1 from action_events l where l.action_id = e.action_id and l.event_no > e.event_no)",
                (key_hash,),
            ).fetchone()
        if n_open != 1:
            self.wrong.append(f"key {key_hash[:12]} was changed with {n_open} open intents")

    def _look(self) -> Seen:
        return Seen(
            settings=self.issuer.settings(),
            disabled=frozenset(name for name, row in self.issuer.keys.items() if row["disabled"]),
            capped=frozenset(
                name for name, was in self.issuer.was.items() if self.issuer.keys[name]["limit"] != was.limit_usd
            ),
        )

    def _checked(self, at_work: Seen) -> Seen:
        """Raises AssertionError that names every invariant that does not hold."""
        app = self._app()
        try:
            wrong = [*self.wrong, *self._wrong(app, at_work)]
            if self.issuer.settings() != self.issuer.was:
                wrong.append("a restore did not put a key back exactly")
            app.store.maintenance.verify()
            verified = app.store.audit.verify()
            if not verified.is_ok:
                wrong.append(f"the audit trail: {verified.problem}")
        finally:
            app.store.maintenance.close()
        assert not wrong, "\n".join(wrong)
        return at_work

    def _journal_wrong(self, app: App, at_work: Seen) -> Iterator[str]:
        actions = app.store.ledger.actions()
        told = [(row.subject, row.kind) for row in app.store.audit.rows()]
        for action in actions:
            if action.state is ActionState.INTENDED:
                yield f"{action.action_id} has no outcome"
            for kind in ("intent", "outcome"):
                if told.count((action.action_id, kind)) < 1:
                    yield f"{action.action_id} has no {kind} in the trail"
        for key_hash, was in self.issuer.was.items():
            mine = [each for each in actions if each.key_hash == key_hash and each.state is ActionState.DONE]
            taken = [each for each in mine if each.verb is not Verb.RESTORE]
            is_changed = at_work.settings[key_hash] != was
            if is_changed != bool(taken):
                yield f"key {key_hash[:12]}: changed {is_changed}, journal {[(a.verb, a.state) for a in mine]}"
            if len({each.verb for each in taken}) != len(taken):
                yield f"key {key_hash[:12]} was acted upon twice: {[(a.verb, a.intended_at) for a in taken]}"
            if any(each.prior != was for each in taken):
                yield f"key {key_hash[:12]}: what it was before is not what the journal holds"

    def _messages_wrong(self, app: App) -> Iterator[str]:
        entries = app.store.outbox.entries()
        for entry in entries:
            if entry.state is not Delivery.DELIVERED:
                yield f"message {entry.message.message_id} is {entry.state.value}: {entry.last_error}"
            if self.sink.n_times[entry.message.message_id] != 1:
                yield f"message {entry.message.message_id} is {self.sink.n_times[entry.message.message_id]} times in Slack"
        if strangers := self.sink.n_times.keys() - {entry.message.message_id for entry in entries}:
            yield f"messages that were never queued: {sorted(strangers)}"
        ids = " ".join(entry.message.message_id for entry in entries)
        for action in app.store.ledger.actions(states={ActionState.DONE, ActionState.FAILED}):
            if action.action_id not in ids:
                yield f"nobody was told of {action.action_id} ({action.verb.value}, {action.state.value})"
        alerted = {entry.message.thread for entry in entries if entry.message.kind is MessageKind.ALERT}
        for incident in app.store.ledger.incidents(states=ALIVE):
            if incident.incident_id not in alerted:
                yield f"nobody was told of {incident.incident_id}"


@dataclass(frozen=True)
class Seen:
    """The keys when all was quiet and before anybody put them back."""

    settings: dict[str, KeySettings]
    disabled: frozenset[str]
    capped: frozenset[str]


def _is_quiet(app: App) -> bool:
    waiting = {Delivery.WAITING, Delivery.SENDING, Delivery.UNKNOWN}
    return not app.store.ledger.actions(states={ActionState.INTENDED}) and not app.store.outbox.entries(states=waiting)


def _unless_killed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A task that died with its process is nothing to complain about."""
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


async def _bury() -> None:
    """Tasks of a dead process run no more."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
