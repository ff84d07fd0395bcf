"""The fake of Slack, asked by Slack's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from monitor.demo import faults
from monitor.demo.clock import ManualClock
from monitor.demo.faults import Fault
from monitor.demo.slack import SCOPES, Channel, FakeSlack

TOKEN = "xoxb-of-the-demo"
ALERTS, SECRET, OLD, CLOSED = (
    Channel("alerts"),
    Channel("secret", is_private=True),
    Channel("old", is_archived=True),
    Channel("closed", is_member=False),
)
METADATA = {"event_type": "openrouter_monitor", "event_payload": {"message_id": "INC-1:1:alert"}}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 23, 19, 0, tzinfo=UTC))


@pytest.fixture
async def slack(clock: ManualClock) -> AsyncIterator[FakeSlack]:
    members = {"ann@example.com": "U0ANN00001"}
    async with FakeSlack(clock=clock, token=TOKEN, channels=(ALERTS, SECRET, OLD, CLOSED), members=members) as server:
        yield server


@pytest.fixture
async def bot(slack: FakeSlack) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(token=TOKEN, base_url=slack.base_url, retry_handlers=[], session=session, timeout=5)


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_a_message_is_kept_with_blocks_and_metadata(bot: AsyncWebClient, slack: FakeSlack) -> None:
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": "Stolen key", "emoji": False}}]

    answer = await bot.chat_postMessage(channel="#alerts", text="Stolen key", blocks=blocks, metadata=METADATA)

    (message,) = slack.messages("alerts")
    assert (answer["channel"], answer["ts"]) == (ALERTS.channel_id, message.ts)
    assert (message.text, message.blocks, message.metadata) == ("Stolen key", blocks, METADATA)
    assert slack.messages(SECRET.channel_id) == ()


async def test_a_message_is_found_again_by_its_metadata(bot: AsyncWebClient, clock: ManualClock) -> None:
    first = await bot.chat_postMessage(channel="alerts", text="one", metadata=METADATA)
    clock.advance(60)
    await bot.chat_postMessage(channel="alerts", text="two")

    found = await bot.conversations_history(channel=ALERTS.channel_id, include_all_metadata=True)
    bare = await bot.conversations_history(channel=ALERTS.channel_id)
    newer = await bot.conversations_history(channel=ALERTS.channel_id, oldest=first["ts"])

    assert [message["text"] for message in found["messages"]] == ["two", "one"]
    assert found["messages"][1]["metadata"] == METADATA
    assert "metadata" not in bare["messages"][1]
    assert [message["text"] for message in newer["messages"]] == ["two"]


async def test_history_comes_in_pages(bot: AsyncWebClient, clock: ManualClock) -> None:
    for number in range(5):
        clock.advance(2)
        await bot.chat_postMessage(channel="alerts", text=str(number))

    first = await bot.conversations_history(channel=ALERTS.channel_id, limit=3)
    cursor = first["response_metadata"]["next_cursor"]
    rest = await bot.conversations_history(channel=ALERTS.channel_id, limit=3, cursor=cursor)

    assert [message["text"] for page in (first, rest) for message in page["messages"]] == ["4", "3", "2", "1", "0"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_replies_stay_in_their_thread_unless_broadcast(bot: AsyncWebClient, clock: ManualClock) -> None:
    parent = await bot.chat_postMessage(channel="alerts", text="incident")
    for number, is_broadcast in enumerate((False, True)):
        clock.advance(2)
        await bot.chat_postMessage(
            channel="alerts", text=f"reply {number}", thread_ts=parent["ts"], reply_broadcast=is_broadcast
        )

    channel = await bot.conversations_history(channel=ALERTS.channel_id)
    thread = await bot.conversations_replies(channel=ALERTS.channel_id, ts=parent["ts"])

    assert [message["text"] for message in channel["messages"]] == ["reply 1", "incident"]
    assert [message["text"] for message in thread["messages"]] == ["incident", "reply 0", "reply 1"]


async def test_a_message_can_be_edited_in_place(bot: AsyncWebClient, slack: FakeSlack) -> None:
    sent = await bot.chat_postMessage(channel="alerts", text="open")

    await bot.chat_update(channel=sent["channel"], ts=sent["ts"], text="resolved")

    (message,) = slack.messages("alerts")
    assert message.text == "resolved"
    assert message.edits == [("open", [])]
    assert await error_of(bot.chat_update(channel=sent["channel"], ts="1.0", text="x")) == "message_not_found"
    assert await error_of(bot.chat_update(channel="alerts", ts=sent["ts"], text="x")) == "channel_not_found"


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        pytest.param("#nowhere", "channel_not_found", id="unknown"),
        pytest.param("#old", "is_archived", id="archived"),
        pytest.param("#closed", "not_in_channel", id="not a member"),
    ],
)
async def test_a_channel_may_refuse(bot: AsyncWebClient, slack: FakeSlack, channel: str, error: str) -> None:
    assert await error_of(bot.chat_postMessage(channel=channel, text="x")) == error
    assert slack.messages() == ()


async def test_a_public_channel_takes_strangers_with_the_scope_for_it(bot: AsyncWebClient, slack: FakeSlack) -> None:
    slack.conversations.scopes = (*SCOPES, "chat:write.public")

    await bot.chat_postMessage(channel="#closed", text="x")

    assert len(slack.messages("closed")) == 1


async def test_a_missing_scope_is_named(bot: AsyncWebClient, slack: FakeSlack) -> None:
    slack.conversations.scopes = ("chat:write",)

    with pytest.raises(SlackApiError) as caught:
        await bot.conversations_history(channel=ALERTS.channel_id)

    assert (caught.value.response["error"], caught.value.response["needed"]) == ("missing_scope", "channels:history")
    assert (await bot.auth_test()).headers["x-oauth-scopes"] == "chat:write"


async def test_tokens(slack: FakeSlack, bot: AsyncWebClient) -> None:
    async with aiohttp.ClientSession() as session:
        stranger = AsyncWebClient(token="xoxb-other", base_url=slack.base_url, retry_handlers=[], session=session)
        assert await error_of(stranger.auth_test()) == "invalid_auth"
    slack.is_token_valid = False
    assert await error_of(bot.auth_test()) == "token_revoked"
    assert TOKEN not in str(slack.requests)


async def test_about_one_message_a_second_in_a_channel(
    bot: AsyncWebClient, slack: FakeSlack, clock: ManualClock
) -> None:
    for _ in range(4):
        await bot.chat_postMessage(channel="alerts", text="burst")
    with pytest.raises(SlackApiError) as caught:
        await bot.chat_postMessage(channel="alerts", text="too much")
    await bot.chat_postMessage(channel="secret", text="elsewhere")

    assert caught.value.response.status_code == 429
    assert caught.value.response["error"] == "ratelimited"
    clock.advance(int(caught.value.response.headers["Retry-After"]))
    await bot.chat_postMessage(channel="alerts", text="now")
    assert [message.text for message in slack.messages("alerts")] == ["burst"] * 4 + ["now"]


async def test_a_reply_lost_on_the_way_back_was_delivered(bot: AsyncWebClient, slack: FakeSlack) -> None:
    slack.faults.append(Fault(faults.drop_after(), path="chat.postMessage"))

    with pytest.raises((aiohttp.ClientError, asyncio.TimeoutError)):
        await bot.chat_postMessage(channel="alerts", text="once")

    assert [message.text for message in slack.messages("alerts")] == ["once"]


@pytest.mark.parametrize("action", [faults.status(500), faults.status(502), faults.html()], ids=["500", "502", "HTML"])
async def test_broken_answers_deliver_nothing(bot: AsyncWebClient, slack: FakeSlack, action: faults.Action) -> None:
    slack.faults.append(Fault(action))

    with pytest.raises(SlackApiError):
        await bot.chat_postMessage(channel="alerts", text="x")

    assert slack.messages() == ()


async def test_channels_people_and_direct_messages(bot: AsyncWebClient, slack: FakeSlack) -> None:
    listed = await bot.conversations_list(types="public_channel,private_channel", exclude_archived=True)
    info = await bot.conversations_info(channel=CLOSED.channel_id)
    user = await bot.users_lookupByEmail(email="ann@example.com")
    direct = await bot.conversations_open(users=user["user"]["id"])
    await bot.chat_postMessage(channel=direct["channel"]["id"], text="hello")

    assert {channel["name"] for channel in listed["channels"]} == {"alerts", "secret", "closed"}
    assert info["channel"]["is_member"] is False
    assert [message.text for message in slack.messages(direct["channel"]["id"])] == ["hello"]
    assert await error_of(bot.users_lookupByEmail(email="bob@example.com")) == "users_not_found"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({}, "no_text", id="nothing"),
        pytest.param({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format", id="metadata"),
        pytest.param(
            {"text": "x", "metadata": {"event_type": "a", "event_payload": {"b": "c" * 9000}}},
            "metadata_too_large",
            id="large metadata",
        ),
        pytest.param({"text": "x", "colour": "red"}, "invalid_arguments", id="unknown argument"),
        pytest.param({"text": "x", "thread_ts": "1.0"}, "thread_not_found", id="no such thread"),
        pytest.param({"text": "x", "blocks": [{"type": "banner"}]}, "invalid_blocks", id="unknown block"),
    ],
)
async def test_arguments_are_checked(bot: AsyncWebClient, slack: FakeSlack, arguments: dict, error: str) -> None:
    assert await error_of(bot.api_call("chat.postMessage", json={"channel": "alerts", **arguments})) == error
    assert slack.messages() == ()


async def test_too_much_text_in_all_is_refused(bot: AsyncWebClient) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}

    await bot.chat_postMessage(channel="alerts", text="x", blocks=[section] * 4)

    assert (
        await error_of(bot.chat_postMessage(channel="alerts", text="x", blocks=[section] * 5)) == "msg_blocks_too_long"
    )


async def test_long_text_is_cut(bot: AsyncWebClient, slack: FakeSlack) -> None:
    await bot.chat_postMessage(channel="alerts", text="x" * 50_000)

    assert len(slack.messages()[0].text) == 40_000
