"""The fuses: why a wanted disable is not done. Asked in a fixed order; the first refusal is the verdict.

Findings of detectors on trial (shadow) never come this far: they open no incident (`verdicts.shadow_verdicts`).

Each check is pure and answers with its `Reason` and the detail a person needs, or None."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.decide import muting
from monitor.decide.context import Context
from monitor.decide.crowd import Crowd
from monitor.decide.policy import Wish
from monitor.domain import Action, ActionState, ApiKey, DataQuality, Incident, Quality, Reason, Verb

AUTOMATIC: Final = "monitor"
"""`Action.requested_by` of what this program does by itself; people's actions never count against a fuse."""

_DAY = timedelta(hours=24)
_LONGEST_RETRY = timedelta(hours=6)

Refusal = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One wanted disable and the facts it is judged by. `actions`: those of this key in the journal, oldest
    first; `false_alarm`: the last incident of the same cause that a person judged to be none."""

    wish: Wish
    key: ApiKey | None
    context: Context
    settings: Settings
    crowd: Crowd
    actions: tuple[Action, ...]
    false_alarm: Incident | None
    now: datetime

    @property
    def key_hash(self) -> str:
        """The key it is about."""
        return self.wish.incident.key_hash


def observing(case: Case) -> Refusal | None:
    """Only alerts are wanted, or nothing is armed."""
    if case.settings.response.mode == "observe":
        return Reason.OBSERVE_MODE, "response.mode is observe"
    if case.settings.response.mode == "enforce" and not case.context.is_enforcing:
        return Reason.OBSERVE_MODE, "response.mode is enforce, but not armed"
    return None


def switched_off(case: Case) -> Refusal | None:
    """A person pulled the kill switch."""
    return (Reason.KILL_SWITCH, "the kill switch file exists") if case.context.is_kill_switch_on else None


def gone(case: Case) -> Refusal | None:
    """The inventory does not hold the key: nothing is done to what cannot be read."""
    if case.key is None or case.key_hash in case.context.vanished:
        return Reason.KEY_GONE, "the key is not in the inventory"
    return None


def protected(case: Case) -> Refusal | None:
    """Its name matches, or its full hash is, one of `response.protected_keys`."""
    name = case.key.key_name if case.key else ""
    for pattern in case.settings.response.protected_keys:
        if re.search(pattern, name) or re.fullmatch(pattern, case.key_hash):
            return Reason.PROTECTED_KEY, f"response.protected_keys: {pattern}"
    return None


def already_disabled(case: Case) -> Refusal | None:
    """There is nothing left to do."""
    if case.key is not None and case.key.settings.is_disabled:
        return Reason.ALREADY_DISABLED, "the key is disabled"
    return None


def pending(case: Case) -> Refusal | None:
    """An action on this key is under way, or one failed and its next attempt is not due.

    The wait doubles with each failure, from `response.intent_ttl` up to six hours."""
    for action in case.actions:
        if action.state is ActionState.INTENDED:
            return Reason.ACTION_PENDING, f"{action.action_id} ({action.verb}) has no outcome yet"
    n_failed = 0
    for action in reversed(case.actions):
        if action.state is not ActionState.FAILED or action.verb is not Verb.DISABLE:
            break
        n_failed += 1
    if not n_failed:
        return None
    wait = min(_LONGEST_RETRY, case.settings.response.intent_ttl * 2 ** min(n_failed - 1, 16))
    again_at = _ended_at(case.actions[-1]) + wait
    if case.now < again_at:
        return (
            Reason.ACTION_PENDING,
            f"{case.actions[-1].action_id} failed; next attempt at {again_at:%Y-%m-%d %H:%M} UTC",
        )
    return None


def cooling_down(case: Case) -> Refusal | None:
    """A person wants this key on: it was restored or switched on again a short while ago.

    A key we disabled that is on now was switched on by somebody (or the inventory is older than our act): both
    forbid a second disable."""
    since = case.now - case.settings.response.cooldown
    reenabled_at = case.context.reenabled_at.get(case.key_hash)
    if reenabled_at is not None and reenabled_at > since:
        return Reason.COOLDOWN, f"switched on again by a person at {reenabled_at:%Y-%m-%d %H:%M} UTC"
    for action in case.actions:
        if action.state is ActionState.DONE and _ended_at(action) > since:
            return Reason.COOLDOWN, f"{action.action_id} ({action.verb}) at {_ended_at(action):%Y-%m-%d %H:%M} UTC"
    return None


def judged_false(case: Case) -> Refusal | None:
    """A person called the last incident of this cause a false alarm."""
    last = case.false_alarm
    if last is None or last.resolved_at is None or last.resolved_at <= case.now - case.settings.response.cooldown:
        return None
    return Reason.FALSE_ALARM, f"{last.incident_id} was judged a false alarm"


def silenced(case: Case) -> Refusal | None:
    """A person said that this is known for a time (a load test, a migration): they hear nothing, so nothing is done either."""
    why = muting.silenced_by(case.wish.incident, case.context, case.now)
    return None if why is None else (Reason.SILENCED, why)


def ill_known(case: Case) -> Refusal | None:
    """The data is stale, partial or ambiguous, as the key stands now or as the finding saw it."""
    trouble = muting.source_trouble(case.context.incidents)
    if trouble is not None:
        said = trouble.causes[0].sentence if trouble.causes else "the source is in trouble"
        return Reason.STALE_DATA, f"{trouble.incident_id}: {said}"
    if not case.context.source_is_healthy:
        return Reason.STALE_DATA, "the source does not answer"
    if case.now - case.wish.finding.at > case.settings.collect.max_data_age:
        return Reason.STALE_DATA, f"the evidence is of {case.wish.finding.at:%Y-%m-%d %H:%M} UTC"
    current = case.context.quality.get(case.key_hash)
    qualities = [case.wish.finding.quality, *([current] if current else [])]
    refusals = [refusal for quality in qualities if (refusal := _untrusted(quality, case)) is not None]
    return refusals[0] if refusals else None


def _untrusted(quality: DataQuality, case: Case) -> Refusal | None:
    oldest = case.now - case.settings.collect.max_data_age
    if quality.state is Quality.UNKNOWN or quality.complete_until is None:
        return Reason.STALE_DATA, "its usage is unknown"
    if quality.complete_until < oldest or (quality.as_of is not None and quality.as_of < oldest):
        seen = min(quality.complete_until, quality.as_of or quality.complete_until)
        return Reason.STALE_DATA, f"its usage is of {seen:%Y-%m-%d %H:%M} UTC"
    if quality.state is Quality.PARTIAL:
        return Reason.PARTIAL_DATA, "; ".join(quality.notes) or "its usage is incomplete"
    if quality.is_ambiguous:
        return Reason.AMBIGUOUS_DATA, "; ".join(quality.notes) or "usage cannot be given to one key"
    return None


def correlated(case: Case) -> Refusal | None:
    """Too many keys turned unusual together."""
    if case.wish.incident.incident_id in case.crowd.members:
        return Reason.CORRELATED, "turned unusual together with other keys: a person decides"
    if case.crowd.is_on:
        return Reason.CORRELATED, f"{case.crowd.n_keys} keys turned unusual together: nothing automatic now"
    return None


CHECKS: Final = (
    observing,
    switched_off,
    gone,
    protected,
    already_disabled,
    pending,
    cooling_down,
    judged_false,
    silenced,
    ill_known,
    correlated,
)
"""In this order; then the fuses by number, then dry-run (so that `dry_run` means: everything else would have let it pass)."""


@dataclass(slots=True)
class Fuses:
    """How many more keys may be disabled automatically. Counts keys, not attempts; expired intents touched nothing."""

    settings: Settings
    n_live_keys: int
    in_hour: set[str] = field(default_factory=set)
    in_day: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, context: Context, settings: Settings, now: datetime) -> Fuses:
        """The fuses as the journal leaves them. An intent from the future (the clock was set back) counts."""
        acts = [a for a in context.actions if _uses_fuse(a) and a.intended_at > now - _DAY]
        hour_ago = now - timedelta(hours=1)
        return cls(
            settings=settings,
            n_live_keys=context.n_live_keys,
            in_hour={action.key_hash for action in acts if action.intended_at > hour_ago},
            in_day={action.key_hash for action in acts},
        )

    def refusal(self, key_hash: str) -> Refusal | None:
        """Which fuse would blow."""
        response = self.settings.response
        if len(self.in_hour | {key_hash}) > response.max_per_hour:
            return Reason.FUSE_HOUR, f"response.max_per_hour = {response.max_per_hour}"
        if len(self.in_day | {key_hash}) > response.max_per_day:
            return Reason.FUSE_DAY, f"response.max_per_day = {response.max_per_day}"
        if len(self.in_day | {key_hash}) > allowed_by_share(response.max_share_of_keys, self.n_live_keys):
            share, n_keys = response.max_share_of_keys, self.n_live_keys
            return Reason.FUSE_SHARE, f"response.max_share_of_keys = {share:g} of {n_keys} keys"
        return None

    def use(self, key_hash: str) -> None:
        """Takes one disable off the fuses."""
        self.in_hour.add(key_hash)
        self.in_day.add(key_hash)


def allowed_by_share(share: float, n_live_keys: int) -> int:
    """Keys the share allows in 24 hours: rounded down, always at least one."""
    return max(1, int(share * n_live_keys + 1e-9))


def first_refusal(case: Case) -> Refusal | None:
    """The first of `CHECKS` that refuses."""
    return next((refusal for check in CHECKS if (refusal := check(case)) is not None), None)


def by_dollars(cases: Iterable[Case]) -> Sequence[Case]:
    """The order in which cases may use the fuses: most dollars at risk first."""
    return sorted(
        cases,
        key=lambda case: (-case.wish.incident.at_risk_nusd, -case.wish.incident.per_hour_nusd, case.key_hash),
    )


def _uses_fuse(action: Action) -> bool:
    is_automatic = action.requested_by == AUTOMATIC and action.verb is Verb.DISABLE
    return is_automatic and action.state is not ActionState.EXPIRED


def _ended_at(action: Action) -> datetime:
    return action.finished_at or action.intended_at
