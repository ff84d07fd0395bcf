"""SPEND and EVIDENCE of the active keys: dollars in words people can check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import BUCKET_S, HOUR_S, Dimension
from monitor.features.columns import Bools, Floats, Ints, total_by
from monitor.features.moves import Moves
from monitor.features.newness import Newness, same_bucket_joint
from monitor.features.params import FINE_PER_HOUR
from monitor.features.probes import probed
from monitor.features.scene import Scene
from monitor.features.slots import NEVER
from monitor.features.volume import (
    MIN_NOVEL_NUSD,
    Expected,
    excess_line,
    regularity,
    spend,
    typical_hour,
    usual_ratio,
)
from monitor.frames import EVIDENCE, SPEND, utc_seconds


def spend_frame(scene: Scene, new: Newness, usual: Expected, moves: Moves) -> pd.DataFrame:
    """frames.SPEND, one row an active key, in order."""
    usage = scene.by_key(scene.cost["1h"], Dimension.MODEL)
    is_probed, probed_s = probed(scene, moves)
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
        "n_requests": scene.by_key(scene.requests["1h"], Dimension.MODEL),
        "usual_requests": usual.of["requests", "1h"].median,
        "usual_request_nusd": usual_ratio(scene, "price"),
        "usual_request_tokens": usual_ratio(scene, "size"),
        "is_probed": is_probed,
        "probed_s": probed_s,
        "regularity": regularity(usual),
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
    """By hour, the one under way first (the trailing hour stands for it: it has hardly begun at times). Hours before the
    last two are looked at only for keys that are unusual now."""
    novel = new.by_hour.max(axis=1) >= MIN_NOVEL_NUSD
    models = np.flatnonzero(scene.dimension == int(Dimension.MODEL))
    hot = [novel[0] | (scene.by_key(scene.cost["1h"], Dimension.MODEL) > line)]
    hot.append(novel[1] | (_hour_cost(scene, 1, models) > line))
    own = models[(hot[0] | hot[1])[scene.key_at[models]]]
    hot += [novel[back] | (_hour_cost(scene, back, own) > line) for back in range(2, len(novel))]
    return hot


def _hour_cost(scene: Scene, back: int, at: Ints) -> Floats:
    """Nano-dollars of a past hour by active key, of these slots of the scene."""
    ring = scene.state.slots["hour_cost"]
    return total_by(scene.key_at[at], ring[(scene.hour - back) % len(ring)][scene.slots[at]], scene.n)


def _first_bucket(scene: Scene, new: Newness, line: Floats, starts: Ints) -> Ints:
    """The first unusual bucket of the trailing hour, for runs that began within it; elsewhere the start itself."""
    first = scene.bucket - FINE_PER_HOUR + 1
    refined = starts.copy()
    is_open = (starts + HOUR_S > first * BUCKET_S) & scene.is_fine[int(Dimension.MODEL)]
    for number, cost in enumerate(scene.cost_by_bucket):
        is_hot = (new.by_bucket[number].max(axis=0) >= MIN_NOVEL_NUSD / FINE_PER_HOUR) | (cost > line / FINE_PER_HOUR)
        at_bucket = (first + number) * BUCKET_S
        found = is_open & is_hot & (at_bucket >= starts)
        refined[found] = at_bucket
        is_open &= ~found
    return refined


def _frame(columns: Mapping[str, npt.NDArray[Any]], schema: Mapping[str, str]) -> pd.DataFrame:
    """The columns with the dtypes of the schema; dollars are rounded to whole nano-dollars."""
    return pd.DataFrame({name: _cast(columns[name], dtype) for name, dtype in schema.items()})


def _cast(values: npt.NDArray[Any], dtype: str) -> Any:
    if dtype.startswith("datetime"):
        return utc_seconds(values)
    return (np.rint(values) if dtype.startswith("int") else values).astype(dtype)
