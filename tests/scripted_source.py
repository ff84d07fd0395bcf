"""A watch whose source answers as told, and what it has told people: what the tests of the source's health share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from build import a_key, coverage, usage
from jobs_build import an_app, an_inventory

from monitor.collect.base import UsageBatch
from monitor.domain import NUSD, IncidentKind, IncidentState, Inventory, LaneHealth, MessageKind
from monitor.errors import SourceError
from monitor.jobs.app import App
from monitor.jobs.watch import Watch

KEYS = tuple(a_key(number, key_name=f"key-{number}", usage_nusd=number * NUSD) for number in range(1, 11))


@dataclass
class ScriptedSource:
    """Answers as told: an error, an inventory, an old copy. Keeps what it was asked for."""

    app: App | None = None
    keys: tuple = KEYS
    error: SourceError | None = None
    skew: timedelta = timedelta(0)
    age: timedelta = timedelta(0)
    n_unsettled: int = 0
    asked: list[tuple[str, datetime, datetime]] = field(default_factory=list)

    async def inventory(self, known: Any) -> Inventory:
        self._fail()
        is_complete = not self.n_unsettled
        found = an_inventory(*self.keys, at=self._now(), is_complete=is_complete, n_unsettled=self.n_unsettled)
        return replace(found, warnings=() if is_complete else (f"{self.n_unsettled} known keys are not listed",))

    async def recent(self, since: datetime, until: datetime) -> UsageBatch:
        return self._batch("recent", since, until, bucket_s=600)

    async def hourly(self, since: datetime, until: datetime) -> UsageBatch:
        return self._batch("hourly", since, until, bucket_s=3600)

    def health(self) -> tuple[LaneHealth, ...]:
        return ()

    def _batch(self, name: str, since: datetime, until: datetime, *, bucket_s: int) -> UsageBatch:
        self._fail()
        self.asked.append((name, since, until))
        known = coverage(since, until, bucket_s=bucket_s)
        return UsageBatch(usage(bucket_s=bucket_s), known, as_of=self._now() - self.age)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _now(self) -> datetime:
        assert self.app is not None
        return self.app.now()


def a_watch(state_dir: Path, **sections: Any) -> tuple[Watch, ScriptedSource, App]:
    source = ScriptedSource()
    app = an_app(state_dir, source=source, response={"mode": "enforce", "armed_without_replay": True}, **sections)
    source.app = app
    return Watch(app), source, app


async def minutes(watch: Watch, number: int, *, step: int = 1) -> None:
    """Cycles with a minute (or `step`) between."""
    for _ in range(0, number, step):
        watch.app.clock.pass_time(60 * step)
        await watch.cycle()


def told(app: App) -> list[str]:
    return [entry.message.summary for entry in app.store.outbox.entries() if entry.message.kind is MessageKind.SOURCE]


def sources(app: App) -> dict[str, IncidentState]:
    found = (each for each in app.store.ledger.incidents() if each.kind is IncidentKind.SOURCE)
    return {each.fingerprint: each.state for each in found}
