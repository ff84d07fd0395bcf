"""What Slack tells of a pressed button -> a typed value. Pure; nothing in it is believed yet.

Payload: docs.slack.dev/reference/interaction-payloads/block_actions-payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.wording import one_line, shorten


@dataclass(frozen=True, slots=True)
class Pressed:
    """One press. `press_id` is the same when Slack tells of it again; `value` is what the button carried."""

    press_id: str
    user_id: str
    user_name: str
    channel: str
    message_ts: str
    thread_ts: str | None
    choice: str
    value: str

    @property
    def by(self) -> str:
        """How the presser is written down."""
        return slack_person(self.user_id, self.user_name)


def slack_person(user_id: str, user_name: str) -> str:
    """How somebody at Slack is written down: the id is the identity, the name is for reading."""
    return f"slack:{user_id} ({user_name})" if user_name else f"slack:{user_id}"


def read_presses(payload: Mapping[str, Any]) -> tuple[Pressed, ...]:
    """The presses of an interaction; none for anything else, or for what lacks a part."""
    if payload.get("type") != "block_actions":
        return ()
    user, channel, message = (_table(payload, name) for name in ("user", "channel", "message"))
    actions = payload.get("actions")
    found = [
        _pressed(action, user, channel, message)
        for action in (actions if isinstance(actions, list) else [])
        if isinstance(action, Mapping)
    ]
    return tuple(each for each in found if each is not None)


def _pressed(
    action: Mapping[str, Any], user: Mapping[str, Any], channel: Mapping[str, Any], message: Mapping[str, Any]
) -> Pressed | None:
    value = action.get("value") if action.get("type") == "button" else _table(action, "selected_option").get("value")
    parts = (
        user.get("id"),
        channel.get("id"),
        message.get("ts"),
        action.get("action_id"),
        value,
        action.get("action_ts"),
    )
    if not all(isinstance(part, str) and 0 < len(part) <= 255 for part in parts):
        return None
    user_id, channel_id, ts, choice, carried, at = map(str, parts)
    thread_ts = message.get("thread_ts")
    name = user.get("username") or user.get("name") or ""
    return Pressed(
        press_id=f"{channel_id}:{ts}:{user_id}:{choice}:{at}",
        user_id=user_id,
        user_name=shorten(one_line(str(name)), 60),
        channel=channel_id,
        message_ts=ts,
        thread_ts=thread_ts if isinstance(thread_ts, str) else None,
        choice=choice,
        value=carried,
    )


def _table(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, Mapping) else {}
