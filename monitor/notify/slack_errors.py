"""What went wrong at Slack -> the DeliveryError that says what to do about it. Pure.

Error codes: docs.slack.dev/reference/methods/chat.postMessage. Texts never quote an answer: it may echo our token.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from monitor.errors import ChannelRefused, DeliveryError, SinkUnauthorized

DEFAULT_WAIT_S: Final = 30.0
MAX_WAIT_S: Final = 300.0

UNAUTHORIZED: Final = frozenset({
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission",
    "org_login_required", "ekm_access_denied", "missing_scope", "not_allowed_token_type", "access_denied",
    "team_access_not_granted", "enterprise_is_restricted", "two_factor_setup_required", "accesslimited",
})  # fmt: skip

CHANNEL_REFUSED: Final = frozenset({
    "channel_not_found", "not_in_channel", "is_archived", "restricted_action", "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "restricted_action_thread_locked",
    "cannot_reply_to_message", "thread_not_found", "messages_tab_disabled", "user_not_found", "method_not_supported_for_channel_type",
    "no_channel", "cant_post_message", "posting_to_general_channel_denied", "external_channel_migrating",
})  # fmt: skip

OUTCOME_UNKNOWN: Final = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable"})
"""Slack says of these: "It's possible some aspect of the operation succeeded before the error was raised."."""

RATE_LIMITED: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded", "team_quota_exceeded"})

REMEDIES: Final[Mapping[str, str]] = {
    "channel_not_found": "check the channel's name or id, and invite the bot if it is private",
    "not_in_channel": "invite the bot with /invite",
    "is_archived": "unarchive it, or name another channel",
    "missing_scope": "add the scope to the Slack app (deploy/slack-app.yaml) and install it again",
    "invalid_auth": "put a valid bot token into SLACK_BOT_TOKEN or the credentials file",
    "token_revoked": "install the Slack app again and replace the bot token",
    "account_inactive": "install the Slack app again and replace the bot token",
}

_CODE: Final = re.compile(r"[a-z_]{1,60}")
"""What Slack's codes are made of, and a token never is: an answer may hold anything, also our own request."""


def of_code(method: str, code: object, *, needed: object = "", has_effect: bool) -> DeliveryError:
    """For an answer `ok: false`. `has_effect`: the method posts, so an unclear failure may have posted."""
    known = code if isinstance(code, str) and _CODE.fullmatch(code) else "an unreadable error"
    text = f"Slack refused {method}: {known}"
    if known == "missing_scope" and isinstance(needed, str) and re.fullmatch(r"[a-z0-9_.:,-]{1,200}", needed):
        text = f"{text} ({needed})"
    if known in REMEDIES:
        text = f"{text}; {REMEDIES[known]}"
    if known in UNAUTHORIZED:
        return SinkUnauthorized(text)
    if known in CHANNEL_REFUSED:
        return ChannelRefused(text)
    if known in RATE_LIMITED:
        return DeliveryError(text, permanent=False, retry_after=DEFAULT_WAIT_S)
    if known in OUTCOME_UNKNOWN:
        return DeliveryError(text, permanent=False, is_outcome_unknown=has_effect)
    return DeliveryError(text, permanent=True)


def of_status(method: str, status: int, *, retry_after: str | None, now: datetime, has_effect: bool) -> DeliveryError:
    """For an answer that is no Slack answer at all: 429, 5xx, a page of HTML, cut-off JSON.

    A gateway's 5xx, or a 200 that cannot be read, may come after Slack stored the message: the outcome is unknown."""
    if status == 429:
        wait = wait_s(retry_after, now=now)
        return DeliveryError(f"Slack asks to slow down ({method}, 429)", permanent=False, retry_after=wait)
    text = f"Slack answered {method} with HTTP {status} and nothing readable"
    if status in {404, 410, 413} or 300 <= status < 400:
        return DeliveryError(f"{text}; check slack.base_url", permanent=status == 413)
    if status in {401, 403, 407}:
        return SinkUnauthorized(f"{text}; check the bot token, and proxies on the way")
    wait_after = wait_s(retry_after, now=now) if retry_after is not None else None
    return DeliveryError(text, permanent=False, retry_after=wait_after, is_outcome_unknown=has_effect)


def wait_s(retry_after: str | None, *, now: datetime) -> float:
    """Retry-After in seconds, 1 to 300: whole, decimal, a date, or 30 where missing or not understood (RFC 9110 10.2.3)."""
    if retry_after is None:
        return DEFAULT_WAIT_S
    text = retry_after.strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, now)
    return DEFAULT_WAIT_S if math.isnan(seconds) else min(max(seconds, 1.0), MAX_WAIT_S)


def _until(text: str, now: datetime) -> float:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return math.nan
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
