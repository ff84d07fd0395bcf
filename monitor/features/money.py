"""SPEND and EVIDENCE of the active keys: dollars in words people can check."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.features.columns import Bools, Floats, Ints
from monitor.features.newness import Newness, same_bucket_joint
from monitor.features.params import FINE_PER_HOUR
from monitor.features.scene import Scene
from monitor.features.slots import NEVER
from monitor.features.volume import MIN_NOVEL_NUSD, Expected, excess_line, spend, typical_hour
from monitor.frames import EVIDENCE, SPEND, utc_seconds


def spend_frame(scene: Scene, new: Newness, usual: Expected) -> pd.DataFrame:
    """frames.SPEND, one row an active key, in order."""
    usage = scene.by_key(scene.cost["1h"], Dimension.MODEL)
    columns = {
        "key_no": scene.index - 1,
        "per_hour_nusd": np.nan_to_num(spend(scene, "1h")),
        "expected_per_hour_nusd": typical_hour(usual),
        "last_day_nusd": np.nan_to_num(spend(scene, "24h")),
        "novel_per_hour_nusd": new.hour.max(axis=0),
        "joint_per_hour_nusd": same_bucket_joint(scene, new),
        "unexplained_nusd": np.maximum(scene.counter_1h - usage, 0.0),
        "onset_at": onset(scene, new, excess_line(usual)),
        "history_hours": scene.history,
    }
    return _frame(columns, SPEND)


def evidence_frame(scene: Scene) -> pd.DataFrame:
    """frames.EVIDENCE: every value an active key used in the trailing hour."""
    at = np.flatnonzero((scene.requests["1h"] > 0) | (scene.cost["1h"] > 0))
    slots, state = scene.slots[at], scene.state
    clock = state.keys["clock"][state.slots["key"][slots]]
    usual = np.divide(state.slots["usual"][slots], clock, out=np.zeros(len(at)), where=clock > 0)
    columns = {
        "key_no": state.slots["key"][slots] - 1,
        "dimension": scene.dimension[at],
        "value_no": state.slots["value"][slots],
        "cost_nusd": scene.cost["1h"][at],
        "n_requests": scene.requests["1h"][at],
        "usual_nusd": usual,
        "novelty": scene.novelty[at],
        "is_first_seen": state.slots["first_seen"][slots] == NEVER,
    }
    return _frame(columns, EVIDENCE)


def onset(scene: Scene, new: Newness, line: Floats) -> Ints:
    """Epoch seconds of the first bucket of the current run of unusual hours, by active key.

    An hour is unusual with a cent of novel dollars or with spend above `line`; a run may pause for less than two hours.
    The first hour is refined to its first unusual ten minutes where they are still held. A key with nothing unusual has
    its onset at the running bucket."""
    starts = np.full(scene.n, scene.bucket * BUCKET_S, np.int64)
    hot = _hot_hours(scene, new, line)
    gap = np.zeros(scene.n, np.int64)
    running = np.ones(scene.n, np.bool_)
    for back, is_hot in enumerate(hot):
        gap = np.where(is_hot, 0, gap + 1)
        running &= gap < 2
        begin = (scene.hour - back) * HOUR_S
        starts[running & is_hot] = begin
    return np.maximum(starts, _first_bucket(scene, new, line, starts))


def _hot_hours(scene: Scene, new: Newness, line: Floats) -> list[Bools]:
    """By hour, the one under way first."""
    novel = new.by_hour.max(axis=1) >= MIN_NOVEL_NUSD
    is_model = np.flatnonzero(scene.dimension == int(Dimension.MODEL))
    at, slots = scene.key_at[is_model], scene.slots[is_model]
    ring = scene.state.slots["hour_cost"]
    hot = []
    for back, is_novel in enumerate(novel):
        cost = ring[(scene.hour - back) % len(ring)][slots] if back else _running(scene, is_model)
        hot.append(is_novel | (np.bincount(at, cost, scene.n) > line))
    return hot


def _running(scene: Scene, at: Ints) -> Floats:
    """Cost of the trailing hour stands for the hour under way, which has hardly begun at times."""
    return scene.cost["1h"][at]


def _first_bucket(scene: Scene, new: Newness, line: Floats, starts: Ints) -> Ints:
    """The first unusual bucket of the trailing hour, for runs that began within it; elsewhere the start itself."""
    first = scene.bucket - FINE_PER_HOUR + 1
    is_model = scene.dimension == int(Dimension.MODEL)
    at = scene.key_at[is_model]
    refined = starts.copy()
    is_open = (starts + HOUR_S > first * BUCKET_S) & scene.is_fine[int(Dimension.MODEL)]
    for number, row in enumerate(scene.fine_cost):
        cost = np.bincount(at, row[is_model], scene.n)
        is_hot = (new.by_bucket[number].max(axis=0) >= MIN_NOVEL_NUSD / FINE_PER_HOUR) | (cost > line / FINE_PER_HOUR)
        at_bucket = (first + number) * BUCKET_S
        found = is_open & is_hot & (at_bucket >= starts)
        refined[found] = at_bucket
        is_open &= ~found
    return refined


def _frame(columns: dict[str, Floats | Ints], schema: dict[str, str] | object) -> pd.DataFrame:
    assert isinstance(schema, dict)
    made = {
        name: utc_seconds(columns[name]) if dtype.startswith("datetime") else _cast(columns[name], dtype)
        for name, dtype in schema.items()
    }
    return pd.DataFrame(made)


def _cast(values: Floats | Ints, dtype: str) -> Floats | Ints:
    whole = np.rint(values) if dtype.startswith("int") else values
    return np.asarray(whole).astype(dtype)
