"""Per-key state and the features computed from it: usage of the trailing windows against the key's own habits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.features import mix, newness, profile, rhythm, volume
from monitor.features.checkpoint import from_bytes, to_bytes
from monitor.features.columns import Floats
from monitor.features.money import evidence_frame, spend_frame
from monitor.features.moves import Moves, moves_of
from monitor.features.params import HabitParams
from monitor.features.registry import FEATURES, Feature
from monitor.features.replay import everything_known, rebuild, replay
from monitor.features.scene import Scene, scenes
from monitor.features.state import FleetState, Taken
from monitor.features.twins import twins_frame
from monitor.frames import EVIDENCE, TWINS, FeatureBatch, empty, epoch_s

NAMES: Final = tuple(FEATURES)
NO_EVIDENCE: Final = empty(EVIDENCE)
NO_TWINS: Final = empty(TWINS)

__all__ = [
    "FEATURES",
    "NAMES",
    "Feature",
    "FleetState",
    "HabitParams",
    "Taken",
    "build",
    "everything_known",
    "from_bytes",
    "rebuild",
    "replay",
    "to_bytes",
]


def build(
    state: FleetState, keys: pd.DataFrame, at: datetime, *, only: Collection[int] | None = None, is_told: bool = True
) -> FeatureBatch:
    """Features of every key with usage or counter spend in the hour before `at`, ascending by key_no.

    `keys`: frames.KEYS, the inventory; an active key not listed there counts as old, without owner and limit. `only`: of
    these key_no. Windows end with the ten-minute bucket under way at `at`; what lies after `at` does not matter. NaN is
    unknown, never zero. Raises ValueError if `at` is outside the hours the state holds (`advance` it first)."""
    wanted = None if only is None else np.array(sorted(only), dtype=np.int64)
    parts = _parts(state, scenes(state, keys, at, only=wanted), is_told=is_told)
    key_no, values, spend, evidence, twins = zip(*parts, strict=True)
    return FeatureBatch(
        at=at,
        names=NAMES,
        key_no=np.concatenate(key_no),
        values=np.concatenate(values),
        spend=_together(spend),
        evidence=_together(evidence),
        twins=_together(twins),
    )


def _together(parts: tuple[pd.DataFrame, ...]) -> pd.DataFrame:
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


_Part = tuple[npt.NDArray[np.int32], Floats, pd.DataFrame, pd.DataFrame, pd.DataFrame]


def _parts(state: FleetState, moments: Iterable[Scene], *, is_told: bool) -> Iterator[_Part]:
    """What the fleet does at once is looked at once, whatever the number of scenes."""
    moves: Moves | None = None
    for scene in moments:
        moves = moves or moves_of(state, scene.bucket)
        yield _part(scene, moves, is_told=is_told)


def _part(scene: Scene, moves: Moves, *, is_told: bool) -> _Part:
    """key_no, values, SPEND, EVIDENCE and TWINS of one scene."""
    new = newness.newness_of(scene)
    usual = volume.expected(scene)
    columns = {
        **newness.features(scene, new),
        **volume.features(scene, usual),
        **mix.features(scene),
        **rhythm.features(scene),
        **profile.features(scene, usual),
    }
    values = np.column_stack([columns[name] for name in NAMES]).astype(np.float64, copy=False)
    spend = spend_frame(scene, new, usual, moves)
    key_no = (scene.index - 1).astype(np.int32)
    if not is_told:
        return key_no, values, spend, NO_EVIDENCE, NO_TWINS
    twins = twins_frame(scene, usual, moves, epoch_s(spend["onset_at"]))
    return key_no, values, spend, evidence_frame(scene), twins
