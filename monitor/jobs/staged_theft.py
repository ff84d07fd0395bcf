"""A theft that never happened, laid over a key's own stored usage in memory and judged like any other. Nothing of it is stored.

1. the history of the store, up to an hour or more ago, into a state of the fleet of its own
2. the ten-minute buckets since, one after the other as they were lived, with a stranger's use laid over the one key
3. each judged by the detector and the policy at work, until the verdict reaches the disable rung
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from monitor import frames
from monitor.config import Settings
from monitor.decide import Context, ladder
from monitor.detect.artifact import Trained
from monitor.domain import BUCKET_S, HOUR_S, NUSD, ApiKey, Belonging, Dimension, Incident, Rung, Verdict, floor_to
from monitor.errors import RequestRefused
from monitor.frames import Catalog
from monitor.jobs import days, replay
from monitor.notify import routing
from monitor.pipeline import Judgement, Pipeline, new_state
from monitor.store.base import Store

BUCKET: Final = timedelta(seconds=BUCKET_S)

USD_PER_HOUR: Final = 60.0
"""What the stranger spends, or twice what the key's policy asks for."""

N_MODELS, N_COUNTRIES = 12, 5
"""Values the key never used: what a stranger with many customers looks like."""

REQUESTS_PER_HOUR: Final = 1_200
TOKENS: Final = 4_000

LONGEST: Final = 30
"""Buckets at most, so that the hours before are still in the state's rings."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What came of it. `incident`: as it stood in the end, None where the key was not even flagged. `after`: from the first
    simulated dollar to the verdict that reached the disable rung, None where none did; `verdict`: that one, or the last."""

    usd_per_hour: float
    policy: str
    incident: Incident | None = None
    after: timedelta | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it is played: the key, everything else that is listed, and the detector at work."""

    key: ApiKey
    keys: Mapping[str, ApiKey]
    workspaces: Mapping[str, str]
    trained: Trained | None


def play(store: Store, settings: Settings, stage: Stage, now: datetime) -> Staged:
    """Judges the simulated theft. Reads the store, writes nothing. Raises StoreError, RequestRefused where the store knows no
    usage to lay it over."""
    armed = settings.model_copy(update={"response": settings.response.model_copy(update={"mode": "enforce"})})
    owners = routing.owners(tuple(stage.keys.values()), routes=settings.routes, workspaces=stage.workspaces)
    policy = ladder.matched(
        stage.key,
        owner=owners.get(stage.key.key_hash, ""),
        workspaces=stage.workspaces,
        policies=settings.policies,
    )
    usd_per_hour = max(USD_PER_HOUR, 2 * policy.policy.disable.usd_per_hour)
    since, until = _span(now, sustained_for=policy.policy.disable.sustained_for)
    catalog = Catalog(store.keys.catalog.keys_from(0), store.keys.catalog.values_from(0))
    pipeline = _pipeline(store, armed, stage.trained, catalog, since)
    context = Context(
        keys=stage.keys,
        n_live_keys=sum(not key.settings.is_disabled for key in stage.keys.values()),
        is_enforcing=True,
        owners=owners,
        workspaces=stage.workspaces,
        belonging=Belonging(owners, stage.workspaces),
    )
    staged, at = Staged(usd_per_hour, policy.why), since
    key_no = catalog.key_no(stage.key.key_hash)
    while at < until and staged.after is None:
        usage = store.usage.read(at, at + BUCKET, bucket_s=BUCKET_S)
        coverage = replay.cut(store.usage.coverage(at, at + BUCKET, bucket_s=BUCKET_S), at, at + BUCKET)
        stolen = _stolen(catalog, key_no, at, usd=usd_per_hour * BUCKET_S / HOUR_S)
        pipeline.take(replay.stacked([usage, stolen]), coverage)
        at += BUCKET
        judgement = pipeline.judge(at, context)
        staged, context = _followed(staged, context, judgement, stage.key.key_hash, lasted=at - since)
    return staged


def _span(now: datetime, *, sustained_for: timedelta) -> tuple[datetime, datetime]:
    """(begin, end) of the simulated use: whole hours that are over, because an hour's own rows win over those of its buckets."""
    end = floor_to(now, HOUR_S)
    n_buckets = min(LONGEST, HOUR_S // BUCKET_S + -(-sustained_for // BUCKET))
    n_hours = -(-n_buckets * BUCKET_S // HOUR_S)
    return end - timedelta(hours=n_hours), end


def _pipeline(store: Store, settings: Settings, trained: Trained | None, catalog: Catalog, until: datetime) -> Pipeline:
    """A state of its own that has lived through the store up to then."""
    begin = replay.beginning(store, until)
    if begin is None:
        raise RequestRefused(
            "the store holds no usage yet: let the service read the history (`backfill`), then rehearse"
        )
    pipeline = Pipeline(settings, catalog, new_state(settings), trained)
    pipeline.hear(store.feedback.said())
    pipeline.ramps = days.breaches(store, settings, until)
    pipeline.hold(store.ledger.incidents())
    replay.replay(store, pipeline, since=begin, until=until)
    return pipeline


def _followed(
    staged: Staged, context: Context, judgement: Judgement, key_hash: str, *, lasted: timedelta
) -> tuple[Staged, Context]:
    """What a judgement adds: the key's incident, and whether its verdict reaches the disable rung."""
    plan = judgement.plan
    known = {each.incident_id: each for each in (*context.incidents, *plan.incidents)}
    mine = [each for each in plan.verdicts if each.key_hash == key_hash and each.incident_id in known]
    worst = max(mine, key=lambda each: (each.rung, each.incident_id), default=staged.verdict)
    if worst is not None and (incident := known.get(worst.incident_id)) is not None:
        is_reached = worst.rung is Rung.DISABLE
        staged = replace(staged, incident=incident, verdict=worst, after=lasted if is_reached else None)
    after = replace(context, incidents=tuple(known.values()), verdicts=(*context.verdicts, *plan.verdicts))
    return staged, after


def _stolen(catalog: Catalog, key_no: int, at: datetime, *, usd: float) -> pd.DataFrame:
    """frames.USAGE of one bucket: the stranger's marginals, each dimension with all of the dollars."""
    values = {
        Dimension.MODEL: [f"rehearsal/model-{number}" for number in range(1, N_MODELS + 1)],
        Dimension.PROVIDER: ["rehearsal"],
        Dimension.COUNTRY: [f"rehearsal-{number}" for number in range(1, N_COUNTRIES + 1)],
        Dimension.APP: ["rehearsal"],
    }
    rows = [
        (int(dimension), catalog.value_no(dimension, value), len(names))
        for dimension, names in values.items()
        for value in names
    ]
    dimension, value_no, n_values = (np.array(column) for column in zip(*rows, strict=True))
    n_requests = np.maximum(1, REQUESTS_PER_HOUR * BUCKET_S // HOUR_S // n_values).astype(np.int64)
    columns = {
        "bucket_start": frames.utc_seconds(np.full(len(rows), int(at.timestamp()), dtype=np.int64)),
        "bucket_s": np.full(len(rows), BUCKET_S),
        "key_no": np.full(len(rows), key_no),
        "dimension": dimension,
        "value_no": value_no,
        "n_requests": n_requests,
        "tokens_prompt": n_requests * TOKENS,
        "tokens_completion": n_requests * TOKENS,
        "tokens_reasoning": np.zeros(len(rows)),
        "cost_nusd": (usd * NUSD / n_values).astype(np.int64),
    }
    return frames.check(pd.DataFrame(columns).astype(dict(frames.USAGE)), frames.USAGE)
