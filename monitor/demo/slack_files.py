"""What a Slack workspace does with files: an address to upload to, the bytes, and the share in a thread.

Sources: docs.slack.dev/reference/methods/files.getUploadURLExternal and files.completeUploadExternal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from monitor.demo.conversations import Conversations, Method
from monitor.demo.slack_values import SlackError, SlackMessage

MAX_FILE: Final = 1 << 30
PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(slots=True)
class SlackFile:
    """One file: announced, then uploaded, then shared."""

    file_id: str
    name: str
    length: int
    alt_text: str
    content: bytes | None = None
    title: str = ""
    message: SlackMessage | None = None


class Files:
    """The files of one workspace. `is_processing`: files are not yet ready to stand inside a message."""

    def __init__(self, conversations: Conversations, *, origin: Callable[[], str]) -> None:
        self.files: dict[str, SlackFile] = {}
        self.is_processing = False
        self._conversations, self._origin = conversations, origin
        conversations.can_show = self._can_show

    @property
    def methods(self) -> dict[str, Method]:
        """By name: the scope needed, what to call, the arguments known."""
        return {
            "files.getUploadURLExternal": (
                "files:write",
                self._announce,
                {"filename", "length", "alt_txt", "snippet_type"},
            ),
            "files.completeUploadExternal": (
                "files:write",
                self._complete,
                {"files", "channel_id", "thread_ts", "initial_comment", "channels", "blocks"},
            ),
        }

    def receive(self, file_id: str, content: bytes) -> bool:
        """Takes the bytes sent to an upload address; False where they are not those announced."""
        file = self.files.get(file_id)
        if file is None or len(content) != file.length:
            return False
        file.content = content
        return True

    def shared(self) -> tuple[SlackFile, ...]:
        """Files that people see, oldest first."""
        return tuple(file for file in self.files.values() if file.message is not None)

    def _announce(self, arguments: dict[str, Any]) -> dict[str, Any]:
        name, length = str(arguments.get("filename") or ""), str(arguments.get("length") or "")
        if not name or not length.isdigit() or not 0 < int(length) <= MAX_FILE:
            raise SlackError("invalid_arguments")
        file_id = f"F0{len(self.files):08d}"
        self.files[file_id] = SlackFile(file_id, name, int(length), str(arguments.get("alt_txt") or ""))
        return {"upload_url": f"{self._origin()}/upload/{file_id}", "file_id": file_id}

    def _complete(self, arguments: dict[str, Any]) -> dict[str, Any]:
        listed = arguments.get("files")
        if isinstance(listed, str):
            try:
                listed = msgspec.json.decode(listed.encode())
            except msgspec.DecodeError as problem:
                raise SlackError("invalid_arguments") from problem
        if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
            raise SlackError("invalid_arguments")
        found = [self.files.get(str(each.get("id"))) for each in listed]
        files = [file for file in found if file is not None and file.content is not None]
        if len(files) < len(listed):
            raise SlackError("file_not_found")
        for file, each in zip(files, listed, strict=True):
            file.title = str(each.get("title") or file.name)
        if arguments.get("channel_id"):
            shown = [{"id": file.file_id, "name": file.name, "title": file.title} for file in files]
            thread_ts = arguments.get("thread_ts")
            message = self._conversations.share(str(arguments["channel_id"]), shown, thread_ts=thread_ts)
            for file in files:
                file.message = message
        return {"files": [{"id": file.file_id, "title": file.title} for file in files]}

    def _can_show(self, file_id: str) -> bool:
        file = self.files.get(file_id)
        return file is not None and (file.content or b"").startswith(PNG) and not self.is_processing
