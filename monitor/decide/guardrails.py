"""The checks: why a wanted disable or cap is not done. Asked in a fixed order, the fuses by number (`fuses.py`) after them; the
first refusal is the verdict.

Findings of detectors on trial (shadow) never come this far: they open no incident (`verdicts.shadow_verdicts`).

Each check is pure and answers with its `Reason` and the detail a person needs, or None."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Response, Settings
from monitor.decide import caps, money, muting
from monitor.decide.context import Context
from monitor.decide.crowd import Crowd
from monitor.decide.policy import Wish
from monitor.domain import (
    Action,
    ActionState,
    ApiKey,
    DataQuality,
    Incident,
    Quality,
    QuietHours,
    Reason,
    Verb,
    is_limited_to,
)

AUTOMATIC: Final = "monitor"
"""`Action.requested_by` of what this program does by itself; people's actions never count against a fuse."""

_LONGEST_RETRY = timedelta(hours=6)
_UNTOUCHED = frozenset({ActionState.PROPOSED, ActionState.APPROVED, ActionState.DENIED, ActionState.EXPIRED})

Refusal = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One wanted act and the facts it is judged by. `actions`: those of this key in the journal, oldest
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

    @property
    def verb(self) -> Verb:
        """What is wanted."""
        assert self.wish.verb is not None  # cases are made of wishes that want something
        return self.wish.verb

    @property
    def limit_usd(self) -> float | None:
        """What a cap would lower the limit to; None where that cannot be told."""
        if self.key is None:
            return None
        return caps.limit_for(
            self.key,
            self.settings.response,
            usual_day_nusd=self.context.usual_day_nusd.get(self.key_hash),
            expected_per_hour_nusd=self.wish.finding.spend.expected_per_hour_nusd,
        )


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


def quiet(case: Case) -> Refusal | None:
    """The operator wants people to decide at this hour."""
    found = quiet_now(case.settings.response, case.now)
    return None if found is None else (Reason.QUIET_HOURS, found)


def quiet_now(response: Response, now: datetime) -> str | None:
    """The setting that makes this a quiet hour, None where it is none."""
    local = now.astimezone(response.zone)
    for text in response.quiet_hours:
        if QuietHours.parse(text).covers(local):
            return f"response.quiet_hours: {text} {response.timezone}"
    return None


def gone(case: Case) -> Refusal | None:
    """The inventory does not hold the key: nothing is done to what cannot be read."""
    if case.key is None or case.key_hash in case.context.vanished:
        return Reason.KEY_GONE, "the key is not in the inventory"
    return None


def protected(case: Case) -> Refusal | None:
    """Its name matches, or its full hash is, one of `response.protected_keys`."""
    pattern = protecting(case.settings.response, case.key.key_name if case.key else "", case.key_hash)
    return None if pattern is None else (Reason.PROTECTED_KEY, f"response.protected_keys: {pattern}")


def protecting(response: Response, key_name: str, key_hash: str) -> str | None:
    """Which of `response.protected_keys` protects a key."""
    found = (each for each in response.protected_keys if re.search(each, key_name) or re.fullmatch(each, key_hash))
    return next(found, None)


def already_disabled(case: Case) -> Refusal | None:
    """There is nothing left to do."""
    if case.key is not None and case.key.settings.is_disabled:
        return Reason.ALREADY_DISABLED, "the key is disabled"
    return None


def already_capped(case: Case) -> Refusal | None:
    """The limit is as low already, or nobody knows what the key has used: a cap must neither raise a limit nor stop a key."""
    if case.verb is not Verb.CAP or case.key is None:
        return None
    if case.limit_usd is None:
        return Reason.STALE_DATA, "the issuer does not tell what the key has used"
    if is_limited_to(case.key, case.limit_usd):
        limit_usd = case.key.settings.limit_usd or 0.0
        return Reason.ALREADY_CAPPED, f"its limit is {limit_usd:,.2f} USD; a cap would be {case.limit_usd:,.2f}"
    return None


