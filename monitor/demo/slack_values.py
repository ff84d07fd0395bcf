"""What a Slack workspace is made of: a channel, a message as it stands, an error answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

BOT_USER: Final = "U0DEMOBOT1"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the workspace, as the bot finds it."""

    name: str
    is_private: bool = False
    is_member: bool = True
    is_archived: bool = False

    @property
    def channel_id(self) -> str:
        """Follows from the name."""
        return f"C0{hashlib.sha256(self.name.encode()).hexdigest()[:9].upper()}"


@dataclass(slots=True)
class SlackMessage:
    """One message as it stands. `channel` is the id; `edits` holds (text, blocks) of earlier versions, oldest first."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any] | None
    thread_ts: str | None = None
    is_broadcast: bool = False
    edits: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)

    def controls(self) -> list[dict[str, Any]]:
        """Its buttons and menus, as it stands."""
        rows = (block for block in self.blocks if block["type"] == "actions")
        return [element for row in rows for element in row["elements"]]

    def offers(self, choice: str) -> bool:
        """Whether there is a button or menu of that name."""
        return any(element["action_id"] == choice for element in self.controls())

    def json(self, *, with_metadata: bool) -> dict[str, Any]:
        """As history shows it."""
        shown: dict[str, Any] = {
            "type": "message",
            "user": BOT_USER,
            "bot_id": "B0DEMOBOT1",
            "ts": self.ts,
            "text": self.text,
        }
        shown |= {"blocks": self.blocks, "team": "T0DEMOTEAM"}
        if self.thread_ts is not None:
            shown["thread_ts"] = self.thread_ts
            if self.is_broadcast:
                shown["subtype"] = "thread_broadcast"
        if self.edits:
            shown["edited"] = {"user": BOT_USER, "ts": self.ts}
        if self.files:
            shown |= {"files": self.files, "subtype": "file_share"}
        if with_metadata and self.metadata is not None:
            shown["metadata"] = self.metadata
        return shown


class SlackError(Exception):
    """An error answer: Slack's word for it, and further fields."""

    def __init__(self, error: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.headers = dict(headers or {})
        self.more = more
