"""What Slack offers beside sending: messages edited in place, pictures in threads, whispers, groups, people by e-mail.

Sources: docs.slack.dev/reference/methods (chat.update, files.getUploadURLExternal, files.completeUploadExternal,
chat.postEphemeral, usergroups.users.list, users.lookupByEmail, conversations.members, views.publish), and
docs.slack.dev/interactivity/handling-user-interaction (answers to a command are posted to its response_url).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from monitor.domain import Message, MessageKind, Receipt
from monitor.errors import DeliveryError
from monitor.notify import slack_blocks, slack_pages
from monitor.notify.pages import Page
from monitor.notify.slack_door import SlackDoor, cursor, records

MAX_PAGES: Final = 5
PAGE: Final = 200
MEMBERS_PAGE: Final = 1_000
MAX_WHISPER: Final = 3_000
_WORKSPACE: Final = re.compile(r"https://[a-z0-9.-]{1,200}\.slack(-gov)?\.com/")


@dataclass(frozen=True, slots=True)
class Answered:
    """Which messages carry buttons: those whose answers somebody listens for, and somebody may give."""

    alerts: bool
    proposals: bool

    def carries(self, message: Message) -> bool:
        """Whether this one does."""
        return self.proposals if message.kind is MessageKind.PROPOSAL else self.alerts


class SlackBoard:
    """Implements `notify.base.Board` and `notify.base.People` through the notifier's own door."""

    def __init__(
        self, door: SlackDoor, answered: Answered, *, channel_id: Callable[[str], Awaitable[str]] | None = None
    ) -> None:
        """`channel_id`: finds the id of a channel by its name; without it only ids are known."""
        self._door, self._answered, self._channel_id = door, answered, channel_id
        self._workspace: str | None = None

    async def update(self, message: Message, at: Receipt) -> None:
        """chat.update; the metadata stays that of the message, so that it is found as before."""
        text, blocks, metadata = slack_blocks.render(message, has_buttons=self._answered.carries(message))
        call = self._door.sdk.chat_update(
            channel=at.channel, ts=at.reference, text=text, blocks=blocks, metadata=metadata
        )
        await self._door.call("chat.update", call, has_effect=False)

    async def attach(self, picture: bytes, *, file_name: str, alt_text: str, thread: Receipt) -> str:
        """Asks for an address, uploads the bytes there (without our token), shares the file in the thread."""
        sdk = self._door.sdk
        asked = sdk.files_getUploadURLExternal(filename=file_name, length=len(picture), alt_txt=alt_text[:1_000])
        place = await self._door.call("files.getUploadURLExternal", asked, has_effect=False)
        url, file_id = place.get("upload_url"), place.get("file_id")
        if not isinstance(url, str) or not isinstance(file_id, str) or not self._door.is_ours(url, scheme="https"):
            raise DeliveryError("Slack names no place of its own to upload a picture to", permanent=True)
        await self._door.call("upload", self._put(url, picture), has_effect=False)
        shared = sdk.files_completeUploadExternal(
            files=[{"id": file_id, "title": file_name}], channel_id=thread.channel, thread_ts=thread.reference
        )
        await self._door.call("files.completeUploadExternal", shared, has_effect=True)
        return file_id

    async def find_attached(self, file_name: str, thread: Receipt) -> str | None:
        """Looks through the thread's files."""
        params: dict[str, Any] = {"channel": thread.channel, "ts": thread.reference, "limit": PAGE}
        for _ in range(MAX_PAGES):
            answer = await self._door.read("conversations.replies", params)
            for record in records(answer, "messages"):
                for each in _files(record):
                    if file_name in {each.get("name"), each.get("title")} and isinstance(each.get("id"), str):
                        return str(each["id"])
            params["cursor"] = cursor(answer)
            if not params["cursor"]:
                return None
        raise DeliveryError("conversations.replies: too many replies to look through", permanent=True)

    async def whisper(self, text: str, *, channel: str, user: str, thread: str | None = None) -> None:
        """chat.postEphemeral: may get lost, like every whisper; what matters is told in messages."""
        call = self._door.sdk.chat_postEphemeral(
            channel=channel, user=user, text=slack_blocks.fit(text, MAX_WHISPER), thread_ts=thread
        )
        await self._door.call("chat.postEphemeral", call, has_effect=False)

    async def members(self, group: str) -> frozenset[str]:
        """usergroups.users.list: active members."""
        answer = await self._door.read("usergroups.users.list", {"usergroup": group})
        found = answer.get("users")
        return frozenset(each for each in found if isinstance(each, str)) if isinstance(found, list) else frozenset()

    async def user_of(self, email: str) -> str | None:
        """users.lookupByEmail."""
        try:
            answer = await self._door.read("users.lookupByEmail", {"email": email})
        except DeliveryError as error:
            if "users_not_found" in str(error):
                return None
            raise
        user = answer.get("user")
        if not isinstance(user, Mapping) or user.get("deleted") or user.get("is_bot"):
            return None
        return str(user["id"]) if isinstance(user.get("id"), str) else None

    async def members_of(self, channel: str) -> frozenset[str]:
        """conversations.members, whole: who is not on the pages read is no member, so too many of them is an error."""
        channel_id = channel if self._channel_id is None else await self._channel_id(channel)
        params: dict[str, Any] = {"channel": channel_id, "limit": MEMBERS_PAGE}
        found: set[str] = set()
        for _ in range(MAX_PAGES):
            answer = await self._door.read("conversations.members", params)
            listed = answer.get("members")
            found |= {each for each in listed if isinstance(each, str)} if isinstance(listed, list) else set()
            params["cursor"] = cursor(answer)
            if not params["cursor"]:
                return frozenset(found)
        raise DeliveryError("conversations.members: too many members to look through", permanent=True)

    async def link(self, at: Receipt) -> str:
        """Made from the workspace's own address (auth.test, asked once) as Slack makes its permalinks: no call a message."""
        if self._workspace is None:
            identity = await self._door.call("auth.test", self._door.sdk.auth_test(), has_effect=False)
            url = identity.get("url")
            self._workspace = url if isinstance(url, str) and _WORKSPACE.fullmatch(url) else ""
        if not self._workspace or not re.fullmatch(r"[A-Z0-9]+ [0-9]+\.[0-9]+", f"{at.channel} {at.reference}"):
            return ""
        return f"{self._workspace}archives/{at.channel}/p{at.reference.replace('.', '')}"

    async def reply(self, page: Page, *, to: str) -> None:
        """The response_url, which must be Slack's and gets no token. May get lost: whoever asked asks again."""
        if not self._door.is_ours(to, scheme="https"):
            raise DeliveryError("the command names an address that is not Slack's own to answer to", permanent=True)
        text, blocks = slack_pages.message(page)
        body = {"response_type": "ephemeral", "text": text, "blocks": blocks}
        await self._door.call("response_url", self._answer(to, body), has_effect=False)

    async def put_home(self, page: Page, *, user: str) -> None:
        """views.publish."""
        call = self._door.sdk.views_publish(user_id=user, view=slack_pages.home(page))
        await self._door.call("views.publish", call, has_effect=False)

    async def _answer(self, url: str, body: Mapping[str, Any]) -> None:
        async with self._door.session.post(url, json=body) as response:
            await response.read()
            if response.status != 200:
                raise aiohttp.ClientPayloadError(f"HTTP {response.status}")

    async def _put(self, url: str, picture: bytes) -> int:
        async with self._door.session.post(url, data=picture, headers={"Content-Type": "image/png"}) as response:
            await response.read()
            if response.status != 200:
                raise aiohttp.ClientPayloadError(f"HTTP {response.status}")
            return response.status


def _files(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = record.get("files")
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
