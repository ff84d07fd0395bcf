"""What people ask for: the intents behind `restore KEY` and `revoke KEY`, journalled and carried out like any other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.domain import Action, ActionState, ApiKey, Reason, Verb, short_id
from monitor.errors import ActionFailed
from monitor.respond import undoing

_A_MOMENT = timedelta(milliseconds=1)


def restore_request(
    key: ApiKey,
    journal: Iterable[Action],
    *,
    requested_by: str,
    now: datetime,
    ttl: timedelta,
    is_forced: bool = False,
) -> Action:
    """The intent to put a key back as it was before the first of our changes still in force. `requested_by`: `cli:<user>`.

    `key` is the key as just read. Raises ActionFailed, naming key and remedy, where there is nothing to put back, and where
    somebody changed its settings since, unless `is_forced`. What undoes a rehearsal is part of it."""
    mine = [action for action in journal if action.key_hash == key.key_hash]
    undo = undoing.undo_of(mine)
    if undo is None:
        raise ActionFailed(_nothing(key.key_hash, mine), permanent=True)
    if not undo.is_needed and undo.settings.is_disabled:
        raise ActionFailed(
            f"key {key.key_hash[:12]} was disabled before this monitor touched it: there is nothing to restore;"
            " enable it in OpenRouter's settings if it should work",
            permanent=True,
        )
    foreign = undo.changed_since(key.settings)
    if foreign and not is_forced:
        raise ActionFailed(
            f"somebody changed key {key.key_hash[:12]} since the monitor did: {_told(foreign, key, undo)};"
            " keep that and set the rest in OpenRouter's settings, or overwrite it: restore KEY --force",
            permanent=True,
        )
    now = _behind(mine, now)
    asked = _asked(Verb.RESTORE, key, undo.latest.action_id, requested_by=requested_by, now=now, ttl=ttl)
    reason = Reason.REHEARSAL if undo.latest.reason is Reason.REHEARSAL else Reason.REQUESTED
    return replace(asked, incident_id=undo.latest.incident_id, prior=undo.settings, reason=reason)


def _behind(mine: Iterable[Action], now: datetime) -> datetime:
    """`now`, or a moment behind all that was done to the key: the journal is read in this order, and a clock may be set back."""
    touched = [each.intended_at for each in mine if each.state in {ActionState.DONE, ActionState.FAILED}]
    return max(now, max(touched, default=now - _A_MOMENT) + _A_MOMENT)


def _nothing(key_hash: str, mine: Iterable[Action]) -> str:
    restored = [a for a in mine if a.verb is Verb.RESTORE and a.state is ActionState.DONE]
    if restored:
        latest = max(restored, key=lambda action: (action.intended_at, action.action_id))
        return (
            f"key {key_hash[:12]} was restored already ({latest.action_id}): there is nothing to restore;"
            " if it is disabled, somebody else did it: enable it in OpenRouter's settings"
        )
    return (
        f"key {key_hash[:12]} was never disabled by this monitor, nor capped: there is nothing to restore;"
        " if it is disabled, enable it in OpenRouter's settings"
    )


def _told(names: Iterable[str], key: ApiKey, undo: undoing.Undo) -> str:
    pairs = ((name, getattr(key.settings, name), getattr(undo.settings, name)) for name in names)
    return ", ".join(f"{name} is {found!r} now and would be {wanted!r}" for name, found, wanted in pairs)


def revoke_request(
    key: ApiKey,
    journal: Iterable[Action] = (),
    *,
    requested_by: str,
    now: datetime,
    ttl: timedelta,
    incident_id: str | None = None,
    reason: Reason = Reason.REQUESTED,
) -> Action:
    """The intent to disable a key because a person says so: no detection and no fuse, journalled the same way.

    `key` is the key as just read, so that its settings can be put back exactly. `reason`: a rehearsal is one as well."""
    now = _behind([action for action in journal if action.key_hash == key.key_hash], now)
    asked = _asked(Verb.DISABLE, key, key.key_hash, requested_by=requested_by, now=now, ttl=ttl)
    return replace(asked, incident_id=incident_id, reason=reason)


def delete_request(key: ApiKey, *, requested_by: str, now: datetime, ttl: timedelta) -> Action:
    """The intent to delete a key for good because a person typed its name. Nothing can put it back."""
    return _asked(Verb.DELETE, key, key.key_hash, requested_by=requested_by, now=now, ttl=ttl)


def _asked(verb: Verb, key: ApiKey, about: str, *, requested_by: str, now: datetime, ttl: timedelta) -> Action:
    """An intent because a person says so. `about`: with verb, person and moment it makes the id."""
    return Action(
        action_id=short_id("ACT", about, verb, requested_by, now.isoformat()),
        verb=verb,
        key_hash=key.key_hash,
        incident_id=None,
        requested_by=requested_by,
        reason=Reason.REQUESTED,
        prior=key.settings,
        intended_at=now,
        expires_at=now + ttl,
    )
