"""Whoever asks in Slack sees how their own keys stand and nobody else's; in doubt a key is nobody's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build import NOW, a_cause, a_key, an_action, key_settings
from fake_keys import FakeKeys
from hostile import VECTORS
from slack_build import ANN, BOB, EVE, FakeDirectory, alert, an_app_on_slack, an_open_incident, later

from monitor import daemon
from monitor.config import Route
from monitor.demo import faults
from monitor.demo.faults import Fault
from monitor.demo.slack import FakeSlack
from monitor.domain import NUSD, ActionState, Member, Plan, Verb
from monitor.jobs import owners
from monitor.jobs.app import App
from monitor.jobs.overview import Reception, stopped
from monitor.notify.asked import Asked

MINE = a_key(1, key_name="search-prod", creator_user_id="user-bob")
TEAMS = a_key(2, key_name="team-batch", creator_user_id="user-9")
OTHERS = a_key(3, key_name="secret-project", creator_user_id="user-9")
STORABLE = [each[:500] for each in VECTORS if each.isprintable() or each.isascii()]
ROUTES = [{"channel": "#ops", "key_name": "^team-"}]


@asynccontextmanager
async def asked(state_dir: Path, **sections: Any) -> AsyncIterator[tuple[App, FakeSlack]]:
    """Bob created a key, a team's channel has one, and one is of somebody unknown; the daemon listens. Ann is an operator."""
    keys = sections.pop("keys", (MINE, TEAMS, OTHERS))
    async with an_app_on_slack(state_dir, keys=keys, routes=ROUTES, **sections) as (app, slack):
        app.directory = FakeDirectory([Member("user-bob", "bob@example.com", "Bob")])
        await owners.refresh(app)
        async with daemon.listening(app):
            await slack.socket.connected()
            yield app, slack


async def answer(slack: FakeSlack, text: str, *, user: str) -> str:
    """What somebody sees who types the command."""
    number = await slack.socket.command(text, user=user)
    async with asyncio.timeout(5):
        while not slack.socket.replies[number]:
            await asyncio.sleep(0.005)
    (reply,) = slack.socket.replies[number]
    assert reply["response_type"] == "ephemeral"
    return json.dumps(reply, ensure_ascii=False)


async def home(slack: FakeSlack, user: str) -> str:
    slack.conversations.homes.clear()
    await slack.socket.open_home(user)
    async with asyncio.timeout(5):
        while user not in slack.conversations.homes:
            await asyncio.sleep(0.005)
    return json.dumps(slack.conversations.homes[user], ensure_ascii=False)


