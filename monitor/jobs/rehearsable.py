"""Which key may be rehearsed on: one that nobody would miss for some seconds, known completely and freshly. In doubt none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from monitor.collect.quality import Known
from monitor.config import Settings
from monitor.decide import guardrails, muting
from monitor.domain import ALIVE, HOUR_S, NUSD, WAITING, ActionState, ApiKey, DataQuality, Dimension, Quality, floor_to
from monitor.errors import RequestRefused
from monitor.jobs import replay
from monitor.jobs.app import App
from monitor.report.gaps import find_gaps
from monitor.report.weeks import Window
from monitor.respond import undoing
from monitor.store.base import Store
from monitor.wording import money

DAY: Final = timedelta(hours=24)

IN_USE_NUSD: Final = NUSD // 4
"""A key that spent more than this in 24 hours is in use: 0.25 USD. A canary may have habits of its own, of cents."""

Choose = Callable[[Sequence[ApiKey]], ApiKey]
"""Finds the key that was named; raises MonitorError where that is not exactly one."""


async def chosen(app: App, choose: Choose) -> tuple[ApiKey, dict[str, ApiKey], dict[str, str]]:
    """(the key as just read, every key by hash, workspaces by id), from an inventory read now.

    Raises RequestRefused where that is incomplete, SourceError, and what `choose` raises."""
    stored = app.store.keys.keys()
    known = [key.key_hash for key in stored if key.expires_at is None or key.expires_at > app.now()]
    inventory = await app.source.inventory(known)
    if not inventory.is_complete:
        why = "; ".join(inventory.warnings) or "a listing was cut off"
        raise RequestRefused(f"the list of keys is not complete ({why}); nothing was touched, try again later")
    key = choose(inventory.keys)
    fresh = await app.control.read(key.key_hash)
    workspaces = {each.workspace_id: each.name for each in inventory.workspaces}
    return fresh, {each.key_hash: each for each in inventory.keys} | {fresh.key_hash: fresh}, workspaces


def refusal(app: App, key: ApiKey, now: datetime) -> str | None:
    """Why this key is not rehearsed on; None where it may be. Raises StoreError."""
    store, response = app.store, app.settings.response
    if app.kill_switch.exists():
        return f"the kill switch is on ({app.kill_switch}); remove it first"
    if (pattern := guardrails.protecting(response, key.key_name, key.key_hash)) is not None:
        return f"it is protected by response.protected_keys: {pattern}"
    if key.settings.is_disabled:
        return "it is disabled already: a rehearsal could not show that a disable works; name an enabled key"
    if (why := _in_our_hands(store, key)) is not None:
        return why
    trouble = muting.source_trouble(store.ledger.incidents(states=ALIVE))
    if trouble is not None:
        return f"{trouble.incident_id} is open: the account's data is in doubt; wait until it is over"
    return _unknown(app, key, now) or _in_use(store, key, now)


def _in_our_hands(store: Store, key: ApiKey) -> str | None:
    """An incident, an action under way, or a change of ours that is still in force."""
    open_ones = [one for one in store.ledger.incidents(states=ALIVE) if one.key_hash == key.key_hash]
    if open_ones:
        return f"{open_ones[0].incident_id} is open on it; resolve that first (`incidents resolve`)"
    journal = store.ledger.actions(key_hash=key.key_hash)
    under_way = [one for one in journal if one.state in {ActionState.INTENDED, *WAITING}]
    if under_way:
        one = under_way[0]
        return f"{one.action_id} ({one.verb.value}, {one.state.value}) is under way on it; wait until that is over"
    undo = undoing.undo_of(journal)
    if undo is not None and key.settings in undo.left and key.settings != undo.settings:
        return f"{undo.latest.action_id} ({undo.latest.verb.value}) is in force on it: `restore` it first"
    return None


def _unknown(app: App, key: ApiKey, now: datetime) -> str | None:
    """Whether its usage is known up to now, as far as the store says."""
    oldest = now - app.settings.collect.max_data_age
    quality = stored_quality(app.store, app.settings, key, now)
    remedy = "let the service read it (`run`, or `once`), then rehearse"
    if quality.complete_until is None or quality.complete_until < oldest:
        upto = f"known up to {quality.complete_until:%Y-%m-%d %H:%M} UTC" if quality.complete_until else "not known"
        return f"its usage is {upto}, which is too old to judge; {remedy}"
    if quality.state is not Quality.KNOWN:
        return f"its usage of the last hour is incomplete; {remedy}"
    return None


def stored_quality(store: Store, settings: Settings, key: ApiKey, now: datetime) -> DataQuality:
    """What the store knows of the key's last hours."""
    since = now - replay.QUALITY_REACH
    known = Known()
    known.take(replay.newest_last(replay.cut(store.usage.coverage(since, now), since, now)))
    key_no = store.keys.catalog.known_key_no(key.key_hash)
    return known.of([store.keys.catalog.n_keys if key_no is None else key_no], now).popitem()[1]


def _in_use(store: Store, key: ApiKey, now: datetime) -> str | None:
    spent = spent_in_a_day(store, key, now)
    if spent is None:
        return "it is not known what it spent in the last 24 hours; let the service watch for a day, then rehearse"
    if spent > IN_USE_NUSD:
        return (
            f"it spent {money(spent)} in the last 24 hours, more than {money(IN_USE_NUSD)}: it is a key in use, and would fail"
            " for some seconds; name a key that nobody would miss"
        )
    return None


def spent_in_a_day(store: Store, key: ApiKey, now: datetime) -> int | None:
    """Nano-dollars of the last 24 hours, the most that usage rows and counters say; None where neither reaches back so far."""
    key_no = store.keys.catalog.known_key_no(key.key_hash)
    if key_no is None:
        return None
    since = now - DAY
    floor = floor_to(since, HOUR_S)
    rows = store.usage.read_hourly(floor, now, key_nos=[key_no])
    of_models = rows[(rows["dimension"] == int(Dimension.MODEL)).to_numpy()]
    found = [int(of_models["cost_nusd"].sum())]
    found += [(key.usage_daily_nusd or 0) + (key.byok_usage_daily_nusd or 0)]
    samples = store.usage.counters(since - 2 * timedelta(hours=1), since)
    mine = samples[(samples["key_no"] == key_no).to_numpy()]
    lifetime = None if key.usage_nusd is None else key.usage_nusd + (key.byok_usage_nusd or 0)
    if len(mine) and lifetime is not None:
        return max(*found, lifetime - int(mine["usage_nusd"].iloc[-1]))
    window = Window(floor, floor_to(now, HOUR_S))
    gaps = find_gaps(store.usage.coverage(window.since, window.until), window)
    return max(found) if gaps.of(key_no) == 0 else None
