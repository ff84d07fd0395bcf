"""What Slack tells of a typed command and of an opened home -> a typed value; and what the words of a command ask for. Pure.

Payloads: docs.slack.dev/interactivity/implementing-slash-commands, docs.slack.dev/reference/events/app_home_opened."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from monitor.notify.pressed import slack_person
from monitor.wording import one_line, shorten

COMMAND: Final = "/openrouter-monitor"
MAX_ASKED: Final = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody typed the command, or opened the home (`reply_to` is empty then). `text` is what followed the command; nothing
    in it is believed."""

    user_id: str
    user_name: str
    text: str = ""
    reply_to: str = ""

    @property
    def by(self) -> str:
        """How the asker is written down."""
        return slack_person(self.user_id, self.user_name)


class Topic(enum.StrEnum):
    """What can be asked."""

    KEYS = "keys"
    KEY = "key"
    INCIDENTS = "incidents"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Question:
    """What a command asks for: `about` which key; `of_all` keys, not only those of the asker."""

    topic: Topic
    about: str = ""
    of_all: bool = False


def read_command(payload: Mapping[str, Any]) -> Asked | None:
    """The typed command; None for another command, or for what lacks a part."""
    user_id, reply_to, text = (payload.get(name) for name in ("user_id", "response_url", "text"))
    if payload.get("command") != COMMAND or not _is_short(user_id) or not _is_short(reply_to, 2_000):
        return None
    said = shorten(one_line(text), MAX_ASKED) if isinstance(text, str) else ""
    return Asked(str(user_id), _name(payload.get("user_name")), said, str(reply_to))


def read_opened(payload: Mapping[str, Any]) -> Asked | None:
    """Whose home was opened; None for every other event, and for another tab of the app."""
    event = payload.get("event")
    if not isinstance(event, Mapping) or event.get("type") != "app_home_opened" or event.get("tab") != "home":
        return None
    return Asked(str(event["user"]), "") if _is_short(event.get("user")) else None


def question(text: str) -> Question:
    """What the words after the command ask for; words that ask for nothing known ask for help.

    Only `all` as the last word of `keys` and `incidents`, or alone, asks for all keys: a key may be called “all”."""
    first, _, rest = text.strip().partition(" ")
    word, about = first.casefold(), rest.strip()
    of_all = about.casefold() == "all"
    if not word or (word == "all" and not about):
        return Question(Topic.KEYS, of_all=bool(word))
    if word == Topic.KEY and about:
        return Question(Topic.KEY, about)
    if word in {Topic.KEYS, Topic.INCIDENTS} and (of_all or not about):
        return Question(Topic(word), of_all=of_all)
    return Question(Topic.HELP)


def _name(value: object) -> str:
    return shorten(one_line(value), 60) if isinstance(value, str) else ""


def _is_short(value: object, limit: int = 255) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limit
