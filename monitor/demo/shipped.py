"""The detector shipped in models/: trained on the demo world's seeded ordinary traffic, so that the first hour is covered.

Anyone can make it anew (`make train`): the same seed gives the same rows. It knows no customer's data and no thefts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from monitor import frames
from monitor.config import Settings
from monitor.demo.catalogue import MODELS
from monitor.demo.fleet import Fleet
from monitor.demo.traffic import Rows
from monitor.demo.world import World
from monitor.detect.artifact import Trained
from monitor.detect.train import stack, train
from monitor.domain import HOUR_S, ApiKey, Dimension, KeySettings
from monitor.features import NAMES
from monitor.frames import Catalog, FeatureBatch
from monitor.jobs import artifacts
from monitor.pipeline import Pipeline, windows
from monitor.wiring import new_state, shipped_models

SEED: Final = 20_260_601
N_KEYS: Final = 400
UNTIL: Final = datetime(2026, 6, 1, tzinfo=UTC)
HISTORY_DAYS: Final = 31
TEACH: Final = timedelta(days=3)
"""Days that only teach habits before feature rows count, as a fresh install has them."""


def train_shipped(progress: Callable[[int, int], None] | None = None) -> Path:
    """Trains and writes models/detector.{skops,json}; returns the manifest's path."""
    return artifacts.save(trained(progress), shipped_models(), name=artifacts.SHIPPED)


def trained(progress: Callable[[int, int], None] | None = None) -> Trained:
    """The detector itself."""
    world = World.build(
        seed=SEED, n_keys=N_KEYS, n_workspaces=3, founded_at=UNTIL, history_days=HISTORY_DAYS, has_hostile_names=False
    )
    since = UNTIL - timedelta(days=HISTORY_DAYS)
    rows = world.usage(since.timestamp(), UNTIL.timestamp(), in_minutes=False, now=UNTIL)
    catalog = Catalog(key.key_hash for key in world.fleet.keys)
    usage = usage_frame(rows, world.fleet, catalog)
    settings = Settings()
    pipeline = Pipeline(settings, catalog, new_state(settings))
    keys = {key.key_hash: api_key(key.key_hash, key.created_at, key.creator) for key in world.fleet.keys}
    batches: list[FeatureBatch] = []
    n_hours = HISTORY_DAYS * 24
    for no, window in enumerate(windows(usage, since=since, until=UNTIL), start=1):
        pipeline.state.advance(window.at)
        pipeline.take(window.usage, window.coverage)
        if window.at > since + TEACH:
            batches.append(
                pipeline.features(window.at, {h: key for h, key in keys.items() if key.created_at <= window.at})
            )
        if progress is not None:
            progress(no, n_hours)
    return train(stack(batches, NAMES), settings, seed=SEED)


def api_key(key_hash: str, created_at: datetime, creator: str | None) -> ApiKey:
    """A key of the demo world, as far as features look at it."""
    return ApiKey(
        key_hash=key_hash,
        key_name=key_hash[:8],
        label="",
        workspace_id=None,
        creator_user_id=creator,
        settings=KeySettings(is_disabled=False, limit_usd=None, limit_reset=None, include_byok_in_limit=False),
        limit_remaining_usd=None,
        usage_nusd=None,
        usage_daily_nusd=None,
        usage_weekly_nusd=None,
        usage_monthly_nusd=None,
        byok_usage_nusd=None,
        created_at=created_at,
    )


def usage_frame(rows: Rows, fleet: Fleet, catalog: Catalog) -> pd.DataFrame:
    """Hour rows of the world as frames.USAGE: four full marginals, sorted by time."""
    table = pd.DataFrame({name: rows[name] for name in rows.dtype.names or ()})
    parts = []
    texts = {
        Dimension.MODEL: [model.permaslug for model in MODELS],
        Dimension.PROVIDER: fleet.providers.texts,
        Dimension.COUNTRY: fleet.countries.texts,
        Dimension.APP: fleet.apps.texts,
    }
    for dimension, words in texts.items():
        column = dimension.name.lower()
        numbers = np.array([catalog.value_no(dimension, word) for word in words], dtype=np.int32)
        sums = table.groupby(["t", "key", column], as_index=False)[
            ["n", "prompt", "completion", "reasoning", "cost"]
        ].sum()
        parts.append(
            pd.DataFrame(
                {
                    "bucket_start": frames.utc_seconds(sums["t"].to_numpy()),
                    "bucket_s": np.full(len(sums), HOUR_S, dtype=np.int32),
                    "key_no": sums["key"].to_numpy().astype(np.int32),
                    "dimension": np.full(len(sums), int(dimension), dtype=np.int8),
                    "value_no": numbers[sums[column].to_numpy()],
                    "n_requests": sums["n"].to_numpy(),
                    "tokens_prompt": sums["prompt"].to_numpy(),
                    "tokens_completion": sums["completion"].to_numpy(),
                    "tokens_reasoning": sums["reasoning"].to_numpy(),
                    "cost_nusd": sums["cost"].to_numpy(),
                }
            )
        )
    usage = pd.concat(parts, ignore_index=True).sort_values(
        ["bucket_start", "key_no", "dimension", "value_no"], ignore_index=True
    )
    return frames.check(usage, frames.USAGE)
