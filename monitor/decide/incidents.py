"""Findings -> incidents: what belongs together, how an incident grows, when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.config import Settings
from monitor.decide import life, money
from monitor.decide.context import Context
from monitor.decide.life import FALSE_ALARM_RESOLUTION
from monitor.domain import Finding, Incident, IncidentKind, IncidentState, Quality, short_id

__all__ = ["FALSE_ALARM_RESOLUTION", "Change", "fingerprint", "grouped", "leading", "taken_in"]

KEY_GONE_RESOLUTION = "the key no longer exists at the issuer"


@dataclass(frozen=True, slots=True)
class Change:
    """One incident with the findings that reached it in this pass, and as it was before (None: opened now)."""

    incident: Incident
    before: Incident | None
    findings: tuple[Finding, ...]

    @property
    def has_grown(self) -> bool:
        """Opened, or a step further: people are told."""
        return self.before is None or self.incident.step > self.before.step

    @property
    def has_changed(self) -> bool:
        """Differs from what is stored."""
        return self.before is None or self.incident != self.before


def fingerprint(finding: Finding) -> str:
    """What makes two findings the same cause: the key, and the kind of cause.

    All signs of unusual use of one key are one cause, whatever model or country comes first in the ranking at that
    minute: a theft is one incident. A limit nearly used is another: it concerns the owner's budget; and so is spend that ramps,
    which stays for weeks."""
    return f"{finding.key_hash}:{_rule_about(finding) or 'use'}"


def _rule_about(finding: Finding) -> str:
    """The kind of a rule whose every cause is of that kind, empty for all others."""
    return next((kind for kind in ("limit", "ramp") if _is_all(finding, kind)), "")


def is_about_limit(finding: Finding) -> bool:
    """Whether this only says that the key's credit limit is nearly used: a rule whose every cause is the limit.

    Only causes without a dimension are looked at: values of a dimension are text from outside."""
    return _is_all(finding, "limit")


def _is_all(finding: Finding, kind: str) -> bool:
    if finding.p_value is not None or not finding.causes:
        return False
    return all(cause.dimension is None and cause.value == kind for cause in finding.causes)


def leading(findings: Iterable[Finding]) -> Finding:
    """The finding that speaks for the others: strongest response, severity, dollars, score. A total order, so that the
    order of arrival does not matter."""
    candidates = tuple(findings)
    if len(candidates) == 1:
        return candidates[0]
    return max(
        candidates,
        key=lambda finding: (
            finding.rung,
            finding.severity,
            finding.spend.unusual_per_hour_nusd,
            finding.score,
            finding.detector,
            repr(finding),
        ),
    )


def grouped(findings: Iterable[Finding]) -> Mapping[str, tuple[Finding, ...]]:
    """Findings by fingerprint, both in a fixed order; a finding given twice counts once."""
    groups: dict[str, dict[Finding, None]] = {}
    for finding in findings:
        groups.setdefault(fingerprint(finding), {})[finding] = None
    return {name: _in_order(tuple(groups[name])) for name in sorted(groups)}


def _in_order(group: tuple[Finding, ...]) -> tuple[Finding, ...]:
    if len(group) == 1:
        return group
    return tuple(sorted(group, key=lambda finding: (finding.at, repr(finding))))


def taken_in(
    findings: Sequence[Finding], context: Context, settings: Settings, now: datetime
) -> tuple[tuple[Change, ...], tuple[Incident, ...]]:
    """Findings joined to open incidents, reopening one that was over a short while, or opening new ones; and the incidents that
    are over. Findings no worse than what a person resolved a moment ago belong to that still and change nothing.

    Returns: (changes, one a fingerprint with findings; incidents resolved now), each in a fixed order."""
    ours = [incident for incident in context.incidents if incident.kind is IncidentKind.KEY]
    live, ended = _open_by_fingerprint(ours), life.last_ended(ours)
    changes = tuple(
        _change(live.get(name), group, name=name, ended=ended.get(name), context=context, settings=settings, now=now)
        for name, group in grouped(findings).items()
        if name in live or not life.is_settling(ended.get(name), group, now)
    )
    touched = {change.incident.incident_id for change in changes}
    untouched = sorted((i for i in ours if i.is_alive and i.incident_id not in touched), key=lambda i: i.incident_id)
    resolved = (_resolved(incident, context, settings, now) for incident in untouched)
    return changes, tuple(incident for incident in resolved if incident is not None)


def _open_by_fingerprint(incidents: Iterable[Incident]) -> dict[str, Incident]:
    """The newest open incident of each fingerprint."""
    still_open = (incident for incident in incidents if incident.is_alive)
    ordered = sorted(still_open, key=lambda incident: (incident.opened_at, incident.incident_id))
    return {incident.fingerprint: incident for incident in ordered}


def _change(
    before: Incident | None,
    group: tuple[Finding, ...],
    *,
    name: str,
    ended: Incident | None,
    context: Context,
    settings: Settings,
    now: datetime,
) -> Change:
    newest_at = max(finding.at for finding in group)
    newest = leading(finding for finding in group if finding.at == newest_at)
    onset_at = min(finding.onset_at for finding in group)
    if before is not None:
        onset_at = min(onset_at, before.onset_at)
    lead = leading(group)
    statistical = [finding for finding in group if finding.p_value is not None]
    fresh = Incident(
        incident_id=short_id("INC", name, now.isoformat()),
        fingerprint=name,
        key_hash=lead.key_hash,
        state=IncidentState.OPEN,
        severity=max(finding.severity for finding in group),
        step=1,
        opened_at=now,
        onset_at=onset_at,
        last_seen_at=newest_at,
        spent_nusd=money.spent_since_onset(newest, onset_at=onset_at, before=before),
        per_hour_nusd=newest.spend.per_hour_nusd,
        expected_per_hour_nusd=newest.spend.expected_per_hour_nusd,
        at_risk_nusd=_at_risk(newest, context, settings, now),
        score=max(finding.score for finding in statistical or group),
        p_value=min((finding.p_value for finding in statistical if finding.p_value is not None), default=None),
        rung=lead.rung,
        detectors=tuple(sorted({finding.detector for finding in group})),
        causes=lead.causes,
        quality=newest.quality,
    )
    if before is not None:
        return Change(incident=_grown(before, fresh), before=before, findings=group)
    if ended is not None and life.may_reopen(ended, context, settings, now):
        return Change(incident=life.reopened(ended, fresh, now), before=ended, findings=group)
    return Change(incident=fresh, before=None, findings=group)


def _at_risk(finding: Finding, context: Context, settings: Settings, now: datetime) -> int:
    key = context.keys.get(finding.key_hash)
    return money.at_risk(finding.spend, key=key, now=now, people_within=settings.response.people_within)


def _grown(before: Incident, fresh: Incident) -> Incident:
    """`before` with what is new: severity, rung, score and dollars spent never fall while it is open."""
    has_stepped = fresh.severity > before.severity or fresh.rung > before.rung
    is_as_strong = (fresh.severity, fresh.rung) >= (before.severity, before.rung)
    p_values = tuple(p for p in (before.p_value, fresh.p_value) if p is not None)
    grown = replace(
        before,
        severity=max(before.severity, fresh.severity),
        rung=max(before.rung, fresh.rung),
        step=before.step + has_stepped,
        onset_at=fresh.onset_at,
        spent_nusd=fresh.spent_nusd,
        score=_worst_score(before, fresh),
        p_value=min(p_values, default=None),
        detectors=tuple(sorted({*before.detectors, *fresh.detectors})),
        causes=fresh.causes if has_stepped or is_as_strong else before.causes,
    )
    if fresh.last_seen_at < before.last_seen_at:
        return grown
    return replace(
        grown,
        last_seen_at=fresh.last_seen_at,
        per_hour_nusd=fresh.per_hour_nusd,
        expected_per_hour_nusd=fresh.expected_per_hour_nusd,
        at_risk_nusd=fresh.at_risk_nusd,
        quality=fresh.quality,
    )


def _worst_score(before: Incident, fresh: Incident) -> float:
    """Scores of a detector and of rules have nothing in common: a detector's counts as soon as there is one."""
    if (before.p_value is None) != (fresh.p_value is None):
        return before.score if fresh.p_value is None else fresh.score
    return max(before.score, fresh.score)


def _resolved(incident: Incident, context: Context, settings: Settings, now: datetime) -> Incident | None:
    """The incident as resolved, None while it stays open: silence counts only where the key's data says it is silence."""
    if incident.key_hash in context.vanished:
        return _closed(incident, KEY_GONE_RESOLUTION, now)
    quiet_for = life.quiet_needed(incident, settings)
    if now - incident.last_seen_at < quiet_for:
        return None
    quality = context.quality.get(incident.key_hash)
    if quality is None or quality.state is Quality.UNKNOWN or quality.complete_until is None:
        return None
    if quality.complete_until - incident.last_seen_at < quiet_for - settings.collect.max_data_age:
        return None
    return _closed(incident, f"nothing unusual for {quiet_for.total_seconds() / 3600:g} h", now)


def _closed(incident: Incident, resolution: str, now: datetime) -> Incident:
    return replace(incident, state=IncidentState.RESOLVED, resolved_at=now, resolution=resolution)
