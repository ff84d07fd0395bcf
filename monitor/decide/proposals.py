"""Acts that people must approve, or may object to: proposed, and done only where the evidence still stands then.

A proposal is an action in the journal. Nobody's silence approves one that needs approval; one that is only held is done when its
time is over, unless somebody denied it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Response
from monitor.decide.guardrails import AUTOMATIC, Case, Refusal
from monitor.domain import WAITING, Action, ActionState, Reason, Verb, short_id

UNAPPROVED: Final = "nobody approved it within response.approve_within"
NO_LONGER: Final = "what it was proposed for does not stand any more, or a fuse holds it back now; nothing was touched"
OVERTAKEN: Final = "overtaken by {} for the same key"

_A_MOMENT: Final = timedelta(milliseconds=1)
_TOUCHED: Final = frozenset({ActionState.DONE, ActionState.FAILED})


def step(case: Case) -> tuple[Action | None, Refusal | None]:
    """What becomes of an act that every check lets pass: the action to journal now (an intent to carry out, or a new
    proposal), and why it is not carried out yet. No action: it waits, as before."""
    waiting = next((each for each in reversed(case.actions) if _is_live(each, case)), None)
    if waiting is None:
        fresh = _intent(case)
        if _asks(case.settings.response):
            proposal = _proposed(fresh, expires_at=case.now + case.settings.response.approve_within)
            return proposal, (Reason.AWAITING_APPROVAL, _approval_detail(proposal))
        if case.wish.hold:
            due = case.now + case.wish.hold
            proposal = _proposed(fresh, expires_at=due + case.settings.response.intent_ttl, not_before=due)
            return proposal, (Reason.HELD, _hold_detail(proposal))
        return fresh, None
    if waiting.state is ActionState.APPROVED or (waiting.not_before is not None and case.now >= waiting.not_before):
        fresh = _intent(case)
        again = replace(
            fresh, action_id=waiting.action_id, decided_by=waiting.decided_by, not_before=waiting.not_before
        )
        return again, None
    if waiting.not_before is not None:
        return None, (Reason.HELD, _hold_detail(waiting))
    return None, (Reason.AWAITING_APPROVAL, _approval_detail(waiting))


def over(actions: Iterable[Action], taken_up: Collection[Action], now: datetime) -> tuple[Action, ...]:
    """Proposals that end now without anything being done: out of time, or overtaken by another act on their key."""
    ids, by_key = {each.action_id for each in taken_up}, {each.key_hash: each for each in taken_up}
    ended = []
    for action in sorted(actions, key=lambda each: each.action_id):
        if action.state not in WAITING or action.action_id in ids:
            continue
        if now >= action.expires_at:
            is_unheard = action.state is ActionState.PROPOSED and action.not_before is None
            ended.append(_ended(action, UNAPPROVED if is_unheard else NO_LONGER, now))
        elif (other := by_key.get(action.key_hash)) is not None:
            ended.append(_ended(action, OVERTAKEN.format(other.action_id), now))
    return tuple(ended)


def _is_live(action: Action, case: Case) -> bool:
    """Whether it is still the question: what was only held, unheard, is none where approval is asked for by now."""
    is_unheard = action.state is ActionState.PROPOSED and action.not_before is not None
    if is_unheard and _asks(case.settings.response):
        return False
    return action.state in WAITING and action.verb is case.verb and case.now < action.expires_at


def _asks(response: Response) -> bool:
    return response.approve != "off"


def _proposed(fresh: Action, *, expires_at: datetime, not_before: datetime | None = None) -> Action:
    return replace(fresh, state=ActionState.PROPOSED, expires_at=expires_at, not_before=not_before)


def _ended(action: Action, detail: str, now: datetime) -> Action:
    return replace(action, state=ActionState.EXPIRED, finished_at=now, detail=detail)


def _approval_detail(proposal: Action) -> str:
    until = f"{proposal.expires_at:%Y-%m-%d %H:%M} UTC"
    command = f"`openrouter-monitor approve {proposal.action_id}`"
    return f"to {proposal.verb} it until {until}: {command}, or `deny`; without an answer nothing is done"


def _hold_detail(proposal: Action) -> str:
    due = f"{proposal.not_before:%Y-%m-%d %H:%M} UTC"
    command = f"`openrouter-monitor deny {proposal.action_id}`"
    return f"{proposal.verb} at {due}, if the evidence still stands; to object: {command}"


def _intent(case: Case) -> Action:
    """The intent: `prior` is what the inventory last saw, which is what a restore puts back."""
    assert case.key is not None  # `guardrails.gone` refuses what is not in the inventory
    # A clock set back must not put it before what it follows: what a restore puts back is read in this order.
    touched = [each.intended_at + _A_MOMENT for each in case.actions if each.state in _TOUCHED]
    return Action(
        action_id=short_id("ACT", case.wish.incident.incident_id, case.verb, case.now.isoformat()),
        verb=case.verb,
        key_hash=case.key_hash,
        incident_id=case.wish.incident.incident_id,
        requested_by=AUTOMATIC,
        reason=case.wish.reason,
        prior=case.key.settings,
        intended_at=max([case.now, *touched]),
        expires_at=case.now + case.settings.response.intent_ttl,
        limit_usd=case.limit_usd if case.verb is Verb.CAP else None,
    )
