"""Which channel and which owner a key's messages belong to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from monitor.config import Route
from monitor.domain import ApiKey
from monitor.domain.matching import conditions, is_in_workspace, is_named

CREATOR: Final = "the key's creator"
"""How `Destination.why` begins where messages go to the creator."""

_PERSON: Final = re.compile(r"[UW][A-Z0-9]{5,}")


def is_person(address: str) -> bool:
    """Whether messages to this address go to one person, not to a channel."""
    return _PERSON.fullmatch(address) is not None


@dataclass(frozen=True, slots=True)
class Creator:
    """Who created keys, as far as the sink knows them: `user` is the sink's id of the person, empty where `why` says why."""

    user: str
    name: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where messages about a key go. `owner` is empty where no route names one; `why` says which rule decided."""

    channel: str
    owner: str
    why: str


def route(
    key: ApiKey | None,
    *,
    routes: Sequence[Route],
    workspaces: Mapping[str, str],
    default_channel: str,
    creators: Mapping[str, Creator] | None = None,
) -> Destination:
    """The first route that matches the key, else a direct message to its creator, else the default channel with the reason.

    `creators`: by user id at the issuer; None: nobody is written to directly.

    All conditions of a route must hold: `key_name` is searched in the name, `workspace` is a name or id, `creator` a user id.
    `workspaces`: name by id. Names are text from outside, so a route by name alone trusts whoever names the keys."""
    if key is None:
        return Destination(default_channel, "", "slack.default_channel: not about a known key")
    for number, each in enumerate(routes, start=1):
        if _matches(each, key, workspaces):
            said = conditions(each.key_name, workspace=each.workspace, creator=each.creator)
            return Destination(each.channel, each.owner or each.channel, f"routes[{number}]: {said}")
    if creators is None:
        return Destination(default_channel, "", "slack.default_channel: no route matches")
    creator = creators.get(key.creator_user_id) if key.creator_user_id else None
    if creator is not None and creator.user:
        return Destination(creator.user, creator.name, f"{CREATOR}: no route matches")
    if not key.creator_user_id:
        why = "the key names no creator"
    else:
        why = creator.why if creator is not None else "its creator was not looked up yet"
    return Destination(
        default_channel, creator.name if creator else "", f"slack.default_channel: no route matches, and {why}"
    )


def addresses(
    key: ApiKey,
    *,
    routes: Sequence[Route],
    workspaces: Mapping[str, str],
    creators: Mapping[str, Creator] | None = None,
) -> frozenset[str]:
    """Whose key it is, as the sink addresses them: the channel or person of the first route that matches, and its creator.

    The default channel is nobody's own."""
    creator = (creators or {}).get(key.creator_user_id or "")
    routed = next((each.channel for each in routes if _matches(each, key, workspaces)), "")
    return frozenset({routed, creator.user if creator else ""} - {""})


def owners(
    keys: Sequence[ApiKey],
    *,
    routes: Sequence[Route],
    workspaces: Mapping[str, str],
    creators: Mapping[str, Creator] | None = None,
) -> dict[str, str]:
    """Owner by key_hash for the digest, empty where no route matches and the creator is not known."""
    return {
        key.key_hash: route(key, routes=routes, workspaces=workspaces, default_channel="", creators=creators).owner
        for key in keys
    }


def _matches(each: Route, key: ApiKey, workspaces: Mapping[str, str]) -> bool:
    return (
        (each.workspace is None or is_in_workspace(key, each.workspace, workspaces))
        and (each.creator is None or each.creator == key.creator_user_id)
        and is_named(key, each.key_name)
    )
