"""The door to Slack's Web API: one attempt a call, a total deadline, and every failure as a DeliveryError.

Facts (slack_sdk 3.47, measured): its default retry handlers post a message twice when the answer is lost, so there are none
here; a client reads HTTP(S)_PROXY by itself, so that is undone; some broken answers escape as foreign exceptions, so all
end here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from monitor import __version__
from monitor.domain import Clock
from monitor.errors import ConfigError, DeliveryError, MonitorError
from monitor.notify import slack_errors

DEADLINE_S: Final = 15.0
T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024

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


class SlackDoor:
    """Calls of one token. Lives in one event loop; `close()` when done."""

    def __init__(
        self, token: SecretStr, base_url: str, clock: Clock, *, place: str, deadline_s: float = DEADLINE_S
    ) -> None:
        """`place`: the setting that holds the token. Raises ConfigError for what can be no token."""
        if not re.fullmatch(r"[\x21-\x7e]+", token.get_secret_value().strip()):
            raise ConfigError(place, "is empty or holds spaces or control characters", remedy="copy it again")
        self._token, self._base_url, self._clock, self._deadline_s = token, base_url, clock, deadline_s
        self._client: AsyncWebClient | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def sdk(self) -> AsyncWebClient:
        """The SDK's client, made on first use."""
        if self._client is None:
            self._client = AsyncWebClient(
                token=self._token.get_secret_value(),
                base_url=self._base_url,
                session=self.session,
                retry_handlers=[],
                logger=_sdk_log,
                user_agent_suffix=f"openrouter-monitor/{__version__}",
            )
            self._client.proxy = None  # the SDK has read HTTP(S)_PROXY by now, whatever trust_env says
        return self._client

    @property
    def session(self) -> aiohttp.ClientSession:
        """Connections that follow no redirect and no proxy of the environment; none carries our token by itself."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, connect=min(10.0, self._deadline_s)),
                trust_env=False,
                response_class=_BoundedResponse,
                middlewares=(_refuse_redirects,),
            )
        return self._session

    async def close(self) -> None:
        """Closes connections."""
        session, self._session, self._client = self._session, None, None
        if session is not None:
            await session.close()

    def is_ours(self, url: str, *, scheme: str) -> bool:
        """Whether an address that Slack told us belongs to Slack: encrypted, on its usual port; on this machine where
        `slack.base_url` is."""
        parts = urlsplit(url)
        home = urlsplit(self._base_url)
        try:
            port = parts.port
        except ValueError:
            return False
        if home.scheme == "http":  # a fake on loopback: config allows nothing else
            return parts.scheme in {"http", "ws"} and (parts.hostname, port) == (home.hostname, home.port)
        host = parts.hostname or ""
        is_slack = host in {"slack.com", home.hostname} or host.endswith((".slack.com", ".slack-gov.com"))
        return parts.scheme == scheme and is_slack and port in {None, 443} and parts.username is None

    async def read(self, method: str, params: Mapping[str, Any]) -> AsyncSlackResponse:
        """A reading call. A scope missing here keeps us from looking, not from sending: it is no SinkUnauthorized."""
        call = self.sdk.api_call(method, http_verb="GET", params=dict(params))
        try:
            return await self.call(method, call, has_effect=False)
        except DeliveryError as error:
            if "missing_scope" in str(error):
                raise DeliveryError(str(error), permanent=True) from None
            raise

    async def call(self, method: str, call: Awaitable[T], *, has_effect: bool) -> T:
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


def _in_doubt(text: str, *, has_effect: bool) -> DeliveryError:
    return DeliveryError(text, permanent=False, is_outcome_unknown=has_effect)


def records(answer: AsyncSlackResponse, name: str) -> Sequence[Mapping[str, Any]]:
    """The objects of a list in an answer; none where there is no such list."""
    found = answer.get(name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def cursor(answer: AsyncSlackResponse) -> str:
    """Where the next page begins, empty after the last."""
    more = answer.get("response_metadata")
    cursor = more.get("next_cursor") if isinstance(more, Mapping) else None
    return cursor if isinstance(cursor, str) else ""


def scopes(answer: AsyncSlackResponse) -> frozenset[str]:
    """Scopes of the token, from the header every answer carries; empty where it is missing (then nothing is concluded)."""
    header = answer.headers.get("x-oauth-scopes") or ""
    return frozenset(scope.strip() for scope in header.split(",") if scope.strip())
