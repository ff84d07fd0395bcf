"""Slack, by chat.postMessage of its Web API. One attempt a call: the outbox repeats, so that nothing is lost or doubled.

Facts (slack_sdk 3.47, measured): its default retry handlers post a message twice when the answer is lost, so there are none
here; a client reads HTTP(S)_PROXY by itself, so that is undone; some broken answers escape as foreign exceptions, so all
end here. Slack has no idempotency key: a message in doubt is looked up by its metadata in the channel's history.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from monitor import __version__, config
from monitor.domain import Clock, Message, MessageKind, Receipt
from monitor.errors import ChannelRefused, ConfigError, DeliveryError, MonitorError
from monitor.notify import slack_blocks, slack_errors

DEADLINE_S: Final = 15.0
GAP_S: Final = 1.0
"""Slack shows no more than about one message a second in a channel (docs.slack.dev/apis/web-api/rate-limits)."""

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
PAGE: Final = 200
MAX_PAGES: Final = 25
LOOK_BACK: Final = timedelta(hours=1)
"""How far before a message's own time the look-up starts: more than any skew between our clock and Slack's."""

_ID: Final = re.compile(r"[CGD][A-Z0-9]{6,}")
_QUIET_REPLIES: Final = frozenset({MessageKind.RESOLVED, MessageKind.DIGEST})
"""Kinds that in a thread stay there; all others are shown in the channel as well, because somebody has to see them."""

_sdk_log = logging.getLogger("monitor.notify.slack.sdk")
_sdk_log.setLevel(logging.INFO)  # at DEBUG the SDK logs whole messages


class _BoundedResponse(aiohttp.ClientResponse):
    """An answer that is given up once it is larger than any Slack answer."""

    async def read(self) -> bytes:
        """The body, at most MAX_ANSWER_BYTES."""
        if self._body is None:
            parts, n_bytes = [], 0
            async for part in self.content.iter_chunked(64 * 1024):
                parts.append(part)
                n_bytes += len(part)
                if n_bytes > MAX_ANSWER_BYTES:
                    self.close()
                    raise aiohttp.ClientPayloadError("answer too large")
            self._body = b"".join(parts)
        return self._body


class _Redirected(aiohttp.ClientError):
    """Slack's API never redirects; whoever does wants our token."""


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise _Redirected
    return response


