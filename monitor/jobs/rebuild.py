"""Keys whose learned hours were corrected afterwards learn anew from the store.

Habits learn an hour once (docs/adr/0003); rows that change later than that, and hours that a person has cleared, only
mark the key. Here the mark is acted on.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

import numpy as np

from monitor import features
from monitor.domain import HOUR_S, utc
from monitor.features import FleetState
from monitor.frames import ALL_KEYS
from monitor.jobs.app import App
from monitor.jobs.replay import beginning, readings, rings_of, stacked

log = logging.getLogger(__name__)

AT_ONCE: Final = 50
"""Keys a call: bounds memory, and how long the cycles wait for the pipeline."""


def is_widespread(app: App) -> bool:
    """Whether so many keys are marked (a long downtime, a backfill of gaps) that a whole new state is cheaper."""
    return len(app.pipeline.state.needs_rebuild) > 4 * AT_ONCE


def rebuild_corrected(app: App) -> int:
    """Rebuilds up to AT_ONCE marked keys; returns how many. Call again while it returns more than zero.

    Reads the store and changes `pipeline.state`: nothing else may touch the pipeline meanwhile. Raises StoreError."""
    state = app.pipeline.state
    wanted = sorted(state.needs_rebuild)[:AT_ONCE]
    until = _moment(state)
    since = beginning(app.store, until) if wanted else None
    if since is None:
        return 0
    rings = rings_of(FleetState(state.params), until)
    usage, coverage = [], []
    for part in readings(app.store, since, until, rings=rings, key_nos=wanted):
        about = np.isin(part.coverage["key_no"].to_numpy(), [*wanted, ALL_KEYS])
        usage.append(part.usage)
        coverage.append(part.coverage[about])
    features.rebuild(state, wanted, stacked(usage), stacked(coverage))
    log.info("habits_rebuilt", extra={"keys": len(wanted), "left": len(state.needs_rebuild)})
    return len(wanted)


def _moment(state: FleetState) -> datetime:
    """The end of the hour under way."""
    return utc((state.head_hour + 1) * HOUR_S)
