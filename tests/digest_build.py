"""Weeks of usage for digests: rows said as (key_no, model_no, hour, dollars in nano), hour 0 the first of two weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from build import a_hash

from monitor.domain import HOUR_S, ApiKey, Dimension
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, USAGE, Catalog
from monitor.report.digest import Digest, build
from monitor.report.history import condense
from monitor.report.weeks import weeks_before

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WEEKS = weeks_before(MONDAY, ZoneInfo("UTC"))
N_HOURS = 336
FIRST_HOUR = N_HOURS - 8 * 168
"""The first hour of the eight weeks that a digest looks back on."""


def a_catalog(n_keys: int, models: Sequence[str], apps: Sequence[str] = ()) -> Catalog:
    values = [(int(Dimension.MODEL), each) for each in models] + [(int(Dimension.APP), each) for each in apps]
    return Catalog([a_hash(number) for number in range(n_keys)], values)


def a_usage(
    rows: Iterable[tuple[int, int, int, int]], *, dimension: Dimension = Dimension.MODEL, bucket_s: int = HOUR_S
) -> pd.DataFrame:
    start = WEEKS.previous.since
    made = [
        {"bucket_start": start + timedelta(hours=hour), "key_no": key_no, "value_no": value_no, "cost_nusd": cost}
        for key_no, value_no, hour, cost in rows
    ]
    frame = pd.DataFrame(made, columns=list(USAGE))
    frame["bucket_s"], frame["dimension"], frame["n_requests"] = bucket_s, int(dimension), 1
    return frame.fillna(dict.fromkeys(("tokens_prompt", "tokens_completion", "tokens_reasoning"), 0)).astype(
        dict(USAGE)
    )


def all_known(
    since: datetime = WEEKS.edges[0], until: datetime = WEEKS.current.until, *, dimension: Dimension = Dimension.MODEL
) -> pd.DataFrame:
    row = {"key_no": ALL_KEYS, "dimension": int(dimension), "bucket_s": HOUR_S, "since": since, "until": until}
    return pd.DataFrame([row | {"quality": QUALITY_CODES["known"], "as_of": until}]).astype(dict(COVERAGE))


def a_digest(usage: pd.DataFrame, keys: Sequence[ApiKey] = (), **changes: Any) -> Digest:
    fields: dict[str, Any] = {
        "weeks": WEEKS,
        "now": MONDAY,
        "keys": keys,
        "catalog": a_catalog(20, ["vendor/a", "vendor/b", "vendor/c"]),
        "owners": {},
        "incidents": (),
        "actions": (),
        "coverage": all_known(),
    }
    fields |= changes
    return build(condense([usage], fields["weeks"].edges), **fields)
