"""Gathers what `decide` must know beside the findings, out of the store."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.decide import life
from monitor.decide.context import Context
from monitor.domain import ALIVE, Action, ActionState, Belonging, Incident, IncidentState, Verb
from monitor.jobs.app import App
from monitor.notify import routing

DAY = timedelta(days=1)


def gather(app: App, now: datetime, *, is_healthy: bool, noted: tuple[Incident, ...] = ()) -> Context:
    """The facts of this moment. `is_healthy`: the inventory of this cycle was read completely. `noted`: incidents of this cycle
    that are not stored yet."""
    store, response = app.store, app.settings.response
    keep = now - max(DAY, response.cooldown)
    live = store.ledger.incidents(states=ALIVE)
    remembered = min(keep, now - life.longest_memory(app.settings))
    ended = store.ledger.incidents(states={IncidentState.RESOLVED}, since=remembered)
    actions = _distinct(
        (*store.ledger.actions(since=keep), *store.ledger.actions(states={ActionState.INTENDED})),
    )
    listed, everything = store.keys.keys(), store.keys.keys(include_vanished=True)
    keys, workspaces = {key.key_hash: key for key in listed}, store.keys.workspaces()
    silences = store.desk.silences(active_at=now)
    owners = routing.owners(listed, routes=app.settings.routes, workspaces=workspaces) if silences else {}
    return Context(
        incidents=tuple(({each.incident_id: each for each in (*live, *ended, *noted)}).values()),
        actions=actions,
        verdicts=store.ledger.verdicts(min([keep, *(one.opened_at for one in live)])),
        keys=keys,
        vanished=frozenset(key.key_hash for key in everything if key.key_hash not in keys),
        n_live_keys=sum(not key.settings.is_disabled for key in keys.values()),
        is_kill_switch_on=app.kill_switch.exists(),
        source_is_healthy=is_healthy,
        is_enforcing=response.mode == "enforce",
        reenabled_at=_reenabled(app, actions),
        silences=silences,
        belonging=Belonging(owners, workspaces),
    )


def _distinct(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple({action.action_id: action for action in actions}.values())


def _reenabled(app: App, actions: tuple[Action, ...]) -> dict[str, datetime]:
    """When a key that we had disabled was last seen switched on again by somebody else: it is not fought."""
    found: dict[str, datetime] = {}
    for key_hash in {action.key_hash for action in actions if action.verb is Verb.DISABLE}:
        for change in app.store.keys.history(key_hash):
            if change.field == "is_disabled" and change.after == "false":
                found[key_hash] = change.seen_at
    return found
