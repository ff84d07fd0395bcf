"""What people decide about incidents, whether they type it or press a button. Each function is idempotent, is written down with
who, when and why in the same transaction, and refuses what was asked about an earlier step (`expected_step`).

A decision about a platform event holds for every incident in it that is not over.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.decide.life import FALSE_ALARM_RESOLUTION
from monitor.domain import (
    LONGEST_SILENCE,
    AuditEntry,
    AuditKind,
    Incident,
    IncidentKind,
    IncidentState,
    Message,
    MessageKind,
    Notice,
    Severity,
    Silence,
    incident_entry,
    short_id,
)
from monitor.errors import RequestRefused, StaleRequest
from monitor.jobs import act, auditing
from monitor.jobs.app import Office
from monitor.store.base import Decided

SAME: Final = timedelta(minutes=1)
"""Two requests for a silence that end this close to each other are one, pressed twice."""

_CONDITIONS: Final = ("key_hash", "key_name", "owner", "workspace", "detector", "severity")

Transition = Callable[[Incident], Decided | None]


async def acknowledge(
    app: Office,
    incident_id: str,
    *,
    by: str,
    why: str = "",
    expected_step: int | None = None,
    now: datetime | None = None,
) -> Incident:
    """Somebody looks at it: nobody else is called. Raises RequestRefused (stale, unknown, over), StoreError."""
    at = now or app.now()

    def transition(incident: Incident) -> Decided | None:
        if incident.state is IncidentState.ACKNOWLEDGED:
            return None
        _require_alive(incident)
        taken = replace(
            incident,
            state=IncidentState.ACKNOWLEDGED,
            acknowledged_at=at,
            acknowledged_by=by,
            silenced_until=None,
            revision=incident.revision + 1,
        )
        return Decided(taken, _entry(AuditKind.ACKNOWLEDGED, incident, by=by, why=why, at=at))

    return await _decide(app, incident_id, transition, expected_step)


async def silence(
    app: Office,
    incident_id: str,
    *,
    by: str,
    lasting: timedelta,
    why: str = "",
    expected_step: int | None = None,
    now: datetime | None = None,
) -> Incident:
    """Nothing is told of it, and nothing automatic done about it, for that long; then people hear of it if it is not over.

    Raises RequestRefused (stale, unknown, over, too long), StoreError."""
    at = now or app.now()
    until = at + _bounded(lasting)

    def transition(incident: Incident) -> Decided | None:
        _require_alive(incident)
        if incident.silenced_until is not None and abs(incident.silenced_until - until) < SAME:
            return None
        quiet = replace(incident, state=IncidentState.SILENCED, silenced_until=until, revision=incident.revision + 1)
        entry = _entry(AuditKind.SILENCED, incident, by=by, why=why, at=at, until=until.isoformat())
        return Decided(quiet, entry)

    return await _decide(app, incident_id, transition, expected_step)


async def resolve(
    app: Office,
    incident_id: str,
    *,
    by: str,
    is_false_alarm: bool = False,
    why: str = "",
    expected_step: int | None = None,
    now: datetime | None = None,
) -> Incident:
    """It is over. As a false alarm its hours teach after all, and its cause is not acted upon for `response.cooldown`; one that
    is over already may still be called false. Raises RequestRefused (stale, unknown), StoreError."""
    at = now or app.now()
    resolution = FALSE_ALARM_RESOLUTION if is_false_alarm else (why or "resolved by a person")

    def transition(incident: Incident) -> Decided | None:
        if not incident.is_alive and (not is_false_alarm or incident.resolution == FALSE_ALARM_RESOLUTION):
            return None
        over = replace(
            incident,
            state=IncidentState.RESOLVED,
            resolved_at=incident.resolved_at or at,
            resolution=resolution,
            resolved_by=by,
            silenced_until=None,
            revision=incident.revision + 1,
        )
        entry = _entry(AuditKind.RESOLVED, incident, by=by, why=why or resolution, at=at, resolution=resolution)
        return Decided(over, entry, farewell(app, over, at) if incident.is_alive else ())

    return await _decide(app, incident_id, transition, expected_step)


async def add_silence(
    app: Office,
    *,
    by: str,
    lasting: timedelta,
    comment: str,
    conditions: Mapping[str, str],
    now: datetime | None = None,
) -> Silence:
    """A silence for all incidents that match every condition: `key_hash`, `key_name` (regular expression), `owner`,
    `workspace`, `detector`, `severity` (up to that one). Asked twice at the same moment it is one.

    Raises RequestRefused that says what is allowed, StoreError."""
    at = now or app.now()
    expires_at = at + _bounded(lasting)
    if not comment.strip():
        raise RequestRefused("a silence needs a comment: whoever finds it must learn why nothing is told")
    given = _checked(conditions)
    made = Silence(
        silence_id=short_id("SIL", by, at.isoformat(), repr(sorted(conditions.items()))),
        created_at=at,
        expires_at=expires_at,
        created_by=by,
        comment=comment.strip(),
        **given,
    )
    entry = AuditEntry(
        at=at,
        kind=AuditKind.SILENCE_ADDED,
        by=by,
        subject=made.silence_id,
        key_hash=made.key_hash or "",
        why=made.comment,
        detail={**made.conditions, "until": expires_at.isoformat()},
    )
    await asyncio.to_thread(app.store.desk.put_silence, made, entry)
    await asyncio.to_thread(auditing.publish, app.store)
    return made


async def end_silence(app: Office, silence_id: str, *, by: str, why: str = "", now: datetime | None = None) -> Silence:
    """Ends a silence before its time; one that has ended stays as it is. Raises RequestRefused, StoreError."""
    at = now or app.now()
    known = {each.silence_id: each for each in await asyncio.to_thread(app.store.desk.silences)}
    if silence_id not in known:
        raise RequestRefused(f"there is no silence {silence_id!r}; `openrouter-monitor silence list` shows them")
    found = known[silence_id]
    if not found.is_active(at):
        return found
    ended = replace(found, ended_at=at)
    entry = AuditEntry(at, AuditKind.SILENCE_ENDED, by, silence_id, key_hash=found.key_hash or "", why=why)
    await asyncio.to_thread(app.store.desk.put_silence, ended, entry)
    await asyncio.to_thread(auditing.publish, app.store)
    return ended


async def _decide(app: Office, incident_id: str, transition: Transition, expected_step: int | None) -> Incident:
    """Applies a transition to the incident, and to the members of an event; the first refusal ends it."""

    def bound(incident: Incident) -> Decided | None:
        if expected_step is not None and incident.step != expected_step:
            raise StaleRequest(
                f"{incident.incident_id} is at step {incident.step} by now, and this was asked at step {expected_step}:"
                f" look again (`openrouter-monitor incidents show {incident.incident_id}`)"
            )
        return transition(incident)

    changed = await asyncio.to_thread(app.store.desk.change, incident_id, bound)
    if changed.kind is IncidentKind.PLATFORM:
        for member in changed.members:
            await asyncio.to_thread(app.store.desk.change, member, _if_alive(transition))
    await asyncio.to_thread(auditing.publish, app.store)
    return changed


def _if_alive(transition: Transition) -> Transition:
    return lambda incident: transition(incident) if incident.is_alive else None


def _require_alive(incident: Incident) -> None:
    if not incident.is_alive:
        raise RequestRefused(
            f"{incident.incident_id} is over ({incident.resolution}); it is reopened if its cause returns"
        )


def _bounded(lasting: timedelta) -> timedelta:
    if not timedelta(0) < lasting <= LONGEST_SILENCE:
        raise RequestRefused(f"a silence lasts more than nothing and at most {LONGEST_SILENCE.days} days")
    return lasting


def farewell(app: Office, over: Incident, at: datetime) -> tuple[Message, ...]:
    """The line that closes what was told of; nothing where nothing was."""
    if not over.told_step or over.kind is not IncidentKind.KEY:
        return ()
    return act.compose(app, (Notice(MessageKind.RESOLVED, at, incident=over),), at)


def _entry(kind: AuditKind, incident: Incident, *, by: str, why: str, at: datetime, **detail: str) -> AuditEntry:
    return incident_entry(incident, kind, at=at, by=by, why=why, detail={"step": str(incident.step), **detail})


def _checked(conditions: Mapping[str, str]) -> dict[str, Any]:
    unknown = sorted(set(conditions) - set(_CONDITIONS))
    if unknown or not conditions:
        problem = (
            f"unknown condition {unknown[0]!r}" if unknown else "a silence without conditions would cover every key"
        )
        raise RequestRefused(f"{problem}; give one or more of {', '.join(_CONDITIONS)}")
    given: dict[str, Any] = dict(conditions)
    if "severity" in given:
        if given["severity"].upper() not in Severity.__members__:
            raise RequestRefused(f"severity {given['severity']!r} is none; write notice, warning or critical")
        given["severity"] = Severity[given["severity"].upper()]
    if "key_name" in given:
        try:
            re.compile(given["key_name"])
        except re.error as error:
            raise RequestRefused(f"key_name {given['key_name']!r} is no regular expression: {error}") from error
    return given
