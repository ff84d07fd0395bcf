"""How long the other conditions of a rung have held without a break, for rungs that ask for that (`sustained_for`).

It is kept with the incident, so that a restart forgets nothing. A pass in which they do not hold, or that finds nothing on sound data,
is a break; so is a longer time than `LONGEST_GAP` that nobody looked at: each figure is one of the trailing hour, so two of them no
further apart leave nothing between them unseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Policy, Settings
from monitor.decide import ladder, policy
from monitor.decide.context import Context
from monitor.decide.incidents import Change
from monitor.domain import Held, Incident, IncidentKind, Quality, Rung

LONGEST_GAP: Final = timedelta(hours=1)

_RUNGS: Final = (Rung.NOTIFY, Rung.CAP, Rung.DISABLE)


def noted(changes: Iterable[Change], context: Context, settings: Settings, now: datetime) -> tuple[Change, ...]:
    """The same changes, their incidents with what holds in this pass, and since when."""
    return tuple(_noted(change, context, settings, now) for change in changes)


def _noted(change: Change, context: Context, settings: Settings, now: datetime) -> Change:
    applied = policy.policy_of(change.incident.key_hash, context, settings)
    is_same_spell = change.before is not None and change.before.is_alive
    before = {each.rung: each for each in change.before.held} if change.before is not None and is_same_spell else {}
    at = max(finding.at for finding in change.findings)
    asked = [rung for rung in _RUNGS if ladder.rule_of(applied, rung).sustained_for]
    held = tuple(
        _going_on(before.get(rung), rung, at) for rung in asked if _holds(change, rung, applied, context, settings, now)
    )
    return replace(change, incident=replace(change.incident, held=held))


def _holds(change: Change, rung: Rung, applied: Policy, context: Context, settings: Settings, now: datetime) -> bool:
    """Whether a finding of this pass meets every condition but the time."""
    key = context.keys.get(change.incident.key_hash)
    for finding in change.findings:
        supported, _, _ = policy.evidence(finding, key, settings, now)
        stake = policy.stake_of(finding, key, settings, now)
        is_rule = finding.p_value is None
        if max(supported, Rung.NOTIFY) >= rung and ladder.lacking(applied, rung, stake, is_rule=is_rule) is None:
            return True
    return False


def _going_on(before: Held | None, rung: Rung, at: datetime) -> Held:
    if before is None or at - before.seen_at > LONGEST_GAP:
        return Held(rung, at, at)
    return replace(before, seen_at=max(at, before.seen_at))


def broken(changes: Sequence[Change], resolved: Sequence[Incident], context: Context) -> tuple[Incident, ...]:
    """Incidents nothing was found of in this pass although their data is sound: what held has ended."""
    touched = {each.incident.incident_id for each in changes} | {each.incident_id for each in resolved}
    return tuple(
        replace(each, held=())
        for each in context.incidents
        if each.held and each.is_alive and each.incident_id not in touched and _is_sound(each, context)
    )


def _is_sound(incident: Incident, context: Context) -> bool:
    quality = context.quality.get(incident.key_hash)
    is_known = quality is not None and quality.state is Quality.KNOWN and not quality.is_ambiguous
    return context.source_is_healthy and is_known and incident.kind is IncidentKind.KEY
