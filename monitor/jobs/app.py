"""The concrete parts, as the jobs see them: made by `wiring`, faked by tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from monitor.collect.base import History, Source
from monitor.config import Settings
from monitor.domain import Clock, Verb
from monitor.notify.base import Notifier
from monitor.pipeline import Pipeline
from monitor.respond.base import KeyControl, Responder
from monitor.store.base import Store


class Office(Protocol):
    """What it takes to carry out a person's decision about incidents: no account, no credential. `App` is one."""

    settings: Settings
    store: Store

    def now(self) -> datetime:
        """The time decisions are written down with."""
        ...


@dataclass(slots=True)
class Desk:
    """An office without an account, for commands beside the running service."""

    settings: Settings
    store: Store
    clock: Clock

    def now(self) -> datetime:
        """Our own clock: nothing here is compared with the source's."""
        return self.clock.now()


@dataclass(slots=True)
class App:
    """Everything a job needs. `pipeline` is only touched by one job at a time (the service holds a lock); `detector` is the
    name of the artifact in it."""

    settings: Settings
    clock: Clock
    state_dir: Path
    store: Store
    source: Source
    history: History
    control: KeyControl
    responders: Mapping[Verb, Responder]
    notifier: Notifier
    pipeline: Pipeline
    seed: int = 0
    detector: str | None = None
    term: str = ""
    """Which start of the service this is; empty in commands of people, which never act by themselves."""

    def now(self) -> datetime:
        """The source's time: our clock corrected by the skew seen in its answers."""
        return self.clock.now() + self.source.skew

    @property
    def kill_switch(self) -> Path:
        """While this file exists nothing automatic happens."""
        return self.settings.response.kill_switch or self.state_dir / "STOP"


@dataclass(frozen=True, slots=True)
class SourceClock:
    """The source's time as a Clock: intents expire by it."""

    app: App

    def now(self) -> datetime:
        """The source's time."""
        return self.app.now()

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return self.app.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self.app.clock.sleep(seconds)
