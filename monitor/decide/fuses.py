"""How many more keys may be acted upon automatically, and the canary. Disables and caps are counted apart.

Counted are keys, not attempts; what expired or was denied touched nothing, what is proposed counts as if it were done."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.decide.context import Context
from monitor.decide.guardrails import AUTOMATIC, Refusal, ended_at
from monitor.domain import Action, ActionState, Reason, Verb
from monitor.wording import duration

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(hours=24)
_DROPPED: Final = frozenset({ActionState.EXPIRED, ActionState.DENIED})

BLOWN: Final = frozenset({Reason.FUSE_RUN, Reason.FUSE_HOUR, Reason.FUSE_DAY, Reason.FUSE_SHARE, Reason.FUSE_SPEND})
"""Reasons of a fuse by number."""


@dataclass(slots=True)
class Fuses:
    """What the journal leaves of the fuses for one verb, and what this run has used of them since."""

    verb: Verb
    settings: Settings
    context: Context
    in_hour: set[str] = field(default_factory=set)
    in_day: set[str] = field(default_factory=set)
    in_run: set[str] = field(default_factory=set)
    is_proven: bool = False
    unproven: tuple[Action, ...] = ()
    now: datetime | None = None

    @classmethod
    def of(cls, verb: Verb, context: Context, settings: Settings, now: datetime) -> Fuses:
        """The fuses as the journal leaves them. An intent from the future (the clock was set back) counts."""
        acts = [a for a in context.actions if _uses_fuse(a, verb) and a.intended_at > now - _DAY]
        recent = [a for a in acts if a.intended_at > now - _HOUR]
        done = [a for a in recent if a.state in {ActionState.DONE, ActionState.INTENDED}]
        return cls(
            verb=verb,
            settings=settings,
            context=context,
            in_hour={action.key_hash for action in recent},
            in_day={action.key_hash for action in acts},
            is_proven=not context.needs_canary or any(action.action_id in context.proven for action in done),
            unproven=tuple(action for action in done if action.action_id not in context.proven),
            now=now,
        )

    def refusal(self, key_hash: str) -> Refusal | None:
        """Which fuse would blow, or that this key waits for the canary."""
        response, hour, day = self.settings.response, self.in_hour | {key_hash}, self.in_day | {key_hash}
        if len(self.in_run | {key_hash}) > response.max_per_run:
            return Reason.FUSE_RUN, f"response.max_per_run = {response.max_per_run}"
        if len(hour) > response.max_per_hour:
            return Reason.FUSE_HOUR, f"response.max_per_hour = {response.max_per_hour}"
        if len(day) > response.max_per_day:
            return Reason.FUSE_DAY, f"response.max_per_day = {response.max_per_day}"
        if len(day) > allowed_by_share(response.max_share_of_keys, self.context.n_live_keys):
            share, n_keys = response.max_share_of_keys, self.context.n_live_keys
            return Reason.FUSE_SHARE, f"response.max_share_of_keys = {share:g} of {n_keys} keys"
        if len(day) > 1 and (share := self._share_of_spend(day)) > response.max_share_of_spend:
            return Reason.FUSE_SPEND, f"{share:.0%} of the normal spend; response.max_share_of_spend = " + (
                f"{response.max_share_of_spend:g}"
            )
        return self._canary()

    def _share_of_spend(self, key_hashes: set[str]) -> float:
        """Share of the fleet's normal spend; a key too young to have one counts as an average key."""
        usual, fleet, n_keys = (
            self.context.usual_day_nusd,
            self.context.fleet_day_nusd,
            max(self.context.n_live_keys, 1),
        )
        if fleet <= 0:
            return len(key_hashes) / n_keys
        return sum(usual.get(key_hash, fleet // n_keys) for key_hash in key_hashes) / fleet

    def _canary(self) -> Refusal | None:
        """Of several disables one goes first; the others follow once a disable of this hour was seen to take effect."""
        if self.verb is not Verb.DISABLE or self.is_proven or not (self.unproven or self.in_run):
            return None
        grace = self.settings.response.escalate_after
        late = [each for each in self.unproven if self.now is not None and self.now - ended_at(each) >= grace]
        if late:
            canary = min(late, key=lambda each: (ended_at(each), each.action_id))
            seen = f"the disable of key {canary.key_hash[:12]} ({canary.action_id}) was not seen to take effect"
            return Reason.CANARY_UNPROVEN, f"{seen} within response.escalate_after = {duration(grace)}"
        return Reason.CANARY, "one key is disabled first; the others follow once that was seen to take effect"

    def use(self, key_hash: str) -> None:
        """Takes one act off the fuses."""
        for used in (self.in_run, self.in_hour, self.in_day):
            used.add(key_hash)


def allowed_by_share(share: float, n_live_keys: int) -> int:
    """Keys the share allows in 24 hours: rounded down, always at least one."""
    return max(1, int(share * n_live_keys + 1e-9))


def _uses_fuse(action: Action, verb: Verb) -> bool:
    return action.requested_by == AUTOMATIC and action.verb is verb and action.state not in _DROPPED
