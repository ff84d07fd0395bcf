"""Without any route, a key's own creator is told; whoever cannot be found is named, with the reason, to the ops channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import a_key
from slack_build import ANN, ANN_THERE, KEY, FakeDirectory, alert, an_app_on_slack, an_open_incident, later

from monitor import daemon
from monitor.demo import faults
from monitor.demo.faults import Fault
from monitor.demo.slack import FakeSlack
from monitor.domain import Incident, IncidentState, Plan, Severity
from monitor.errors import Unauthorized
from monitor.jobs import cards, desk, owners
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver

INCIDENT = an_open_incident()


def why(app: App) -> str:
    return owners.where(app.store, app.settings, KEY, {}).why


async def test_the_creator_of_a_key_no_route_matches_gets_a_direct_message(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        app.directory = FakeDirectory()
        assert await owners.refresh(app) == 1

        await alert(app, INCIDENT)

        message = slack.messages()[0]
        assert message.channel.startswith("D0")
        assert "Ann Lee" in str(message.blocks)
        assert why(app) == "the key's creator: no route matches"


async def test_a_direct_alert_gets_its_picture_and_is_edited_and_found_again(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        app.directory = FakeDirectory()
        await owners.refresh(app)
        await alert(app, INCIDENT)

        await cards.refresh(app)

        entry = app.store.outbox.entries()[0]
        assert entry.message.channel == ANN
        assert slack.messages()[0].edits and len(slack.files.shared()) == 2
        assert await app.notifier.find(entry.message) == entry.receipt


async def test_a_route_comes_first(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path, routes=[{"channel": "#ops"}]) as (app, slack):
        app.directory = FakeDirectory()
        await owners.refresh(app)

        await alert(app, INCIDENT)

        assert len(slack.messages("ops")) == 1


async def test_nobody_is_written_to_directly_where_that_is_turned_off(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path, slack={"message_creators": False}) as (app, slack):
        app.directory = directory = FakeDirectory()
        await owners.refresh(app)

        await alert(app, INCIDENT)

        assert directory.n_asked == 0
        assert len(slack.messages("alerts")) == 1
        assert why(app) == "slack.default_channel: no route matches"


async def test_each_way_of_not_finding_anybody_has_its_reason(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        app.directory = directory = FakeDirectory(())
        assert why(app).endswith("its creator was not looked up yet")
        for people, said in (
            ((), "its creator is no member of the organization any more"),
            ((replace(ANN_THERE, email=""),), "OpenRouter knows no e-mail address of its creator"),
            ((replace(ANN_THERE, email="x@example.com"),), "Slack knows nobody with its creator's e-mail address"),
        ):
            directory.people = people
            later(app, 25 * 60)
            await owners.refresh(app)
            assert why(app) == f"slack.default_channel: no route matches, and {said}"

        await alert(app, INCIDENT)
        (message,) = slack.messages("alerts")
        assert "Ann Lee (not told: no route matches, and Slack knows nobody" in str(message.blocks)

    nobodys = a_key(1, creator_user_id=None)
    async with an_app_on_slack(tmp_path / "other", keys=(nobodys,)) as (app, _):
        assert owners.where(app.store, app.settings, nobodys, {}).why.endswith("the key names no creator")


async def test_an_answer_stands_for_a_day_and_is_then_asked_for_again(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, _):
        app.directory = directory = FakeDirectory()
        for _ in range(3):
            await owners.refresh(app)
        assert directory.n_asked == 1

        later(app, timedelta(days=1).total_seconds() / 60)
        await owners.refresh(app)
        assert directory.n_asked == 2


async def test_a_directory_that_does_not_answer_keeps_what_was_known_and_is_asked_again_in_an_hour(
    tmp_path: Path,
) -> None:
    async with an_app_on_slack(tmp_path) as (app, _):
        app.directory = directory = FakeDirectory(error=Unauthorized("401"))
        assert await owners.refresh(app) == 0
        assert "could not be looked up (401)" in why(app)
        await owners.refresh(app)
        assert directory.n_asked == 1

        directory.error = None
        later(app, 61)
        await owners.refresh(app)
        assert why(app) == "the key's creator: no route matches"


async def test_a_missing_scope_at_slack_is_the_reason_told(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.conversations.scopes = tuple(each for each in slack.conversations.scopes if each != "users:read.email")
        app.directory = FakeDirectory()

        await owners.refresh(app)

        assert "missing_scope (users:read.email)" in why(app)


async def test_slack_being_slow_does_not_lose_what_it_said_before(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        app.directory = FakeDirectory()
        await owners.refresh(app)
        slack.faults.append(Fault(faults.status(503), path="users.lookupByEmail", times=1))
        later(app, 25 * 60)

        await owners.refresh(app)

        assert why(app) == "the key's creator: no route matches"


async def test_no_address_is_kept(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, _):
        app.directory = FakeDirectory()
        await owners.refresh(app)

        assert "@" not in str(app.store.state.get("creators"))


@asynccontextmanager
async def told_directly(
    state_dir: Path, incident: Incident, **slack_fields: object
) -> AsyncIterator[tuple[App, FakeSlack]]:
    """The key's creator was told of an incident."""
    async with an_app_on_slack(state_dir, slack=slack_fields) as (app, slack):
        app.directory = FakeDirectory()
        await owners.refresh(app)
        await alert(app, incident)
        yield app, slack


