"""The picture of an incident, from the store: drawn by one thread at a time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Final

import pandas as pd

from monitor.domain import BUCKET_S, ActionState, Incident, Reason
from monitor.notify.wording import DONE
from monitor.report import alert_chart, alert_close
from monitor.report.alert_chart import Chart, Mark
from monitor.report.alert_close import Window
from monitor.store.base import Store

_DRAWING: Final = threading.Lock()


def draw(store: Store, incident: Incident, now: datetime) -> tuple[bytes, str]:
    """(PNG, the picture in words) of an incident's key, from the store."""
    catalog = store.keys.catalog
    journal = store.ledger.actions(since=incident.onset_at, key_hash=incident.key_hash)
    actions = [each for each in journal if each.reason is not Reason.REHEARSAL]
    key_no = catalog.known_key_no(incident.key_hash)
    since = alert_chart.reads_from(incident, now)
    known_no = -2 if key_no is None else key_no
    near = alert_close.window(incident, now)
    shown = alert_chart.chart(
        store.usage.read_hourly(since, now, key_nos=[known_no]),
        store.usage.coverage(since, now),
        key_no=known_no,
        catalog=catalog,
        incident=incident,
        now=now,
        fine=_fine(store, near, known_no) if near else None,
        marks=[
            Mark(each.finished_at, DONE[each.verb])
            for each in actions
            if each.state is ActionState.DONE and each.finished_at is not None
        ],
    )
    return drawn(shown), alert_chart.told(shown)


def _fine(store: Store, window: Window, key_no: int) -> pd.DataFrame:
    since, until = (datetime.fromtimestamp(at, tz=UTC) for at in (window.since_s, window.until_s))
    return store.usage.read(since, until, bucket_s=BUCKET_S, key_nos=[key_no])


def drawn(shown: Chart) -> bytes:
    """The PNG; one thread draws at a time."""
    with _DRAWING:
        from monitor.report import alert_drawing  # who draws nothing does not pay for matplotlib

        return alert_drawing.drawn(shown)
