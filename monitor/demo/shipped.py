"""The detector shipped in models/: trained on the demo world's seeded ordinary traffic, so that the first hour is covered.

Anyone can make it anew (`make train`): the same seed gives the same rows. It knows no customer's data and no thefts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from monitor.config import Detection, Settings
from monitor.demo import recorded
from monitor.demo.attacks import BatchBackfill, Event, Growth, ModelMigration
from monitor.demo.catalogue import MODELS
from monitor.demo.world import World
from monitor.detect.artifact import Trained
from monitor.domain import HOUR_S
from monitor.frames import Catalog
from monitor.jobs import artifacts
from monitor.jobs.lessons import existing
from monitor.pipeline import Pipeline, windows
from monitor.teaching import Teaching
from monitor.wiring import new_state, shipped_models

SEED: Final = 20_260_601
N_KEYS: Final = 300
BUDGET: Final = 1.0
"""False alerts a week: a fifth of the default, because real accounts are wilder than the demo world (models/README.md)."""

UNTIL: Final = datetime(2026, 6, 1, tzinfo=UTC)
HISTORY: Final = timedelta(days=31)
TEACH: Final = timedelta(days=3)
"""Days that only teach habits before feature rows count, as a fresh install has them."""

Progress = Callable[[int, int], None]


def train_shipped(progress: Progress | None = None) -> Path:
    """Trains and writes models/detector.{skops,json}; returns the manifest's path."""
    return artifacts.save(trained(progress), shipped_models(), name=artifacts.SHIPPED)


def trained(progress: Progress | None = None) -> Trained:
    """The detector itself."""
    world = ordinary_world()
    since = UNTIL - HISTORY
    keys = tuple(recorded.keys(world, UNTIL))
    catalog = Catalog(key.key_hash for key in keys)
    usage = recorded.usage(world, catalog, since, UNTIL, bucket_s=HOUR_S, now=UNTIL)
    settings = Settings(detection=Detection(max_false_alerts_per_week=BUDGET))
    pipeline = Pipeline(settings, catalog, new_state(settings))
    teaching = Teaching(pipeline, n_moments=(HISTORY - TEACH) // timedelta(hours=1), seed=SEED)
    for no, window in enumerate(windows(usage, since=since, until=UNTIL), start=1):
        pipeline.state.advance(window.at)
        pipeline.take(window.usage, window.coverage)
        if window.at > since + TEACH:
            teaching.look(window.at, existing(keys, window.at))
        if progress is not None:
            progress(no, HISTORY // timedelta(hours=1))
    return teaching.trained(settings, seed=SEED)


def ordinary_world() -> World:
    """A fleet whose month has what honest fleets have: batch jobs that catch up, keys that grow, a model migration."""
    plain = World.build(seed=SEED, n_keys=N_KEYS, n_workspaces=3, founded_at=UNTIL, has_hostile_names=False)
    day = timedelta(days=1)
    start = UNTIL - HISTORY
    batch = plain.busy("batch")
    events: list[Event] = [
        BatchBackfill(key.key_hash, start + (6 + 3 * no) * day, timedelta(hours=2), 8.0)
        for no, key in enumerate(batch[:6])
    ]
    events += [
        Growth(key.key_hash, start + (9 + 4 * no) * day, 2.5) for no, key in enumerate(plain.busy("service")[:3])
    ]
    events += [
        ModelMigration(key.key_hash, start + (12 + 5 * no) * day, MODELS[no].permaslug)
        for no, key in enumerate(plain.busy("product")[:3])
    ]
    return World(plain.fleet, founded_at=UNTIL, events=tuple(events))
