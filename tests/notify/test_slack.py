"""Slack over a real socket: one attempt a call, and every failure says what to do about it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from build import NOW
from fake_clock import FakeClock
from fake_slack import TOKEN, FakeSlack, Fault, refusal, running_slack
from pydantic import SecretStr

from monitor import config
from monitor.domain import Message, MessageKind, Receipt, Severity
from monitor.errors import ChannelRefused, ConfigError, DeliveryError, SinkUnauthorized
from monitor.notify.scopes import SCOPES
from monitor.notify.slack import SlackNotifier

JSON = {"Content-Type": "application/json"}


def a_message(message_id: str = "INC-1:1:alert", **changes: Any) -> Message:
    message = Message(message_id, MessageKind.ALERT, "C0TEAM01", Severity.CRITICAL, "Title", "Summary", created_at=NOW)
    return replace(message, **changes)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with running_slack() as fake:
        yield fake


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def notifier(slack: FakeSlack, clock: FakeClock) -> AsyncIterator[SlackNotifier]:
    made = SlackNotifier(SecretStr(TOKEN), config.Slack(base_url=slack.base_url), clock)
    yield made
    await made.close()


async def failure(notifier: SlackNotifier, message: Message | None = None) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await notifier.send(message or a_message())
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    return caught.value


async def test_a_message_is_posted_once_with_blocks_and_metadata(slack: FakeSlack, notifier: SlackNotifier) -> None:
    receipt = await notifier.send(a_message())

    (posted,) = slack.messages
    assert receipt == Receipt("C0TEAM01", posted["ts"])
    assert posted["metadata"]["event_payload"] == {"message_id": "INC-1:1:alert"}
    assert posted["blocks"][0]["type"] == "header"
    assert posted["unfurl_links"] is False


async def test_an_update_goes_into_the_thread_and_is_shown_in_the_channel_too(
    slack: FakeSlack, notifier: SlackNotifier
) -> None:
    parent = await notifier.send(a_message())

    await notifier.send(a_message("INC-1:2:alert"), thread=parent)
    await notifier.send(a_message("INC-1:2:resolved", kind=MessageKind.RESOLVED), thread=parent)

    assert [each.get("thread_ts") for each in slack.messages] == [None, parent.reference, parent.reference]
    assert [each.get("reply_broadcast") for each in slack.messages] == [None, True, None]


async def test_messages_to_one_channel_are_a_second_apart(clock: FakeClock, notifier: SlackNotifier) -> None:
    for number in range(3):
        await notifier.send(a_message(f"INC-{number}:1:alert"))
    await notifier.send(a_message("INC-9:1:alert", channel="C0OPS001"))

    assert clock.slept == [1.0, 1.0]


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("0", 1.0),
        ("-3", 1.0),
        ("99999999", 300.0),
        ("inf", 300.0),
        ("nan", 30.0),
        ("soon", 30.0),
        ("", 30.0),
        (None, 30.0),
        ("Mon, 23 Nov 2026 12:00:20 GMT", 20.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 1.0),
    ],
)
async def test_every_form_of_retry_after_is_understood(
    slack: FakeSlack, notifier: SlackNotifier, header: str | None, wait: float
) -> None:
    headers = JSON | ({} if header is None else {"Retry-After": header})
    slack.fail("chat.postMessage", Fault(429, b'{"ok":false,"error":"ratelimited"}', headers))

    error = await failure(notifier)

    assert (error.permanent, error.retry_after, error.is_outcome_unknown) == (False, wait, False)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_gateway_error_is_temporary_and_leaves_the_outcome_open(
    slack: FakeSlack, notifier: SlackNotifier, status: int
) -> None:
    slack.fail("chat.postMessage", Fault(status, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}))

    error = await failure(notifier)

    assert (error.permanent, error.is_outcome_unknown) == (False, True)
    assert slack.calls == ["chat.postMessage"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, b"<html>log in to the guest network</html>", {"Content-Type": "text/html"}),
        Fault(200, b'{"ok": true, "ts": "1', JSON),
        Fault(200, b"[1, 2]", JSON),
        Fault(200, b"ok", {"Content-Type": "text/plain"}),
        Fault(200, b"", JSON),
        Fault(200, b'{"ok": true}', JSON),
        Fault(200, b"\xff\xfe\xfa", {"Content-Type": "application/json; charset=utf-8"}),
        Fault(200, b"[" * 200_000, JSON),
        Fault(200, b" " * 9_000_000, JSON),
        Fault(200, b'{"ok": true}', {"Content-Type": "application/json; charset=nonsense"}),
        Fault(200, b'{"ok": false, "error": "internal_error"}', JSON),
    ],
    ids=["html", "cut", "list", "text", "empty", "no-ts", "bytes", "deep", "huge", "charset", "internal_error"],
)
async def test_an_answer_nobody_can_read_leaves_the_outcome_open(
    slack: FakeSlack, notifier: SlackNotifier, fault: Fault
) -> None:
    slack.fail("chat.postMessage", fault)

    error = await failure(notifier)

    assert (error.permanent, error.is_outcome_unknown) == (False, True)


async def test_a_drop_after_delivery_is_found_by_looking(slack: FakeSlack, notifier: SlackNotifier) -> None:
    slack.fail("chat.postMessage", Fault(is_stored=True, is_drop=True))

    error = await failure(notifier)
    receipt = await notifier.find(a_message())

    assert error.is_outcome_unknown
    assert slack.calls.count("chat.postMessage") == 1
    assert receipt == Receipt("C0TEAM01", slack.messages[0]["ts"])


async def test_a_drop_before_delivery_is_surely_absent(slack: FakeSlack, notifier: SlackNotifier) -> None:
    slack.fail("chat.postMessage", Fault(is_drop=True))

    await failure(notifier)

    assert await notifier.find(a_message()) is None


async def test_a_slow_drip_ends_at_the_deadline(slack: FakeSlack, clock: FakeClock) -> None:
    slack.fail("chat.postMessage", Fault(drip_s=0.05))
    hasty = SlackNotifier(SecretStr(TOKEN), config.Slack(base_url=slack.base_url), clock, deadline_s=0.5)

    error = await failure(hasty)
    await hasty.close()

    assert slack.n_dripped_dry == 0
    assert error.is_outcome_unknown


async def test_a_refused_connection_surely_delivered_nothing(clock: FakeClock) -> None:
    notifier = SlackNotifier(SecretStr(TOKEN), config.Slack(base_url="http://127.0.0.1:9/api/"), clock)

    error = await failure(notifier)
    await notifier.close()

    assert (error.permanent, error.is_outcome_unknown) == (False, False)


async def test_a_redirect_is_not_followed(slack: FakeSlack, notifier: SlackNotifier) -> None:
    slack.fail("chat.postMessage", Fault(302, headers={"Location": f"{slack.base_url}auth.test"}))

    error = await failure(notifier)

    assert not error.is_outcome_unknown
    assert slack.calls == ["chat.postMessage"]


@pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "account_inactive", "missing_scope", "not_authed"])
async def test_refused_credentials_are_a_matter_for_a_person(
    slack: FakeSlack, notifier: SlackNotifier, code: str
) -> None:
    slack.fail("chat.postMessage", refusal(code, needed="chat:write"))

    error = await failure(notifier)

    assert isinstance(error, SinkUnauthorized)
    assert error.permanent and code in str(error)


@pytest.mark.parametrize("code", ["channel_not_found", "not_in_channel", "is_archived", "thread_not_found"])
async def test_a_refused_channel_can_be_replaced_by_another(
    slack: FakeSlack, notifier: SlackNotifier, code: str
) -> None:
    slack.fail("chat.postMessage", refusal(code))

    assert isinstance(await failure(notifier), ChannelRefused)


@pytest.mark.parametrize("code", ["msg_blocks_too_long", "invalid_blocks", "<b>echo</b> xoxb-1", 7, None])
async def test_a_refused_content_is_permanent_and_never_quoted(
    slack: FakeSlack, notifier: SlackNotifier, code: Any
) -> None:
    slack.fail("chat.postMessage", refusal(code))

    error = await failure(notifier)

    assert error.permanent and not isinstance(error, ChannelRefused | SinkUnauthorized)
    assert "xoxb" not in str(error) and "<" not in str(error)


async def test_an_answer_that_echoes_the_token_does_not_leak_it(
    slack: FakeSlack, notifier: SlackNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    slack.fail("chat.postMessage", refusal(TOKEN, detail=TOKEN), Fault(200, TOKEN.encode(), JSON))

    first, second = await failure(notifier), await failure(notifier)

    assert TOKEN not in f"{first!r}{second!r}{caplog.text}{notifier!r}{vars(notifier)!r}"
    assert "Summary" not in caplog.text


async def test_a_proxy_in_the_environment_is_not_used(
    slack: FakeSlack, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    notifier = SlackNotifier(SecretStr(TOKEN), config.Slack(base_url=slack.base_url), clock)

    await notifier.send(a_message())
    await notifier.close()

    assert len(slack.messages) == 1


async def test_a_reply_is_found_in_its_thread(slack: FakeSlack, notifier: SlackNotifier) -> None:
    parent = await notifier.send(a_message())
    reply = await notifier.send(a_message("INC-1:2:alert"), thread=parent)

    assert await notifier.find(a_message("INC-1:2:alert"), thread=parent) == reply
    assert await notifier.find(a_message("INC-1:3:alert"), thread=parent) is None


async def test_a_message_is_found_behind_several_pages(slack: FakeSlack, notifier: SlackNotifier) -> None:
    wanted = await notifier.send(a_message())
    for number in range(7):
        slack.chat_postMessage({"channel": "C0TEAM01", "text": f"chatter {number}"})
    slack.page_size = 2

    assert await notifier.find(a_message()) == wanted
    assert slack.calls.count("conversations.history") == 4


async def test_a_look_up_that_never_ends_says_that_it_cannot_tell(slack: FakeSlack, notifier: SlackNotifier) -> None:
    for number in range(30):
        slack.chat_postMessage({"channel": "C0TEAM01", "text": f"chatter {number}"})
    slack.page_size = 1

    with pytest.raises(DeliveryError) as caught:
        await notifier.find(a_message())

    assert caught.value.permanent


async def test_only_messages_since_the_message_was_made_are_looked_through(
    slack: FakeSlack, notifier: SlackNotifier
) -> None:
    await notifier.send(a_message())
    later = a_message(created_at=NOW + timedelta(days=3650))

    assert await notifier.find(later) is None


async def test_a_channel_given_by_name_is_looked_up_by_its_id(slack: FakeSlack, notifier: SlackNotifier) -> None:
    slack.fail("chat.postMessage", Fault(is_stored=True, is_drop=True))
    slack.page_size = 1
    message = a_message(channel="#ops")
    await failure(notifier, message)

    assert await notifier.find(message) == Receipt("C0OPS001", slack.messages[0]["ts"])


async def test_a_missing_history_scope_keeps_from_looking_not_from_sending(
    slack: FakeSlack, notifier: SlackNotifier
) -> None:
    slack.fail("conversations.history", refusal("missing_scope", needed="channels:history"))

    with pytest.raises(DeliveryError, match="channels:history") as caught:
        await notifier.find(a_message())

    assert caught.value.permanent and not isinstance(caught.value, SinkUnauthorized)


async def test_a_sound_channel_has_no_problems(slack: FakeSlack, notifier: SlackNotifier) -> None:
    assert await notifier.check("#team") == ()
    assert slack.messages == []


async def test_each_missing_scope_is_named(slack: FakeSlack, notifier: SlackNotifier) -> None:
    slack.scopes = "channels:read"
    slack.channels["C0TEAM01"]["is_member"] = False

    problems = " / ".join(await notifier.check("C0TEAM01"))

    assert all(
        scope in problems
        for scope in SCOPES.keys() - {"channels:read", "groups:read", "groups:history", "usergroups:read", "commands"}
    )


async def test_a_private_channel_needs_the_groups_scopes(slack: FakeSlack, notifier: SlackNotifier) -> None:
    slack.scopes = ",".join(scope for scope in SCOPES if scope != "groups:history")

    (problem,) = await notifier.check("G0SECRET")

    assert "groups:history" in problem


@pytest.mark.parametrize(
    ("channel", "said"), [("", "no channel is set"), ("#nowhere", "no such channel"), ("C0GONE99", "channel_not_found")]
)
async def test_a_wrong_channel_is_named(slack: FakeSlack, notifier: SlackNotifier, channel: str, said: str) -> None:
    (problem,) = await notifier.check(channel)

    assert said in problem


async def test_an_archived_channel_is_a_problem(slack: FakeSlack, notifier: SlackNotifier) -> None:
    slack.channels["C0TEAM01"]["is_archived"] = True

    assert await notifier.check("C0TEAM01") == ("channel C0TEAM01 is archived",)


async def test_a_wrong_token_is_the_only_problem_told(slack: FakeSlack, clock: FakeClock) -> None:
    notifier = SlackNotifier(SecretStr("xoxb-wrong"), config.Slack(base_url=slack.base_url), clock)

    (problem,) = await notifier.check("C0TEAM01")
    await notifier.close()

    assert "invalid_auth" in problem


@pytest.mark.parametrize("token", ["", "  ", "xoxb-1\r\nHost: evil", "xoxb 1"])
def test_a_token_that_is_none_is_refused_without_showing_it(token: str, clock: FakeClock) -> None:
    with pytest.raises(ConfigError) as caught:
        SlackNotifier(SecretStr(token), config.Slack(), clock)

    assert "evil" not in str(caught.value)
