"""What a replay found, in figures."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.backtest.run import Replay
from monitor.config import Settings
from monitor.notify import routing
from monitor.report.replay import figures
from monitor.report.replay.figures import Case, Span, Summary

__all__ = ["Case", "Summary", "span_of", "summarize"]


def summarize(found: Replay, settings: Settings, *, detector: str, workspaces: Mapping[str, str]) -> Summary:
    """The figures of a replay. `workspaces`: name by id, for the routes that name owners."""
    keys = found.recording.keys
    return figures.summarize(
        found.incidents,
        found.verdicts,
        found.stops,
        keys=keys,
        owners=routing.owners(keys, routes=settings.routes, workspaces=workspaces),
        span=span_of(found),
        max_false_alerts_per_week=settings.detection.max_false_alerts_per_week,
        detector=detector,
    )


def span_of(found: Replay) -> Span:
    """What was replayed, and what is not known of it."""
    recording = found.recording
    return Span(recording.since, recording.evaluate_from, recording.until, recording.gaps)
