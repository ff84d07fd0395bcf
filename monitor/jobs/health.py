"""How the source fares: what was wrong in a cycle, as symptoms for `decide.sources`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.decide import sources
from monitor.decide.sources import Noted, Symptom, Trouble
from monitor.domain import (
    ALIVE,
    HOUR_S,
    NUSD,
    Dimension,
    Incident,
    IncidentKind,
    Inventory,
    LaneHealth,
    Severity,
    floor_to,
)
from monitor.errors import SourceError, Unauthorized
from monitor.jobs import unattributed, weekly
from monitor.jobs.app import App
from monitor.report.weeks import Window
from monitor.store.base import Store

ACCESS, LISTING, STALE, INCOMPLETE = "access", "listing", "stale", "incomplete"
CONTRADICTORY, UNATTRIBUTED, CLOCK, DISK = "contradictory", "unattributed", "clock", "disk"

SKEW: Final = timedelta(minutes=2)
"""Clocks this far apart are told of. Windows follow the source's time, so decisions do not depend on ours."""

GAP_SHARE: Final = 0.25
GAP_NUSD: Final = 5 * NUSD
"""Counters and analytics contradict each other where they differ by both, over the hours that should be settled."""

CHECKED: Final = timedelta(hours=6)
"""So many whole hours are compared: single late buckets must not count."""

BEHIND: Final = timedelta(hours=3)
"""A fleet too large for minutes is read in hours, up to two of which are under way."""

SETTLED: Final = timedelta(hours=1)

LONG_OUTAGE: Final = timedelta(days=2)
"""An incident of an outage this long that ended a moment ago is still found, to be reopened."""

_ASIDE: Final = frozenset({"settle", "drilldown"})
"""Lanes without which keys are still watched: told of, but nothing is held back for them."""


@dataclass(slots=True)
class Seen:
    """What one cycle saw of the source."""

    errors: Mapping[str, SourceError]
    worked: frozenset[str]
    inventory: Inventory | None = None
    as_of: datetime | None = None
    skew: timedelta = timedelta(0)
    lanes: tuple[LaneHealth, ...] = ()
    found: list[Symptom] = field(default_factory=list)
    well: set[str] = field(default_factory=set)

    def note(self, name: str, symptom: Symptom | None) -> None:
        """Something was looked for: it is there, or it is not."""
        if symptom is None:
            self.well.add(name)
        else:
            self.found.append(symptom)


def noted(app: App, seen: Seen, troubles: Mapping[str, Trouble], now: datetime) -> Noted:
    """What this cycle says of the source's health; once an hour counters and usage are held against each other.

    Raises StoreError."""
    store, settings = app.store, app.settings
    seen.skew, seen.lanes = app.source.skew, app.source.health()
    seen.note(DISK, None if store.maintenance.has_reserve else _full())
    if "settle" in seen.worked:
        cross_check(store, seen, now)
    symptoms, well = look(seen, settings, now)
    return sources.noted(troubles, symptoms, well, lately(store, settings, now), settings, now)


def lately(store: Store, settings: Settings, now: datetime) -> tuple[Incident, ...]:
    """The source's incidents that are open, or ended so short a time ago that they may be reopened. Raises StoreError."""
    since = now - settings.incidents.reopen_within - LONG_OUTAGE
    found = (*store.ledger.incidents(since=since), *store.ledger.incidents(states=ALIVE))
    return tuple({each.incident_id: each for each in found if each.kind is IncidentKind.SOURCE}.values())


def look(seen: Seen, settings: Settings, now: datetime) -> tuple[tuple[Symptom, ...], frozenset[str]]:
    """(symptoms, names of what was looked for and is well), from what a cycle saw; `seen` may hold symptoms already."""
    _errors(seen)
    if seen.inventory is not None:
        seen.note(LISTING, _listing(seen.inventory))
    if "usage" in seen.worked:
        seen.note(STALE, _stale(seen, settings, now))
        seen.note(INCOMPLETE, _incomplete(seen, settings, now))
    skew = abs(seen.skew)
    said = f"our clock is {skew.total_seconds() / 60:.0f} min {'behind' if seen.skew > timedelta(0) else 'ahead of'} the source's"
    seen.note(CLOCK, Symptom(CLOCK, said, Severity.NOTICE) if skew > SKEW else None)
    return tuple(seen.found), frozenset(seen.well)


