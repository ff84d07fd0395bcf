"""What a Slack workspace keeps and checks: channels, messages, scopes, pace; one method a Web API method.

Sources of limits and error words: docs.slack.dev/reference/methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from monitor.demo import blockkit
from monitor.demo.slack_values import BOT_USER, Channel, SlackError, SlackMessage
from monitor.domain import Clock

SCOPES: Final = (
    "chat:write", "channels:read", "channels:history", "groups:read", "groups:history", "im:write", "im:history",
    "users:read", "users:read.email", "usergroups:read", "files:write", "commands",
)  # fmt: skip
"""What a bot needs for everything this fake answers."""

MAX_TEXT: Final = 40_000
MAX_METADATA: Final = 8_000
PER_SECOND: Final = 1.0
BURST: Final = 4


Method = tuple[str | None, Callable[[dict[str, Any]], dict[str, Any]], set[str]]


class Conversations:
    """The channels of one workspace as its bot finds them, and the messages in them. Methods raise SlackError."""

    def __init__(
        self, *, clock: Clock, channels: tuple[Channel, ...], members: Mapping[str, str], scopes: tuple[str, ...]
    ) -> None:
        self.channels = {channel.channel_id: channel for channel in channels}
        self.scopes = scopes
        self.groups: dict[str, list[str]] = {}
        self.whispers: list[dict[str, Any]] = []
        self.joined: dict[str, list[str]] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.can_show: Callable[[str], bool] = lambda _: False
        self._members = dict(members)
        self._direct: dict[str, str] = {}  # channel id of the direct conversation by user id
        self._clock = clock
        self._messages: list[SlackMessage] = []
        self._last_ts = 0.0
        self._allowance: dict[str, tuple[float, float]] = {}

    @property
    def methods(self) -> Mapping[str, Method]:
        """By name: the scope needed in any case, what to call, the arguments known."""
        return {
            "api.test": (None, lambda _: {}, set()),
            "auth.test": (None, self._auth_test, set()),
            "chat.postMessage": ("chat:write", self._post, _POST_FIELDS),
            "chat.update": (
                "chat:write",
                self._update,
                {"channel", "ts", "text", "blocks", "metadata", "reply_broadcast"},
            ),
            "chat.postEphemeral": ("chat:write", self._whisper, {"channel", "user", "text", "blocks", "thread_ts"}),
            "usergroups.users.list": ("usergroups:read", self._group, {"usergroup", "include_disabled", "team_id"}),
            "conversations.history": (None, self._history, _PAGED | {"channel"}),
            "conversations.replies": (None, self._replies, _PAGED | {"channel", "ts"}),
            "conversations.info": (None, self._info, {"channel", "include_locale", "include_num_members"}),
            "conversations.list": (None, self._list, {"types", "exclude_archived", "limit", "cursor", "team_id"}),
            "conversations.members": (None, self._members_of, {"channel", "limit", "cursor"}),
            "views.publish": (None, self._publish, {"user_id", "view", "hash"}),
            "conversations.open": ("im:write", self._open, {"users", "channel", "return_im", "prevent_creation"}),
            "users.lookupByEmail": ("users:read.email", self._lookup, {"email"}),
        }

    def messages(self, channel: str | None = None) -> tuple[SlackMessage, ...]:
        """Messages delivered so far, oldest first; of one channel (id or name) or of all."""
        if channel is None:
            return tuple(self._messages)
        channel_id = self._find(channel)
        return tuple(message for message in self._messages if message.channel == channel_id)

    def needs(self, scope: str) -> None:
        """Raises SlackError where the bot lacks a scope."""
        if scope not in self.scopes:
            raise SlackError("missing_scope", needed=scope, provided=",".join(self.scopes))

    def _find(self, channel: str) -> str | None:
        bare = channel.removeprefix("#")
        if bare in self._members.values():  # posting to a user opens the conversation with them
            self._direct.setdefault(bare, f"D0{bare[2:]}")
            return self._direct[bare]
        for channel_id, known in self.channels.items():
            if bare in (channel_id, known.name):
                return channel_id
        return bare if bare in self._direct.values() else None

    def _auth_test(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://demo.slack.com/",
            "team": "Demo",
            "user": "openrouter-monitor",
            "team_id": "T0DEMOTEAM",
            "user_id": BOT_USER,
            "bot_id": "B0DEMOBOT1",
        }

    def _post(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel_id = self._find(str(arguments.get("channel", "")))
        if channel_id is None:
            raise SlackError("channel_not_found")
        channel = self.channels.get(channel_id)
        if channel is not None and channel.is_archived:
            raise SlackError("is_archived")
        if channel is not None and not channel.is_member:
            if channel.is_private:
                raise SlackError("channel_not_found")
            if "chat:write.public" not in self.scopes:
                raise SlackError("not_in_channel")
        text, blocks, metadata = self._content(arguments)
        thread_ts = arguments.get("thread_ts")
        if thread_ts is not None and all(each.ts != thread_ts or each.channel != channel_id for each in self._messages):
            raise SlackError("thread_not_found")
        self._pace(channel_id)
        is_broadcast = thread_ts is not None and _is_true(arguments.get("reply_broadcast"))
        message = SlackMessage(channel_id, self._next_ts(), text, blocks, metadata, thread_ts, is_broadcast)
        self._messages.append(message)
        return {"channel": channel_id, "ts": message.ts, "message": message.json(with_metadata=True)}

    def _update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel_id, ts = arguments.get("channel"), arguments.get("ts")
        if channel_id not in {*self.channels, *self._direct.values()}:  # names are not accepted here
            raise SlackError("channel_not_found")
        message = next((each for each in self._messages if (each.channel, each.ts) == (channel_id, ts)), None)
        if message is None:
            raise SlackError("message_not_found")
        text, blocks, metadata = self._content(arguments)
        message.edits.append((message.text, message.blocks))
        message.text, message.blocks, message.metadata = text, blocks, metadata or message.metadata
        return {"channel": channel_id, "ts": ts, "text": text, "message": message.json(with_metadata=True)}

    def share(self, channel_id: str, files: list[dict[str, Any]], *, thread_ts: str | None) -> SlackMessage:
        """A message that shows files."""
        if channel_id not in {*self.channels, *self._direct.values()}:  # names are not accepted here
            raise SlackError("channel_not_found")
        if thread_ts is not None and all((m.channel, m.ts) != (channel_id, thread_ts) for m in self._messages):
            raise SlackError("invalid_thread_ts")
        message = SlackMessage(channel_id, self._next_ts(), "", [], None, thread_ts, files=files)
        self._messages.append(message)
        return message

    def _content(self, arguments: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]], dict[str, Any] | None]:
        """Text, blocks and metadata of a message, checked as Slack does. Raises SlackError."""
        text, blocks, metadata = _content(arguments)
        shown = [
            block["slack_file"]["id"] for block in blocks if block.get("type") == "image" and "slack_file" in block
        ]
        if not all(self.can_show(file_id) for file_id in shown):
            found = ["[ERROR] invalid slack file [json-pointer:/blocks/0/slack_file]"]
            raise SlackError("invalid_blocks", errors=found, response_metadata={"messages": found})
        return text, blocks, metadata

    def _whisper(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments.get("channel") not in {*self.channels, *self._direct.values()}:
            raise SlackError("channel_not_found")
        if not arguments.get("user") or not arguments.get("text"):
            raise SlackError("no_text" if arguments.get("user") else "user_not_in_channel")
        self.whispers.append(dict(arguments))
        return {"message_ts": self._next_ts()}

    def _group(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments.get("usergroup") not in self.groups:
            raise SlackError("no_such_subteam")
        return {"users": self.groups[str(arguments["usergroup"])]}

    def _pace(self, channel_id: str) -> None:
        """About one message a second in a channel, short bursts allowed; else 429."""
        at = self._clock.monotonic()
        left, since = self._allowance.get(channel_id, (float(BURST), at))
        left = min(float(BURST), left + (at - since) * PER_SECOND)
        if left < 1.0:
            self._allowance[channel_id] = (left, at)
            raise SlackError("ratelimited", status=429, headers={"Retry-After": str(max(1, round(1.0 - left)))})
        self._allowance[channel_id] = (left - 1.0, at)

    def _next_ts(self) -> str:
        """Seconds and microseconds, unique and growing."""
        self._last_ts = max(self._clock.now().timestamp(), self._last_ts + 1e-5)
        return f"{self._last_ts:.6f}"

    def _readable(self, arguments: dict[str, Any], right: str) -> Channel | None:
        """The channel of an id the bot may read (None: a direct conversation)."""
        channel_id = arguments.get("channel")
        if channel_id in self._direct.values():
            if right == "history":
                self.needs("im:history")
            return None
        channel = self.channels.get(str(channel_id))
        if channel is None or (channel.is_private and not channel.is_member):
            raise SlackError("channel_not_found")
        self.needs(f"{'groups' if channel.is_private else 'channels'}:{right}")
        return channel

    def _history(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._readable(arguments, "history")
        if channel is not None and not channel.is_member:
            raise SlackError("not_in_channel")
        mine = [
            m for m in self._messages if m.channel == arguments["channel"] and (m.thread_ts is None or m.is_broadcast)
        ]
        return _page(list(reversed(mine)), arguments)

    def _replies(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._readable(arguments, "history")
        if channel is not None and not channel.is_member:
            raise SlackError("not_in_channel")
        mine = [m for m in self._messages if m.channel == arguments["channel"]]
        thread = [m for m in mine if arguments.get("ts") in (m.ts, m.thread_ts)]
        if not thread:
            raise SlackError("thread_not_found")
        return _page(thread, arguments)

    def _info(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._readable(arguments, "read")
        if channel is None:
            return {"channel": {"id": arguments["channel"], "is_im": True}}
        return {"channel": _channel_json(channel)}

    def _list(self, arguments: dict[str, Any]) -> dict[str, Any]:
        types = str(arguments.get("types", "public_channel")).split(",")
        shown = []
        for wanted, right in (("public_channel", "channels:read"), ("private_channel", "groups:read")):
            if wanted in types:
                self.needs(right)
                shown += [c for c in self.channels.values() if c.is_private == (wanted == "private_channel")]
        shown = [c for c in shown if c.is_member or not c.is_private]
        if _is_true(arguments.get("exclude_archived")):
            shown = [c for c in shown if not c.is_archived]
        start, limit = _cursor(arguments), _limit(arguments, 1000)
        more = {"next_cursor": str(start + limit) if len(shown) > start + limit else ""}
        return {"channels": [_channel_json(c) for c in shown[start : start + limit]], "response_metadata": more}

    def _members_of(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Who joined a channel: by its name in `joined`."""
        channel = self._readable(arguments, "read")
        people = self.joined.get(channel.name, []) if channel is not None else []
        start, limit = _cursor(arguments), _limit(arguments, 1000)
        more = {"next_cursor": str(start + limit) if len(people) > start + limit else ""}
        return {"members": people[start : start + limit], "response_metadata": more}

    def _publish(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A home, kept in `homes` by user id."""
        user, view = arguments.get("user_id"), arguments.get("view")
        if user not in self._members.values():
            raise SlackError("user_not_found")
        if not isinstance(view, dict) or view.get("type") != "home" or set(view) - _VIEW_FIELDS:
            raise SlackError("invalid_arguments")
        found = blockkit.problems(view.get("blocks"), most=blockkit.MAX_VIEW_BLOCKS)
        if found:
            raise SlackError("invalid_arguments", errors=found, response_metadata={"messages": found})
        if len(msgspec.json.encode(view)) > blockkit.MAX_VIEW_BYTES:
            raise SlackError("view_too_large")
        self.homes[str(user)] = view
        return {"view": view}

    def _open(self, arguments: dict[str, Any]) -> dict[str, Any]:
        user = str(arguments.get("users", ""))
        if user not in self._members.values():
            raise SlackError("user_not_found" if user else "users_list_not_supplied")
        channel_id = self._direct.setdefault(user, f"D0{user[2:]}")
        return {"channel": {"id": channel_id}}

    def _lookup(self, arguments: dict[str, Any]) -> dict[str, Any]:
        user = self._members.get(str(arguments.get("email", "")))
        if user is None:
            raise SlackError("users_not_found")
        return {"user": {"id": user, "name": user.lower(), "deleted": False, "profile": {"email": arguments["email"]}}}


_POST_FIELDS: Final = {
    "channel", "text", "blocks", "metadata", "thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media", "mrkdwn", "parse",
    "link_names", "username", "icon_emoji", "icon_url", "attachments", "markdown_text",
}  # fmt: skip
_VIEW_FIELDS: Final = {"type", "blocks", "private_metadata", "callback_id", "external_id"}
_PAGED: Final = {"latest", "oldest", "inclusive", "limit", "cursor", "include_all_metadata"}


def _content(arguments: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]], dict[str, Any] | None]:
    """Text, blocks and metadata of a message, checked as Slack does. Raises SlackError."""
    text, blocks, metadata = arguments.get("text") or "", arguments.get("blocks") or [], arguments.get("metadata")
    if not isinstance(text, str) or (not text and not blocks):
        raise SlackError("no_text")
    found = blockkit.problems(blocks)
    if found:
        raise SlackError("invalid_blocks", errors=found, response_metadata={"messages": found})
    if blockkit.length(blocks) > blockkit.MAX_SUM:
        raise SlackError("msg_blocks_too_long")
    if metadata is not None:
        if (
            not isinstance(metadata, dict)
            or not isinstance(metadata.get("event_payload"), dict)
            or not metadata.get("event_type")
        ):
            raise SlackError("invalid_metadata_format")
        if len(msgspec.json.encode(metadata)) > MAX_METADATA:
            raise SlackError("metadata_too_large")
    return text[:MAX_TEXT], blocks, metadata


def _page(messages: list[SlackMessage], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Messages between `oldest` and `latest` (exclusive unless `inclusive`), a page of them."""
    oldest, latest = (float(arguments.get(name) or default) for name, default in (("oldest", 0), ("latest", 1e12)))
    is_inclusive = _is_true(arguments.get("inclusive"))
    kept = [m for m in messages if oldest < float(m.ts) < latest or (is_inclusive and float(m.ts) in (oldest, latest))]
    start, limit = _cursor(arguments), _limit(arguments, 999)
    shown = kept[start : start + limit]
    has_more = len(kept) > start + limit
    with_metadata = _is_true(arguments.get("include_all_metadata"))
    return {
        "messages": [m.json(with_metadata=with_metadata) for m in shown],
        "has_more": has_more,
        "response_metadata": {"next_cursor": str(start + limit) if has_more else ""},
    }


def _cursor(arguments: Mapping[str, Any]) -> int:
    cursor = str(arguments.get("cursor") or "0")
    if not cursor.isdigit():
        raise SlackError("invalid_cursor")
    return int(cursor)


def _limit(arguments: Mapping[str, Any], most: int) -> int:
    limit = str(arguments.get("limit") or "100")
    if not limit.isdigit() or not 1 <= int(limit) <= most:
        raise SlackError("invalid_limit")
    return int(limit)


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "1")


def _channel_json(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.channel_id,
        "name": channel.name,
        "is_channel": True,
        "is_private": channel.is_private,
        "is_member": channel.is_member,
        "is_archived": channel.is_archived,
    }
