"""S2: further channels get the same messages by a way of their own, once, whatever becomes of Slack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from build import NOW
from pydantic import SecretStr
from slack_build import alert, an_app_on_slack, an_open_incident, later

from monitor.configfile import load
from monitor.demo.clock import ManualClock
from monitor.demo.loopback import LoopbackServer
from monitor.domain import Message, MessageKind, Severity
from monitor.errors import DeliveryError
from monitor.jobs.deliver import deliver
from monitor.notify.further import FurtherNotifier, copies, notifiers
from monitor.store.base import Delivery

MESSAGE = Message(
    "INC-1:1:alert", MessageKind.ALERT, "#alerts", Severity.CRITICAL, "Unusual <b>spend</b>", "Summary", thread="INC-1"
)


class Pager:
    """What Apprise's json:// address talks to."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status = 200
        self.is_hanging = False

    async def take(self, request: web.Request) -> web.Response:
        if self.is_hanging:
            await asyncio.sleep(30)
        if self.status == 200:
            self.taken.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def pager() -> AsyncIterator[tuple[Pager, str]]:
    fake = Pager()
    app = web.Application()
    app.router.add_post("/{anything:.*}", fake.take)
    async with LoopbackServer(app) as server:
        yield fake, server.origin.replace("http://", "json://")


async def test_a_message_is_taken_with_title_text_and_kind(pager: tuple[Pager, str]) -> None:
    fake, address = pager

    await FurtherNotifier("pager", SecretStr(address), ManualClock(NOW)).send(MESSAGE)

    (taken,) = fake.taken
    assert taken["title"] == "Unusual <b>spend</b>"
    assert taken["message"].startswith("CRITICAL: Unusual <b>spend</b>")
    assert taken["type"] == "failure"


async def test_a_refusal_is_temporary_and_never_holds_the_address(pager: tuple[Pager, str]) -> None:
    fake, address = pager
    fake.status = 500

    with pytest.raises(DeliveryError) as caught:
        await FurtherNotifier("pager", SecretStr(f"{address}/hush"), ManualClock(NOW)).send(MESSAGE)

    assert not caught.value.permanent
    assert "hush" not in str(caught.value)


async def test_an_address_apprise_does_not_know_is_said_by_check_and_given_up(pager: tuple[Pager, str]) -> None:
    notifier = FurtherNotifier("pager", SecretStr("nothing://hush"), ManualClock(NOW))

    (problem,) = await notifier.check("pager")
    with pytest.raises(DeliveryError) as caught:
        await notifier.send(MESSAGE)

    assert caught.value.permanent
    assert "hush" not in problem + str(caught.value)


def test_each_channel_has_a_copy_with_an_id_of_its_own_and_mild_messages_have_none() -> None:
    mild = Message("INC-2:1:alert", MessageKind.ALERT, "#alerts", Severity.NOTICE, "Mild", "Summary")

    made = copies([MESSAGE, mild], ["pager", "mail"], min_severity=Severity.WARNING)

    assert [each.message_id for each in made] == [
        "INC-1:1:alert",
        "INC-1:1:alert@pager",
        "INC-1:1:alert@mail",
        "INC-2:1:alert",
    ]
    assert [each.thread for each in made[:3]] == ["INC-1", None, None]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("json://a", ["1"]),
        ("pager=json://a?x=1\nmailto://u:p@h?to=x=y", ["pager", "2"]),
        ("  a=json://b   c=json://d ", ["a", "c"]),
    ],
)
def test_addresses_are_secrets_of_their_own_with_or_without_names(text: str, names: list[str]) -> None:
    settings = load(None, {"APPRISE_URLS": text})

    assert list(settings.further.addresses) == names
    assert "json" not in repr(settings)


async def with_pager(app: Any, address: str, clock: Any) -> None:
    app.settings = app.settings.model_copy(
        update={"further": app.settings.further.model_copy(update={"urls": SecretStr(f"pager={address}")})}
    )
    app.further = notifiers(app.settings.further.addresses, clock)


async def test_s2_while_slack_refuses_our_token_the_pager_is_told_and_slack_gets_it_later(
    tmp_path: Path, pager: tuple[Pager, str]
) -> None:
    fake, address = pager
    async with an_app_on_slack(tmp_path) as (app, slack):
        await with_pager(app, address, app.clock)
        slack.is_token_valid = False
        await alert(app, an_open_incident())
        assert len(fake.taken) == 1 and slack.messages() == ()

        slack.is_token_valid = True
        later(app, 31)
        await deliver(app)

        assert len(slack.messages()) == 1 and len(fake.taken) == 1


async def test_a_pager_that_is_down_holds_up_nothing_and_gets_its_copy_once_later(
    tmp_path: Path, pager: tuple[Pager, str]
) -> None:
    fake, address = pager
    async with an_app_on_slack(tmp_path) as (app, slack):
        await with_pager(app, address, app.clock)
        fake.status = 503
        await alert(app, an_open_incident())
        assert len(slack.messages()) == 1 and fake.taken == []

        fake.status = 200
        for _ in range(3):
            later(app, 5)
            await deliver(app)

        assert len(fake.taken) == 1
        assert {entry.state for entry in app.store.outbox.entries()} == {Delivery.DELIVERED}


async def test_composed_again_after_a_crash_a_copy_is_still_one(tmp_path: Path, pager: tuple[Pager, str]) -> None:
    fake, address = pager
    async with an_app_on_slack(tmp_path) as (app, _):
        await with_pager(app, address, app.clock)
        for _ in range(2):
            await alert(app, an_open_incident())

        assert len(fake.taken) == 1


async def test_a_channel_that_does_not_answer_is_given_up_at_the_deadline(pager: tuple[Pager, str]) -> None:
    fake, address = pager
    fake.is_hanging = True

    with pytest.raises(DeliveryError) as caught:
        await FurtherNotifier("pager", SecretStr(f"{address}?rto=1&cto=1"), ManualClock(NOW), deadline_s=0.2).send(
            MESSAGE
        )

    assert caught.value.is_outcome_unknown
