"""What `restore` puts back: the settings from before the first of our changes that is still in force. Pure.

The journal of a key is walked, oldest first, setting by setting. A change counts as in force until a restore, or until somebody
else changed that setting: the next action of the journal then found another value than ours, and theirs is what is put back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from monitor.domain import Action, ActionState, KeySettings, Verb

NAMES: Final = ("is_disabled", "limit_usd", "limit_reset", "include_byok_in_limit")

_TOUCHED: Final = frozenset({ActionState.DONE, ActionState.FAILED})
"""Outcomes after which the key may be changed: of a failed attempt nobody knows."""

_CHANGING: Final = frozenset({Verb.DISABLE, Verb.CAP, Verb.ZERO})


@dataclass(frozen=True, slots=True)
class Undo:
    """`settings`: what is put back. `left`: how our last action may have left the key. `latest`: that action."""

    settings: KeySettings
    left: tuple[KeySettings, ...]
    latest: Action

    @property
    def is_needed(self) -> bool:
        """Whether anything of ours is in force, as far as the journal tells."""
        return any(each != self.settings for each in self.left)

    def changed_since(self, found: KeySettings) -> tuple[str, ...]:
        """Settings of the key as found that are neither as we left them nor as they are to be: somebody else's."""
        return tuple(
            name
            for name in NAMES
            if getattr(found, name) not in {getattr(each, name) for each in (*self.left, self.settings)}
        )


def undo_of(journal: Iterable[Action]) -> Undo | None:
    """What a restore of this key would put back; None where nothing of ours was ever done, or all of it is undone.

    `journal`: actions of one key, in any order."""
    undo: Undo | None = None
    for action in sorted(journal, key=lambda each: (each.intended_at, each.action_id)):
        if action.state not in _TOUCHED:
            continue
        if action.verb is Verb.RESTORE and action.state is ActionState.DONE:
            undo = None
        elif action.verb in _CHANGING and action.prior is not None:
            undo = _after(undo, action, action.prior)
    return undo


def changed_by(action: Action, before: KeySettings) -> KeySettings:
    """The settings after an action that worked."""
    if action.verb is Verb.DISABLE:
        return replace(before, is_disabled=True)
    limit_usd = 0.0 if action.verb is Verb.ZERO else action.limit_usd
    if limit_usd is None or (before.limit_usd is not None and before.limit_usd <= limit_usd):
        return before
    return replace(before, limit_usd=limit_usd)


def _after(undo: Undo | None, action: Action, prior: KeySettings) -> Undo:
    """The undo once `action`, which found `prior`, is in the journal."""
    kept: dict[str, Any] = {} if undo is None else {name: getattr(undo.settings, name) for name in NAMES}
    lefts: Sequence[KeySettings] = () if undo is None else undo.left
    for name in NAMES:
        is_ours = any(getattr(each, name) == getattr(prior, name) for each in lefts)
        if not is_ours:
            kept[name] = getattr(prior, name)
    worked = changed_by(action, prior)
    left = (worked,) if action.state is ActionState.DONE else (worked, prior)
    return Undo(KeySettings(**kept), left, action)
