"""The app manifest asks for what the code needs, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import SecretStr

from monitor import config
from monitor.demo.conversations import SCOPES as KNOWN_TO_THE_FAKE
from monitor.notify.asked import COMMAND
from monitor.notify.scopes import SCOPES, missing, wanted

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "slack-app.yaml").read_text(encoding="utf-8")
MANIFEST = yaml.safe_load(TEXT)

METHODS = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "conversations.history": "channels:history groups:history im:history",
    "conversations.replies": "channels:history groups:history im:history",
    "conversations.info": "channels:read groups:read",
    "conversations.list": "channels:read groups:read",
    "conversations.members": "channels:read groups:read",
    "views.publish": "",
    "conversations.open": "im:write",
    "usergroups.users.list": "usergroups:read",
    "users.lookupByEmail": "users:read users:read.email",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "auth.test": "",
    "apps.connections.open": "",
}
"""Every method the code calls, and the scopes it needs (docs.slack.dev/reference/methods)."""


def called() -> set[str]:
    """Methods named in the code that talks to Slack."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "monitor" / "notify").glob("slack*.py"))
    return set(
        re.findall(r'"((?:chat|conversations|views|usergroups|users|files|auth|apps)\.[A-Za-z.]*[A-Za-z])"', text)
    )


def test_every_method_called_is_known_with_its_scopes() -> None:
    assert called() == set(METHODS)


def test_the_scopes_in_use_are_those_of_the_methods_called() -> None:
    needed = {scope for scopes in METHODS.values() for scope in scopes.split()}

    assert set(SCOPES) == needed | {"chat:write.public", "commands"}  # an option of chat.postMessage; no method at all


def test_the_manifest_asks_for_exactly_the_scopes_in_use() -> None:
    assert sorted(MANIFEST["oauth_config"]["scopes"]["bot"]) == sorted(SCOPES)
    assert list(MANIFEST["oauth_config"]["scopes"]) == ["bot"]


def test_every_scope_says_why_it_is_needed() -> None:
    lines = [line for line in TEXT.partition("    bot:")[2].partition("settings:")[0].splitlines() if "- " in line]

    assert len(lines) == len(SCOPES)
    assert all("# " in line for line in lines)


def test_buttons_come_through_socket_mode_and_no_address_is_called() -> None:
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert MANIFEST["settings"]["interactivity"] == {"is_enabled": True}
    assert not re.search(r"https?://(?!api\.slack\.com)", TEXT)


def test_the_command_and_the_home_are_asked_for_as_the_code_answers_them() -> None:
    (command,) = MANIFEST["features"]["slash_commands"]

    assert command["command"] == COMMAND and "url" not in command
    assert MANIFEST["features"]["app_home"]["home_tab_enabled"] is True
    assert MANIFEST["settings"]["event_subscriptions"] == {"bot_events": ["app_home_opened"]}


def test_the_scope_of_the_command_is_missed_only_where_somebody_listens() -> None:
    granted = [scope for scope in SCOPES if scope != "commands"]

    assert missing(granted, config.Slack(message_creators=False)) == []
    (told,) = missing(granted, config.Slack(app_token=SecretStr("app-token")))
    assert "commands" in told and COMMAND in told


def test_the_fake_grants_what_the_code_needs() -> None:
    assert set(SCOPES) - set(KNOWN_TO_THE_FAKE) == {"chat:write.public"}


def test_only_scopes_that_the_settings_use_are_missed() -> None:
    plain = config.Slack(message_creators=False)

    assert missing(("chat:write", "files:write"), plain) == []
    assert "usergroups:read" in wanted(config.Slack(allowed_groups=("S0ONCALL",)))
    assert missing((), plain) == []  # Slack did not say
