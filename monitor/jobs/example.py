"""Made-up incidents, for whoever looks at a message before there was any: a key misused for half an hour, and an event of many."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.domain import (
    BUCKET_S,
    HOUR_S,
    NUSD,
    ApiKey,
    Cause,
    DataQuality,
    Dimension,
    Incident,
    IncidentState,
    KeySettings,
    Quality,
    Rung,
    Severity,
)
from monitor.frames import Catalog
from monitor.report import alert_chart

SAMPLE_HASH: Final = "5a3b1e" + "0" * 58
_NEW_MODEL: Final = "anthropic/claude-opus-4.1"
_USUAL_MODELS: Final = (
    ("anthropic/claude-sonnet-4.5", 0.55),
    ("openai/gpt-5-mini", 0.3),
    ("google/gemini-2.5-flash", 0.15),
)
_DAYS: Final = 5 * 7
_GROWS: Final = (0.1, 0.22, 0.3, 0.38)
"""Shares of the abuse in each of its ten-minute buckets."""


def key(now: datetime) -> ApiKey:
    """The key of the first."""
    settings = KeySettings(is_disabled=False, limit_usd=500.0, limit_reset="monthly", include_byok_in_limit=False)
    return ApiKey(
        key_hash=SAMPLE_HASH,
        key_name="search-prod",
        label="sk-or-v1-5a3...c1d",
        workspace_id=None,
        creator_user_id=None,
        settings=settings,
        created_at=now - timedelta(days=90),
    )


def incident(now: datetime) -> Incident:
    """A key misused for half an hour, noticed two minutes ago."""
    spent = 46_700_000_000
    return Incident(
        incident_id="INC-5a3b1e0000",
        fingerprint="sample",
        key_hash=SAMPLE_HASH,
        state=IncidentState.OPEN,
        severity=Severity.CRITICAL,
        step=1,
        opened_at=now - timedelta(minutes=2),
        onset_at=now - timedelta(minutes=34),
        last_seen_at=now - timedelta(minutes=2),
        spent_nusd=spent,
        per_hour_nusd=82 * NUSD,
        expected_per_hour_nusd=1_300_000_000,
        at_risk_nusd=500 * NUSD,
        score=0.93,
        p_value=1e-5,
        rung=Rung.DISABLE,
        detectors=("contrast", "forest"),
        causes=(
            Cause(
                Dimension.MODEL,
                _NEW_MODEL,
                spent,
                0.96,
                True,
                0,
                f"96% on model {_NEW_MODEL}, never used by this key before",
            ),
            Cause(Dimension.COUNTRY, "VN", 41_000_000_000, 0.84, True, 0, "84% from country VN, never seen before"),
        ),
        quality=DataQuality(Quality.KNOWN, complete_until=now, as_of=now - timedelta(minutes=4)),
    )


def week(alerted: Incident, now: datetime) -> alert_chart.Chart:
    """Five weeks of a key that works by day, and the last half hour of somebody else."""
    catalog = Catalog((SAMPLE_HASH,))
    last_s = int(alerted.last_seen_at.timestamp()) // BUCKET_S * BUCKET_S
    starts_s = last_s - BUCKET_S * np.arange(_DAYS * 24 * HOUR_S // BUCKET_S, dtype=np.int64)[::-1]
    of_day = starts_s / HOUR_S % 24
    usd = 0.3 + 1.9 * np.clip(np.sin((of_day - 6) / 24 * 2 * np.pi), 0, None) * (1 + 0.35 * np.sin(starts_s / 7_919.0))
    rows = [
        (int(start_s), catalog.value_no(Dimension.MODEL, model), round(float(cost) * part * NUSD * BUCKET_S / HOUR_S))
        for model, part in _USUAL_MODELS
        for start_s, cost in zip(starts_s, usd, strict=True)
    ]
    new = catalog.value_no(Dimension.MODEL, _NEW_MODEL)
    stolen = zip(starts_s[-len(_GROWS) :].tolist(), _GROWS, strict=True)
    rows += [(start_s, new, round(alerted.spent_nusd * part)) for start_s, part in stolen]
    fine = np.array(rows, dtype=np.int64)
    hourly = pd.DataFrame({"at": fine[:, 0] // HOUR_S * HOUR_S, "value_no": fine[:, 1], "cost": fine[:, 2]})
    summed = hourly.groupby(["at", "value_no"], as_index=False)["cost"].sum().to_numpy(np.int64)
    return alert_chart.chart(
        _usage(summed, HOUR_S), frames.empty(frames.COVERAGE), key_no=0, catalog=catalog, incident=alerted, now=now,
        fine=_usage(fine, BUCKET_S),
    )  # fmt: skip


def _usage(rows: npt.NDArray[np.int64], bucket_s: int) -> pd.DataFrame:
    """USAGE of (start, model, nano-dollars)."""
    return (
        frames.empty(frames.USAGE)
        .reindex(range(len(rows)))
        .assign(
            bucket_start=frames.utc_seconds(rows[:, 0]),
            bucket_s=bucket_s,
            key_no=0,
            dimension=int(Dimension.MODEL),
            value_no=rows[:, 1],
            cost_nusd=rows[:, 2],
        )
    )


_SURFACES: Final = ("search", "checkout", "support", "billing", "docs", "mobile")
_TEAMS: Final = ("Search", "Payments", "Care", "Payments", "Platform", "Apps")
N_KEYS: Final = 12


def event(now: datetime) -> tuple[tuple[Incident, ApiKey, str], ...]:
    """A dozen keys that turned unusual together, each with its owner: one is disabled already, two are looked after."""
    found = []
    one, its_key = incident(now), key(now)
    for no in range(N_KEYS):
        key_hash = f"{0x5A3B1E + 0x1F3D7 * no:06x}{no:06x}" + "0" * 52
        spent = round(one.spent_nusd * (0.92 - 0.06 * no) ** 2)
        settings = replace(its_key.settings, is_disabled=no == 4)
        named = f"{_SURFACES[no % len(_SURFACES)]}-{'prod' if no < len(_SURFACES) else 'batch'}"
        theirs = replace(
            one,
            incident_id=f"INC-{key_hash[:10]}",
            key_hash=key_hash,
            state=IncidentState.ACKNOWLEDGED if no in {1, 7} else IncidentState.OPEN,
            onset_at=one.onset_at - timedelta(minutes=no),
            spent_nusd=spent,
            per_hour_nusd=spent * 60 // 34,
            at_risk_nusd=spent * 8,
        )
        label = f"sk-or-v1-{key_hash[:3]}...{key_hash[9:12]}"
        found.append(
            (
                theirs,
                replace(its_key, key_hash=key_hash, key_name=named, label=label, settings=settings),
                _TEAMS[no % len(_TEAMS)],
            )
        )
    return tuple(found)
