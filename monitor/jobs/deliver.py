"""Empties the outbox; a sink that refuses us altogether is said loudly in the log, since nothing else can.

Each further channel has a run of its own: one that is down, or Slack refusing our token, holds up no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.domain import Receipt
from monitor.jobs.app import App
from monitor.notify.delivery import DeliveryReport, Refusal, deliver_due
from monitor.store import base

log = logging.getLogger(__name__)

_DOCUMENT = "refused_channels"


@dataclass(frozen=True, slots=True)
class _Share:
    """The outbox, as one further channel sees it."""

    outbox: base.Outbox
    sink: str

    def claim(self, now: datetime, *, limit: int) -> Sequence[base.OutboxEntry]:
        return self.outbox.claim(now, limit=limit, sink=self.sink)

    def delivered(self, message_id: str, receipt: Receipt, at: datetime) -> None:
        self.outbox.delivered(message_id, receipt, at)

    def postponed(self, message_id: str, *, until: datetime, error: str, is_outcome_unknown: bool) -> None:
        self.outbox.postponed(message_id, until=until, error=error, is_outcome_unknown=is_outcome_unknown)

    def dead(self, message_id: str, error: str) -> None:
        self.outbox.dead(message_id, error)

    def entries(self, *, thread: str | None = None) -> Sequence[base.OutboxEntry]:
        return self.outbox.entries(thread=thread)


async def deliver(app: App, *, limit: int = 50) -> DeliveryReport:
    """Delivers up to `limit` due messages of each sink; returns what became of the notifier's own. Raises StoreError."""
    for notifier in app.further:
        share = _Share(app.store.outbox, notifier.name)
        _log(await deliver_due(share, notifier, clock=app.clock, default_channel="", limit=limit), notifier.name)
    before = await asyncio.to_thread(_remembered, app)
    refused = dict(before)
    report = await deliver_due(
        app.store.outbox,
        app.notifier,
        clock=app.clock,
        default_channel=app.settings.slack.default_channel,
        limit=limit,
        refused=refused,
    )
    if refused != before:
        await asyncio.to_thread(_remember, app, refused)
    _log(report, app.notifier.name)
    return report


def _remembered(app: App) -> dict[str, Refusal]:
    kept = app.store.state.get(_DOCUMENT) or {}
    return {
        channel: Refusal(datetime.fromisoformat(str(entry["until"])), str(entry["why"]))
        for channel, entry in kept.items()
        if isinstance(entry, dict)
    }


def _remember(app: App, refused: dict[str, Refusal]) -> None:
    document = {channel: {"until": each.until.isoformat(), "why": each.why} for channel, each in refused.items()}
    app.store.state.put(_DOCUMENT, document)


def _log(report: DeliveryReport, sink: str) -> None:
    if report.unauthorized:
        log.error("messages_refused", extra={"error": report.unauthorized, "sink": sink})
    for error in report.errors:
        log.warning("message_not_delivered", extra={"error": error})
    if report.n_delivered or report.n_found or report.n_dead:
        counts = {"delivered": report.n_delivered, "found": report.n_found, "given_up": report.n_dead}
        log.info("messages", extra={**counts, "sink": sink})
