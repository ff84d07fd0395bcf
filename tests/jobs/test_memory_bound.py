"""A watch that goes on for a very long time: keys, models and apps come and go, incidents begin and end, silences run out, and what
the process holds stays as large as it was."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import build
import pandas as pd
import pytest
from fake_keys import FakeKeys
from jobs_build import an_app, an_inventory

from monitor.collect.base import UsageBatch
from monitor.domain import BUCKET_S, NUSD, ActionState, ApiKey, Dimension, IncidentState, Inventory, LaneHealth, Verb
from monitor.errors import SourceError, Unavailable
from monitor.features import state
from monitor.jobs import desk, manual, upkeep
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.jobs.watch import Watch
from monitor.respond.cap import CapKey, ZeroLimit
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

STEP = timedelta(minutes=30)
A_DAY = 48
"""Cycles of virtual time."""
SIX_HOURS = A_DAY // 4
N_WARM, N_MEASURED = 120, 60
N_ALIVE = 4
MOST_PER_CYCLE = 1_500
"""Bytes. Some of that is for what is known for good: each new key has its number, and its place in the state of the fleet."""


@dataclass
class Bazaar:
    """An account whose keys live for a day and a half, on models and apps that are in fashion for some hours, now and again; every sixth
    hour the newest is stolen. Now and then it does not answer."""

    keys: FakeKeys
    app: App | None = None
    n_cycles: int = 0
    skew: timedelta = timedelta(0)
    spent: dict[str, int] = field(default_factory=dict)
    rows: dict[int, list[tuple[Any, ...]]] = field(default_factory=dict)

    def live(self) -> None:
        """One bucket of use; what is older than anything read is forgotten."""
        assert self.app is not None
        self.n_cycles += 1
        self._come_and_go()
        at = self.app.now()
        bucket = int(at.timestamp()) // BUCKET_S - 1
        self.rows[bucket] = [row for key in self.alive() for row in self._used(key, bucket)]
        self.rows = {each: rows for each, rows in self.rows.items() if each > bucket - 2 * A_DAY}  # a day

    def alive(self) -> list[ApiKey]:
        return list(self.keys.keys.values())

    def _come_and_go(self) -> None:
        if self.n_cycles % SIX_HOURS == 1:  # every six hours another one, the oldest is deleted
            number = len(self.spent) + 1
            key = build.a_key(number, key_name=f"job-{number}", usage_nusd=0, created_at=self._now())
            self.keys.keys[key.key_hash] = key
            self.spent[key.key_hash] = 0
            for key_hash in list(self.keys.keys)[:-N_ALIVE]:
                del self.keys.keys[key_hash]

    def _used(self, key: ApiKey, bucket: int) -> list[tuple[Any, ...]]:
        assert self.app is not None
        if key.settings.is_disabled:
            return []
        is_stolen = key == self.alive()[-1] and self.n_cycles % SIX_HOURS > SIX_HOURS - 3
        cost = 40 * NUSD if is_stolen else NUSD // 10
        self.spent[key.key_hash] += cost
        self.keys.keys[key.key_hash] = replace(key, usage_nusd=self.spent[key.key_hash])
        catalog, start = self.app.store.keys.catalog, datetime.fromtimestamp(bucket * BUCKET_S, build.NOW.tzinfo)
        fashion, number = self.n_cycles // 4, catalog.key_no(key.key_hash)
        values = {
            Dimension.MODEL: f"vendor/model-{fashion % 11}",
            Dimension.APP: f"app-{fashion // 3 % 7}",
            Dimension.COUNTRY: ("DE", "FR", "US", "JP")[fashion % 4],
            Dimension.PROVIDER: f"provider-{fashion % 3}",
        }
        return [
            (start, number, int(dimension), catalog.value_no(dimension, value), 20, cost)
            for dimension, value in values.items()
        ]

    async def inventory(self, known: Any) -> Inventory:
        self._answer()
        return an_inventory(*self.alive(), at=self._now())

    async def recent(self, since: datetime, until: datetime) -> UsageBatch:
        return self._batch(since, until, bucket_s=BUCKET_S)

    async def hourly(self, since: datetime, until: datetime) -> UsageBatch:
        return self._batch(since, until, bucket_s=3600)

    async def drilldown(self, key_hashes: list[str], since: datetime, until: datetime) -> UsageBatch:
        return self._batch(since, until, bucket_s=BUCKET_S)

    def health(self) -> tuple[LaneHealth, ...]:
        return ()

    def _batch(self, since: datetime, until: datetime, *, bucket_s: int) -> UsageBatch:
        self._answer()
        found = [row for rows in self.rows.values() for row in rows if since <= row[0] < until]
        usage = build.usage(*found, bucket_s=bucket_s)
        if bucket_s != BUCKET_S:
            usage = _by_hour(usage)
        return UsageBatch(usage, build.coverage(since, until, bucket_s=bucket_s), as_of=self._now())

    def _answer(self) -> None:
        error: SourceError = Unavailable("503")
        if self.n_cycles % 50 in {30, 31}:
            raise error

    def _now(self) -> datetime:
        assert self.app is not None
        return self.app.now()


def _by_hour(usage: pd.DataFrame) -> pd.DataFrame:
    hourly = usage.assign(bucket_start=usage["bucket_start"].dt.floor("h"))
    return hourly.groupby(list(usage.columns[:5]), as_index=False).sum().astype(usage.dtypes.to_dict())


def a_bazaar(state_dir: Path) -> tuple[Watch, Bazaar, App]:
    keys = FakeKeys.holding()
    source = Bazaar(keys)
    responders = {
        Verb.DISABLE: DisableKey(keys),
        Verb.CAP: CapKey(keys),
        Verb.ZERO: ZeroLimit(keys),
        Verb.RESTORE: RestoreKey(keys),
    }
    app = an_app(
        state_dir,
        control=keys,
        responders=responders,
        source=source,
        response={"mode": "enforce", "armed_without_replay": True, "max_share_of_keys": 1.0, "max_share_of_spend": 1.0},
        detection={"min_usd_per_hour": 5.0, "rules": [{"name": "ceiling", "max_usd_per_hour": 20.0, "disable": True}]},
        incidents={"resolve_after": "1h", "reopen_within": "1h"},
        store={"keep_incidents": "2d", "keep_fine": "2d"},
        slack={"default_channel": "#alerts"},
    )
    source.app = app
    return Watch(app), source, app


async def live(watch: Watch, source: Bazaar, app: App, n_cycles: int) -> None:
    """As the service does: cycles, delivery, and once a day the care of the store; people answer now and then."""
    for _ in range(n_cycles):
        app.clock.pass_time(STEP.total_seconds())
        source.live()
        await watch.cycle()
        await deliver(app)
        source.keys.calls.clear()
        app.notifier.sent.clear()
        if source.n_cycles % 20 == 0:
            await people_answer(app, source)
        if source.n_cycles % A_DAY == 0:
            await upkeep.care(app)


async def people_answer(app: App, source: Bazaar) -> None:
    """A silence that will run out, an acknowledgment, a false alarm, and every other disabled key put back."""
    conditions = {"key_name": f"job-{len(source.spent)}"}
    await desk.add_silence(app, by="cli:ada", lasting=timedelta(minutes=40), comment="test", conditions=conditions)
    for incident in app.store.ledger.incidents(states={IncidentState.OPEN}):
        await desk.acknowledge(app, incident.incident_id, by="cli:ada")
        if source.n_cycles % 40 == 0:
            await desk.resolve(app, incident.incident_id, by="cli:ada", is_false_alarm=True)
    for key in [key for key in source.alive() if key.settings.is_disabled][::2]:
        await manual.restore(app, key, requested_by="cli:ada")


def held() -> int:
    """Bytes of every object that is alive."""
    gc.collect()
    left, total = gc.get_objects(), 0
    seen: set[int] = set()
    while left:
        each = left.pop()
        if id(each) not in seen:
            seen.add(id(each))
            total += sys.getsizeof(each)
            left.extend(one for one in gc.get_referents(each) if not gc.is_tracked(one))
    return total


async def test_l9_what_is_held_in_memory_does_not_grow_with_the_number_of_cycles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FORGET_H", 12)  # a quarter of a year, in less time

    # given: some days, after which caches are warm and what is to be forgotten is forgotten
    watch, source, app = a_bazaar(tmp_path)
    await live(watch, source, app, N_WARM)
    before = held()

    # when: as many days more
    await live(watch, source, app, N_MEASURED)
    grown = held() - before
    await watch.close()

    # then: a lot has happened, and nothing of it stayed
    actions = app.store.ledger.actions()
    assert {Verb.DISABLE, Verb.RESTORE} <= {each.verb for each in actions if each.state is ActionState.DONE}
    assert IncidentState.RESOLVED in {each.state for each in app.store.ledger.incidents()}
    assert len(source.spent) > 12
    assert grown / N_MEASURED < MOST_PER_CYCLE, f"{grown / N_MEASURED:,.0f} bytes a cycle"
