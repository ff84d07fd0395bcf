"""The health of the source as incidents of its own: told once when it matters, once when it is over, nothing in between.

While one of at least WARNING is open nothing automatic happens (`guardrails.ill_known`). A trouble that comes back within
`incidents.reopen_within` is the same incident, and must then be gone for longer before it counts as over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.domain import (
    Cause,
    DataQuality,
    Incident,
    IncidentKind,
    IncidentState,
    MessageKind,
    Notice,
    Quality,
    Rung,
    Severity,
    Spell,
    short_id,
)

PATIENCE: Final = timedelta(minutes=10)
"""How long a source may be in trouble before people are told; what is urgent is told at once."""

WELL_FOR: Final = timedelta(minutes=10)
"""How long a trouble that came back must be gone, doubled with each return; the first time it is over at once."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something wrong with the source in this cycle. `name` says what makes two the same trouble."""

    name: str
    sentence: str
    severity: Severity = Severity.WARNING
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A symptom that lasts: since when, what it last said, and since when it is gone (None: it is there)."""

    name: str
    since: datetime
    sentence: str
    gone_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Troubles by name as they stand, source incidents that changed, and what people must be told."""

    troubles: Mapping[str, Trouble]
    incidents: tuple[Incident, ...]
    notices: tuple[Notice, ...]


def recalled(incidents: Iterable[Incident]) -> dict[str, Trouble]:
    """Troubles as the open source incidents tell of them: a restart tells nobody again."""
    ours = (each for each in incidents if each.kind is IncidentKind.SOURCE and each.is_alive)
    return {_name(each): Trouble(_name(each), each.spell_onset_at, each.causes[0].sentence) for each in ours}


def noted(
    before: Mapping[str, Trouble],
    symptoms: Sequence[Symptom],
    well: frozenset[str],
    incidents: Iterable[Incident],
    settings: Settings,
    now: datetime,
) -> Noted:
    """What this cycle makes of the source's health. `well`: names of troubles that were looked for and not found; a trouble that
    is neither among `symptoms` nor there stays as it is. `incidents`: source incidents, those lately over included."""
    known = _newest(incidents)
    troubles, changed, notices = dict(before), [], []
    for symptom in symptoms:
        mine = before.get(symptom.name)
        since = mine.since if mine is not None else now
        troubles[symptom.name] = Trouble(symptom.name, since, symptom.sentence)
        incident = known.get(symptom.name)
        if incident is not None and incident.is_alive:
            changed.append(_gone_on(incident, symptom, now))
        elif symptom.is_urgent or now - since >= PATIENCE:
            opened = _opened(incident, symptom, since, settings=settings, now=now)
            changed.append(opened)
            notices.append(_down(opened, symptom, now))
    for name in sorted((well & before.keys()) - {symptom.name for symptom in symptoms}):
        incident = known.get(name)
        gone_since = before[name].gone_since or now
        if incident is None or not incident.is_alive:
            del troubles[name]
        elif now - gone_since >= _well_for(incident):
            del troubles[name]
            changed.append(_over(incident, now))
            notices.append(_up(incident, now))
        else:
            troubles[name] = replace(before[name], gone_since=gone_since)
    return Noted(troubles, tuple(each for each in changed if each not in known.values()), tuple(notices))


def _name(incident: Incident) -> str:
    return incident.fingerprint.removeprefix("source:")


def _newest(incidents: Iterable[Incident]) -> dict[str, Incident]:
    ours = (each for each in incidents if each.kind is IncidentKind.SOURCE)
    return {_name(each): each for each in sorted(ours, key=lambda each: (each.is_alive, each.opened_at))}


def _well_for(incident: Incident) -> timedelta:
    return WELL_FOR * 2 ** min(len(incident.spells) - 1, 6) if incident.spells else timedelta(0)


def _opened(last: Incident | None, symptom: Symptom, since: datetime, *, settings: Settings, now: datetime) -> Incident:
    fresh = Incident(
        incident_id=short_id("SRC", symptom.name, since.isoformat()),
        fingerprint=f"source:{symptom.name}",
        key_hash="",
        state=IncidentState.OPEN,
        severity=symptom.severity,
        step=1,
        opened_at=now,
        onset_at=since,
        last_seen_at=now,
        spent_nusd=0,
        per_hour_nusd=0,
        expected_per_hour_nusd=0,
        at_risk_nusd=0,
        score=0.0,
        p_value=None,
        rung=Rung.NONE,
        detectors=("source",),
        causes=_causes(symptom),
        quality=DataQuality(Quality.UNKNOWN, None, None),
        kind=IncidentKind.SOURCE,
        told_step=1,
        told_at=now,
    )
    if last is None or last.resolved_at is None or now - last.resolved_at >= settings.incidents.reopen_within:
        return fresh
    return replace(
        fresh,
        incident_id=last.incident_id,
        step=last.step + 1,
        told_step=last.step + 1,
        opened_at=last.opened_at,
        onset_at=last.onset_at,
        revision=last.revision,
        members=last.members,
        spells=(*last.spells, Spell(last.spell_onset_at, last.last_seen_at, last.resolved_at)),
        reopened_at=now,
        spell_since=since,
    )


def _gone_on(incident: Incident, symptom: Symptom, now: datetime) -> Incident:
    """Written again only where it says something new: an outage of hours is no row a minute."""
    is_new = incident.causes != _causes(symptom) or now - incident.last_seen_at >= PATIENCE
    return replace(incident, causes=_causes(symptom), last_seen_at=now) if is_new else incident


def _over(incident: Incident, now: datetime) -> Incident:
    return replace(
        incident, state=IncidentState.RESOLVED, resolved_at=now, resolution="works again", silenced_until=None
    )


def _causes(symptom: Symptom) -> tuple[Cause, ...]:
    said = Cause(
        dimension=None,
        value="source",
        cost_nusd=0,
        share=1.0,
        is_first_seen=False,
        usual_nusd=0,
        sentence=symptom.sentence,
    )
    return (said,)


def _down(incident: Incident, symptom: Symptom, now: datetime) -> Notice:
    frozen = " Keys are not fully watched and nothing automatic happens until this works again."
    detail = f"{symptom.sentence}.{frozen if symptom.severity >= Severity.WARNING else ''}"
    return Notice(MessageKind.SOURCE, now, incident=incident, detail=detail)


def _up(incident: Incident, now: datetime) -> Notice:
    minutes = int((now - incident.spell_onset_at).total_seconds() // 60)
    detail = f"{_name(incident)}: works again after {minutes} min; missed usage is being read again."
    return Notice(MessageKind.SOURCE, now, detail=detail, thread=incident.incident_id)
