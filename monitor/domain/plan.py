"""What `decide` wants done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.domain.actions import Action, ActionState, Verdict
from monitor.domain.incidents import Incident
from monitor.domain.messages import Notice


@dataclass(frozen=True, slots=True)
class Plan:
    """What `decide` wants done. `incidents` are those new or changed; nothing in here has happened yet.

    `actions` are what the journal gets: intents to carry out, proposals for people, and proposals that are over."""

    at: datetime
    incidents: tuple[Incident, ...] = ()
    actions: tuple[Action, ...] = ()
    notices: tuple[Notice, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def intents(self) -> tuple[Action, ...]:
        """What is to be carried out now."""
        return tuple(action for action in self.actions if action.state is ActionState.INTENDED)
