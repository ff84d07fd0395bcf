"""What `decide` wants done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.domain.actions import Action, Verdict
from monitor.domain.incidents import Incident
from monitor.domain.messages import Notice


@dataclass(frozen=True, slots=True)
class Plan:
    """What `decide` wants done. `incidents` are those new or changed; nothing in here has happened yet."""

    at: datetime
    incidents: tuple[Incident, ...] = ()
    actions: tuple[Action, ...] = ()
    notices: tuple[Notice, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
