"""An app over a real store, without a network: what the tests of the jobs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import build
from fake_clock import FakeClock
from fake_keys import FakeKeys

from monitor import frames
from monitor.collect.base import UsageBatch
from monitor.config import Settings
from monitor.domain import ApiKey, Inventory, Message, Receipt, Verb, Workspace
from monitor.jobs.app import App
from monitor.pipeline import Pipeline, new_state
from monitor.respond.base import Responder
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey
from monitor.store.base import Store
from monitor.store.sqlite import open_store

NOW = datetime(2026, 11, 23, 12, 25, tzinfo=UTC)


@dataclass
class NoSource:
    """A source that is never asked; its clock is ours."""

    skew: timedelta = timedelta(0)

    def health(self) -> tuple[()]:
        return ()


@dataclass
class SentMessages:
    """A sink that takes everything."""

    name: str = "list"
    sent: list[Message] = field(default_factory=list)

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        self.sent.append(message)
        return Receipt(message.channel, f"r{len(self.sent)}")


def settings_in(state_dir: Path, **sections: Any) -> Settings:
    """Settings whose state directory is this one."""
    sections["store"] = {"state_dir": state_dir} | sections.get("store", {})
    return Settings.model_validate(sections)


@cache
def _empty_store() -> bytes:
    """A migrated store without anything in it; migrating takes longer than most tests."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "monitor.db"
        open_store(str(path)).maintenance.close()
        return path.read_bytes()


def a_store(state_dir: Path) -> Store:
    """The store in a state directory, made there if there is none."""
    path = state_dir / "monitor.db"
    if not path.exists():
        state_dir.mkdir(exist_ok=True)
        path.write_bytes(_empty_store())
    return open_store(str(path))


def an_app(
    state_dir: Path, *, now: datetime = NOW, responders: Mapping[Verb, Responder] | None = None, **changes: Any
) -> App:
    """An app on the store in `state_dir` (made there if there is none). Sections of settings by name, or fields of App.

    A field that is a dict or a list is a section of the settings."""
    sections = {name: changes.pop(name) for name in list(changes) if isinstance(changes[name], dict | list)}
    settings = settings_in(state_dir, **sections)
    store: Store = changes.pop("store", None) or a_store(state_dir)
    fields: dict[str, Any] = {
        "settings": settings,
        "clock": FakeClock(now),
        "state_dir": state_dir,
        "store": store,
        "source": NoSource(),
        "history": NoSource(),
        "control": None,
        "responders": responders or {},
        "notifier": SentMessages(),
        "pipeline": Pipeline(settings, store.keys.catalog, new_state(settings)),
        "seed": 1,
    }
    return App(**(fields | changes))


def an_app_that_acts(state_dir: Path, key: ApiKey, keys: FakeKeys) -> App:
    """An app that knows this key, and disables and restores at that fake issuer."""
    app = an_app(state_dir, control=keys, responders={Verb.DISABLE: DisableKey(keys), Verb.RESTORE: RestoreKey(keys)})
    app.store.keys.record(an_inventory(key))
    return app


def an_inventory(*keys: ApiKey, at: datetime = NOW, **changes: Any) -> Inventory:
    """A complete listing of these keys."""
    fields: dict[str, Any] = {
        "taken_at": at,
        "keys": keys,
        "workspaces": (Workspace("ws-1", "Search"),),
    }
    return Inventory(**(fields | changes))


def a_batch(
    by_hour: dict[datetime, int], since: datetime, until: datetime, *, bucket_s: int = 3600, quality: int = 2
) -> UsageBatch:
    """A reading of all keys that found these nano-dollars by hour for which there is no key."""
    coverage = build.coverage(since, until, bucket_s=bucket_s, quality=quality)
    hours = {int(at.timestamp()): nusd for at, nusd in by_hour.items()}
    return UsageBatch(
        frames.empty(frames.USAGE), coverage, as_of=until, unattributed={"?": 1}, unattributed_by_hour=hours
    )
