"""Without any route, a key's own creator is told; whoever cannot be found is named, with the reason, to the ops channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from build import a_key
from slack_build import ANN, ANN_THERE, KEY, FakeDirectory, alert, an_app_on_slack, an_open_incident, later

from monitor.demo import faults
from monitor.demo.faults import Fault
from monitor.errors import Unauthorized
from monitor.jobs import cards, owners
from monitor.jobs.app import App

INCIDENT = an_open_incident()


def why(app: App) -> str:
    return owners.where(app.store, app.settings, KEY, {}).why


async def test_the_creator_of_a_key_no_route_matches_gets_a_direct_message(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        app.directory = FakeDirectory()
        assert await owners.refresh(app) == 1

        await alert(app, INCIDENT)

        (message,) = slack.messages()
        assert message.channel.startswith("D0")
        assert "Ann Lee" in str(message.blocks)
        assert why(app) == "the key's creator: no route matches"


async def test_a_direct_alert_gets_its_picture_and_is_edited_and_found_again(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        app.directory = FakeDirectory()
        await owners.refresh(app)
        await alert(app, INCIDENT)

        await cards.refresh(app)

        (entry,) = app.store.outbox.entries()
        assert entry.message.channel == ANN
        assert slack.messages()[0].edits and len(slack.files.shared()) == 1
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
