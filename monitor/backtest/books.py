"""The ledger of a replay, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
    Opinion,
    Verb,
    Verdict,
)
from monitor.pipeline import Judgement

KEEP: Final = timedelta(hours=48)
"""How long the replay's ledger keeps what is over, at least: longer than any fuse looks back."""


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
    the key counts as restored by its owner once the incident is over."""

    def __init__(self, keys: Sequence[ApiKey], *, cooldown: timedelta, said: Iterable[Feedback] = ()) -> None:
        self._unborn = deque(sorted(keys, key=lambda key: key.created_at))
        self.keys: Mapping[str, ApiKey] = {}
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
            born.append(self._unborn.popleft())
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
                self._switch(incident.key_hash, is_disabled=False)
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
        )

    def enter(self, judgement: Judgement) -> None:
        """Writes down what was judged; actions are carried out at once."""
        plan = judgement.plan
        self._verdicts |= {verdict.incident_id: verdict for verdict in plan.verdicts}
        for incident in plan.incidents:
            self._incidents[incident.incident_id] = incident
            if incident.state is IncidentState.RESOLVED:
                self._switch(incident.key_hash, is_disabled=False)
        for action in plan.actions:
            self._actions.append(replace(action, state=ActionState.DONE, finished_at=plan.at))
            self._stop(action, plan.at)
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
        if action.verb is Verb.DISABLE:
            self._switch(action.key_hash, is_disabled=True)

    def _switch(self, key_hash: str, *, is_disabled: bool) -> None:
        key = self.keys.get(key_hash)
        if key is not None and key.settings.is_disabled != is_disabled:
            switched = replace(key, settings=replace(key.settings, is_disabled=is_disabled))
            self.keys = {**self.keys, key_hash: switched}
