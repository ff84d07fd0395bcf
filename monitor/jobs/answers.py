"""What a person's answer to an alert does: one interface for every way of answering, and what carries it out."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol

from monitor.domain import Action, ActionState, Incident, IncidentState, Opinion
from monitor.errors import ActionFailed, MonitorError
from monitor.jobs import desk, feedback, manual
from monitor.jobs.app import App
from monitor.wording import moment, one_line


class StaleAnswer(MonitorError):
    """The incident has moved on since the question was asked; whoever answered must look again."""


class Desk(Protocol):
    """Carries out what a person decided. `by` is who (`slack:U123 (name)`, `cli:name`); `expected_step` the step the person saw.
    Each returns what was done, in a few words. Raises StaleAnswer, RequestRefused, and what the doing raises."""

    async def ack(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """Somebody looks after it."""
        ...

    async def snooze(self, incident_id: str, *, by: str, expected_step: int, until: datetime) -> str:
        """Nobody wants to hear of it until then."""
        ...

    async def expected(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """It is the key's own work: a false alarm."""
        ...

    async def planned(self, incident_id: str, *, by: str, expected_step: int, until: datetime) -> str:
        """It is planned work that ends then."""
        ...

    async def abuse(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """Somebody else uses the key."""
        ...

    async def disable(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """The incident's key is taken out of service."""
        ...

    async def restore(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """The incident's key is put back exactly."""
        ...


class AppDesk:
    """Implements `Desk` by what the rest of the program offers."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def ack(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """Acknowledged, with its row in the audit trail."""
        await desk.acknowledge(self._app, incident_id, by=by, why="by a button", expected_step=expected_step)
        return "acknowledged"

    async def snooze(self, incident_id: str, *, by: str, expected_step: int, until: datetime) -> str:
        """Silenced until then, with its row in the audit trail."""
        lasting = until - self._app.now()
        await desk.silence(
            self._app, incident_id, by=by, lasting=lasting, why="by a button", expected_step=expected_step
        )
        return f"snoozed until {moment(until)}"

    async def expected(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """Written down as feedback; the key's open incidents are over, and their hours teach."""
        return await self._say(incident_id, Opinion.EXPECTED, by=by, expected_step=expected_step)

    async def planned(self, incident_id: str, *, by: str, expected_step: int, until: datetime) -> str:
        """Written down as feedback with its end."""
        return await self._say(incident_id, Opinion.PLANNED, by=by, expected_step=expected_step, until=until)

    async def abuse(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """Written down as feedback: these hours never teach. Disabling stays a decision of its own."""
        return await self._say(incident_id, Opinion.ABUSE, by=by, expected_step=expected_step)

    async def _say(
        self, incident_id: str, opinion: Opinion, *, by: str, expected_step: int, until: datetime | None = None
    ) -> str:
        app = self._app
        incident = await asyncio.to_thread(current, app, incident_id, expected_step)
        if incident.state is IncidentState.RESOLVED:
            raise StaleAnswer(f"{incident_id} is resolved already; `openrouter-monitor feedback` still takes your word")
        now = app.now()
        said, _ = await asyncio.to_thread(
            feedback.say, app.store, incident.key_hash, opinion, by=by, now=now, until=until
        )
        return f"said to be {opinion.value}, which counts until {moment(said.until)}"

    async def disable(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """Disables the key, journalled and read back like anything automatic."""
        incident = await asyncio.to_thread(current, self._app, incident_id, expected_step)
        key = await self._app.control.read(incident.key_hash)
        if key.settings.is_disabled:
            raise StaleAnswer("the key is disabled already")
        return _done(await manual.revoke(self._app, key, requested_by=by, incident_id=incident_id))

    async def restore(self, incident_id: str, *, by: str, expected_step: int) -> str:
        """Puts the key back exactly."""
        incident = await asyncio.to_thread(current, self._app, incident_id, expected_step)
        key = await self._app.control.read(incident.key_hash)
        return _done(await manual.restore(self._app, key, requested_by=by))


def current(app: App, incident_id: str, expected_step: int) -> Incident:
    """The incident as it stands. Raises StaleAnswer where there is none, or none at that step any more."""
    incident = next((one for one in app.store.ledger.incidents() if one.incident_id == incident_id), None)
    if incident is None:
        raise StaleAnswer(f"there is no incident {one_line(incident_id)[:40]} any more")
    if incident.step != expected_step:
        raise StaleAnswer(
            f"{incident_id} has moved on since: it is at step {incident.step}, this was step {expected_step};"
            " look at the newest message and decide there"
        )
    return incident


def _done(action: Action) -> str:
    if action.state is not ActionState.DONE:
        raise ActionFailed(
            f"{action.verb.value} {action.state.value}: {one_line(action.detail)}; see docs/runbook.md", permanent=True
        )
    return {"disable": "key disabled", "restore": "key restored"}.get(action.verb.value, action.verb.value)
