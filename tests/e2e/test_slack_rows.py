"""Rows S1 to S8 of what can go wrong with Slack, each end to end: store, outbox, real client, strict fake.

S2's further channels are in tests/notify/test_further.py, all of S7 in test_slack_socket.py, all of S8 in tests/jobs/test_buttons.py."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from build import NOW, a_finding, a_hash, a_key, an_incident
from slack_build import ANN, EVE, alert, an_app_on_slack, an_open_incident, later

from monitor import daemon
from monitor.decide import decide
from monitor.demo import blockkit, faults
from monitor.demo.faults import RETRY_AFTER_FORMS, Fault
from monitor.domain import ActionState, MessageKind, Notice, Plan, Severity
from monitor.jobs import act, context
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.notify import delivery
from monitor.store.base import Delivery, Outcome

INCIDENT = an_open_incident()


async def deliver_for(app: App, minutes: float, *, every: float = 1.0) -> None:
    for _ in range(int(minutes / every)):
        later(app, every)
        await deliver(app)


@pytest.mark.parametrize("form", RETRY_AFTER_FORMS, ids=str)
async def test_s1_slowed_down_three_times_in_any_form_the_alert_is_delivered_once(
    tmp_path: Path, form: str | None
) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.faults.append(Fault(faults.rate_limited(form), path="chat.postMessage", times=3))
        await alert(app, INCIDENT)
        assert slack.messages() == ()

        await deliver_for(app, 16)

        assert len(slack.messages()) == 1


async def test_s1_a_storm_keeps_to_about_one_message_a_second_and_the_urgent_go_first(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        for number in range(12):
            severity = Severity.CRITICAL if number == 11 else Severity.NOTICE
            incident = replace(an_incident(number + 1, severity=severity), key_hash=INCIDENT.key_hash)
            messages = act.compose(app, [Notice(MessageKind.ALERT, NOW, incident=incident)], NOW)
            app.store.ledger.commit((), Plan(NOW, incidents=(incident,)), messages)

        await deliver(app)

        assert len(slack.messages()) == 12
        assert not any(request.status == 429 for request in slack.requests)
        assert slack.messages()[0].text.startswith("\N{LARGE RED CIRCLE}")
        assert app.clock.monotonic() >= 11


@pytest.mark.parametrize("word", ["invalid_auth", "token_revoked", "missing_scope"])
async def test_s2_refused_credentials_give_up_nothing(tmp_path: Path, word: str) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.faults.append(Fault(faults.slack_error(word), path="chat.postMessage", times=4))
        await alert(app, INCIDENT)
        (entry,) = app.store.outbox.entries()
        assert entry.state is Delivery.WAITING and word in entry.last_error

        await deliver_for(app, 240, every=31)

        assert len(slack.messages()) == 1


async def test_s2_while_slack_refuses_our_token_a_stolen_key_is_disabled_all_the_same(tmp_path: Path) -> None:
    armed = {"mode": "enforce", "max_share_of_keys": 1.0}
    async with an_app_on_slack(tmp_path, response=armed) as (app, slack):
        slack.faults.append(Fault(faults.slack_error("token_revoked"), path="chat.postMessage", times=99))
        finding = a_finding(INCIDENT.key_hash, at=app.now())
        plan = decide((finding,), context.gather(app, app.now(), is_healthy=True), app.settings, app.now())
        app.store.ledger.commit((finding,), plan, act.compose(app, plan.notices, app.now()))
        await deliver(app)

        (done,) = await act.carry_out(app, plan.actions)
        await deliver(app)

        assert done.state is ActionState.DONE
        assert app.control.keys[INCIDENT.key_hash].settings.is_disabled
        assert not slack.messages()
        kept = {entry.message.kind: entry.state for entry in app.store.outbox.entries()}
        assert kept == {MessageKind.ALERT: Delivery.WAITING, MessageKind.ACTION: Delivery.WAITING}


@pytest.mark.parametrize("word", ["channel_not_found", "is_archived", "not_in_channel"])
async def test_s3_a_channel_that_refuses_is_replaced_with_the_reason_and_remembered(tmp_path: Path, word: str) -> None:
    async with an_app_on_slack(tmp_path, routes=[{"channel": "#ops"}]) as (app, slack):
        slack.faults.append(Fault(faults.slack_error(word), path="chat.postMessage", times=1))
        await alert(app, INCIDENT)
        assert [len(slack.messages(name)) for name in ("ops", "alerts")] == [0, 1]
        assert f"Meant for #ops: Slack refused chat.postMessage: {word}" in str(slack.messages()[0].blocks)
        n_calls = sum(request.path == "/chat.postMessage" for request in slack.requests)

        await alert(app, replace(INCIDENT, incident_id="INC-next"))

        assert len(slack.messages("alerts")) == 2
        assert sum(request.path == "/chat.postMessage" for request in slack.requests) == n_calls + 1

        later(app, delivery.REFUSED_FOR.total_seconds() / 60 + 1)
        await alert(app, replace(INCIDENT, incident_id="INC-mended"))
        assert len(slack.messages("ops")) == 1


async def test_s3_what_a_channel_said_survives_a_restart(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path, routes=[{"channel": "#gone"}]) as (app, slack):
        await alert(app, INCIDENT)
    async with an_app_on_slack(tmp_path, routes=[{"channel": "#gone"}]) as (app, slack):
        await alert(app, replace(INCIDENT, incident_id="INC-next"))

        assert sum(request.path == "/chat.postMessage" for request in slack.requests) == 1
        assert len(slack.messages("alerts")) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_s4_a_gateway_error_is_tried_again_and_the_alert_arrives_once(tmp_path: Path, status: int) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.faults.append(Fault(faults.status(status), path="chat.postMessage", times=2))
        await alert(app, INCIDENT)

        await deliver_for(app, 5)

        assert len(slack.messages()) == 1


@pytest.mark.parametrize("fault", [faults.drop_after(), faults.after(502)], ids=["drop", "502"])
async def test_s5_an_answer_lost_after_delivery_is_looked_up_and_not_sent_again(
    tmp_path: Path, fault: faults.Action
) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        slack.faults.append(Fault(fault, path="chat.postMessage", times=1))
        await alert(app, INCIDENT)
        assert len(slack.messages()) == 1
        assert app.store.outbox.entries()[0].state is Delivery.UNKNOWN

        await deliver_for(app, 5)

        assert len(slack.messages()) == 1
        assert app.store.outbox.entries()[0].state is Delivery.DELIVERED


async def test_s6_500_keys_in_a_storm_are_all_named_within_slacks_limits(tmp_path: Path) -> None:
    keys = tuple(a_key(number, key_name=f"<!channel> team & *{number}* " + "x" * 140) for number in range(1, 501))
    async with an_app_on_slack(tmp_path, keys=keys) as (app, slack):
        lines = [f"{key.key_hash[-12:]} {key.key_name}: 1.00 USD/h" for key in keys]
        notice = Notice(MessageKind.SOURCE, NOW, detail="\n".join(["500 keys turned unusual together.", *lines]))
        app.store.outbox.add(act.compose(app, [notice], NOW), NOW)

        await deliver_for(app, 2)

        told = slack.messages()
        assert all(blockkit.problems(message.blocks) == [] for message in told)
        said = "".join(str(message.blocks) for message in told)
        assert all(a_hash(number)[-12:] in said for number in range(1, 501))
        first, *rest = told
        assert {message.thread_ts for message in rest} == {first.ts}
        assert "<!channel>" not in said


async def test_s7_after_a_refresh_a_drop_and_a_restart_of_slack_buttons_still_work(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path, slack={"allowed_users": [ANN]}) as (app, slack):
        await alert(app, INCIDENT)
        async with daemon.listening(app):
            await slack.socket.connected()
            for no, trouble in enumerate((slack.socket.refresh, slack.socket.drop), start=2):
                later(app, 1)
                await trouble()
                await slack.socket.connected(no)
            await slack.socket.press(slack.messages()[0], "acknowledge", user=ANN)
            async with asyncio.timeout(5):
                while not any(press.outcome is Outcome.DONE for press in app.store.cards.presses()):
                    await asyncio.sleep(0.005)

    assert slack.socket.latency_s[-1] < 0.5


async def test_s8_a_stranger_and_a_second_press_change_nothing(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        await alert(app, INCIDENT)
        async with daemon.listening(app):
            await slack.socket.connected()
            message = slack.messages()[0]
            for user in (EVE, ANN, ANN, EVE):
                await slack.socket.press(message, "disable", user=user)
            async with asyncio.timeout(5):
                while len([p for p in app.store.cards.presses() if p.outcome is not Outcome.TAKEN]) < 4:
                    await asyncio.sleep(0.005)

        assert len(app.store.ledger.actions()) == 1
        assert [press.outcome for press in app.store.cards.presses()].count(Outcome.DONE) == 1
