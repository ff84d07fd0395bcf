"""What a person says of a key: written down, and heard by the detector from the next cycle on."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.detect.bars import LASTS, LONGEST_PLAN
from monitor.domain import Feedback, Incident, IncidentState, Opinion, Plan, short_id
from monitor.errors import MonitorError
from monitor.store.base import Store
from monitor.wording import duration

log = logging.getLogger(__name__)

MAX_NOTE = 300


def say(
    store: Store,
    key_hash: str,
    opinion: Opinion,
    *,
    by: str,
    now: datetime,
    until: datetime | None = None,
    note: str = "",
) -> tuple[Feedback, tuple[Incident, ...]]:
    """Writes down what a person says of a key. Returns it, and the incidents that it ends.

    expected: its open incidents are over, called a false alarm, so that their hours teach. planned: needs `until`. abuse: the
    hours of its open incident never teach. The same said again in the same minute is once.
    Raises MonitorError that names the remedy, StoreError."""
    said = _checked(key_hash, opinion, by=by, now=now, until=until, note=note)
    mine = [one for one in store.ledger.incidents(states=_LIVE) if one.key_hash == key_hash]
    if mine and opinion is not Opinion.PLANNED:
        said = replace(said, incident_id=mine[0].incident_id)
    store.feedback.add(said)
    ended = tuple(_ended(one, now) for one in mine) if opinion is Opinion.EXPECTED else ()
    if ended:
        store.ledger.commit((), Plan(at=now, incidents=ended), ())
    log.warning(
        "feedback",
        extra={"key": key_hash[:12], "opinion": opinion.value, "by": by, "incident": said.incident_id or "none"},
    )
    return said, ended


_LIVE = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})


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


def _ended(incident: Incident, now: datetime) -> Incident:
    return replace(incident, state=IncidentState.RESOLVED, resolved_at=now, resolution=FALSE_ALARM_RESOLUTION)
