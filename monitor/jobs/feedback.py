"""What a person says of a key: written down, and heard by the detector from the next cycle on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.detect.bars import LASTS, LONGEST_PLAN
from monitor.domain import (
    ALIVE,
    AuditKind,
    Feedback,
    Incident,
    IncidentState,
    Message,
    Opinion,
    incident_entry,
    short_id,
)
from monitor.errors import MonitorError
from monitor.store.base import Decided, Store
from monitor.wording import duration

log = logging.getLogger(__name__)

MAX_NOTE = 300

Farewell = Callable[[Incident, datetime], tuple[Message, ...]]


def say(
    store: Store,
    key_hash: str,
    opinion: Opinion,
    *,
    by: str,
    now: datetime,
    until: datetime | None = None,
    note: str = "",
    farewell: Farewell | None = None,
) -> tuple[Feedback, tuple[Incident, ...]]:
    """Writes down what a person says of a key, and into the audit trail. Returns it, and the incidents that it ends; `farewell`
    has the words that close what was told of them.

    expected: its open incidents are over, called a false alarm, so that their hours teach. planned: needs `until`. abuse: the
    hours of its open incident never teach. The same said again in the same minute is once.
    Raises MonitorError that names the remedy, StoreError."""
    said = _checked(key_hash, opinion, by=by, now=now, until=until, note=note)
    mine = [one for one in store.ledger.incidents(states=ALIVE) if one.key_hash == key_hash]
    if mine and opinion is not Opinion.PLANNED:
        said = replace(said, incident_id=mine[0].incident_id)
    store.feedback.add(said)
    over = mine if opinion is Opinion.EXPECTED else ()
    ended = tuple(store.desk.change(one.incident_id, lambda it: _over(it, said, farewell)) for one in over)
    log.warning(
        "feedback",
        extra={"key": key_hash[:12], "opinion": opinion.value, "by": by, "incident": said.incident_id or "none"},
    )
    return said, ended


def _checked(key_hash: str, opinion: Opinion, *, by: str, now: datetime, until: datetime | None, note: str) -> Feedback:
    if opinion is Opinion.PLANNED and until is None:
        raise MonitorError("a plan needs an end: --until 2026-12-01T18:00 or --until 6h")
    end = until if until is not None else now + LASTS[opinion]
    if end <= now:
        raise MonitorError(f"--until {end:%Y-%m-%d %H:%M} UTC is over already; name a later time")
    if opinion is Opinion.PLANNED and end - now > LONGEST_PLAN:
        raise MonitorError(
            f"--until {end:%Y-%m-%d %H:%M} UTC is {duration(end - now)} away; a plan lasts at most {LONGEST_PLAN.days} days:"
            " what stays longer is learned as a habit"
        )
    if len(note) > MAX_NOTE:
        raise MonitorError(f"the note has {len(note)} characters; at most {MAX_NOTE} are kept: shorten it")
    minute = now.replace(second=0, microsecond=0)
    return Feedback(
        feedback_id=short_id(
            "FB", key_hash, opinion.value, by, minute.isoformat(), end.isoformat() if until else "", note
        ),
        key_hash=key_hash,
        opinion=opinion,
        said_at=now,
        said_by=by,
        until=end,
        note=note,
    )


def _over(incident: Incident, said: Feedback, farewell: Farewell | None) -> Decided | None:
    if not incident.is_alive:
        return None
    over = replace(
        incident,
        state=IncidentState.RESOLVED,
        resolved_at=said.said_at,
        resolution=FALSE_ALARM_RESOLUTION,
        resolved_by=said.said_by,
        silenced_until=None,
        revision=incident.revision + 1,
    )
    entry = incident_entry(
        incident,
        AuditKind.RESOLVED,
        at=said.said_at,
        by=said.said_by,
        why=said.note or "called expected",
        detail={"resolution": FALSE_ALARM_RESOLUTION, "feedback": said.feedback_id},
    )
    return Decided(over, entry, farewell(over, said.said_at) if farewell else ())
