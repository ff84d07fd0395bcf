"""A store that knows a canary's last days, and an account that lists it: what the tests of rehearsals share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import build
import numpy as np
import pandas as pd
import pytest
from build import a_key, key_settings
from fake_keys import FakeKeys
from jobs_build import NOW, an_app, an_inventory

from monitor import frames
from monitor.domain import NUSD, ApiKey, Dimension, Verb
from monitor.jobs import staged_theft
from monitor.jobs.app import App
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey
from monitor.store.base import Store

SETTINGS = key_settings(limit_usd=123.4, limit_reset="weekly", include_byok_in_limit=True)
CANARY = a_key(
    1, key_name="canary", settings=SETTINGS, usage_nusd=NUSD, usage_daily_nusd=0, created_at=NOW - timedelta(days=90)
)
RULES = [{"name": "ceiling", "max_usd_per_hour": 30.0, "disable": True}]
"""By which a theft is noticed without a detector."""

NO_MODELS = Path("no such folder")


@dataclass
class Account:
    """Lists these keys; its clock is ours."""

    keys: FakeKeys
    changes: dict[str, Any] = field(default_factory=dict)
    skew: timedelta = timedelta(0)

    async def inventory(self, known: object) -> object:
        return an_inventory(*self.keys.keys.values(), **self.changes)

    def health(self) -> tuple[()]:
        return ()


def an_app_on(state_dir: Path, keys: FakeKeys, *, days: int = 2, usd: float = 0.0, **sections: Any) -> App:
    """An armed app whose store knows the account's last days; the canary spent `usd` in each of its hours."""
    sections = {"detection": {"rules": RULES}, "response": {"mode": "enforce"}} | sections
    responders = {Verb.DISABLE: DisableKey(keys), Verb.RESTORE: RestoreKey(keys)}
    app = an_app(state_dir, control=keys, responders=responders, source=Account(keys), **sections)
    app.store.keys.record(an_inventory(*keys.keys.values()))
    watched(app.store, NOW, days=days, usd=usd)
    return app


def watched(store: Store, now: datetime, *, days: int = 2, usd: float = 0.0, key: ApiKey = CANARY) -> None:
    """Everything of the last days is known, up to the last whole ten minutes; and what the counters said."""
    end = now - timedelta(seconds=now.timestamp() % 600)
    since = end - timedelta(days=days)
    catalog = store.keys.catalog
    key_no, values = catalog.key_no(key.key_hash), {each: catalog.value_no(each, f"usual-{each}") for each in Dimension}
    first = since - timedelta(seconds=since.timestamp() % 3600)
    rows = [
        (first + timedelta(hours=hour), key_no, int(each), no, 3, round(usd * NUSD))
        for hour in range(1, 24 * days)
        for each, no in values.items()
    ]
    known = build.coverage(since, end, bucket_s=600)
    store.usage.write(build.usage(*rows) if usd else frames.empty(frames.USAGE), known)
    sampled = pd.DataFrame(
        {
            "sampled_at": pd.Timestamp(now - timedelta(hours=24, minutes=5)).as_unit("s"),
            "key_no": np.array([key_no]),
            "usage_nusd": key.usage_nusd,
            "usage_daily_nusd": -1,
        }
    )
    store.usage.write_counters(sampled.astype(dict(frames.COUNTERS)))


def choose(keys: Any) -> ApiKey:
    """The canary, by its hash."""
    return next(key for key in keys if key.key_hash == CANARY.key_hash)


_played: dict[str, staged_theft.Staged] = {}


@contextlib.contextmanager
def played_once() -> Iterator[None]:
    """What the simulated theft comes to is the same each time, and the slowest part; it reads, and leaves nothing behind."""
    play = staged_theft.play

    def remembered(store: Store, settings: Any, stage: Any, now: datetime) -> staged_theft.Staged:
        by = f"{settings.policies} {settings.detection.rules} {stage.key.key_hash} {now}"
        if by not in _played:
            _played[by] = play(store, settings, stage, now)
        return _played[by]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staged_theft, "play", remembered)
        yield
