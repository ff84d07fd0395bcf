"""Small builders for tests: every argument has a harmless default, say only what the test is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from monitor import frames
from monitor.config import Settings
from monitor.decide import Context
from monitor.domain import (
    BUCKET_S,
    NUSD,
    Action,
    ActionState,
    ApiKey,
    Cause,
    DataQuality,
    Dimension,
    Finding,
    Incident,
    IncidentState,
    KeySettings,
    Plan,
    Quality,
    Reason,
    Rung,
    Severity,
    Spend,
    Verb,
    utc,
)
from monitor.frames import FeatureBatch

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_hash(number: int = 1) -> str:
    """A key hash: 64 hex digits."""
    return f"{number:064x}"


def a_key(key_hash: str | int = 1, **changes: Any) -> ApiKey:
    """A key a month old, enabled, without a limit. `settings=` replaces all settings, others are fields of ApiKey."""
    key_hash = a_hash(key_hash) if isinstance(key_hash, int) else key_hash
    fields: dict[str, Any] = {
        "key_hash": key_hash,
        "key_name": "search-prod",
        "label": "sk-or-v1-abc...xyz",
        "workspace_id": "ws-1",
        "creator_user_id": "user-1",
        "settings": key_settings(),
        "limit_remaining_usd": None,
        "usage_nusd": 100 * NUSD,
        "usage_daily_nusd": NUSD,
        "usage_weekly_nusd": 7 * NUSD,
        "usage_monthly_nusd": 30 * NUSD,
        "byok_usage_nusd": 0,
        "created_at": NOW - timedelta(days=30),
    }
    return ApiKey(**(fields | changes))


def key_settings(**changes: Any) -> KeySettings:
    """Enabled, no limit."""
    fields: dict[str, Any] = {
        "is_disabled": False,
        "limit_usd": None,
        "limit_reset": None,
        "include_byok_in_limit": False,
    }
    return KeySettings(**(fields | changes))


def a_quality(at: datetime = NOW, **changes: Any) -> DataQuality:
    """Known up to `at`."""
    fields: dict[str, Any] = {"state": Quality.KNOWN, "complete_until": at, "as_of": at}
    return DataQuality(**(fields | changes))


def a_spend(usd_per_hour: float = 40.0, *, expected: float = 1.0, **changes: Any) -> Spend:
    """Dollars an hour, and what the key's habits expect."""
    fields: dict[str, Any] = {
        "per_hour_nusd": round(usd_per_hour * NUSD),
        "expected_per_hour_nusd": round(expected * NUSD),
        "last_day_nusd": round((usd_per_hour + 23 * expected) * NUSD),
        "novel_per_hour_nusd": 0,
        "unexplained_nusd": 0,
        "limit_remaining_nusd": None,
    }
    return Spend(**(fields | changes))


def a_cause(value: str = "vendor/opus", **changes: Any) -> Cause:
    """A model this key never used."""
    fields: dict[str, Any] = {
        "dimension": Dimension.MODEL,
        "value": value,
        "cost_nusd": 39 * NUSD,
        "share": 0.97,
        "is_first_seen": True,
        "usual_nusd": 0,
        "sentence": f"$39.00 on {value}, never used by this key",
        "credit": 0.7,
    }
    return Cause(**(fields | changes))


def a_finding(key_hash: str | int = 1, *, at: datetime = NOW, usd_per_hour: float = 40.0, **changes: Any) -> Finding:
    """A finding of the forest whose evidence supports a disable; `usd_per_hour` makes its spend."""
    key_hash = a_hash(key_hash) if isinstance(key_hash, int) else key_hash
    fields: dict[str, Any] = {
        "key_hash": key_hash,
        "at": at,
        "onset_at": at - timedelta(minutes=20),
        "detector": "forest",
        "is_shadow": False,
        "score": 0.8,
        "p_value": 1e-6,
        "severity": Severity.CRITICAL,
        "rung": Rung.DISABLE,
        "spend": a_spend(usd_per_hour),
        "causes": (a_cause(),),
        "quality": a_quality(at),
    }
    return Finding(**(fields | changes))


