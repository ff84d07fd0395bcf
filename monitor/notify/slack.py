"""Slack, by chat.postMessage of its Web API. One attempt a call: the outbox repeats, so that nothing is lost or doubled.

Slack has no idempotency key: a message in doubt is looked up by its metadata in the channel's history.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pydantic import SecretStr

from monitor import config
from monitor.domain import Clock, Message, MessageKind, Receipt
from monitor.errors import ChannelRefused, DeliveryError
from monitor.notify import slack_blocks
from monitor.notify.parts import is_continuation
from monitor.notify.scopes import missing
from monitor.notify.slack_board import Answered, SlackBoard
from monitor.notify.slack_door import DEADLINE_S, SlackDoor, cursor, records, scopes

GAP_S: Final = 1.0
"""Slack shows no more than about one message a second in a channel (docs.slack.dev/apis/web-api/rate-limits)."""

PAGE: Final = 200
MAX_PAGES: Final = 25
LOOK_BACK: Final = timedelta(hours=1)
"""How far before a message's own time the look-up starts: more than any skew between our clock and Slack's."""

_ID: Final = re.compile(r"[CGD][A-Z0-9]{6,}")
_USER: Final = re.compile(r"[UW][A-Z0-9]{6,}")
_QUIET_REPLIES: Final = frozenset({MessageKind.RESOLVED, MessageKind.DIGEST})
"""Kinds that in a thread stay there; all others are shown in the channel as well, because somebody has to see them."""


class SlackNotifier:
    """Implements `notify.base.Notifier`. Lives in one event loop; `close()` when done."""

    def __init__(
        self,
        token: SecretStr,
        settings: config.Slack,
        clock: Clock,
        *,
        deadline_s: float = DEADLINE_S,
        takes_approvals: bool = False,
    ) -> None:
        """`takes_approvals`: somebody listens for answers to proposals, and may give them."""
        self._settings, self._clock = settings, clock
        self._answered = Answered(settings.takes_answers, takes_approvals)
        self.door = SlackDoor(token, settings.base_url, clock, place="slack.bot_token", deadline_s=deadline_s)
        self.board = SlackBoard(self.door, self._answered, channel_id=self._channel_id)
        self._channel_ids: dict[str, str] = {}
        self._sent_at: dict[str, float] = {}

    @property
    def name(self) -> str:
        """slack."""
        return "slack"

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        """Posts once, at most one message a second in a channel. Raises DeliveryError."""
        channel = thread.channel if thread else message.channel
        if not channel:
            raise ChannelRefused("the message has no channel; set slack.default_channel")
        text, blocks, metadata = slack_blocks.render(message, has_buttons=self._answered.carries(message))
        await self._pace(channel)
        call = self.door.sdk.chat_postMessage(
            channel=channel,
            text=text,
            blocks=blocks,
            metadata=metadata,
            thread_ts=thread.reference if thread else None,
            reply_broadcast=True if thread and not _stays_in_thread(message) else None,
            unfurl_links=False,
            unfurl_media=False,
        )
        answer = await self.door.call("chat.postMessage", call, has_effect=True)
        where, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(where, str) or not isinstance(ts, str):
            raise DeliveryError("Slack's answer names no message", permanent=False, is_outcome_unknown=True)
        self._channel_ids[channel] = where
        self._sent_at.setdefault(where, self._clock.monotonic())  # paced by id from now on
        return Receipt(where, ts)

    async def find(self, message: Message, *, thread: Receipt | None = None) -> Receipt | None:
        """Looks through the thread and the channel since the message was made. None: it is surely not there."""
        since = (message.created_at or self._clock.now() - timedelta(days=1)) - LOOK_BACK
        oldest = f"{since.timestamp():.6f}"
        if thread is not None:
            replies = {"channel": thread.channel, "ts": thread.reference, "oldest": oldest}
            if (ts := await self._search("conversations.replies", replies, message.message_id)) is not None:
                return Receipt(thread.channel, ts)
        channel = await self._channel_id(message.channel)
        ts = await self._search("conversations.history", {"channel": channel, "oldest": oldest}, message.message_id)
        return Receipt(channel, ts) if ts is not None else None

    async def check(self, channel: str) -> tuple[str, ...]:
        """What would keep messages from this channel, in sentences; empty if nothing. Sends nothing."""
        try:
            identity = await self.door.call("auth.test", self.door.sdk.auth_test(), has_effect=False)
            granted = scopes(identity)
            problems = missing(granted, self._settings)
            if not channel:
                return (*problems, "no channel is set: slack.default_channel")
            return (*problems, *await self._check_channel(channel, granted))
        except DeliveryError as error:
            return (str(error),)

    async def close(self) -> None:
        """Closes connections."""
        await self.door.close()

    async def _check_channel(self, channel: str, granted: frozenset[str]) -> list[str]:
        if granted and "channels:read" not in granted and not _ID.fullmatch(channel):
            return [f"the app lacks the scope channels:read: {channel} cannot be found by name"]
        channel_id = await self._channel_id(channel)
        call = self.door.sdk.conversations_info(channel=channel_id)
        info = (await self.door.call("conversations.info", call, has_effect=False)).get("channel")
        if not isinstance(info, Mapping):
            return [f"Slack tells nothing about channel {channel}"]
        problems = [f"channel {channel} is archived"] if info.get("is_archived") else []
        kind = "groups" if info.get("is_private") else "channels"
        if granted and f"{kind}:history" not in granted:
            problems.append(f"the app lacks the scope {kind}:history: messages in doubt cannot be looked up")
        if not info.get("is_member", True):
            problems.append(f"the bot is not in channel {channel}: invite it, or messages in doubt cannot be looked up")
            if granted and "chat:write.public" not in granted:
                problems.append(f"the bot cannot post to {channel}: invite it, or add the scope chat:write.public")
        return problems

    async def _channel_id(self, channel: str) -> str:
        """Only chat.postMessage takes names; everything else wants the id."""
        if _ID.fullmatch(channel):
            return channel
        if channel not in self._channel_ids:
            self._channel_ids[channel] = await self._resolve(channel.removeprefix("#"))
        return self._channel_ids[channel]

    async def _resolve(self, channel_name: str) -> str:
        if _USER.fullmatch(channel_name):
            call = self.door.sdk.conversations_open(users=channel_name)
            opened = (await self.door.call("conversations.open", call, has_effect=False)).get("channel")
            if isinstance(opened, Mapping) and isinstance(opened.get("id"), str):
                return str(opened["id"])
            raise ChannelRefused("Slack opens no conversation with this user")
        params: dict[str, Any] = {"types": "public_channel,private_channel", "exclude_archived": True, "limit": 999}
        for _ in range(MAX_PAGES):
            answer = await self.door.read("conversations.list", params)
            for each in records(answer, "channels"):
                if each.get("name") == channel_name and isinstance(each.get("id"), str):
                    return str(each["id"])
            params["cursor"] = cursor(answer)
            if not params["cursor"]:
                break
        raise ChannelRefused("Slack lists no such channel; check its name, or invite the bot if it is private")

    async def _search(self, method: str, params: dict[str, Any], message_id: str) -> str | None:
        """The `ts` of our message, None if every page since `oldest` was read without meeting it."""
        params = {**params, "include_all_metadata": True, "limit": PAGE}
        for _ in range(MAX_PAGES):
            answer = await self.door.read(method, params)
            for each in records(answer, "messages"):
                if _message_id(each) == message_id and isinstance(each.get("ts"), str):
                    return str(each["ts"])
            params["cursor"] = cursor(answer)
            if not params["cursor"]:
                return None
        raise DeliveryError(f"{method}: too many messages since to look through", permanent=True)

    async def _pace(self, channel: str) -> None:
        """Waits until a second has passed since the last message to this channel."""
        channel = self._channel_ids.get(channel, channel)
        last = self._sent_at.get(channel)
        now = self._clock.monotonic()
        due = now if last is None else max(now, last + GAP_S)
        self._sent_at[channel] = due
        if due > now:
            await self._clock.sleep(due - now)


def _stays_in_thread(message: Message) -> bool:
    return message.kind in _QUIET_REPLIES or is_continuation(message)


def _message_id(record: Mapping[str, Any]) -> str | None:
    found = record.get("metadata")
    if not isinstance(found, Mapping) or found.get("event_type") != slack_blocks.EVENT_TYPE:
        return None
    payload = found.get("event_payload")
    said = payload.get("message_id") if isinstance(payload, Mapping) else None
    return said if isinstance(said, str) else None
