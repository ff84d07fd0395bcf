"""When an incident is over its thread gets one more picture, of all of it; the closing words never wait for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import NOW, an_action
from slack_build import KEY, alert, an_app_on_slack, an_open_incident, later, write_usage

from monitor.demo import faults
from monitor.demo.faults import Fault
from monitor.demo.slack import FakeSlack
from monitor.domain import ActionState, Incident, IncidentState, MessageKind, Notice, Plan, Spell
from monitor.jobs import act, cards
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver

INCIDENT = an_open_incident()


async def end(app: App, **changes: object) -> Incident:
    """The incident is resolved, which is told by the outbox."""
    over = replace(INCIDENT, state=IncidentState.RESOLVED, resolved_at=app.now(), resolution="quiet", **changes)
    messages = act.compose(app, [Notice(MessageKind.RESOLVED, app.now(), incident=over)], app.now())
    app.store.ledger.commit((), Plan(app.now(), incidents=(over,)), messages)
    await deliver(app)
    return over


@asynccontextmanager
async def ended(state_dir: Path) -> AsyncIterator[tuple[App, FakeSlack]]:
    """An incident that was told of with its picture, and is over a minute later."""
    async with an_app_on_slack(state_dir) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        later(app, 1)
        await end(app)
        yield app, slack


def names(slack: FakeSlack) -> list[str]:
    return [file.name for file in slack.files.shared()]


async def test_the_thread_of_a_resolved_incident_gets_the_whole_picture_with_the_action_marked(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        write_usage(app)
        await alert(app, INCIDENT)
        await cards.refresh(app)
        done = an_action(KEY.key_hash, state=ActionState.DONE, finished_at=NOW)
        app.store.ledger.commit((), Plan(NOW, actions=(done,)), ())
        later(app, 30)
        await end(app)

        for _ in range(3):
            await cards.refresh(app)
            later(app, 1)

        assert names(slack) == [f"{INCIDENT.incident_id}.png", f"{INCIDENT.incident_id}-end-1.png"]
        last = slack.files.shared()[-1]
        assert "The key was disabled 23 Nov 12:00 UTC." in last.alt_text and "lasted 1 h 10 min" in last.alt_text
        holder = next(message for message in slack.messages() if message.files and "end" in str(message.files))
        assert holder.thread_ts == slack.messages()[0].ts and not holder.is_broadcast


async def test_the_closing_words_are_there_although_no_picture_can_be_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        slack.faults.append(Fault(faults.status(500), path="files.getUploadURLExternal", times=None))
        later(app, 1)

        await end(app)
        assert await cards.refresh(app) == 1

        assert any("Resolved: search-prod" in str(message.blocks) for message in slack.messages()[1:])
        assert "Resolved: search-prod" in str(slack.messages()[0].blocks)
        assert "picture_not_sent" in caplog.text


async def test_after_a_lost_answer_there_is_one_picture_not_two(tmp_path: Path) -> None:
    async with ended(tmp_path) as (app, slack):
        slack.faults.append(Fault(faults.drop_after(), path="files.completeUploadExternal"))

        for _ in range(3):
            await cards.refresh(app)
            later(app, 2)

        assert names(slack).count(f"{INCIDENT.incident_id}-end-1.png") == 1


async def test_tries_end(tmp_path: Path) -> None:
    async with ended(tmp_path) as (app, slack):
        slack.faults.append(fault := Fault(faults.status(500), path="files.getUploadURLExternal", times=None))

        for _ in range(12):
            await cards.refresh(app)
            later(app, 2)

        assert fault.n_shown == 5


async def test_an_incident_that_came_back_gets_a_picture_for_each_end(tmp_path: Path) -> None:
    async with ended(tmp_path) as (app, slack):
        await cards.refresh(app)
        spell = Spell(INCIDENT.onset_at, INCIDENT.last_seen_at, NOW)
        later(app, 20)
        await end(app, spells=(spell,), reopened_at=NOW + timedelta(minutes=5), revision=3)
        await cards.refresh(app)

        assert names(slack)[1:] == [f"{INCIDENT.incident_id}-end-1.png", f"{INCIDENT.incident_id}-end-2.png"]


async def test_an_end_long_ago_gets_none(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        await end(app)
        later(app, 61)

        await cards.refresh(app)

        assert names(slack) == [f"{INCIDENT.incident_id}.png"]