def an_action(key_hash: str | int = 1, *, intended_at: datetime = NOW, **changes: Any) -> Action:
    """An automatic intent to disable, ten minutes valid."""
    key_hash = a_hash(key_hash) if isinstance(key_hash, int) else key_hash
    fields: dict[str, Any] = {
        "action_id": f"ACT-{key_hash[-4:]}-{intended_at:%d%H%M%S}",
        "verb": Verb.DISABLE,
        "key_hash": key_hash,
        "incident_id": f"INC-{key_hash[-4:]}",
        "requested_by": "monitor",
        "reason": Reason.CROSSED_THRESHOLD,
        "prior": key_settings(),
        "intended_at": intended_at,
        "expires_at": intended_at + timedelta(minutes=10),
    }
    return Action(**(fields | changes))


def settings_with(**sections: dict[str, Any]) -> Settings:
    """Settings with these sections changed: `settings_with(response={"mode": "enforce"})`."""
    return Settings.model_validate(sections)


def a_context(*keys: ApiKey, **changes: Any) -> Context:
    """Armed, healthy, a thousand live keys; these keys are in the inventory, their usage known up to NOW."""
    fields: dict[str, Any] = {
        "keys": {key.key_hash: key for key in keys},
        "quality": {key.key_hash: a_quality() for key in keys},
        "n_live_keys": 1000,
        "is_enforcing": True,
        "fleet_day_nusd": 1000 * NUSD,
    }
    return Context(**(fields | changes))


def with_a_canary(context: Context, *, at: datetime = NOW - timedelta(minutes=2)) -> Context:
    """The same with an automatic disable of another key that was seen to take effect: several keys may follow at once."""
    canary = an_action(9999, intended_at=at, finished_at=at, state=ActionState.DONE)
    return replace(context, actions=(*context.actions, canary), proven=frozenset({canary.action_id}))


def after(context: Context, plan: Plan) -> Context:
    """The context that results once the plan is written down (and nothing has been carried out yet)."""
    incidents = {each.incident_id: each for each in (*context.incidents, *plan.incidents)}
    actions = {each.action_id: each for each in (*context.actions, *plan.actions)}
    return replace(
        context,
        incidents=tuple(incidents.values()),
        actions=tuple(actions.values()),
        verdicts=(*context.verdicts, *plan.verdicts),
    )


def a_batch(
    at: datetime = NOW, *, n: int = 1, names: tuple[str, ...] = ("spend", "novelty"), **columns: Any
) -> FeatureBatch:
    """Features of keys 0 .. n-1, all zero, that cost nothing and have a month of history.

    `values=`: the feature rows; `evidence=`, `twins=`: rows of frames.EVIDENCE (see `an_evidence`) and of frames.TWINS as
    dicts; any other column of frames.SPEND as one value for all keys, or a list."""
    values = np.asarray(columns.pop("values", np.zeros((n, len(names)))), dtype=np.float64)
    evidence = pd.DataFrame(columns.pop("evidence", []), columns=list(frames.EVIDENCE)).astype(dict(frames.EVIDENCE))
    twins = pd.DataFrame(columns.pop("twins", []), columns=list(frames.TWINS)).astype(dict(frames.TWINS))
    stamp = pd.Timestamp(at).tz_convert("UTC").as_unit("s")
    unknown = dict.fromkeys(("usual_requests", "usual_request_nusd", "usual_request_tokens", "regularity"), np.nan)
    fields: dict[str, Any] = dict.fromkeys(frames.SPEND, 0) | unknown | {"history_hours": 720.0, "onset_at": stamp}
    spend = pd.DataFrame({"key_no": range(n)} | {k: v for k, v in (fields | columns).items() if k != "key_no"})
    return FeatureBatch(
        at, names, np.arange(n, dtype=np.int32), values, spend.astype(dict(frames.SPEND)), evidence, twins
    )


def an_evidence(key_no: int, dimension: Dimension, value_no: int, usd: float, **changes: Any) -> dict[str, Any]:
    """A row of frames.EVIDENCE: dollars of the trailing hour on one value, first seen, usually nothing."""
    fields: dict[str, Any] = {
        "key_no": key_no,
        "dimension": int(dimension),
        "value_no": value_no,
        "cost_nusd": round(usd * NUSD),
        "n_requests": 10,
        "usual_nusd": 0,
        "novelty": 1.0,
        "is_first_seen": True,
    }
    return fields | changes