def _errors(seen: Seen) -> None:
    """A refused key is one trouble, whatever number of lanes it stops; any other failure is a lane's own."""
    refused = [error for error in seen.errors.values() if isinstance(error, Unauthorized)]
    if refused:
        said = f"the management key is refused ({refused[0]})"
        seen.found.append(Symptom(ACCESS, said, Severity.CRITICAL, is_urgent=True))
    elif "keys" in seen.worked:
        seen.well.add(ACCESS)
    others = {lane: error for lane, error in seen.errors.items() if not isinstance(error, Unauthorized)}
    if "keys" in others:  # nothing answers: what the other lanes say is the same outage
        others = {"keys": others["keys"]}
    for lane, error in others.items():
        severity = Severity.NOTICE if lane in _ASIDE else Severity.WARNING
        seen.found.append(Symptom(lane, f"{lane}: the source does not answer ({error})", severity))
    seen.well |= seen.worked


def _full() -> Symptom:
    """Nothing is held back for it: what is decided finds room in the reserve that was given up."""
    said = "the disk of the store is full, or nearly: the space kept for hard times is in use; free some before it ends"
    return Symptom(DISK, said, Severity.NOTICE, is_urgent=True)


def _listing(inventory: Inventory) -> Symptom | None:
    if inventory.is_complete:
        return None
    said = "; ".join(inventory.warnings) or "some keys may be missing"
    return Symptom(LISTING, f"the listing of keys is in doubt: {said}", is_urgent=inventory.n_unsettled > 0)


def _stale(seen: Seen, settings: Settings, now: datetime) -> Symptom | None:
    if seen.as_of is None or now - seen.as_of <= settings.collect.max_data_age:
        return None
    said = f"usage is answered, but as of {seen.as_of:%Y-%m-%d %H:%M} UTC: an old copy"
    return Symptom(STALE, said, is_urgent=True)


def _incomplete(seen: Seen, settings: Settings, now: datetime) -> Symptom | None:
    until = next((each.complete_until for each in seen.lanes if each.lane == "usage"), None)
    if until is None or now - until <= max(BEHIND, 2 * settings.collect.max_data_age):
        return None
    return Symptom(
        INCOMPLETE, f"usage is answered, but complete only until {until:%Y-%m-%d %H:%M} UTC: cut or failing answers"
    )


def cross_check(store: Store, seen: Seen, now: datetime) -> None:
    """Counters against analytics, and dollars that no key could be given, over the last settled hours. Raises StoreError.

    Says nothing where the counters do not tell (a sample is missing, a key is gone, a counter went backwards)."""
    until = floor_to(now, HOUR_S) - SETTLED
    window = Window(until - CHECKED, until)
    usage = store.usage.read_hourly(window.since, window.until, dimensions={Dimension.MODEL})
    told, loose = int(usage["cost_nusd"].sum()), unattributed.of(store, window, now=now) or 0
    seen.note(UNATTRIBUTED, _unattributed(loose, told))
    counted = weekly.counted(store, window)
    if counted is not None:
        seen.note(CONTRADICTORY, _contradiction(counted, told + loose))


def _contradiction(counted: int, told: int) -> Symptom | None:
    gap = abs(counted - told)
    if gap <= GAP_NUSD or gap <= GAP_SHARE * max(counted, told):
        return None
    said = (
        f"counters and usage contradict each other: in {CHECKED // timedelta(hours=1)} h the keys' counters rose by "
        f"${counted / NUSD:,.2f}, their usage says ${told / NUSD:,.2f}"
    )
    return Symptom(CONTRADICTORY, said, is_urgent=True)


def _unattributed(loose: int, told: int) -> Symptom | None:
    if loose <= GAP_NUSD or loose <= GAP_SHARE * (told + loose):
        return None
    said = f"${loose / NUSD:,.2f} of usage in {CHECKED // timedelta(hours=1)} h could be given to no single key"
    return Symptom(UNATTRIBUTED, said, is_urgent=True)