class SlackNotifier:
    """Implements `notify.base.Notifier`. Lives in one event loop; `close()` when done."""

    def __init__(
        self, token: SecretStr, settings: config.Slack, clock: Clock, *, deadline_s: float = DEADLINE_S
    ) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", token.get_secret_value().strip()):
            raise ConfigError(
                "slack.bot_token", "is empty or holds spaces or control characters", remedy="copy it again"
            )
        self._token, self._settings, self._clock, self._deadline_s = token, settings, clock, deadline_s
        self._client: AsyncWebClient | None = None
        self._session: aiohttp.ClientSession | None = None
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
        text, blocks, metadata = slack_blocks.render(message)
        await self._pace(channel)
        call = self._sdk().chat_postMessage(
            channel=channel,
            text=text,
            blocks=blocks,
            metadata=metadata,
            thread_ts=thread.reference if thread else None,
            reply_broadcast=True if thread and message.kind not in _QUIET_REPLIES else None,
            unfurl_links=False,
            unfurl_media=False,
        )
        answer = await self._call("chat.postMessage", call, has_effect=True)
        where, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(where, str) or not isinstance(ts, str):
            raise DeliveryError("Slack's answer names no message", permanent=False, is_outcome_unknown=True)
        self._channel_ids[channel] = where
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
            identity = await self._call("auth.test", self._sdk().auth_test(), has_effect=False)
            granted = _scopes(identity)
            problems = ["the app lacks the scope chat:write"] if granted and "chat:write" not in granted else []
            if not channel:
                return (*problems, "no channel is set: slack.default_channel")
            return (*problems, *await self._check_channel(channel, granted))
        except DeliveryError as error:
            return (str(error),)

    async def close(self) -> None:
        """Closes connections."""
        session, self._session, self._client = self._session, None, None
        if session is not None:
            await session.close()

    async def _check_channel(self, channel: str, granted: frozenset[str]) -> list[str]:
        channel_id = await self._channel_id(channel)
        call = self._sdk().conversations_info(channel=channel_id)
        info = (await self._call("conversations.info", call, has_effect=False)).get("channel")
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
        params: dict[str, Any] = {"types": "public_channel,private_channel", "exclude_archived": True, "limit": 999}
        for _ in range(MAX_PAGES):
            answer = await self._read("conversations.list", params)
            for each in _records(answer, "channels"):
                if each.get("name") == channel_name and isinstance(each.get("id"), str):
                    return str(each["id"])
            params["cursor"] = _cursor(answer)
            if not params["cursor"]:
                break
        raise ChannelRefused("Slack lists no such channel; check its name, or invite the bot if it is private")

    async def _search(self, method: str, params: dict[str, Any], message_id: str) -> str | None:
        """The `ts` of our message, None if every page since `oldest` was read without meeting it."""
        params = {**params, "include_all_metadata": True, "limit": PAGE}
        for _ in range(MAX_PAGES):
            answer = await self._read(method, params)
            for each in _records(answer, "messages"):
                if _message_id(each) == message_id and isinstance(each.get("ts"), str):
                    return str(each["ts"])
            params["cursor"] = _cursor(answer)
            if not params["cursor"]:
                return None
        raise DeliveryError(f"{method}: too many messages since to look through", permanent=True)

    async def _read(self, method: str, params: Mapping[str, Any]) -> AsyncSlackResponse:
        """A reading call. A scope missing here keeps us from looking, not from sending: it is no SinkUnauthorized."""
        call = self._sdk().api_call(method, http_verb="GET", params=dict(params))
        try:
            return await self._call(method, call, has_effect=False)
        except DeliveryError as error:
            if "missing_scope" in str(error):
                raise DeliveryError(str(error), permanent=True) from None
            raise

    async def _call(self, method: str, call: Awaitable[AsyncSlackResponse], *, has_effect: bool) -> AsyncSlackResponse:
        """One call under the total deadline. Errors are made outside of `except`, so that no foreign exception, which may
        hold our request and its token, hangs on them."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await call
        except SlackApiError as error:
            problem: MonitorError = self._refusal(method, error.response, has_effect=has_effect)
        except _Redirected:
            problem = DeliveryError(f"{method} was redirected; check slack.base_url", permanent=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            problem = DeliveryError(f"no connection to Slack ({method})", permanent=False)
        except TimeoutError:
            problem = _in_doubt(f"Slack did not answer {method} within {self._deadline_s:g} s", has_effect=has_effect)
        except (SlackClientError, aiohttp.ClientError, OSError):
            problem = _in_doubt(f"the connection to Slack broke during {method}", has_effect=has_effect)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            # slack_sdk lets these out for bodies that are text, a list, in an unknown charset, or nested too deep
            problem = _in_doubt(f"Slack's answer to {method} cannot be read", has_effect=has_effect)
        raise problem

    def _refusal(self, method: str, response: Any, *, has_effect: bool) -> DeliveryError:
        """`response` is the SDK's, or aiohttp's own where the body could not be parsed."""
        status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
        headers = getattr(response, "headers", None) or {}
        data = getattr(response, "data", None)
        if status < 500 and status != 429 and isinstance(data, Mapping) and data.get("ok") is False:
            return slack_errors.of_code(method, data.get("error"), needed=data.get("needed"), has_effect=has_effect)
        retry_after = headers.get("Retry-After")
        return slack_errors.of_status(
            method, status, retry_after=retry_after, now=self._clock.now(), has_effect=has_effect
        )

    async def _pace(self, channel: str) -> None:
        """Waits until a second has passed since the last message to this channel."""
        channel = self._channel_ids.get(channel, channel)
        last = self._sent_at.get(channel)
        now = self._clock.monotonic()
        due = now if last is None else max(now, last + GAP_S)
        self._sent_at[channel] = due
        if due > now:
            await self._clock.sleep(due - now)

    def _sdk(self) -> AsyncWebClient:
        if self._client is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, connect=min(10.0, self._deadline_s)),
                trust_env=False,
                response_class=_BoundedResponse,
                middlewares=(_refuse_redirects,),
            )
            self._client = AsyncWebClient(
                token=self._token.get_secret_value(),
                base_url=self._settings.base_url,
                session=self._session,
                retry_handlers=[],
                logger=_sdk_log,
                user_agent_suffix=f"openrouter-monitor/{__version__}",
            )
            self._client.proxy = None  # the SDK has read HTTP(S)_PROXY by now, whatever trust_env says
        return self._client


def _in_doubt(text: str, *, has_effect: bool) -> DeliveryError:
    return DeliveryError(text, permanent=False, is_outcome_unknown=has_effect)


def _records(answer: AsyncSlackResponse, name: str) -> Sequence[Mapping[str, Any]]:
    found = answer.get(name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _cursor(answer: AsyncSlackResponse) -> str:
    more = answer.get("response_metadata")
    cursor = more.get("next_cursor") if isinstance(more, Mapping) else None
    return cursor if isinstance(cursor, str) else ""


def _message_id(record: Mapping[str, Any]) -> str | None:
    found = record.get("metadata")
    if not isinstance(found, Mapping) or found.get("event_type") != slack_blocks.EVENT_TYPE:
        return None
    payload = found.get("event_payload")
    said = payload.get("message_id") if isinstance(payload, Mapping) else None
    return said if isinstance(said, str) else None


def _scopes(answer: AsyncSlackResponse) -> frozenset[str]:
    """Scopes of the token, from the header every answer carries; empty where it is missing (then nothing is concluded)."""
    header = answer.headers.get("x-oauth-scopes") or ""
    return frozenset(scope.strip() for scope in header.split(",") if scope.strip())
