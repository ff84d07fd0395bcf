"""The alert is edited in place and its picture follows: nothing lost, nothing doubled, and the text never waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import NOW, an_action
from jobs_build import an_inventory
from slack_build import KEY, alert, an_app_on_slack, an_open_incident, later, write_usage

from monitor.demo import faults
from monitor.demo.faults import Fault
from monitor.demo.slack import FakeSlack
from monitor.domain import ActionState, Incident, IncidentState, Plan
from monitor.jobs import cards, manual
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.store.base import Card

INCIDENT = an_open_incident()


def store(app: App, incident: Incident) -> None:
    app.store.ledger.commit((), Plan(app.now(), incidents=(incident,)), ())


def shown(slack: FakeSlack) -> str:
    """The first message as it stands."""
    return str(slack.messages()[0].blocks)


async def test_the_text_is_there_first_and_the_picture_follows_in_its_thread_and_in_the_alert(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        write_usage(app)
        await alert(app, INCIDENT)
        assert [message.files for message in slack.messages()] == [[]]

        assert await cards.refresh(app) == 1

        first, shared = slack.messages()
        assert shared.thread_ts == first.ts and not shared.is_broadcast
        (file,) = slack.files.shared()
        assert file.name == f"{INCIDENT.incident_id}.png" and file.alt_text.startswith("Hourly spend of the last seven")
        images = [block for block in first.blocks if block["type"] == "image"]
        assert [image["slack_file"] for image in images] == [{"id": file.file_id}]
        assert images[0]["alt_text"] == file.alt_text


async def test_nothing_is_edited_while_nothing_moves(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        n_calls = len(slack.requests)

        for _ in range(5):
            later(app, 7)
            assert await cards.refresh(app) == 0

        assert len(slack.requests) == n_calls
        assert len(slack.files.shared()) == 1


async def test_a_step_is_shown_at_once_and_mere_dollars_every_few_minutes(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        store(app, dearer := replace(INCIDENT, spent_nusd=300 * 10**9, last_seen_at=NOW + timedelta(minutes=1)))
        later(app, 1)
        assert await cards.refresh(app) == 0
        later(app, 5)
        assert await cards.refresh(app) == 1
        assert "$300" in shown(slack)

        store(app, replace(dearer, state=IncidentState.ACKNOWLEDGED))
        later(app, 0.1)
        assert await cards.refresh(app) == 1
        assert "Acknowledged: somebody looks after it" in shown(slack)


async def test_a_resolved_alert_says_damage_and_time_to_detect_in_its_own_place(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        over = replace(
            INCIDENT,
            state=IncidentState.RESOLVED,
            resolved_at=NOW + timedelta(hours=6),
            resolution="nothing unusual for 6 h",
        )
        store(app, over)
        later(app, 360)

        await cards.refresh(app)

        assert "Resolved: search-prod" in shown(slack)
        assert "$194.96 above its usual in all" in shown(slack) and "noticed 10 min after it began" in shown(slack)
        assert "disable" not in shown(slack)


async def test_an_action_appears_with_its_undo(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await manual.revoke(app, KEY, requested_by="cli:ada", incident_id=INCIDENT.incident_id)
        app.store.keys.record(an_inventory(replace(KEY, settings=replace(KEY.settings, is_disabled=True))))
        await deliver(app)

        await cards.refresh(app)

        assert "key disabled by cli:ada" in shown(slack)
        assert "openrouter-monitor restore 000000000000" in shown(slack)
        assert "'restore'" in shown(slack) and "'action_id': 'disable'" not in shown(slack)
        assert slack.messages()[1].thread_ts == slack.messages()[0].ts


async def test_the_edited_alert_is_still_found_as_the_message_it_was(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, _):
        await alert(app, INCIDENT)
        (entry,) = app.store.outbox.entries()
        await cards.refresh(app)

        found = await app.notifier.find(entry.message)

        assert found == entry.receipt


@pytest.mark.parametrize("place", ["/files.getUploadURLExternal", "/upload", "/files.completeUploadExternal"])
async def test_a_failing_upload_neither_delays_nor_loses_the_alert(tmp_path: Path, place: str) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.faults.append(Fault(faults.status(500), path=place, times=2))
        await alert(app, INCIDENT)
        assert len(slack.messages()) == 1

        await cards.refresh(app)
        assert slack.files.shared() == ()
        store(app, replace(INCIDENT, state=IncidentState.ACKNOWLEDGED))
        assert await cards.refresh(app) == 1
        for _ in range(3):
            later(app, 2)
            await cards.refresh(app)

        assert len(slack.files.shared()) == 1
        assert "'type': 'image'" in shown(slack)


async def test_an_upload_whose_answer_is_lost_is_looked_up_and_not_repeated(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        slack.faults.append(Fault(faults.drop_after(), path="/files.completeUploadExternal", times=1))

        for _ in range(3):
            await cards.refresh(app)
            later(app, 2)

        assert len(slack.files.shared()) == 1
        assert app.store.cards.card(INCIDENT.incident_id).file_id == slack.files.shared()[0].file_id


async def test_a_kill_between_upload_and_its_record_leaves_one_picture(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        app.store.cards.put(Card(INCIDENT.incident_id, n_tries=1))  # as the kill left it

        await cards.refresh(app)

        assert len(slack.files.shared()) == 1


async def test_a_missing_scope_for_files_leaves_the_alert_without_picture_and_is_not_asked_for_ever(
    tmp_path: Path,
) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.conversations.scopes = tuple(each for each in slack.conversations.scopes if each != "files:write")
        await alert(app, INCIDENT)

        for _ in range(4):
            await cards.refresh(app)
            later(app, 6)

        asked = [request for request in slack.requests if "getUploadURLExternal" in request.path]
        assert len(asked) == 1
        assert "Where it stands" in shown(slack)


async def test_a_picture_slack_is_still_working_on_stays_in_the_thread_until_it_is_ready(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.files.is_processing = True
        await alert(app, INCIDENT)
        await cards.refresh(app)
        assert len(slack.files.shared()) == 1
        assert "'type': 'image'" not in shown(slack)

        slack.files.is_processing = False
        later(app, 1)
        await cards.refresh(app)

        assert "'type': 'image'" in shown(slack)


async def test_a_picture_slack_never_takes_inside_a_message_does_not_keep_the_text_back(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.files.is_processing = True
        await alert(app, INCIDENT)

        for _ in range(6):
            await cards.refresh(app)
            later(app, 1)

        assert "Where it stands" in shown(slack) and "'type': 'image'" not in shown(slack)


async def test_an_alert_that_went_to_the_fall_back_channel_is_edited_there(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path, routes=[{"channel": "#gone"}]) as (app, slack):
        await alert(app, INCIDENT)

        await cards.refresh(app)

        assert len(slack.messages("alerts")) == 2
        assert slack.messages("alerts")[0].edits


async def test_a_sink_that_is_down_is_tried_again_and_nothing_is_forgotten(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        slack.faults.append(Fault(faults.status(503), path="/chat.update", times=1))
        await cards.refresh(app)
        assert not slack.messages()[0].edits

        later(app, 2)
        await cards.refresh(app)

        assert slack.messages()[0].edits


async def test_a_deleted_alert_is_not_asked_for_every_few_seconds(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        slack.conversations._messages.clear()

        for _ in range(12):
            await cards.refresh(app)
            later(app, 1)

        assert sum(request.path == "/chat.update" for request in slack.requests) <= 5


async def test_a_failed_action_is_shown_loudly(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        failed = an_action(1, incident_id=INCIDENT.incident_id, requested_by="monitor")
        app.store.ledger.commit((), Plan(NOW, actions=(failed,)), ())
        app.store.ledger.finish(replace(failed, state=ActionState.FAILED, finished_at=NOW, detail="500"), ())

        await cards.refresh(app)

        assert "COULD NOT DISABLE the key" in shown(slack)


async def test_an_app_without_slack_edits_nothing(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, _):
        app.board = None
        await alert(app, INCIDENT)

        assert await cards.refresh(app) == 0


async def test_a_press_and_the_beat_at_the_same_moment_leave_one_picture(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)

        await asyncio.gather(*(cards.refresh(app) for _ in range(4)))

        assert len(slack.files.shared()) == 1
        assert len(slack.messages()[0].edits) == 1


async def test_a_slow_down_is_waited_out_for_all_alerts(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        for number in range(3):
            await alert(app, replace(INCIDENT, incident_id=f"INC-{number}"))
        slack.faults.append(Fault(faults.rate_limited("120"), path="/chat.update", times=1))
        await cards.refresh(app)
        n_asked = sum(request.path == "/chat.update" for request in slack.requests)

        later(app, 1.5)
        await cards.refresh(app)
        assert sum(request.path == "/chat.update" for request in slack.requests) == n_asked == 1

        later(app, 1)
        assert await cards.refresh(app) == 3


async def test_an_end_long_shown_is_left_as_it_is_but_one_not_yet_shown_is_not(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        await cards.refresh(app)
        store(app, replace(INCIDENT, state=IncidentState.RESOLVED, resolved_at=NOW, resolution="quiet"))
        slack.is_token_valid = False  # Slack refuses us for hours
        await cards.refresh(app)
        later(app, 300)
        slack.is_token_valid = True

        assert await cards.refresh(app) == 1
        assert "Resolved: search-prod" in shown(slack)
        store(app, replace(INCIDENT, state=IncidentState.RESOLVED, resolved_at=NOW, resolution="otherwise"))
        later(app, 10)
        assert await cards.refresh(app) == 0