def pending(case: Case) -> Refusal | None:
    """An action on this key is under way, or one failed and its next attempt is not due.

    The wait doubles with each failure, from `response.intent_ttl` up to six hours."""
    for action in case.actions:
        if action.state is ActionState.INTENDED:
            return Reason.ACTION_PENDING, f"{action.action_id} ({action.verb}) has no outcome yet"
    mine = [action for action in case.actions if action.verb is case.verb and action.state not in _UNTOUCHED]
    n_failed = 0
    for action in reversed(mine):
        if action.state is not ActionState.FAILED:
            break
        n_failed += 1
    if not n_failed:
        return None
    wait = min(_LONGEST_RETRY, case.settings.response.intent_ttl * 2 ** min(n_failed - 1, 16))
    again_at = ended_at(mine[-1]) + wait
    if case.now < again_at:
        return Reason.ACTION_PENDING, f"{mine[-1].action_id} failed; next attempt at {again_at:%Y-%m-%d %H:%M} UTC"
    return None


def cooling_down(case: Case) -> Refusal | None:
    """A person wants this key on: it was restored or switched on again a short while ago.

    A key we disabled that is on now was switched on by somebody (or the inventory is older than our act): both
    forbid a second disable. A key we capped may still be disabled, unless somebody has raised its limit again."""
    since = case.now - case.settings.response.cooldown
    reenabled_at = case.context.reenabled_at.get(case.key_hash)
    if reenabled_at is not None and reenabled_at > since:
        return Reason.COOLDOWN, f"switched on again by a person at {reenabled_at:%Y-%m-%d %H:%M} UTC"
    for action in case.actions:
        if action.state is ActionState.DONE and ended_at(action) > since and not _is_outdone(action, case):
            return Reason.COOLDOWN, f"{action.action_id} ({action.verb}) at {ended_at(action):%Y-%m-%d %H:%M} UTC"
    return None


def _is_outdone(action: Action, case: Case) -> bool:
    """A cap still in force, where more than a cap is wanted now, or the limit was reset since: what the key had used before
    then is free to be used once more."""
    if action.verb is not Verb.CAP or action.limit_usd is None or case.key is None:
        return False
    reset = case.key.settings.limit_reset
    if case.verb is Verb.CAP and not money.n_resets(reset, ended_at(action), case.now):
        return False
    return is_limited_to(case.key, action.limit_usd)


def reenabled(case: Case) -> Refusal | None:
    """People switched it on again and again: it is theirs now."""
    n, most = case.context.n_reenabled.get(case.key_hash, 0), case.settings.response.max_reenables
    if n < most:
        return None
    return Reason.REENABLED, f"switched on again {n} times in 30 days (response.max_reenables = {most})"


def denied(case: Case) -> Refusal | None:
    """A person said no a short while ago."""
    since = case.now - case.settings.response.cooldown
    for action in reversed(case.actions):
        if action.state is ActionState.DENIED and ended_at(action) > since:
            return Reason.DENIED, f"{action.action_id}, by {action.decided_by or 'a person'}"
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
    if case.crowd.is_on and case.wish.incident.incident_id not in case.crowd.beside:
        return Reason.CORRELATED, f"{case.crowd.n_keys} keys turned unusual together: nothing automatic now"
    return None


CHECKS: Final = (
    observing,
    switched_off,
    quiet,
    gone,
    protected,
    already_disabled,
    already_capped,
    pending,
    cooling_down,
    reenabled,
    denied,
    judged_false,
    silenced,
    ill_known,
    correlated,
)
"""In this order; then the fuses by number, then dry-run (so that `dry_run` means: everything else would have let it pass)."""


def first_refusal(case: Case) -> Refusal | None:
    """The first of `CHECKS` that refuses."""
    return next((refusal for check in CHECKS if (refusal := check(case)) is not None), None)


def by_dollars(cases: Iterable[Case]) -> Sequence[Case]:
    """The order in which cases may use the fuses: most dollars at risk first."""
    return sorted(
        cases,
        key=lambda case: (-case.wish.incident.at_risk_nusd, -case.wish.incident.per_hour_nusd, case.key_hash),
    )


def ended_at(action: Action) -> datetime:
    """When an action got its outcome; as long as it has none, when it was intended."""
    return action.finished_at or action.intended_at
