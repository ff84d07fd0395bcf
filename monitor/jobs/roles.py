"""Which detector does what: one is at work, one is on trial, one is the anchor, and the last ones are kept to go back to.

live      judges; none of our own yet means the shipped one
shadow    the newest made here: judged beside the live one on history that neither has learned from, then promoted or refused
anchor    the same for a month, so that a detector cannot give way a little every day unnoticed
before    what was live before, newest first: `detector rollback` goes back to it
refused   never promoted by itself (again); a person may

One document in the store, so that a change by hand is seen by the running service in its next cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from monitor.domain import AuditEntry, AuditKind
from monitor.errors import MonitorError
from monitor.store.base import Store

NAME: Final = "detectors"
ANCHOR_LASTS: Final = timedelta(days=28)
KEPT: Final = 3
"""Former detectors to go back to."""

LOG_LASTS: Final = 50
"""Changes remembered."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change of roles: `by` a person (`cli:<user>`) or the monitor; `why` in words."""

    at: datetime
    what: str
    name: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of artifacts (without suffix); None where nobody has the role."""

    live: str | None = None
    shadow: str | None = None
    anchor: str | None = None
    anchored_at: datetime | None = None
    before: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def kept(self) -> frozenset[str]:
        """Artifacts that must not be deleted."""
        return frozenset(name for name in (self.live, self.shadow, self.anchor, *self.before) if name)


AUTOMATIC: Final = "monitor"


def read(store: Store) -> Roles | None:
    """The roles; None in a store of before there were any. Raises StoreError."""
    found = store.state.get(NAME)
    if found is None:
        return None
    at = found.get("anchored_at")
    return Roles(
        live=_name(found.get("live")),
        shadow=_name(found.get("shadow")),
        anchor=_name(found.get("anchor")),
        anchored_at=datetime.fromisoformat(str(at)) if at else None,
        before=_names(found.get("before")),
        refused=_names(found.get("refused")),
        events=tuple(_event(each) for each in _list(found.get("events"))),
    )


def write(store: Store, roles: Roles) -> None:
    """Writes the roles down, and each change into the audit trail. Raises StoreError."""
    before = read(store) or Roles()
    store.audit.append(
        [
            AuditEntry(one.at, AuditKind.DETECTOR, one.by, one.name, why=f"{one.what}: {one.why}")
            for one in roles.events
            if one not in before.events
        ]
    )
    store.state.put(
        NAME,
        {
            "live": roles.live,
            "shadow": roles.shadow,
            "anchor": roles.anchor,
            "anchored_at": roles.anchored_at.isoformat() if roles.anchored_at else None,
            "before": list(roles.before),
            "refused": list(roles.refused),
            "events": [
                {"at": one.at.isoformat(), "what": one.what, "name": one.name, "by": one.by, "why": one.why}
                for one in roles.events[-LOG_LASTS:]
            ],
        },
    )


def promoted(roles: Roles, name: str, *, at: datetime, by: str, why: str) -> Roles:
    """`name` at work; what was is kept to go back to. The anchor follows once it has stood for its month."""
    before = tuple(dict.fromkeys(one for one in (roles.live, *roles.before) if one and one != name))[:KEPT]
    is_old = roles.anchored_at is None or at - roles.anchored_at >= ANCHOR_LASTS
    return replace(
        roles,
        live=name,
        shadow=None if roles.shadow == name else roles.shadow,
        anchor=name if is_old or roles.anchor is None else roles.anchor,
        anchored_at=at if is_old or roles.anchor is None else roles.anchored_at,
        before=before,
        refused=tuple(one for one in roles.refused if one != name),
        events=(*roles.events, Event(at, "promoted", name, by, why)),
    )


def refused(roles: Roles, name: str, *, at: datetime, why: str) -> Roles:
    """`name` is not promoted."""
    return replace(
        roles,
        shadow=None if roles.shadow == name else roles.shadow,
        refused=(*(one for one in roles.refused if one != name), name)[-10:],
        events=(*roles.events, Event(at, "refused", name, AUTOMATIC, why)),
    )


def shadowed(roles: Roles, name: str, *, at: datetime) -> Roles:
    """`name` on trial from now on."""
    return replace(roles, shadow=name, events=(*roles.events, Event(at, "shadow", name, AUTOMATIC, "made anew")))


def rolled_back(roles: Roles, *, at: datetime, by: str, why: str) -> Roles:
    """The detector before the live one at work again; the live one is not promoted by itself again.

    Raises MonitorError where there is none to go back to."""
    if roles.live is None or not roles.before:
        raise MonitorError("there is no earlier detector to go back to; `openrouter-monitor detector list` shows them")
    back, *rest = roles.before
    return replace(
        roles,
        live=back,
        before=tuple(rest),
        refused=(*roles.refused, roles.live)[-10:],
        events=(*roles.events, Event(at, "rolled back", roles.live, by, why or f"back to {back}")),
    )


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _names(value: object) -> tuple[str, ...]:
    return tuple(each for each in _list(value) if isinstance(each, str))


def _event(value: object) -> Event:
    found = value if isinstance(value, dict) else {}
    at = datetime.fromisoformat(str(found.get("at")))
    return Event(at, *(str(found.get(name, "")) for name in ("what", "name", "by", "why")))
