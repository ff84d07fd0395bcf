"""A disable without effect: the key is disabled, and its counter grows all the same. Then its limit is set to 0; then people.

A key that somebody switched on again is not such a case: it is left alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.decide.context import Context
from monitor.decide.guardrails import AUTOMATIC, Refusal, ended_at, quiet_now
from monitor.domain import NUSD, Action, ActionState, MessageKind, Notice, Reason, Rung, Verb, Verdict, short_id
from monitor.wording import money

WATCHED_FOR: Final = timedelta(hours=24)
"""How long after a disable its effect is watched."""

LEAST_NUSD: Final = NUSD // 100
"""Growth below this is a late bill, no use."""

_BEYOND: Final = "disable it in OpenRouter's settings, delete it there if it goes on, and write to their support"


def escalated(
    context: Context, settings: Settings, now: datetime
) -> tuple[tuple[Action, ...], tuple[Verdict, ...], tuple[Notice, ...]]:
    """Intents to set a limit to 0, a verdict for each key that should have stopped and has not, and what people are told."""
    actions, verdicts, notices = [], [], []
    for disable in _latest_disables(context.actions, now):
        grown = context.grown_nusd.get(disable.action_id, 0)
        key = context.keys.get(disable.key_hash)
        if grown < LEAST_NUSD or key is None or not key.settings.is_disabled:
            continue
        zeros = [a for a in context.actions if _is_zero_after(a, disable)]
        zero = max(zeros, key=lambda a: (a.intended_at, a.action_id), default=None)
        since = f"its counter grew by {money(grown)} after it was disabled"
        refusal = _refusal(zero, key.settings.limit_usd, context, settings, now)
        if refusal is None:
            action = _intent(disable, context, settings, now)
            actions.append(action)
            verdicts.append(_verdict(disable, Reason.STILL_SPENDING, since, now, is_act=True))
            continue
        if refusal[0] is Reason.ACTION_PENDING:
            continue
        if _is_settled(zero, context):
            continue  # limit 0 was set, and nothing grew since
        verdict = _verdict(disable, refusal[0], f"{since}; {refusal[1]}", now)
        if not _is_said(verdict, context.verdicts):
            verdicts.append(verdict)
            detail = f"{since}. {refusal[1][0].upper()}{refusal[1][1:]}: {_BEYOND}"
            incident = next((i for i in context.incidents if i.incident_id == disable.incident_id), None)
            notices.append(Notice(MessageKind.ACTION_FAILED, now, incident=incident, action=disable, detail=detail))
    return tuple(actions), tuple(verdicts), tuple(notices)


def _latest_disables(actions: Iterable[Action], now: datetime) -> list[Action]:
    """The last effective disable of each key whose effect is watched."""
    done = [a for a in actions if a.verb is Verb.DISABLE and a.state is ActionState.DONE]
    recent = [a for a in done if now - ended_at(a) <= WATCHED_FOR]
    latest = {a.key_hash: a for a in sorted(recent, key=lambda a: (ended_at(a), a.action_id))}
    return [latest[key_hash] for key_hash in sorted(latest)]


def _is_zero_after(action: Action, disable: Action) -> bool:
    is_zero = action.verb is Verb.ZERO and action.key_hash == disable.key_hash
    return is_zero and action.intended_at >= ended_at(disable) and action.state is not ActionState.EXPIRED


def _is_settled(zero: Action | None, context: Context) -> bool:
    is_done = zero is not None and zero.state is ActionState.DONE
    return is_done and zero is not None and context.grown_nusd.get(zero.action_id, 0) < LEAST_NUSD


def _refusal(
    zero: Action | None, limit_usd: float | None, context: Context, settings: Settings, now: datetime
) -> Refusal | None:
    """Why its limit is not set to 0 now: said to people, who must stop it themselves."""
    response = settings.response
    if zero is not None and zero.state is ActionState.INTENDED:
        return Reason.ACTION_PENDING, f"{zero.action_id} has no outcome yet"
    if zero is not None and zero.state is ActionState.FAILED and now - ended_at(zero) < response.intent_ttl:
        return Reason.ACTION_PENDING, f"{zero.action_id} failed a moment ago"
    if (zero is not None and zero.state is ActionState.DONE) or limit_usd == 0:
        return Reason.STILL_SPENDING, "its limit is 0 as well, nothing more can be done automatically"
    if response.mode != "enforce" or not context.is_enforcing:
        return Reason.OBSERVE_MODE, f"response.mode is {response.mode}, so its limit is not set to 0"
    if context.is_kill_switch_on:
        return Reason.KILL_SWITCH, "the kill switch is on, so its limit is not set to 0"
    if (hours := quiet_now(response, now)) is not None:
        return Reason.QUIET_HOURS, f"{hours}, so its limit is not set to 0"
    return None


def _intent(disable: Action, context: Context, settings: Settings, now: datetime) -> Action:
    return Action(
        action_id=short_id("ACT", disable.action_id, Verb.ZERO, now.isoformat()),
        verb=Verb.ZERO,
        key_hash=disable.key_hash,
        incident_id=disable.incident_id,
        requested_by=AUTOMATIC,
        reason=Reason.STILL_SPENDING,
        prior=context.keys[disable.key_hash].settings,
        intended_at=now,
        expires_at=now + settings.response.intent_ttl,
    )


def _verdict(disable: Action, reason: Reason, detail: str, now: datetime, *, is_act: bool = False) -> Verdict:
    """Under an id of its own: the incident's other verdicts go on beside it."""
    return Verdict(
        key_hash=disable.key_hash,
        incident_id=short_id("EFFECT", disable.action_id),
        at=now,
        rung=Rung.DISABLE,
        is_act=is_act,
        reason=reason,
        detail=detail,
    )


def _is_said(verdict: Verdict, before: Iterable[Verdict]) -> bool:
    return any(
        each.incident_id == verdict.incident_id and each.reason is verdict.reason and not each.is_act for each in before
    )
