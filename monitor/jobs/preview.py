"""What would be sent, without sending it: the newest incident of the store, or a made-up one where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.decide.notices import crowd_head
from monitor.domain import (
    Message,
    MessageKind,
    Notice,
    Picture,
    Reason,
    Rung,
    Verdict,
)
from monitor.jobs import digest, example, overview, owners, pictures, storms
from monitor.notify import storm
from monitor.notify.message import compose
from monitor.notify.overview import keys_page
from monitor.notify.pages import Page
from monitor.notify.parts import parts
from monitor.report import alert_chart
from monitor.store.base import Store

PICTURE_ID: Final = "F0PREVIEW1"


@dataclass(frozen=True, slots=True)
class Preview:
    """Messages in the order in which they would be sent, and the picture of the first. `note`: where they come from."""

    messages: tuple[Message, ...]
    picture: bytes | None
    note: str


def alert(store: Store | None, settings: Settings, now: datetime, *, key_hash: str | None = None) -> Preview:
    """The alert of the newest incident (of that key); a made-up one where there is none. Raises StoreError."""
    incidents = store.ledger.incidents() if store is not None else ()
    found = [each for each in incidents if key_hash is None or each.key_hash == key_hash]
    if store is None or not found:
        return _sample(settings, now)
    incident = found[0]
    keys = {key.key_hash: key for key in store.keys.keys(include_vanished=True)}
    key, workspaces = keys.get(incident.key_hash), store.keys.workspaces()
    to = owners.where(store, settings, key, workspaces)
    verdicts = [each for each in store.ledger.verdicts(incident.opened_at) if each.incident_id == incident.incident_id]
    picture, alt_text = pictures.draw(store, incident, min(now, incident.last_seen_at + timedelta(hours=6)))
    notice = Notice(MessageKind.ALERT, now, incident=incident, verdict=verdicts[-1] if verdicts else None)
    message = compose(
        notice,
        key,
        channel=to.channel,
        owner=to.owner,
        workspace_name=workspaces.get(key.workspace_id or "") if key else None,
        now=min(now, incident.last_seen_at + timedelta(minutes=5)),
        data_as_of=incident.quality.as_of,
        routed=to.why,
    )
    return _with(
        message, picture, alt_text, note=f"{incident.incident_id}, from the store; goes to: {to.channel} ({to.why})"
    )


def many(store: Store | None, settings: Settings, now: datetime) -> Preview:
    """The message of many keys at once as it stands now, with its thread: the newest of the store, a made-up one where there is
    none. Raises StoreError."""
    found = storms.newest(store, settings) if store is not None else ()
    if found:
        note = f"{found[0].thread}, from the store; goes to: {found[0].channel or 'no channel is set'}"
        return Preview(found, None, note)
    told = example.event(now)
    incidents = tuple(incident for incident, _, _ in told)
    head = crowd_head(len(told), incidents, is_explained=False)
    notice = Notice(MessageKind.SOURCE, now, detail=head, incidents=incidents, thread="EVT-5a3b1e0000")
    root = compose(
        notice, None, channel=settings.slack.default_channel, owner="", workspace_name=None, now=now, data_as_of=None
    )
    members = [storm.Member(incident, key, owner) for incident, key, owner in told]
    pages = storm.pages(storm.rooted(root), storm.as_one("EVT-5a3b1e0000", incidents), members)
    return Preview(pages, None, "a made-up event: the store has none of many keys yet")


def home(store: Store, now: datetime) -> Page:
    """The app's home as an operator sees it; owners see their own keys of it. Raises StoreError."""
    standings, fresh = overview.read(store, store.keys.keys(), now)
    return keys_page(standings, fresh, of_all=True)


def weekly(store: Store, settings: Settings, now: datetime) -> Preview:
    """The digest as it would be sent now. Raises StoreError."""
    messages = digest.messages(store, settings, now)
    channels = ", ".join(dict.fromkeys(message.channel for message in messages if message.channel))
    return Preview(messages, None, f"goes to: {channels or 'no channel is set'}")


def _with(message: Message, picture: bytes, alt_text: str, *, note: str) -> Preview:
    first, *rest = parts(message)
    return Preview((replace(first, picture=Picture(PICTURE_ID, alt_text)), *rest), picture, note)


def _sample(settings: Settings, now: datetime) -> Preview:
    incident, key = example.incident(now), example.key(now)
    message = compose(
        Notice(
            MessageKind.ALERT,
            now,
            incident=incident,
            verdict=Verdict(example.SAMPLE_HASH, incident.incident_id, now, Rung.DISABLE, False, Reason.OBSERVE_MODE),
        ),
        key,
        channel=settings.slack.default_channel,
        owner="the key's creator",
        workspace_name="Production",
        now=now,
        data_as_of=incident.quality.as_of,
    )
    shown = example.week(incident, now)
    return _with(
        message, pictures.drawn(shown), alert_chart.told(shown), note="a made-up incident: the store has none yet"
    )
