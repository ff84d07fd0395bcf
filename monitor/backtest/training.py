"""The part of a replay that only teaches: what lies before the first decision makes the detector."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from monitor.backtest.books import Books
from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.errors import ArtifactError
from monitor.pipeline import Pipeline, Window
from monitor.teaching import Teaching

MAX_WARM_UP: Final = timedelta(hours=48)
"""At the beginning of a recording everything looks new; rows of that time do not train the detector."""


def warm_from(since: datetime, evaluate_from: datetime) -> datetime:
    """From when on rows teach: after the warm-up, which takes at most half of the history."""
    return min(since + MAX_WARM_UP, since + (evaluate_from - since) / 2)


def learn(
    pipeline: Pipeline,
    past: Iterable[Window],
    books: Books,
    *,
    warm_at: datetime,
    n_moments: int,
    settings: Settings,
    seed: int,
) -> Trained | None:
    """Lives through the past and trains on its rows after `warm_at`, `n_moments` in all; None where there are too few rows.

    The pipeline and the books stand at the end of the past afterwards; the pipeline's own detector is left as it is."""
    teaching = Teaching(pipeline, n_moments=n_moments, seed=seed)
    for window in past:
        books.advance(window.at)
        pipeline.take(window.usage, window.coverage)
        if window.at > warm_at:
            teaching.look(window.at, books.keys)
    try:
        return teaching.trained(settings, seed=seed)
    except ArtifactError:
        return None  # too little history: rules only, as a live service on its first day
