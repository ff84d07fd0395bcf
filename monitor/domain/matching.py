"""Which keys a route, a policy or a silence means."""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitor.domain.keys import ApiKey


def is_named(key: ApiKey, pattern: str) -> bool:
    """Whether the regular expression is found in the key's name: text from outside, so it trusts whoever names the keys."""
    return re.search(pattern, key.key_name) is not None


def is_in_workspace(key: ApiKey, workspace: str, workspaces: Mapping[str, str]) -> bool:
    """Whether the key is in the workspace of that id or name. `workspaces`: name by id."""
    return key.workspace_id is not None and workspace in {key.workspace_id, workspaces.get(key.workspace_id)}


def conditions(key_name: str, **others: str | None) -> str:
    """What is asked of a key, for people: `key_name '^prod-', workspace 'Research'`."""
    asked = {"key_name": None if key_name == ".*" else key_name, **others}
    return ", ".join(f"{name} {value!r}" for name, value in asked.items() if value is not None) or "every key"
