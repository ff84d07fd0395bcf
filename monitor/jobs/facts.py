"""Publishes what `status` shows: one small document, written after each completed cycle."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from monitor import __version__
from monitor.jobs import arming, silences

if TYPE_CHECKING:
    from monitor.jobs.watch import CycleReport, Watch
    from monitor.store.base import Store


def publish(watch: Watch, report: CycleReport) -> None:
    """Writes the document `status` into the store's state."""
    app = watch.app
    silences.note(app.store, app.settings, report.at)
    lanes = [
        {
            "lane": health.lane,
            "plan": health.plan,
            "last_ok_at": _text(health.last_ok_at),
            "complete_until": _text(health.complete_until),
            "last_error": health.last_error,
        }
        for health in app.source.health()
    ]
    app.store.state.put(
        "status",
        {
            "at": report.at.isoformat(),
            "version": __version__,
            "mode": app.settings.response.mode,
            "kill_switch": app.kill_switch.exists(),
            "warnings": list(arming.warnings(app.store, app.settings, report.at)),
            "n_cycles": watch.n_cycles,
            "n_keys": report.n_keys,
            "skew_s": app.source.skew.total_seconds(),
            "detector": app.pipeline.describe(),
            "lanes": lanes,
            "troubles": [
                f"{one.name} since {one.since:%Y-%m-%d %H:%M} UTC: {one.sentence}" for one in watch.troubles.values()
            ],
        },
    )


def published_at(store: Store) -> datetime | None:
    """The time of the last completed cycle, of whatever process; None before the first. Raises StoreError."""
    told = (store.state.get("status") or {}).get("at")
    return datetime.fromisoformat(told) if isinstance(told, str) else None


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
