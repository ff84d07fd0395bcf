"""The ledger of a replay, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from monitor.decide import Context
from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.domain import (
    Action,
    ActionState,
    ApiKey,
    Feedback,
    Incident,
    IncidentKind,
    IncidentState,
    KeySettings,
    Opinion,
    Verb,
    Verdict,
)
from monitor.pipeline import Judgement

KEEP: Final = timedelta(hours=48)
"""How long the replay's ledger keeps what is over, at least: longer than any fuse looks back."""


_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Stop:
    """A key taken out of service, or bounded, at `at` for an incident. `spent_nusd`: the incident's until then."""

    at: datetime
    key_hash: str
    incident_id: str
    verb: Verb
    spent_nusd: int


class Books:
    """The ledger of a replay: incidents, verdicts, and actions that all succeed at once.

    The recorded traffic of a key goes on after a simulated disable. So that a later theft of the same key can be judged,
    the key counts as restored by its owner once the incident is over. Every disable counts as effective (a replay goes by
    ten minutes, the canary takes one or two); what a key had used before the recording is not known and counts as nothing."""

    def __init__(
        self,
        keys: Sequence[ApiKey],
        *,
        cooldown: timedelta,
        said: Iterable[Feedback] = (),
        owners: Mapping[str, str] = _NOBODY,
        workspaces: Mapping[str, str] = _NOBODY,
    ) -> None:
        self._owners, self._workspaces = owners, workspaces
        self._unborn = deque(sorted(keys, key=lambda key: key.created_at))
        self.keys: Mapping[str, ApiKey] = {}
        self._own: dict[str, KeySettings] = {key.key_hash: key.settings for key in keys}
        self._incidents: dict[str, Incident] = {}
        self._done: dict[str, Incident] = {}
        self._actions: list[Action] = []
        self._verdicts: dict[str, Verdict] = {}
        self._unsaid = deque(sorted(said, key=lambda one: (one.said_at, one.feedback_id)))
        self.said: tuple[Feedback, ...] = ()
        self._keep = max(KEEP, 2 * cooldown)
        self.stops: list[Stop] = []

    def advance(self, now: datetime) -> None:
        """Keys created by now exist."""
        born = []
        while self._unborn and self._unborn[0].created_at <= now:
            born.append(_with_counters(self._unborn.popleft()))
        if born:
            self.keys = {**self.keys, **{key.key_hash: key for key in born}}

    def hear(self, now: datetime) -> tuple[Feedback, ...]:
        """What people have said by now, each of the incident that is open here at that time; called expected, it is over."""
        while self._unsaid and self._unsaid[0].said_at <= now:
            one = self._unsaid.popleft()
            mine = [i for i in self._incidents.values() if i.key_hash == one.key_hash and i.resolved_at is None]
            newest = max(mine, key=lambda incident: incident.opened_at, default=None)
            self.said = (*self.said, replace(one, incident_id=newest.incident_id if newest else None))
            for incident in mine if one.opinion is Opinion.EXPECTED else ():
                self._incidents[incident.incident_id] = replace(
                    incident, state=IncidentState.RESOLVED, resolved_at=now, resolution=FALSE_ALARM_RESOLUTION
                )
                self._give_back(incident.key_hash)
        return self.said

    def context(self) -> Context:
        """What `decide` may know."""
        return Context(
            incidents=tuple(self._incidents.values()),
            actions=tuple(self._actions),
            verdicts=tuple(self._verdicts.values()),
            keys=self.keys,
            n_live_keys=sum(not key.settings.is_disabled for key in self.keys.values()),
            is_enforcing=True,
            owners=self._owners,
            workspaces=self._workspaces,
            needs_canary=False,
        )

    def enter(self, judgement: Judgement) -> None:
        """Writes down what was judged; actions are carried out at once."""
        plan = judgement.plan
        self._verdicts |= {verdict.incident_id: verdict for verdict in plan.verdicts}
        for incident in plan.incidents:
            self._incidents[incident.incident_id] = incident
            if incident.state is IncidentState.RESOLVED:
                self._give_back(incident.key_hash)
        entered = {action.action_id: action for action in self._actions}
        entered |= {action.action_id: action for action in plan.actions if action not in plan.intents}
        for action in plan.intents:
            entered[action.action_id] = replace(action, state=ActionState.DONE, finished_at=plan.at)
            self._stop(action, plan.at)
        self._actions = list(entered.values())
        for incident in list(self._incidents.values()):
            if incident.resolved_at is not None and plan.at - incident.resolved_at > self._keep:
                self._done[incident.incident_id] = self._incidents.pop(incident.incident_id)
                self._verdicts.pop(incident.incident_id, None)
        self._actions = [action for action in self._actions if plan.at - action.intended_at <= self._keep]

    def everything(self) -> tuple[Incident, ...]:
        """All incidents of keys, oldest first."""
        ours = [one for one in (*self._done.values(), *self._incidents.values()) if one.kind is IncidentKind.KEY]
        return tuple(sorted(ours, key=lambda one: one.opened_at))

    def _stop(self, action: Action, at: datetime) -> None:
        incident = self._incidents[action.incident_id or ""]
        self.stops.append(Stop(at, action.key_hash, incident.incident_id, action.verb, incident.spent_nusd))
        key = self.keys.get(action.key_hash)
        if key is None:
            return
        if action.verb is Verb.DISABLE:
            self._set(action.key_hash, replace(key.settings, is_disabled=True))
        elif action.verb is Verb.CAP:
            self._set(action.key_hash, replace(key.settings, limit_usd=action.limit_usd))

    def _give_back(self, key_hash: str) -> None:
        """The settings it was born with, and enabled."""
        own = self._own.get(key_hash)
        if own is not None:
            self._set(key_hash, replace(own, is_disabled=False))

    def _set(self, key_hash: str, settings: KeySettings) -> None:
        key = self.keys.get(key_hash)
        if key is not None and key.settings != settings:
            self.keys = {**self.keys, key_hash: replace(key, settings=settings)}


def _with_counters(key: ApiKey) -> ApiKey:
    """Counters the recording does not tell begin at nothing."""
    return replace(
        key,
        usage_nusd=key.usage_nusd or 0,
        usage_daily_nusd=key.usage_daily_nusd or 0,
        usage_weekly_nusd=key.usage_weekly_nusd or 0,
        usage_monthly_nusd=key.usage_monthly_nusd or 0,
    )
