"""A replay -> the report of it, and the file it is written to."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from monitor.backtest.run import Replay
from monitor.backtest.spending import Usual, by_model
from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.jobs import files
from monitor.report.replay import words
from monitor.report.replay.build import build
from monitor.report.replay.figures import Summary
from monitor.report.replay.values import Facts, ReplayReport
from monitor.wording import count, moment


def report_of(
    found: Replay, summary: Summary, usual: Usual, settings: Settings, *, title: str, made_at: datetime
) -> ReplayReport:
    """The report of a replay that `usual` has watched. Raises StoreError where the recording is a store that cannot be read."""
    return build(
        summary,
        found.incidents,
        hourly=by_model(found.recording),
        usual=usual.of,
        catalog=found.recording.catalog,
        title=title,
        made_at=made_at,
        policy=words.policy(settings),
        detector=_detector(found.trained),
    )


def _detector(trained: Trained | None) -> Facts:
    if trained is None:
        return ()
    manifest = trained.manifest
    return (
        ("Trained", f"{moment(manifest.trained_since)} to {moment(manifest.trained_until)}"),
        ("On", f"{count(manifest.n_rows, 'row')} of {count(manifest.n_keys, 'key')}"),
        ("Alarms at", f"p below {manifest.levels.alpha:.2g}"),
        ("Clean history", f"{manifest.clean_incidents_per_week:.1f} false alerts a week"),
        ("Budget trained for", f"{manifest.max_false_alerts_per_week:g} false alerts a week"),
    )


def write(report: ReplayReport, out: Path) -> None:
    """The report as a page, at once or not at all. Raises OSError that names the file."""
    from monitor.report.replay.page import to_html  # draws: only who makes a page pays for that

    page = to_html(report)
    files.put(out, page)