async def test_a_critical_incident_told_to_one_person_is_told_to_the_operators_too(tmp_path: Path) -> None:
    async with told_directly(tmp_path, INCIDENT) as (_, slack):
        (copy,) = slack.messages("alerts")
        assert len(slack.messages()) == 2
        assert "Ann Lee (the key's creator, told directly)" in str(copy.blocks)
        assert "'action_id': 'disable'" in str(copy.blocks)


@pytest.mark.parametrize(
    ("severity", "setting", "is_copied"),
    [
        (Severity.WARNING, "critical", False),
        (Severity.WARNING, "warning", True),
        (Severity.NOTICE, "notice", True),
        (Severity.CRITICAL, "off", False),
    ],
)
async def test_from_which_severity_on_operators_hear_of_it_is_a_setting(
    tmp_path: Path, severity: Severity, setting: str, is_copied: bool
) -> None:
    async with told_directly(tmp_path, replace(INCIDENT, severity=severity), direct_copies=setting) as (_, slack):
        assert bool(slack.messages("alerts")) is is_copied
        assert len(slack.messages()) == 1 + is_copied


async def test_the_operators_copy_is_edited_and_closed_like_the_first(tmp_path: Path) -> None:
    async with told_directly(tmp_path, INCIDENT) as (app, slack):
        await cards.refresh(app)
        later(app, 1)
        over = replace(INCIDENT, state=IncidentState.RESOLVED, resolved_at=app.now(), told_step=1)
        app.store.ledger.commit((), Plan(app.now(), incidents=(over,)), desk.farewell(app, over, app.now()))
        await deliver(app)
        await cards.refresh(app)

        copy, *replies = slack.messages("alerts")
        assert "Resolved: search-prod" in str(copy.blocks)
        assert all(message.thread_ts == copy.ts for message in replies)
        assert any("is over" in str(message.blocks) for message in replies)
        assert len([message for message in replies if message.files]) == 2


async def test_a_press_in_the_operators_copy_acts_and_both_show_it(tmp_path: Path) -> None:
    async with told_directly(tmp_path, INCIDENT) as (app, slack):
        async with daemon.listening(app):
            await slack.socket.connected()
            await slack.socket.press(slack.messages("alerts")[0], "acknowledge", user=ANN)
            async with asyncio.timeout(10):
                while not all(message.edits for message in slack.messages()[:2]):
                    await asyncio.sleep(0.01)

        assert all("acknowledged (slack:" in str(message.blocks) for message in slack.messages()[:2])


async def test_what_goes_to_a_channel_is_not_copied(tmp_path: Path) -> None:
    routes = [{"channel": "#ops", "key_name": "search"}]
    async with an_app_on_slack(tmp_path, routes=routes) as (app, slack):
        await alert(app, INCIDENT)

        assert len(slack.messages()) == 1
