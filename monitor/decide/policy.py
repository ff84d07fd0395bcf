"""What the evidence asks for, before any fuse: the rung wanted for an incident in this pass, and why.

Evidence for a disable that policy does not take for enough counts as one rung less, so that more of it is never milder.
There is no responder for a cap: such a key is only told of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.config import Settings
from monitor.decide import money
from monitor.decide.incidents import Change
from monitor.domain import NUSD, TWIN, ApiKey, Finding, Incident, Reason, Rung

YOUNG_NOTE = "young"
"""Word in `DataQuality.notes` by which the features say that a key has too little history of its own."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the evidence of one pass asks for: `finding` is the strongest witness of it."""

    incident: Incident
    finding: Finding
    rung: Rung
    reason: Reason
    detail: str

    @property
    def wants_disable(self) -> bool:
        """Whether the fuses are asked at all."""
        return self.rung is Rung.DISABLE


def wished(change: Change, key: ApiKey | None, settings: Settings, now: datetime) -> Wish:
    """The strongest wish among the findings of this pass; earlier findings do not count, evidence must be present now."""
    wishes = [_wish(change.incident, each, key, settings=settings, now=now) for each in change.findings]
    if len(wishes) == 1:
        return wishes[0]
    return max(
        wishes,
        key=lambda wish: (
            wish.rung,
            wish.reason is Reason.HARD_RULE,
            money.unusual_per_hour(wish.finding.spend),
            wish.finding.score,
            wish.finding.detector,
            repr(wish.finding),
        ),
    )


def is_young(finding: Finding, key: ApiKey | None, settings: Settings, now: datetime) -> bool:
    """Whether the key has no baseline of its own: created within the grace period, or its features say so."""
    is_new = key is not None and now - key.created_at < settings.detection.grace_period
    return is_new or any(YOUNG_NOTE in note.lower() for note in finding.quality.notes)


def _twin_of(finding: Finding) -> str:
    """What ordinary event it looks like, where it looks like one: then no evidence of use alone takes the key away."""
    notes = (cause.sentence for cause in finding.causes if cause.dimension is None and cause.value == TWIN)
    return next(notes, "")


def _rule_of(finding: Finding) -> str:
    return finding.causes[0].sentence if finding.causes else finding.detector


def _wish(incident: Incident, finding: Finding, key: ApiKey | None, *, settings: Settings, now: datetime) -> Wish:
    if finding.rung < Rung.DISABLE:
        return Wish(incident, finding, finding.rung, Reason.BELOW_THRESHOLD, _twin_of(finding))
    if finding.p_value is None:
        # The operator wrote "crossing this rule is enough": no floor, no age.
        return Wish(incident, finding, Rung.DISABLE, Reason.HARD_RULE, _rule_of(finding))
    if is_young(finding, key, settings, now):
        return Wish(
            incident, finding, Rung.CAP, Reason.BELOW_THRESHOLD, "a young key is not disabled by the model alone"
        )
    unusual_usd = money.unusual_per_hour(finding.spend) / NUSD
    if unusual_usd < settings.response.min_usd_per_hour:
        floor = settings.response.min_usd_per_hour
        detail = f"{unusual_usd:.2f} USD/h unusual is under response.min_usd_per_hour = {floor:.2f}"
        return Wish(incident, finding, Rung.CAP, Reason.BELOW_THRESHOLD, detail)
    return Wish(incident, finding, Rung.DISABLE, Reason.CROSSED_THRESHOLD, f"{unusual_usd:.2f} USD/h unusual")
