"""Gathers what `decide` must know beside the findings, out of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from monitor.decide import life
from monitor.decide.context import Context
from monitor.domain import ALIVE, WAITING, Action, ActionState, ApiKey, Belonging, Incident, IncidentState, Reason, Verb
from monitor.jobs import effects
from monitor.jobs.app import App
from monitor.notify import routing

DAY = timedelta(days=1)

REENABLES_FOR = timedelta(days=30)
"""How long it is remembered that people switched a key on again."""


def gather(app: App, now: datetime, *, is_healthy: bool, noted: tuple[Incident, ...] = ()) -> Context:
    """The facts of this moment. `is_healthy`: the inventory of this cycle was read completely. `noted`: incidents of this cycle
    that are not stored yet."""
    store, response = app.store, app.settings.response
    keep = now - max(DAY, response.cooldown)
    live = store.ledger.incidents(states=ALIVE)
    remembered = min(keep, now - life.longest_memory(app.settings))
    ended = store.ledger.incidents(states={IncidentState.RESOLVED}, since=remembered)
    month = store.ledger.actions(since=min(keep, now - REENABLES_FOR))
    open_ones = store.ledger.actions(states={ActionState.INTENDED, *WAITING})
    past = (each for each in month if each.intended_at >= keep and each.reason is not Reason.REHEARSAL)
    actions = _distinct((*past, *open_ones))  # a rehearsal under way is in the way; one that is over never was
    listed, everything = store.keys.keys(), store.keys.keys(include_vanished=True)
    keys, workspaces = {key.key_hash: key for key in listed}, store.keys.workspaces()
    vanished = frozenset(key.key_hash for key in everything if key.key_hash not in keys)
    flips = _switched_on(app, [action for action in month if _is_ours(action)], now - REENABLES_FOR)
    known = effects.known(store.state, actions, vanished)
    silences = store.desk.silences(active_at=now)
    owners = _owners(app, keys, workspaces, is_asked=bool(silences))
    return Context(
        incidents=tuple(({each.incident_id: each for each in (*live, *ended, *noted)}).values()),
        actions=actions,
        verdicts=store.ledger.verdicts(min([keep, *(one.opened_at for one in live)])),
        keys=keys,
        vanished=vanished,
        n_live_keys=sum(not key.settings.is_disabled for key in keys.values()),
        is_kill_switch_on=app.kill_switch.exists(),
        source_is_healthy=is_healthy,
        is_enforcing=response.mode == "enforce",
        reenabled_at={key_hash: times[-1] for key_hash, times in flips.items() if times[-1] >= keep},
        n_reenabled={key_hash: len(times) for key_hash, times in flips.items()},
        owners=owners,
        workspaces=workspaces,
        proven=known.proven,
        grown_nusd=known.grown_nusd,
        silences=silences,
        belonging=Belonging(owners, workspaces),
    )


def _distinct(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple({action.action_id: action for action in actions}.values())


def _is_ours(action: Action) -> bool:
    return action.verb is Verb.DISABLE and action.state is ActionState.DONE


def _switched_on(app: App, disables: Sequence[Action], since: datetime) -> dict[str, list[datetime]]:
    """When keys that we had disabled were seen switched on again, oldest first: they are not fought. A restore by a person
    is such a moment, too; the end of a rehearsal is none."""
    found: dict[str, list[datetime]] = {}
    for key_hash in {action.key_hash for action in disables if action.reason is not Reason.REHEARSAL}:
        mine = [action for action in disables if action.key_hash == key_hash]
        for change in app.store.keys.history(key_hash):
            if change.field != "is_disabled" or change.after != "false" or change.seen_at < since:
                continue
            before = [action for action in mine if action.intended_at <= change.seen_at]
            if not before or before[-1].reason is not Reason.REHEARSAL:
                found.setdefault(key_hash, []).append(change.seen_at)
    return {key_hash: sorted(times) for key_hash, times in found.items()}


def _owners(app: App, keys: Mapping[str, ApiKey], workspaces: Mapping[str, str], *, is_asked: bool) -> dict[str, str]:
    """Asked for only where a policy or a silence may go by owner."""
    settings = app.settings
    if not is_asked and not any(policy.owner is not None for policy in settings.policies):
        return {}
    return routing.owners(tuple(keys.values()), routes=settings.routes, workspaces=workspaces)