async def test_a_creator_sees_the_own_keys_and_no_others(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        text = await answer(slack, "keys", user=BOB)

        assert "Your keys: 1" in text and "search-prod" in text
        assert "team-batch" not in text and "secret-project" not in text
        assert await answer(slack, "", user=BOB) == text


async def test_who_is_in_the_channel_a_key_is_routed_to_sees_it(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        slack.conversations.joined["ops"] = [EVE]

        text = await answer(slack, "keys", user=EVE)

        assert "team-batch" in text and "search-prod" not in text


async def test_who_left_the_channel_sees_its_keys_no_more_after_a_while(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        slack.conversations.joined["ops"] = [EVE]
        assert "team-batch" in await answer(slack, "keys", user=EVE)

        slack.conversations.joined["ops"] = []
        later(app, 6)

        assert "team-batch" not in await answer(slack, "keys", user=EVE)


async def test_a_stranger_is_refused_politely_with_whom_to_ask_and_no_key_name(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        for text in ("keys", "incidents", "key search-prod", ""):
            told = await answer(slack, text, user=EVE)

            assert "No key of yours is known" in told and f"<@{ANN}>" in told
            assert not any(name in told for name in ("search-prod", "team-batch", "secret-project"))
        assert "secret-project" not in await home(slack, EVE)


async def test_a_channel_that_cannot_be_asked_about_is_nobodys(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        slack.conversations.joined["ops"] = [EVE]
        slack.conversations.scopes = tuple(each for each in slack.conversations.scopes if each != "channels:read")

        told = await answer(slack, "keys", user=EVE)

        assert "team-batch" not in told and "could not be asked" in told


async def test_where_slack_is_down_no_further_channel_is_asked_about_and_the_own_keys_are_still_shown(
    tmp_path: Path,
) -> None:
    async with asked(tmp_path) as (app, slack):
        routes = tuple(Route(channel=f"C0CHANNEL{no}", key_name=name) for no, name in enumerate(("^team-", "^secret-")))
        app.settings = app.settings.model_copy(update={"routes": routes})
        slack.faults.append(down := Fault(faults.status(503), path="conversations.members", times=None))

        told = await answer(slack, "keys", user=BOB)

        assert "search-prod" in told and "keys may be missing" in told and down.n_shown == 1


async def test_an_operator_without_own_keys_is_told_how_to_see_all(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        assert "keys all" in await answer(slack, "keys", user=ANN)


async def test_all_keys_are_for_operators_only(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        assert "secret-project" in await answer(slack, "keys all", user=ANN)
        assert "secret-project" in await answer(slack, "key secret-project", user=ANN)

        for text in ("all", "keys all", "incidents all"):
            told = await answer(slack, text, user=BOB)
            assert "Only for operators" in told and "secret-project" not in told


async def test_a_group_that_cannot_be_asked_makes_no_operator(tmp_path: Path) -> None:
    async with asked(tmp_path, slack={"allowed_users": [], "allowed_groups": ["S0ONCALL"]}) as (_, slack):
        told = await answer(slack, "keys all", user=ANN)

        assert "Only for operators" in told and "<!subteam^S0ONCALL>" in told


async def test_the_key_of_somebody_else_is_as_unknown_as_one_that_does_not_exist(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        told = await answer(slack, "key secret-project", user=BOB)
        unknown = await answer(slack, "key nothing-at-all", user=BOB)

        assert told.replace("secret-project", "X") == unknown.replace("nothing-at-all", "X")


async def test_a_key_shows_incident_with_link_usual_and_last_action(tmp_path: Path) -> None:
    key = replace(MINE, usage_daily_nusd=30 * NUSD, created_at=NOW - timedelta(days=90))
    async with asked(tmp_path, keys=(key,)) as (app, slack):
        today, key_no = int(NOW.timestamp()) // 86_400, app.store.keys.catalog.key_no(key.key_hash)
        for day in range(today - 10, today):
            app.store.days.write(day, np.array([key_no]), np.array([10 * NUSD]))
        await alert(app, an_open_incident(key, causes=(a_cause(sentence="96% on a new model"),)))
        done = an_action(key.key_hash, state=ActionState.DONE, finished_at=NOW)
        app.store.ledger.commit((), Plan(NOW, actions=(done,)), ())
        message, copy = slack.messages()

        told = await answer(slack, "key search", user=BOB)

        link = f"<https://demo.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}|INC-0001>"
        assert link in told
        assert "$30.00 today (usual $10.00, 3.0 times that)" in told
        assert "last action: disabled automatically" in told and "96% on a new model" in told
        assert link in await answer(slack, "incidents", user=BOB)
        assert link in await home(slack, BOB)
        assert f"archives/{copy.channel}/p{copy.ts.replace('.', '')}|INC-0001>" in await home(slack, ANN)


def test_what_a_restore_would_undo_is_ours_and_what_somebody_put_back_is_not() -> None:
    done = an_action(1, state=ActionState.DONE, finished_at=NOW)
    off = replace(MINE, settings=key_settings(is_disabled=True))
    put_back = replace(done, action_id="ACT-2", verb=Verb.RESTORE, intended_at=NOW + timedelta(hours=1))

    assert stopped(off, (done,)) == done
    assert stopped(replace(off, settings=key_settings(is_disabled=True, limit_usd=5.0)), (done,)) == done
    assert stopped(MINE, (done,)) is None, "somebody enabled it again"
    assert stopped(off, (done, put_back)) is None, "it was restored, and disabled by somebody else"
    assert stopped(off, ()) is None
    capped = replace(done, verb=Verb.CAP, limit_usd=2.0)
    assert stopped(replace(MINE, settings=key_settings(limit_usd=2.0)), (capped,)) == capped


async def test_few_known_days_or_a_young_key_have_no_usual(tmp_path: Path) -> None:
    young = replace(MINE, created_at=NOW - timedelta(days=5))
    async with asked(tmp_path, keys=(young, TEAMS)) as (app, slack):
        today = int(NOW.timestamp()) // 86_400
        for day in range(today - 10, today):
            app.store.days.write(day, np.array([0]), np.array([10 * NUSD]))

        assert "usual not known yet" in await answer(slack, "keys", user=BOB)


async def test_an_operators_home_shows_all_keys_and_an_owners_only_the_own(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, slack):
        assert "secret-project" in await home(slack, ANN)
        shown = await home(slack, BOB)
        assert "search-prod" in shown and "secret-project" not in shown


async def test_the_command_works_where_nobody_may_press_buttons(tmp_path: Path) -> None:
    async with asked(tmp_path, slack={"allowed_users": []}) as (_, slack):
        assert "search-prod" in await answer(slack, "keys", user=BOB)
        assert "whoever runs openrouter-monitor" in await answer(slack, "keys", user=EVE)


async def test_five_hundred_keys_with_hostile_names_are_answered_within_every_limit(tmp_path: Path) -> None:
    keys = tuple(
        a_key(no + 1, key_name=STORABLE[no % len(STORABLE)] + str(no), creator_user_id="user-bob") for no in range(500)
    )
    async with asked(tmp_path, keys=keys) as (_, slack):
        told = await answer(slack, "keys", user=BOB)  # the fake refuses what breaks a limit
        assert "Your keys: 500" in told and "more keys*, not shown here." in told
        assert "more keys*, not shown here." in await home(slack, BOB)


async def test_slack_is_acknowledged_before_anything_is_looked_up(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        waiting = asyncio.Event()

        async def slow(_: str) -> frozenset[str]:
            await waiting.wait()
            return frozenset()

        assert app.people is not None
        app.people.members_of = slow  # type: ignore[method-assign]
        number = await slack.socket.command("keys", user=BOB)  # returns once acknowledged

        assert slack.socket.latency_s[-1] < 1 and slack.socket.replies[number] == []
        waiting.set()


async def test_an_address_that_is_not_slacks_is_not_answered_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with asked(tmp_path) as (app, _):
        await Reception(app).answer(Asked(BOB, "bob", "keys", "http://127.0.0.1:9/elsewhere"))

    assert "answer_not_sent" in caplog.text


async def test_a_lost_answer_is_logged_and_the_next_question_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with asked(tmp_path) as (_, slack):
        slack.faults.append(Fault(faults.status(500), path="^/commands/"))
        await slack.socket.command("keys", user=BOB)

        assert "search-prod" in await answer(slack, "keys", user=BOB)
    assert "answer_not_sent" in caplog.text


async def test_a_restore_by_button_is_the_last_action_seen(tmp_path: Path) -> None:
    async with asked(tmp_path) as (app, slack):
        await alert(app, an_open_incident(MINE))
        await slack.socket.press(slack.messages()[0], "disable", user=ANN)
        assert isinstance(app.control, FakeKeys)
        async with asyncio.timeout(5):
            while not any(each.state is ActionState.DONE for each in app.store.ledger.actions()):
                await asyncio.sleep(0.005)

        assert f"last action: disabled by slack:{ANN}" in await answer(slack, "keys", user=BOB)
