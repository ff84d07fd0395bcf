"""Who a key's messages go to where no route says it: its creator, by the e-mail address that OpenRouter and Slack both know.

creator_user_id -> member of the organization -> e-mail -> Slack user. Only the outcome is kept (Slack's id and the name), no
addresses. Whoever cannot be found is kept with the reason, which the message in the ops channel then tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.domain import ApiKey, Member
from monitor.errors import DeliveryError, SourceError
from monitor.jobs.app import App
from monitor.notify import routing
from monitor.notify.routing import Creator, Destination
from monitor.store.base import Store
from monitor.wording import name, one_line, shorten

log = logging.getLogger(__name__)

LASTS: Final = timedelta(days=1)
"""How long an answer stands: people join and leave."""

MOST: Final = 40
"""Look-ups of one run: Slack allows some fifty a minute."""

_DOCUMENT: Final = "creators"


def creators(store: Store, settings: Settings) -> Mapping[str, Creator] | None:
    """What is known of creators; None where nobody is written to directly."""
    if not settings.slack.message_creators or not settings.slack.enabled:
        return None
    return {user_id: found for user_id, (found, _) in _kept(store).items()}


def where(store: Store, settings: Settings, key: ApiKey | None, workspaces: Mapping[str, str]) -> Destination:
    """Where messages about a key go, and why."""
    return routing.route(
        key,
        routes=settings.routes,
        workspaces=workspaces,
        default_channel=settings.slack.default_channel,
        creators=creators(store, settings),
    )


def named(store: Store, settings: Settings, keys: Sequence[ApiKey]) -> Mapping[str, str] | None:
    """Owner by key_hash, empty where nobody of a key's own would be told; None where owners are not used at all."""
    known = creators(store, settings)
    if not settings.routes and not known:
        return None
    return routing.owners(keys, routes=settings.routes, workspaces=store.keys.workspaces(), creators=known)


async def refresh(app: App) -> int:
    """Looks up creators not known yet, and those looked up a day ago; returns how many. A source that fails is logged and
    asked again later. Raises StoreError."""
    if app.directory is None or app.people is None or creators(app.store, app.settings) is None:
        return 0
    now, kept = app.clock.now(), await asyncio.to_thread(_kept, app.store)
    keys = await asyncio.to_thread(app.store.keys.keys)
    due = sorted(
        {key.creator_user_id for key in keys if key.creator_user_id and _is_due(kept, key.creator_user_id, now)}
    )
    if not due:
        return 0
    try:
        members = {member.user_id: member for member in await app.directory.members()}
        found = {user_id: await _found(app, members.get(user_id)) for user_id in due[:MOST]}
    except (SourceError, DeliveryError) as error:
        log.warning("creators_not_looked_up", extra={"error": str(error)})
        why = f"its creator could not be looked up ({shorten(one_line(str(error)), 200)})"
        found = {user_id: Creator("", "", why) for user_id in due if user_id not in kept}
        await asyncio.to_thread(_keep, app.store, kept, found, now - LASTS + timedelta(hours=1))
        return 0
    await asyncio.to_thread(_keep, app.store, kept, found, now)
    return len(found)


async def _found(app: App, member: Member | None) -> Creator:
    assert app.people is not None
    if member is None:
        return Creator("", "", "its creator is no member of the organization any more")
    called = name(member.name, fallback=member.user_id)
    if "@" not in member.email:
        return Creator("", called, "OpenRouter knows no e-mail address of its creator")
    user = await app.people.user_of(member.email)
    if user is None:
        return Creator("", called, "Slack knows nobody with its creator's e-mail address")
    return Creator(user, called)


def _is_due(kept: Mapping[str, tuple[Creator, datetime]], user_id: str, now: datetime) -> bool:
    return user_id not in kept or now - kept[user_id][1] >= LASTS


def _kept(store: Store) -> dict[str, tuple[Creator, datetime]]:
    found: dict[str, tuple[Creator, datetime]] = {}
    for user_id, entry in (store.state.get(_DOCUMENT) or {}).items():
        if isinstance(entry, dict):
            creator = Creator(str(entry["user"]), str(entry["name"]), str(entry["why"]))
            found[user_id] = creator, datetime.fromisoformat(str(entry["at"]))
    return found


def _keep(
    store: Store, kept: Mapping[str, tuple[Creator, datetime]], found: Mapping[str, Creator], at: datetime
) -> None:
    after = {**kept, **{user_id: (creator, at) for user_id, creator in found.items()}}
    store.state.put(
        _DOCUMENT,
        {
            user_id: {"user": creator.user, "name": creator.name, "why": creator.why, "at": when.isoformat()}
            for user_id, (creator, when) in after.items()
        },
    )
