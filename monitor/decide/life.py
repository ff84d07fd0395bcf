"""The life of an incident beside its findings: when it comes back, when a silence ends, and why it does not flap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.decide.context import Context
from monitor.domain import Finding, Incident, IncidentKind, IncidentState, Spell

FALSE_ALARM_RESOLUTION: Final = "false_alarm"
"""`resolution` of an incident that a person judged to be none."""

LONGEST_QUIET: Final = timedelta(hours=48)
"""However often an incident came back: so long without findings ends it."""

SETTLING: Final = timedelta(hours=1)
"""After a person resolved an incident, the trailing hour still holds what it was about: findings no worse belong to it."""

_WORSE: Final = 2
"""Spend an hour above this many times what was resolved is something new."""


def quiet_needed(incident: Incident, settings: Settings) -> timedelta:
    """How long an incident must be without findings to be over: twice as long each time it came back."""
    longest = max(LONGEST_QUIET, settings.incidents.resolve_after)
    doubled: timedelta = settings.incidents.resolve_after * 2 ** min(len(incident.spells), 8)
    return min(longest, doubled)


def longest_memory(settings: Settings) -> timedelta:
    """How long after its last finding an incident may still be reopened."""
    return max(LONGEST_QUIET, settings.incidents.resolve_after) + settings.incidents.reopen_within


def last_ended(incidents: Iterable[Incident]) -> Mapping[str, Incident]:
    """By fingerprint, the incident that ended last."""
    ended = (
        (incident.resolved_at, incident) for incident in incidents if incident.resolved_at and not incident.is_alive
    )
    ordered = sorted(ended, key=lambda pair: (pair[0], pair[1].incident_id))
    return {incident.fingerprint: incident for _, incident in ordered}


def may_reopen(ended: Incident, context: Context, settings: Settings, now: datetime) -> bool:
    """Whether a cause that returns now is the same matter. What was called a false alarm is not: its return is a new question."""
    if ended.resolved_at is None or ended.resolution == FALSE_ALARM_RESOLUTION or ended.key_hash in context.vanished:
        return False
    return now - ended.resolved_at < settings.incidents.reopen_within


def is_settling(ended: Incident | None, group: Sequence[Finding], now: datetime) -> bool:
    """Whether these findings only say again what a person resolved a moment ago."""
    if ended is None or ended.resolved_at is None or not ended.resolved_by or now - ended.resolved_at >= SETTLING:
        return False
    return all(
        finding.severity <= ended.severity
        and finding.rung <= ended.rung
        and finding.spend.per_hour_nusd <= _WORSE * ended.per_hour_nusd
        for finding in group
    )


def reopened(ended: Incident, fresh: Incident, now: datetime) -> Incident:
    """The incident of old with a further spell; severity and rung begin anew, dollars and detectors add up.

    `fresh`: the incident that these findings alone would have opened."""
    assert ended.resolved_at is not None  # `may_reopen` asked
    since = max(ended.last_seen_at, fresh.onset_at)
    return replace(
        fresh,
        incident_id=ended.incident_id,
        step=ended.step + 1,
        opened_at=ended.opened_at,
        onset_at=min(ended.onset_at, fresh.onset_at),
        spent_nusd=ended.spent_nusd + fresh.spent_nusd,
        detectors=tuple(sorted({*ended.detectors, *fresh.detectors})),
        told_step=ended.told_step,
        revision=ended.revision,
        spells=(*ended.spells, Spell(ended.spell_onset_at, ended.last_seen_at, ended.resolved_at)),
        reopened_at=now,
        spell_since=since,
        part_of=ended.part_of,
    )


def woken(incidents: Iterable[Incident], now: datetime) -> tuple[Incident, ...]:
    """The same incidents; those whose own silence has ended are what they were before it, a step further: people are told."""
    return tuple(_woken(incident) if _is_over_slept(incident, now) else incident for incident in incidents)


def _is_over_slept(incident: Incident, now: datetime) -> bool:
    return incident.state is IncidentState.SILENCED and (
        incident.silenced_until is None or incident.silenced_until <= now
    )


def _woken(incident: Incident) -> Incident:
    state = IncidentState.ACKNOWLEDGED if incident.acknowledged_at else IncidentState.OPEN
    awake = replace(incident, state=state, silenced_until=None)
    if incident.kind is not IncidentKind.KEY:
        return awake
    return replace(awake, step=incident.step + 1, told_at=None)
