"""What the evidence asks for, before any fuse: the rung wanted for an incident in this pass, and why.

The evidence says how far the response may go at most; the policy of the key may only lower that. Evidence for a disable that
is not taken for enough counts as one rung less, so that more of it is never milder. A rung that policy does not allow stays
an alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.config import Policy, Settings
from monitor.decide import ladder, money
from monitor.decide.context import Context
from monitor.decide.incidents import Change
from monitor.decide.ladder import Stake
from monitor.domain import NUSD, TWIN, ApiKey, Finding, Incident, Reason, Rung, Verb

YOUNG_NOTE = "young"
"""Word in `DataQuality.notes` by which the features say that a key has too little history of its own."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the evidence of one pass asks for: `finding` is the strongest witness of it.

    `verb`: what is to be done if no fuse refuses, None: people are told, or at `Rung.NONE` not even that. `hold`: how long they
    may object before."""

    incident: Incident
    finding: Finding
    rung: Rung
    reason: Reason
    detail: str
    verb: Verb | None = None
    hold: timedelta = timedelta(0)


def wished(change: Change, context: Context, settings: Settings, now: datetime) -> Wish:
    """The strongest wish among the findings of this pass; earlier findings do not count, evidence must be present now."""
    key = context.keys.get(change.incident.key_hash)
    policy = policy_of(change.incident.key_hash, context, settings)
    wishes = [_wish(change.incident, each, key, policy=policy, settings=settings, now=now) for each in change.findings]
    if len(wishes) == 1:
        return wishes[0]
    return max(
        wishes,
        key=lambda wish: (
            wish.verb is not None,
            wish.rung,
            wish.reason is Reason.HARD_RULE,
            wish.finding.spend.unusual_per_hour_nusd,
            wish.finding.score,
            wish.finding.detector,
            repr(wish.finding),
        ),
    )


def policy_of(key_hash: str, context: Context, settings: Settings) -> Policy:
    """The policy that holds for a key."""
    key, owner = context.keys.get(key_hash), context.owners.get(key_hash, "")
    return ladder.matched(key, owner=owner, workspaces=context.workspaces, policies=settings.policies).policy


def stake_of(finding: Finding, key: ApiKey | None, settings: Settings, now: datetime) -> Stake:
    """The dollars that a rung may ask for."""
    return Stake(
        per_hour_nusd=finding.spend.unusual_per_hour_nusd,
        at_risk_nusd=money.at_risk(finding.spend, key=key, now=now, people_within=settings.response.people_within),
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


def _wish(
    incident: Incident, finding: Finding, key: ApiKey | None, *, policy: Policy, settings: Settings, now: datetime
) -> Wish:
    rung, reason, detail = evidence(finding, key, settings, now)
    stake = stake_of(finding, key, settings, now)
    lasted = {each.rung: each.seen_at - each.since for each in incident.held}
    is_rule = finding.p_value is None
    why = [detail] if detail else []
    for step in (Rung.DISABLE, Rung.CAP):
        if step > rung:
            continue
        missing = ladder.shortfall(policy, step, stake, lasted=lasted.get(step, timedelta(0)), is_rule=is_rule)
        if missing is None:
            enough = Reason.HARD_RULE if reason is Reason.HARD_RULE else Reason.CROSSED_THRESHOLD
            return Wish(
                incident, finding, step, enough, "; ".join(why), ladder.VERBS[step], ladder.hold_of(policy, step)
            )
        if policy is not ladder.DEFAULT:
            reason, why = Reason.POLICY, [*why, missing]
    told_for = lasted.get(Rung.NOTIFY, timedelta(0))
    missing = ladder.shortfall(policy, Rung.NOTIFY, stake, lasted=told_for, is_rule=is_rule)
    if missing is not None:
        return Wish(incident, finding, Rung.NONE, Reason.BELOW_NOTICE, missing)
    return Wish(incident, finding, min(rung, Rung.CAP), reason, "; ".join(why))


def evidence(finding: Finding, key: ApiKey | None, settings: Settings, now: datetime) -> tuple[Rung, Reason, str]:
    """The highest rung the finding supports for this key, whatever its policy; why, if that is less than a disable."""
    if finding.rung < Rung.DISABLE:
        return finding.rung, Reason.BELOW_THRESHOLD, _twin_of(finding)
    if finding.p_value is None:
        # The operator wrote "crossing this rule is enough": no floor, no age.
        return Rung.DISABLE, Reason.HARD_RULE, _rule_of(finding)
    if is_young(finding, key, settings, now):
        return Rung.CAP, Reason.BELOW_THRESHOLD, "a young key is not disabled by the model alone"
    unusual_usd = finding.spend.unusual_per_hour_nusd / NUSD
    if unusual_usd < settings.response.min_usd_per_hour:
        floor = settings.response.min_usd_per_hour
        detail = f"{unusual_usd:.2f} USD/h unusual is under response.min_usd_per_hour = {floor:.2f}"
        return Rung.CAP, Reason.BELOW_THRESHOLD, detail
    return Rung.DISABLE, Reason.CROSSED_THRESHOLD, f"{unusual_usd:.2f} USD/h unusual"
