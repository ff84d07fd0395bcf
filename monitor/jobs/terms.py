"""One service acts at a time: the last one that started on a store. The lock of the state directory keeps a second one from
starting there; this keeps one from acting that shares the store from another directory or machine, or woke from a long sleep."""

from __future__ import annotations

import logging
import platform
import uuid
from datetime import datetime
from typing import Final

from monitor.jobs.app import App

log = logging.getLogger(__name__)

NAME: Final = "term"


def begin(app: App, now: datetime) -> None:
    """This start is the one that acts from now on. Raises StoreError."""
    app.term = uuid.uuid4().hex
    app.store.state.put(NAME, {"term": app.term, "at": now.isoformat(), "host": platform.node()})


def is_over(app: App) -> bool:
    """Whether another service has started on this store since. Read right before each automatic action. Raises StoreError."""
    if not app.term:
        return False
    last = app.store.state.get(NAME) or {}
    is_ours = last.get("term") == app.term
    if not is_ours:
        log.error("another_service_acts", extra={"host": str(last.get("host", "?")), "since": str(last.get("at", "?"))})
    return not is_ours
