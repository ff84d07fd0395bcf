"""Weeks of usage for digests: rows said as (key_no, model_no, hour, dollars in nano), hour 0 the first of two weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from build import a_hash, a_key, an_action, an_incident, key_settings

from monitor.domain import HOUR_S, NUSD, ActionState, ApiKey, Dimension
from monitor.frames import ALL_KEYS, COVERAGE, QUALITY_CODES, USAGE, Catalog
from monitor.report.digest import Digest, build
from monitor.report.figures import Alerts, Health, LastRehearsal
from monitor.report.history import condense
from monitor.report.watching import Review
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


def a_full_digest() -> Digest:
    """A bit of everything: what the golden files are made of."""
    keys = [
        a_key(1, key_name="checkout-prod"),
        a_key(
            2,
            key_name="search | prod",
            settings=key_settings(limit_usd=500.0, limit_reset="monthly"),
            limit_remaining_usd=212.0,
        ),
        a_key(3, key_name="<!channel> *free*"),
        a_key(4, key_name="old-notebook", settings=key_settings(is_disabled=True)),
    ]
    rows = [(1, 0, 10, 36_800_000_000), (1, 0, 300, 41_200_000_000), (2, 1, 20, 900 * NUSD), (2, 1, 310, 1_771 * NUSD)]
    rows += [(no, 1, FIRST_HOUR + 24 * day + 7, no * NUSD) for no in (1, 2) for day in range(42)]
    rows += [(2, 2, 320, 3_100_000), (4, 0, 30, 12 * NUSD), (9, 1, 200, 5 * NUSD)]
    owners = {a_hash(1): "team-checkout", a_hash(2): "team-search", a_hash(4): "team-search"}
    incident = replace(an_incident(2, at=WEEKS.current.until), incident_id="INC-1f0c9a2b7d")
    action = an_action(4, intended_at=WEEKS.current.since, state=ActionState.DONE, finished_at=WEEKS.current.since)
    return a_digest(
        a_usage(rows),
        keys,
        owners=owners,
        incidents=[incident],
        actions=[action],
        unattributed_nusd=2 * NUSD,
        account_total_nusd=1_820 * NUSD,
        alerts=Alerts(3, 1, 1, 5.0, timedelta(minutes=12), timedelta(hours=2), 1, 194_960_000_000, 640 * NUSD),
        reviews={"INC-1f0c9a2b7d": Review.FALSE_ALARM},
        health=Health(
            WEEKS.previous.since,
            ((WEEKS.current.since, WEEKS.current.since + timedelta(hours=3)),),
            timedelta(hours=165),
            mode="enforce",
            detector="contrast, trained on 58 keys",
            troubles=("usage since 2026-11-22 08:00 UTC: 503",),
            n_undelivered=1,
            rehearsal=LastRehearsal(
                WEEKS.current.since + timedelta(hours=30),
                a_hash(4),
                "ci-\u202eyranac <&>",
                "",
                (("read", 0.41), ("detect", 12.04), ("alert", 1.2), ("disable", 0.8), ("restore", 75.0)),
            ),
        ),
        warnings=("response.armed_without_replay is set: this account was never replayed",),
    )
