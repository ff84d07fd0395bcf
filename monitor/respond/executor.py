"""Carries intents out: once, in time, read back, and taken up again after a crash.

The intent is journalled before any of this is called, the returned action (with its outcome) after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from monitor.domain import Action, ActionState, Clock, Incident, MessageKind, Notice, Reason, Verb
from monitor.errors import ActionFailed, RateLimited, SourceError
from monitor.respond.base import Applied, Responder

RETRY_AFTER_S: Final = (1.0, 4.0, 15.0)
"""Seconds before the second, third and fourth attempt; a rate limit may ask for more."""

LONGEST_WAIT_S: Final = 60.0

CUT_OFF: Final = "the rehearsal was cut off before this was seen to be done"

PEOPLE: Final = ("cli:", "slack:")
"""Prefixes of `Action.requested_by` where a person asked: `cli:<user>`, `slack:<member>`."""

Forbidden = Callable[[Action], Awaitable[str]]
"""Why an intent must not be carried out any more, empty where it may."""

_CHANGING: Final = frozenset({Verb.DISABLE, Verb.CAP, Verb.ZERO})


async def carry_out(action: Action, responder: Responder, *, clock: Clock, is_first: bool = True) -> Action:
    """The action with its outcome: DONE, FAILED, or EXPIRED where it came too late (then nothing was touched).

    Temporary failures are tried again a few times, never beyond the intent's expiry, which is measured in the source's
    time: `clock` tells that. An action that is not INTENDED is returned as it is. Raises nothing of its own; if it is
    cancelled, the intent stays open for `resolve_open`.

    `is_first`: nothing was sent for this intent yet. Then what the first attempt finds is what a restore puts back: somebody may
    have changed the key, or disabled it, since the intent was written."""
    if action.state is not ActionState.INTENDED:
        return action
    if responder.verb is not action.verb:
        raise ValueError(f"{action.action_id} asks for {action.verb}, the responder does {responder.verb}")
    if clock.now() >= action.expires_at:
        return _ended(action, ActionState.EXPIRED, "too old to be carried out; to be judged anew", clock)
    started = clock.monotonic()
    lifetime_s = (action.expires_at - clock.now()).total_seconds()
    is_unknown = False
    for wait_s in (*RETRY_AFTER_S, None):
        try:
            applied = await responder.apply(action)
            return _ended(_exact(action, applied) if is_first else action, ActionState.DONE, applied.said, clock)
        except ActionFailed as error:
            failure, is_first = error, False  # it may have been sent
        is_unknown |= failure.is_outcome_unknown  # a later attempt that fails early does not settle an earlier one
        if failure.permanent or wait_s is None:
            break
        pause = _pause(failure, wait_s)
        if clock.monotonic() - started + pause >= lifetime_s:
            break
        await clock.sleep(pause)
    return _ended(action, ActionState.FAILED, _what_failed(failure, is_unknown=is_unknown), clock)


async def _nothing(action: Action) -> str:
    return ""


async def resolve_open(
    actions: Iterable[Action],
    responders: Mapping[Verb, Responder],
    *,
    clock: Clock,
    forbidden: Forbidden = _nothing,
) -> tuple[Action, ...]:
    """Intents found without outcome (a crash in between), now with one, in the order given.

    The key is read: in the wanted state means DONE; otherwise the intent is carried out again, or EXPIRED if its time is over
    or `forbidden` says why not. An intent whose key cannot be read now stays open and is left out; so are actions not INTENDED.
    A rehearsal that was cut off is not carried on: what is left of it is to put the key back."""
    resolved = []
    for action in actions:
        if action.state is not ActionState.INTENDED:
            continue
        responder = responders[action.verb]
        try:
            is_applied = await responder.is_applied(action)
        except SourceError:
            continue  # neither outcome is proven: the next pass asks again
        if is_applied:
            resolved.append(_ended(action, ActionState.DONE, "found done after an interruption", clock))
        elif action.reason is Reason.REHEARSAL and action.verb is Verb.DISABLE:
            resolved.append(_ended(action, ActionState.FAILED, CUT_OFF, clock))
        elif why_not := await forbidden(action):
            resolved.append(_ended(action, ActionState.EXPIRED, why_not, clock))
        else:
            resolved.append(await carry_out(action, responder, clock=clock, is_first=False))
    return tuple(resolved)


def outcome_notice(action: Action, *, at: datetime, incident: Incident | None = None) -> Notice | None:
    """What people are told of an outcome: done, or failed, which is the loudest message of all. An automatic intent that
    expired is judged anew by itself; one that a person asked for is theirs to repeat, so they are told. A rehearsal tells of itself,
    but for a key that it could not put back."""
    if action.reason is Reason.REHEARSAL and (action.verb is not Verb.RESTORE or action.state is ActionState.DONE):
        return None
    if action.state is ActionState.DONE:
        return Notice(kind=MessageKind.ACTION, at=at, incident=incident, action=action, detail=action.detail)
    is_asked_for = action.requested_by.startswith(PEOPLE)
    if action.state is ActionState.FAILED or (action.state is ActionState.EXPIRED and is_asked_for):
        return Notice(kind=MessageKind.ACTION_FAILED, at=at, incident=incident, action=action, detail=action.detail)
    return None


def _ended(action: Action, state: ActionState, detail: str, clock: Clock) -> Action:
    return replace(action, state=state, finished_at=clock.now(), detail=detail)


def _exact(action: Action, applied: Applied) -> Action:
    """The action with the settings it really found, which are those to put back."""
    if action.verb not in _CHANGING or applied.before is None:
        return action
    return replace(action, prior=applied.before)


def _pause(failure: ActionFailed, wait_s: float) -> float:
    """Seconds until the next attempt: ours, or what the issuer asked for, bounded."""
    cause = failure.__cause__
    asked_s = cause.retry_after if isinstance(cause, RateLimited) else 0.0
    return min(LONGEST_WAIT_S, max(wait_s, asked_s))


def _what_failed(failure: ActionFailed, *, is_unknown: bool) -> str:
    unknown = "; whether it was done is unknown: look at the key at the issuer" if is_unknown else ""
    return f"{failure}{unknown}"
