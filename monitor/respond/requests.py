"""What people ask for: the intents behind `restore KEY` and `revoke KEY`, journalled and carried out like any other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from monitor.domain import Action, ActionState, ApiKey, Reason, Verb, short_id
from monitor.errors import ActionFailed

_TOUCHED = frozenset({ActionState.DONE, ActionState.FAILED})
"""Outcomes after which the key may be disabled: of a failed attempt nobody knows."""


def restore_request(
    key_hash: str, journal: Iterable[Action], *, requested_by: str, now: datetime, ttl: timedelta
) -> Action:
    """The intent to put a key back as it was before its latest disable. `requested_by`: `cli:<user>`.

    Raises ActionFailed, naming key and remedy, where there is nothing to put back."""
    mine = sorted(
        (action for action in journal if action.key_hash == key_hash),
        key=lambda action: (action.intended_at, action.action_id),
    )
    disables = [action for action in mine if action.verb is Verb.DISABLE and action.state in _TOUCHED]
    if not disables:
        raise ActionFailed(
            f"key {key_hash[:12]} was never disabled by this monitor: there is nothing to restore;"
            " if it is disabled, enable it in OpenRouter's settings",
            permanent=True,
        )
    # A disable of a key that was disabled already changed nothing: the one before it holds the settings to put back.
    changing = [action for action in disables if action.prior is not None and not action.prior.is_disabled]
    if not changing:
        raise ActionFailed(
            f"key {key_hash[:12]} was disabled before this monitor touched it: there is nothing to restore;"
            " enable it in OpenRouter's settings if it should work",
            permanent=True,
        )
    latest = changing[-1]
    later = [a for a in mine if a.verb is Verb.RESTORE and a.state is ActionState.DONE and _is_after(a, latest)]
    if later:
        raise ActionFailed(
            f"key {key_hash[:12]} was restored already ({later[-1].action_id}): there is nothing to restore;"
            " if it is disabled, somebody else did it: enable it in OpenRouter's settings",
            permanent=True,
        )
    return Action(
        action_id=short_id("ACT", latest.action_id, Verb.RESTORE, requested_by, now.isoformat()),
        verb=Verb.RESTORE,
        key_hash=key_hash,
        incident_id=latest.incident_id,
        requested_by=requested_by,
        reason=Reason.REQUESTED,
        prior=latest.prior,
        intended_at=now,
        expires_at=now + ttl,
    )


def revoke_request(
    key: ApiKey, *, requested_by: str, now: datetime, ttl: timedelta, incident_id: str | None = None
) -> Action:
    """The intent to disable a key because a person says so: no detection and no fuse, journalled the same way.

    `key` is the key as just read, so that its settings can be put back exactly."""
    return Action(
        action_id=short_id("ACT", key.key_hash, Verb.DISABLE, requested_by, now.isoformat()),
        verb=Verb.DISABLE,
        key_hash=key.key_hash,
        incident_id=incident_id,
        requested_by=requested_by,
        reason=Reason.REQUESTED,
        prior=key.settings,
        intended_at=now,
        expires_at=now + ttl,
    )


def _is_after(action: Action, other: Action) -> bool:
    return (action.intended_at, action.action_id) > (other.intended_at, other.action_id)
