"""The detector shipped in models/: trained on the demo world's seeded traffic, for the first hours of a real account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from monitor.config import Settings
from monitor.demo import recorded
from monitor.demo.attacks import BatchBackfill, Event, Growth, ModelMigration
from monitor.demo.catalogue import MODELS
from monitor.demo.founding import found
from monitor.demo.world import World
from monitor.detect.artifact import Trained
from monitor.detect.train import stack, train
from monitor.domain import HOUR_S
from monitor.features import NAMES, FleetState, HabitParams
from monitor.features.replay import everything_known
from monitor.frames import Catalog, FeatureBatch, epoch_s
from monitor.jobs import artifacts
from monitor.pipeline import Pipeline
from monitor.wiring import SEED, shipped_models

N_KEYS: Final = 250
DAYS: Final = 31
UNTIL: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""A fixed moment: the same code makes the same detector."""


def train_shipped() -> Path:
    """Writes models/detector.skops and its manifest; returns the manifest's path. Raises ArtifactError."""
    trained = train_on_demo(Settings(), n_keys=N_KEYS, days=DAYS, seed=SEED)
    return artifacts.save(trained, shipped_models(), name=artifacts.SHIPPED)


def train_on_demo(
    settings: Settings, *, n_keys: int, days: int, seed: int, progress: Callable[[int, int], None] | None = None
) -> Trained:
    """A detector from `days` of a fleet of `n_keys` with the benign events of `eventful`. Raises ArtifactError."""
    world = eventful(n_keys=n_keys, days=days, seed=seed)
    catalog = Catalog()
    inventory = recorded.keys(world, UNTIL)
    pipeline = Pipeline(settings, catalog, FleetState(HabitParams.from_settings(settings.detection)))
    for key in inventory:
        catalog.key_no(key.key_hash)
    batches: list[FeatureBatch] = []
    for day in range(days):
        since = UNTIL - timedelta(days=days - day)
        usage = recorded.usage(world, catalog, since, since + timedelta(days=1), bucket_s=HOUR_S, now=UNTIL)
        starts = epoch_s(usage["bucket_start"])
        for hour in range(24):
            start = since + timedelta(hours=hour)
            end = start + timedelta(hours=1)
            low, high = np.searchsorted(starts, [start.timestamp(), end.timestamp()])
            pipeline.state.advance(end)
            pipeline.take(usage.iloc[low:high], everything_known(start, end, bucket_s=HOUR_S))
            existing = {key.key_hash: key for key in inventory if key.created_at <= end}
            batches.append(pipeline.features(end, existing))
        if progress is not None:
            progress(day + 1, days)
    return train(stack(batches, NAMES), settings, seed=seed)


def eventful(*, n_keys: int, days: int, seed: int) -> World:
    """A world whose history holds what owners do now and then: backfills, growth, migrations. Nothing is stolen in it."""
    fleet = found(seed=seed, n_keys=n_keys, n_workspaces=2, now=UNTIL, has_hostile_names=False)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 20]))
    busy = [key for key in fleet.keys if key.archetype in ("service", "product", "batch") and not key.is_disabled]
    events: list[Event] = []
    for key in rng.permutation(np.array(busy, dtype=object))[: max(3, n_keys // 20)]:
        start = UNTIL - timedelta(hours=float(rng.uniform(6, 24 * days - 6)))
        kind = int(rng.integers(0, 3))
        if kind == 0:
            events.append(BatchBackfill(key.key_hash, start, timedelta(hours=1), float(rng.uniform(6, 14))))
        elif kind == 1:
            events.append(Growth(key.key_hash, start, float(rng.uniform(2, 3))))
        else:
            events.append(ModelMigration(key.key_hash, start, MODELS[int(rng.integers(0, len(MODELS)))].permaslug))
    return World(fleet, founded_at=UNTIL, history_days=days, events=tuple(events))
