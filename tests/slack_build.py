"""An app whose messages go to the strict fake of Slack: what the tests of alerts, cards and buttons share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from build import NOW, a_hash, a_key, an_incident
from fake_keys import FakeKeys
from jobs_build import an_app, an_inventory
from store_build import frame_of

from monitor import daemon
from monitor.demo.clock import ManualClock
from monitor.demo.slack import Channel, FakeSlack
from monitor.demo.slack_values import SlackMessage
from monitor.domain import HOUR_S, ApiKey, Dimension, Incident, Member, MessageKind, Notice, Plan, Verb
from monitor.errors import Unauthorized
from monitor.frames import ALL_KEYS, COVERAGE, USAGE
from monitor.jobs import act
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.notify.slack import SlackNotifier
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey
from monitor.store.base import Outcome, Press

BOT, APP = "bot-token-of-the-tests", "app-token-of-the-tests"
ANN, BOB, EVE = "U0ANN00001", "U0BOB00001", "U0EVE00001"
MEMBERS = {"ann@example.com": ANN, "bob@example.com": BOB, "eve@example.com": EVE}
KEY = a_key(1, key_name="search-prod")


ANN_THERE = Member("user-1", "ann@example.com", "Ann Lee")


@dataclass
class FakeDirectory:
    people: Sequence[Member] = (ANN_THERE,)
    error: Unauthorized | None = None
    n_asked: int = field(default=0)

    async def members(self) -> tuple[Member, ...]:
        self.n_asked += 1
        if self.error is not None:
            raise self.error
        return tuple(self.people)


@asynccontextmanager
async def an_app_on_slack(
    state_dir: Path, *, keys: tuple[ApiKey, ...] = (KEY,), deadline_s: float = 5.0, **sections: Any
) -> AsyncIterator[tuple[App, FakeSlack]]:
    """(app, fake): a store with these keys, real responders on fake keys, and the real notifier."""
    clock = ManualClock(NOW)
    slack_fields = {"default_channel": "#alerts", "allowed_users": [ANN], "app_token": APP} | sections.pop("slack", {})
    async with FakeSlack(
        clock=clock, token=BOT, app_token=APP, channels=(Channel("alerts"), Channel("ops")), members=MEMBERS
    ) as slack:
        control = FakeKeys.holding(*keys)
        app = an_app(
            state_dir,
            slack={"base_url": slack.base_url, **slack_fields},
            clock=clock,
            control=control,
            responders={Verb.DISABLE: DisableKey(control), Verb.RESTORE: RestoreKey(control)},
            **sections,
        )
        from pydantic import SecretStr

        approvals = app.settings.takes_approvals
        notifier = SlackNotifier(
            SecretStr(BOT), app.settings.slack, clock, deadline_s=deadline_s, takes_approvals=approvals
        )
        app.notifier, app.board, app.people = notifier, notifier.board, notifier.board
        app.store.keys.record(an_inventory(*keys, at=NOW))
        try:
            yield app, slack
        finally:
            await notifier.close()
            app.store.maintenance.close()


def an_open_incident(key: ApiKey = KEY, **changes: Any) -> Incident:
    return replace(an_incident(key.key_hash), **changes)


async def alert(app: App, incident: Incident) -> None:
    """The incident is found, written down, told of and delivered."""
    messages = act.compose(app, [Notice(MessageKind.ALERT, NOW, incident=incident)], NOW)
    app.store.ledger.commit((), Plan(NOW, incidents=(incident,)), messages)
    await deliver(app)


def write_usage(app: App, *, days: int = 35, usd: float = 1.0, key_hash: str = a_hash(1)) -> None:
    """Each hour up to now some dollars on one model, all of it known."""
    catalog = app.store.keys.catalog
    key_no, value_no = catalog.key_no(key_hash), catalog.value_no(Dimension.MODEL, "vendor/usual")
    end_s = int(NOW.timestamp())
    rows = [
        (end_s - hour * HOUR_S, HOUR_S, key_no, int(Dimension.MODEL), value_no, 3, 9, 9, 0, round(usd * 1e9))
        for hour in range(days * 24)
    ]
    span = (ALL_KEYS, int(Dimension.MODEL), HOUR_S, end_s - days * 24 * HOUR_S, end_s + HOUR_S, 2, end_s)
    app.store.usage.write(frame_of(USAGE, rows), frame_of(COVERAGE, [span]))


def later(app: App, minutes: float) -> None:
    clock = app.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(minutes=minutes).total_seconds())


async def settled(app: App, n_presses: int) -> list[Press]:
    """Waits until so many presses have ended."""
    async with asyncio.timeout(5):
        while True:
            found = [press for press in app.store.cards.presses() if press.outcome is not Outcome.TAKEN]
            if len(found) >= n_presses:
                return found
            await asyncio.sleep(0.005)


@asynccontextmanager
async def listened(app: App, slack: FakeSlack) -> AsyncIterator[None]:
    """The daemon listens to what is pressed, and stands connected."""
    async with daemon.listening(app):
        await slack.socket.connected()
        yield


def question(slack: FakeSlack) -> SlackMessage:
    """The message below the alert, which asks."""
    return slack.messages()[1]
