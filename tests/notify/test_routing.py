"""Messages about a key go to the team that owns it."""

from __future__ import annotations

from typing import Any

import pytest
from build import a_key

from monitor.config import Route
from monitor.domain import ApiKey
from monitor.notify.routing import Destination, owners, route

WORKSPACES = {"ws-1": "Production"}


def routed(key: ApiKey | None, *routes: Route) -> Destination:
    return route(key, routes=routes, workspaces=WORKSPACES, default_channel="#ops")


@pytest.mark.parametrize(
    "conditions",
    [
        {"key_name": "^search-"},
        {"key_name": "prod"},
        {"workspace": "Production"},
        {"workspace": "ws-1"},
        {"creator": "user-1"},
        {"key_name": "prod$", "workspace": "Production", "creator": "user-1"},
        {},
    ],
)
def test_a_route_whose_conditions_all_hold_decides(conditions: dict[str, Any]) -> None:
    to = routed(a_key(), Route(channel="#search", owner="team-search", **conditions))

    assert (to.channel, to.owner) == ("#search", "team-search")
    assert to.why.startswith("routes[1]: ")


@pytest.mark.parametrize(
    "conditions",
    [
        {"key_name": "^prod"},
        {"workspace": "Staging"},
        {"creator": "user-2"},
        {"key_name": "prod$", "workspace": "Production", "creator": "user-2"},
    ],
)
def test_a_route_with_one_condition_that_fails_does_not_match(conditions: dict[str, Any]) -> None:
    to = routed(a_key(), Route(channel="#search", **conditions))

    assert to == Destination("#ops", "", "slack.default_channel: no route matches")


def test_the_first_route_that_matches_wins() -> None:
    to = routed(a_key(), Route(channel="#a", key_name="nothing"), Route(channel="#b"), Route(channel="#c"))

    assert (to.channel, to.why) == ("#b", "routes[2]: every key")


def test_a_route_without_owner_is_owned_by_its_channel() -> None:
    assert routed(a_key(), Route(channel="#search")).owner == "#search"


def test_a_key_of_no_workspace_matches_no_workspace_route() -> None:
    assert routed(a_key(workspace_id=None), Route(channel="#a", workspace="Production")).channel == "#ops"


def test_what_is_about_no_key_goes_to_the_default_channel() -> None:
    assert routed(None, Route(channel="#a")).channel == "#ops"


def test_owners_lists_every_key_by_hash_also_those_nobody_owns() -> None:
    keys = [a_key(1), a_key(2, key_name="lost")]

    found = owners(keys, routes=[Route(channel="#s", key_name="search")], workspaces=WORKSPACES)

    assert found == {keys[0].key_hash: "#s", keys[1].key_hash: ""}