def an_incident(key_hash: str | int = 1, *, at: datetime = NOW, **changes: Any) -> Incident:
    """Open and critical for 70 minutes: $194.96 above the usual $0.20/h, most of it on a model the key never used."""
    key_hash = a_hash(key_hash) if isinstance(key_hash, int) else key_hash
    fields: dict[str, Any] = {
        "incident_id": f"INC-{key_hash[-4:]}",
        "fingerprint": f"forest:{key_hash[-4:]}",
        "key_hash": key_hash,
        "state": IncidentState.OPEN,
        "severity": Severity.CRITICAL,
        "step": 1,
        "opened_at": at - timedelta(minutes=60),
        "onset_at": at - timedelta(minutes=70),
        "last_seen_at": at,
        "spent_nusd": 194_960_000_000,
        "per_hour_nusd": 167_110_000_000,
        "expected_per_hour_nusd": 200_000_000,
        "at_risk_nusd": 1_336_900_000_000,
        "score": 0.81,
        "p_value": 2e-6,
        "rung": Rung.DISABLE,
        "detectors": ("forest",),
        "causes": (a_cause(),),
        "quality": a_quality(at - timedelta(minutes=4)),
        "told_step": changes.get("step", 1),
        "told_at": at - timedelta(minutes=60),
    }
    return Incident(**(fields | changes))


def usage(*rows: tuple[Any, ...], bucket_s: int = 600) -> pd.DataFrame:
    """frames.USAGE from (start, key_no, dimension, value_no, n_requests, cost_nusd) each; 100 tokens a request.

    `start` is an aware datetime."""
    start, key_no, dimension, value_no, n_requests, cost_nusd = zip(*rows, strict=True) if rows else ((),) * 6
    n = np.array(n_requests, dtype=np.int64)
    columns = {
        "bucket_start": frames.utc_seconds(np.array([int(at.timestamp()) for at in start], dtype=np.int64)),
        "bucket_s": np.full(len(n), bucket_s),
        "key_no": np.array(key_no),
        "dimension": np.array(dimension),
        "value_no": np.array(value_no),
        "n_requests": n,
        "tokens_prompt": n * 80,
        "tokens_completion": n * 20,
        "tokens_reasoning": n * 0,
        "cost_nusd": np.array(cost_nusd),
    }
    return pd.DataFrame(columns).astype(dict(frames.USAGE))


def bucket_rows(
    cells: Mapping[tuple[int, int, int], tuple[int, int]], since: datetime, until: datetime, *, bucket_s: int
) -> list[tuple[Any, ...]]:
    """Rows for `usage` of one window, from (requests, nano-dollars) by (ten-minute bucket, key_no, value_no)."""
    found: dict[tuple[int, int, int], list[int]] = {}
    for (bucket, key_no, value_no), (n, cost) in cells.items():
        if since.timestamp() <= bucket * BUCKET_S < until.timestamp():
            total = found.setdefault((bucket * BUCKET_S // bucket_s * bucket_s, key_no, value_no), [0, 0])
            total[0], total[1] = total[0] + n, total[1] + cost
    return [(utc(at), key_no, value_no % 4, value_no, *total) for (at, key_no, value_no), total in found.items()]


def coverage(since: datetime, until: datetime, *, bucket_s: int = 600, **changes: Any) -> pd.DataFrame:
    """frames.COVERAGE: all keys, every dimension, known; `key_no=`, `dimension=` and `quality=` say otherwise."""
    dimensions = [changes["dimension"]] if "dimension" in changes else list(range(4))
    stamp = {name: pd.Timestamp(at).as_unit("s") for name, at in (("since", since), ("until", until), ("as_of", until))}
    fields: dict[str, Any] = {"key_no": frames.ALL_KEYS, "quality": 2, "bucket_s": bucket_s}
    fields |= {name: value for name, value in changes.items() if name != "dimension"}
    made = pd.DataFrame({"dimension": dimensions, **stamp, **fields})
    return made[list(frames.COVERAGE)].astype(dict(frames.COVERAGE))


def inventory_frame(n_keys: int, *, created_at: datetime = NOW - timedelta(days=400), **columns: Any) -> pd.DataFrame:
    """frames.KEYS of that many old keys of one owner, without limits; any column as one value or a list."""
    stamp = pd.Timestamp(created_at).as_unit("s")
    fields: dict[str, Any] = {
        "created_at": stamp,
        "owner_no": 0,
        "is_disabled": False,
        "limit_nusd": np.nan,
        "limit_remaining_nusd": np.nan,
    }
    made = pd.DataFrame({"key_no": np.arange(n_keys)} | fields | columns)
    return made[list(frames.KEYS)].astype(dict(frames.KEYS))
