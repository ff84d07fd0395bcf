"""check: whether messages and buttons will work, and one test message to each channel only when asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from build import NOW
from slack_build import ANN, APP, BOT, MEMBERS

from monitor import readiness
from monitor.config import Settings
from monitor.demo.clock import ManualClock
from monitor.demo.slack import Channel, FakeSlack


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    channels = (Channel("alerts"), Channel("team"))
    async with FakeSlack(clock=ManualClock(NOW), token=BOT, app_token=APP, channels=channels, members=MEMBERS) as fake:
        yield fake


def settings_for(slack: FakeSlack, tmp_path: Path, **more: object) -> Settings:
    fields = {"base_url": slack.base_url, "bot_token": BOT, "default_channel": "#alerts", **more}
    return Settings.model_validate(
        {"slack": fields, "routes": [{"channel": "#team"}], "store": {"state_dir": tmp_path}}
    )


async def checked(settings: Settings, *, is_sending: bool = False) -> dict[str, tuple[bool, str]]:
    found = await readiness.check_all(settings, is_sending=is_sending)
    return {each.what: (each.is_ok, each.detail) for each in found}


async def test_check_sends_nothing(slack: FakeSlack, tmp_path: Path) -> None:
    found = await checked(settings_for(slack, tmp_path))

    assert found["slack #alerts"] == (True, "messages can be sent")
    assert slack.messages() == ()


async def test_a_damaged_store_is_said_once(slack: FakeSlack, tmp_path: Path) -> None:
    (tmp_path / "monitor.db").write_bytes(b"SQLite format 3\x00" + b"\x99" * 8192)

    found = await readiness.check_all(settings_for(slack, tmp_path))

    said = next(each.detail for each in found if each.what == "store")
    assert [each.what for each in found if said in each.detail or str(tmp_path / "monitor.db") in each.detail] == [
        "store"
    ]
    assert not {"replay before arming", "rehearsal"} & {each.what for each in found}


async def test_check_send_puts_one_test_message_into_every_channel(slack: FakeSlack, tmp_path: Path) -> None:
    found = await checked(settings_for(slack, tmp_path), is_sending=True)

    assert found["test message to #alerts"][0] and found["test message to #team"][0]
    assert [len(slack.messages(name)) for name in ("alerts", "team")] == [1, 1]
    assert "nothing needs to be done" in slack.messages()[0].text


async def test_a_test_message_that_does_not_arrive_is_a_problem(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, tmp_path)
    slack.conversations.scopes = ("channels:read",)

    found = await checked(settings, is_sending=True)

    assert not found["test message to #alerts"][0]
    assert "chat:write" in found["test message to #alerts"][1]


async def test_each_scope_that_is_missing_is_named_with_what_lacks(slack: FakeSlack, tmp_path: Path) -> None:
    slack.conversations.scopes = tuple(
        each for each in slack.conversations.scopes if each not in {"files:write", "users:read.email"}
    )

    is_ok, detail = (await checked(settings_for(slack, tmp_path)))["slack #alerts"]

    assert not is_ok
    assert "files:write: alerts come without their picture" in detail
    assert "users:read.email: creators of keys cannot be found" in detail


@pytest.mark.parametrize(
    ("more", "is_ok", "said"),
    [
        ({}, True, "not used"),
        ({"app_token": APP, "allowed_users": [ANN]}, True, "they reach the monitor"),
        ({"app_token": APP}, False, "nobody is allowed to press them"),
        ({"allowed_users": [ANN]}, False, "slack.app_token is not set"),
        ({"app_token": "wrong", "allowed_users": [ANN]}, False, "connections:write"),
    ],
    ids=["off", "on", "nobody", "no token", "wrong token"],
)
async def test_buttons_are_checked(
    slack: FakeSlack, tmp_path: Path, more: dict[str, object], is_ok: bool, said: str
) -> None:
    found = (await checked(settings_for(slack, tmp_path, **more)))["slack buttons"]

    assert found[0] is is_ok and said in found[1]
    assert slack.socket.connections == []


@pytest.mark.parametrize(
    ("more", "is_sending", "is_ok", "said"),
    [
        ({}, True, True, "nobody outside notices"),
        ({"heartbeat": {"address": "http://127.0.0.1:9/hush"}}, False, True, "--send tries it"),
        ({"heartbeat": {"address": "http://127.0.0.1:9/hush"}}, True, False, "cannot be reached"),
    ],
    ids=["off", "not sent", "nobody there"],
)
async def test_the_heartbeat_s_receiver_is_tried_only_when_something_may_be_sent(
    slack: FakeSlack, tmp_path: Path, more: dict[str, object], is_sending: bool, is_ok: bool, said: str
) -> None:
    settings = Settings.model_validate({**settings_for(slack, tmp_path).model_dump(), **more})

    found = (await checked(settings, is_sending=is_sending))["heartbeat"]

    assert found[0] is is_ok and said in found[1] and "hush" not in found[1]


async def test_addresses_of_further_channels_are_checked(slack: FakeSlack, tmp_path: Path) -> None:
    settings = settings_for(slack, tmp_path)
    addresses = {"further": {"urls": "pager=json://127.0.0.1:9/x\nbad=nothing://y"}}

    found = await checked(Settings.model_validate({**settings.model_dump(), **addresses}))

    assert found["further pager"] == (True, "its address is understood")
    assert not found["further bad"][0]
