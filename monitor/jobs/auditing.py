"""Writes down what bears on acting and is no action: settings, arming, the kill switch; and publishes the trail's head."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from monitor.config import Settings
from monitor.domain import AuditEntry, AuditHead, AuditKind
from monitor.jobs import arming
from monitor.jobs.app import App
from monitor.store.base import Store

log = logging.getLogger(__name__)

CONFIGURATION: Final = "configuration"
"""Who changed a setting: whoever may write the file or the environment; the program cannot know their name."""

_ARMED: Final = "enforce"


def publish(store: Store) -> AuditHead:
    """The head of the trail into the log: outside the store, where whoever edits the store does not reach."""
    head = store.audit.head()
    log.info("audit_head", extra={"row": head.number, "head": str(head)})
    return head


def note_settings(store: Store, settings: Settings, now: datetime) -> tuple[str, ...]:
    """Writes down settings that bear on acting where they differ from the last time; returns what changed, by name."""
    last = store.audit.rows(kind=AuditKind.SETTINGS, limit=1)
    before: Mapping[str, str] = json.loads(last[-1].detail) if last else {}
    after = {name: json.dumps(value) for name, value in acting(settings).items()}
    changed = tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
    if not changed:
        return ()
    told = "; ".join(f"{name} was {before.get(name, 'unset')}, is {after.get(name, 'unset')}" for name in changed)
    why = told if before else "the first start"
    entries = [AuditEntry(now, AuditKind.SETTINGS, CONFIGURATION, "settings", why=why, detail=after)]
    was_armed = before.get("response.mode") == json.dumps(_ARMED)
    is_armed = settings.response.mode == _ARMED
    if was_armed != is_armed:
        kind = AuditKind.ARMED if is_armed else AuditKind.DISARMED
        entries.append(AuditEntry(now, kind, CONFIGURATION, "response.mode", why=f"is {settings.response.mode}"))
    store.audit.append(entries)
    return changed


def acting(settings: Settings) -> dict[str, object]:
    """Every setting that bears on what is done to keys, by dotted name, as JSON values."""
    response = settings.response.model_dump(mode="json")
    return arming.policy_of(settings) | {f"response.{name}": value for name, value in response.items()}


def note_kill_switch(app: App, now: datetime) -> bool:
    """Writes down that the switch was thrown or taken back since it was last looked at; returns whether it is on."""
    is_on = app.kill_switch.exists()
    last = app.store.audit.rows(kind=AuditKind.KILL_SWITCH, limit=1)
    was_on = bool(last) and json.loads(last[-1].detail).get("state") == "on"
    if is_on != was_on:
        state = "on" if is_on else "off"
        entry = AuditEntry(
            now, AuditKind.KILL_SWITCH, "file", "kill switch", why=f"is {state}", detail={"state": state}
        )
        app.store.audit.append((entry,))
        publish(app.store)
    return is_on
