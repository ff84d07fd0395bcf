"""Empties the outbox; a sink that refuses us altogether is said loudly in the log, since nothing else can."""

from __future__ import annotations

import logging

from monitor.jobs.app import App
from monitor.notify.delivery import DeliveryReport, deliver_due

log = logging.getLogger(__name__)


async def deliver(app: App, *, limit: int = 50) -> DeliveryReport:
    """Delivers up to `limit` due messages. Raises StoreError."""
    report = await deliver_due(
        app.store.outbox,
        app.notifier,
        clock=app.clock,
        default_channel=app.settings.slack.default_channel,
        limit=limit,
    )
    if report.unauthorized:
        log.error("messages_refused", extra={"error": report.unauthorized, "sink": app.notifier.name})
    for error in report.errors:
        log.warning("message_not_delivered", extra={"error": error})
    if report.n_delivered or report.n_found or report.n_dead:
        counts = {"delivered": report.n_delivered, "found": report.n_found, "given_up": report.n_dead}
        log.info("messages", extra=counts)
    return report
