"""What the Slack app must be allowed to do, and what for. The manifest (deploy/slack-app.yaml) asks for exactly these."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from monitor import config

SCOPES: Final[Mapping[str, str]] = {
    "chat:write": "no message can be sent",
    "chat:write.public": "a public channel must have the bot invited before an alert can be sent there",
    "channels:read": "public channels cannot be found by name, nor checked",
    "channels:history": "messages in doubt cannot be looked up in public channels",
    "groups:read": "private channels cannot be found by name, nor checked",
    "groups:history": "messages in doubt cannot be looked up in private channels",
    "im:write": "no conversation with a key's creator can be opened",
    "im:history": "messages in doubt cannot be looked up in direct messages",
    "users:read": "creators of keys cannot be found",
    "users:read.email": "creators of keys cannot be found by their e-mail address",
    "usergroups:read": "members of slack.allowed_groups cannot be known: their buttons do nothing",
    "files:write": "alerts come without their picture",
    "commands": "nobody can type /openrouter-monitor",
}
"""By scope: what does not work without it."""

APP_SCOPES: Final[Mapping[str, str]] = {"connections:write": "buttons, the command and the app's home do nothing"}
"""Of the app-level token."""

_CREATORS: Final = frozenset({"im:write", "im:history", "users:read", "users:read.email"})


def wanted(settings: config.Slack) -> tuple[str, ...]:
    """The scopes that these settings need, whatever the channel."""
    unused = set() if settings.message_creators else set(_CREATORS)
    unused |= set() if settings.allowed_groups else {"usergroups:read"}
    unused |= set() if settings.app_token else {"commands"}
    unused |= {"chat:write.public", "channels:read", "channels:history", "groups:read", "groups:history"}
    return tuple(scope for scope in SCOPES if scope not in unused)


def missing(granted: Collection[str], settings: config.Slack) -> list[str]:
    """One sentence for each scope that is wanted and not granted; none where Slack did not say what is granted."""
    lacking = [scope for scope in wanted(settings) if scope not in granted] if granted else []
    return [f"the app lacks the scope {scope}: {SCOPES[scope]}" for scope in lacking]
