"""The world's keys and usage as the middle of the program sees them, without the API in between: for training and benches."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.demo.counters import DAILY, LIFETIME, MONTHLY, WEEKLY
from monitor.demo.fleet import Fleet, Vocabulary
from monitor.demo.world import World
from monitor.domain import HOUR_S, NUSD, ApiKey, Dimension, KeySettings
from monitor.frames import USAGE, Catalog, check, utc_seconds

_MEASURES = {
    "n_requests": "n",
    "tokens_prompt": "prompt",
    "tokens_completion": "completion",
    "tokens_reasoning": "reasoning",
    "cost_nusd": "cost",
}


def usage(
    world: World, catalog: Catalog, since: datetime, until: datetime, *, bucket_s: int, now: datetime
) -> pd.DataFrame:
    """frames.USAGE of all keys in [since, until) as it shows at `now`, sorted by bucket, key and value; interns in `catalog`.

    `since` and `until` must be whole buckets. Costs are those of analytics' `total_usage`: for BYOK keys with their fee."""
    rows = world.usage(since.timestamp(), until.timestamp(), in_minutes=bucket_s < HOUR_S, now=now)
    is_byok = np.array([key.is_byok for key in world.fleet.keys], dtype=np.bool_)[rows["key"]]
    measured = {name: rows[column].astype(np.int64) for name, column in _MEASURES.items()}
    measured["cost_nusd"] += np.where(is_byok, rows["cost"] // 20, 0)
    key_no = np.array([catalog.key_no(key.key_hash) for key in world.fleet.keys], dtype=np.int32)[rows["key"]]
    start = rows["t"] - rows["t"] % bucket_s
    parts = []
    for dimension, column, vocabulary in _columns(world.fleet):
        numbers = np.array([catalog.value_no(dimension, text) for text in vocabulary.texts], dtype=np.int32)
        part = pd.DataFrame({"start": start, "key_no": key_no, "value_no": numbers[rows[column]], **measured})
        part = part.groupby(["start", "key_no", "value_no"], as_index=False, sort=False).sum()
        parts.append(part.assign(dimension=np.int8(dimension)))
    frame = pd.concat(parts, ignore_index=True).sort_values(["start", "key_no", "value_no"], ignore_index=True)
    starts: npt.NDArray[np.int64] = frame["start"].to_numpy(dtype=np.int64)
    frame = frame.assign(bucket_start=utc_seconds(starts), bucket_s=np.int32(bucket_s))
    return check(frame[list(USAGE)].astype({"key_no": "int32", "value_no": "int32", "bucket_s": "int32"}), USAGE)


def keys(world: World, now: datetime) -> tuple[ApiKey, ...]:
    """The inventory, in the order of the fleet; deleted keys are left out."""
    counters = world.shown_counters(now)
    found = []
    for key in world.fleet.keys:
        if key.is_deleted:
            continue
        left = world.limit_left_nusd(key, counters)
        spent = [int(counters.credits[period, key.no]) for period in (LIFETIME, DAILY, WEEKLY, MONTHLY)]
        found.append(
            ApiKey(
                key_hash=key.key_hash,
                key_name=key.name,
                label=key.label,
                workspace_id=key.workspace_id,
                creator_user_id=key.creator,
                settings=KeySettings(
                    is_disabled=key.is_disabled,
                    limit_usd=None if key.limit_nusd is None else key.limit_nusd / NUSD,
                    limit_reset=key.limit_reset,
                    include_byok_in_limit=key.include_byok_in_limit,
                ),
                limit_remaining_usd=None if left is None else left / NUSD,
                usage_nusd=spent[0],
                usage_daily_nusd=spent[1],
                usage_weekly_nusd=spent[2],
                usage_monthly_nusd=spent[3],
                byok_usage_nusd=int(counters.byok[LIFETIME, key.no]),
                created_at=key.created_at,
                updated_at=key.updated_at,
                expires_at=key.expires_at,
            )
        )
    return tuple(found)


def _columns(fleet: Fleet) -> tuple[tuple[Dimension, str, Vocabulary], ...]:
    return (
        (Dimension.MODEL, "model", fleet.prices.names),
        (Dimension.PROVIDER, "provider", fleet.providers),
        (Dimension.COUNTRY, "country", fleet.countries),
        (Dimension.APP, "app", fleet.apps),
    )
