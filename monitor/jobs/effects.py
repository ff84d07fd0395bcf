"""Whether what was done to a key took effect: its counter after the act, cycle by cycle. One small document in the store.

A disable counts as *proven* once two inventories after it show the key disabled and the same counter. What a counter grows later
than `response.escalate_after` after the act, and after it was last seen switched on, is use that should not exist
(decide/ineffective.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.domain import Action, ActionState, ApiKey, Verb
from monitor.store.base import StateStore

NAME: Final = "effects"

WATCHED_FOR: Final = timedelta(hours=25)
"""A little longer than decisions look back."""

_STOPPING: Final = frozenset({Verb.DISABLE, Verb.ZERO})


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the effect of recent acts, by action id (see `Context.proven`, `Context.grown_nusd`)."""

    proven: frozenset[str] = frozenset()
    grown_nusd: Mapping[str, int] = field(default_factory=dict)


def note(
    state: StateStore, actions: Iterable[Action], keys: Mapping[str, ApiKey], now: datetime, *, grace: timedelta
) -> None:
    """Takes in the counters of an inventory read at `now`, after every action among `actions` had its outcome."""
    before: Mapping[str, Any] = state.get(NAME) or {}
    after: dict[str, Any] = {}
    for action in actions:
        if not _is_watched(action, now) or (key := keys.get(action.key_hash)) is None:
            continue
        after[action.action_id] = _noted(before.get(action.action_id) or {}, action, key, now, grace=grace)
    if after or before:
        state.put(NAME, after)


def known(state: StateStore, actions: Iterable[Action], vanished: frozenset[str]) -> Known:
    """What the document says of these actions. A key that is gone can do nothing more."""
    told: Mapping[str, Any] = state.get(NAME) or {}
    mine = [action for action in actions if action.verb in _STOPPING and action.state is ActionState.DONE]
    proven = {a.action_id for a in mine if (told.get(a.action_id) or {}).get("proven") or a.key_hash in vanished}
    grown = {
        action.action_id: int(one["usage"]) - int(one["base"])
        for action in mine
        if (one := told.get(action.action_id)) and one.get("base") is not None
    }
    return Known(frozenset(proven), grown)


def _is_watched(action: Action, now: datetime) -> bool:
    if action.verb not in _STOPPING or action.state is not ActionState.DONE or action.finished_at is None:
        return False
    return timedelta(0) <= now - action.finished_at <= WATCHED_FOR


def _noted(
    before: Mapping[str, Any], action: Action, key: ApiKey, now: datetime, *, grace: timedelta
) -> dict[str, Any]:
    usage = (key.usage_nusd or 0) + (key.byok_usage_nusd or 0)
    has_stood_still = "usage" in before and int(before["usage"]) == usage and key.settings.is_disabled
    proven = {"proven": bool(before.get("proven")) or has_stood_still}
    if _is_on(action, key):  # what it spends now is what it may: its growth counts anew once it is off again
        return {"usage": usage, "base": None, "on_at": now.isoformat(), **proven}
    on_at = before.get("on_at")
    ended = max(filter(None, (action.finished_at, datetime.fromisoformat(on_at) if on_at else None)), default=now)
    base = before.get("base")
    if base is None and now - ended >= grace:
        base = usage
    return {"usage": usage, "base": base, **({"on_at": on_at} if on_at else {}), **proven}


def _is_on(action: Action, key: ApiKey) -> bool:
    """Whether somebody let it spend again."""
    if action.verb is Verb.ZERO and key.settings.limit_usd == 0:
        return False
    return not key.settings.is_disabled
