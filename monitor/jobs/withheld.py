"""Why an automatic intent is not carried out after all: what has happened since it was written down.

Between the two lie moments in which other keys are acted upon, or, after a kill, a restart with other settings. Only what people said
or set is looked at again; evidence is judged by the next cycle."""

from __future__ import annotations

from typing import Final

from monitor.decide import AUTOMATIC, guardrails, muting
from monitor.domain import Action, Verb
from monitor.jobs import context, terms
from monitor.jobs.app import App

_UNTOUCHED: Final = "; nothing was touched"


def why(app: App, action: Action) -> str:
    """What forbids it now, empty where nothing does. Never anything for what a person asked for. Raises StoreError."""
    if action.requested_by != AUTOMATIC:
        return ""
    if app.kill_switch.exists():
        return "the kill switch is on" + _UNTOUCHED
    if terms.is_over(app):
        return "another service has started on this store and acts now" + _UNTOUCHED
    said = _by_settings(app, action) or _by_people(app, action)
    return said + _UNTOUCHED if said else ""


def _by_settings(app: App, action: Action) -> str:
    response = app.settings.response
    if response.mode != "enforce":
        return f"response.mode is {response.mode} by now"
    if (hours := guardrails.quiet_now(response, app.now())) is not None:
        return hours
    if action.verb is Verb.ZERO:  # for a key that is disabled already: who protects it has disabled it
        return ""
    listed = app.store.keys.keys()
    key = next((each for each in listed if each.key_hash == action.key_hash), None)
    pattern = guardrails.protecting(response, key.key_name if key else "", action.key_hash)
    return "" if pattern is None else f"the key is protected by now (response.protected_keys: {pattern})"


def _by_people(app: App, action: Action) -> str:
    """Their word about the incident it is done for; an incident that is gone says nothing."""
    if action.verb is Verb.ZERO or action.incident_id is None:
        return ""
    known = app.store.ledger.incidents()
    incident = next((each for each in known if each.incident_id == action.incident_id), None)
    if incident is None:
        return ""
    if not incident.is_alive:
        by = f" by {incident.resolved_by}" if incident.resolved_by else ""
        return f"{incident.incident_id} was resolved{by} ({incident.resolution})"
    now = app.now()
    silence = muting.silenced_by(incident, context.gather(app, now, is_healthy=True), now)
    return "" if silence is None else f"{incident.incident_id} is {silence}"
