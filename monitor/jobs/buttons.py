"""A pressed button, from the press to what it does. Fails closed: in doubt nothing happens, and the presser is told why.

1. is it one of our buttons, and is the presser allowed? (`slack.allowed_users`, or a member of `slack.allowed_groups`; of proposals:
   `response.approvers`, see `proposals`)
2. does the question still stand? (the incident is at the step the button was made for, and about the same key)
3. take it up, once: written down before anything is done; the same press told again, or the same answer, does nothing
   (each press, whatever becomes of it, has its rows in the audit trail)
4. do it, and write down what became of it
5. tell the presser, and edit the alert
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Final

from monitor.domain import Choice
from monitor.errors import DeliveryError, MonitorError, RequestRefused, StaleRequest
from monitor.jobs import allowed, answers, auditing, cards, proposals
from monitor.jobs.answers import Desk, StaleAnswer
from monitor.jobs.app import App
from monitor.notify import asking
from monitor.notify.asking import Answer
from monitor.notify.pressed import Pressed
from monitor.store.base import Outcome, Press
from monitor.wording import one_line, shorten

log = logging.getLogger(__name__)

CUT_OFF: Final = timedelta(minutes=2)
"""A press under way for longer than this was cut off by a kill: the answer may be given again."""

_STRANGER: Final = (
    "You are not allowed to decide about keys here; ask whoever runs openrouter-monitor (slack.allowed_users)."
)


async def pressed(app: App, desk: Desk, press: Pressed) -> Press:
    """Handles one press; returns what was written down of it. Raises StoreError."""
    answer = asking.read(press.choice, press.value)
    now = app.now()
    entry = Press(
        press_id=press.press_id,
        incident_id=answer.incident_id if answer else "",
        step=answer.step if answer else 0,
        choice=answer.question if answer else shorten(one_line(press.choice), 40),
        by=press.by,
        at=now,
    )
    try:
        refusal = await _refusal(app, press, answer)
    except StaleAnswer as error:
        return await _end(app, press, entry, *_instead(error))
    if answer is None or refusal:
        return await _end(app, press, entry, Outcome.REFUSED, refusal)
    earlier = await asyncio.to_thread(app.store.cards.take, entry, stale_before=now - CUT_OFF)
    if earlier is not None:
        if earlier.press_id != press.press_id:
            said = f"{_what(earlier)} by {earlier.by}; nothing was done twice."
            await _end(app, press, entry, Outcome.DUPLICATE, said)
        return earlier
    is_proposal = answer.choice in asking.ABOUT_A_PROPOSAL
    try:
        done = await (proposals.answered(app, press, answer) if is_proposal else _do(app, desk, answer, by=press.by))
    except MonitorError as error:
        return await _end(app, press, entry, *_instead(error))
    ended = await _end(app, press, entry, Outcome.DONE, done)
    await (proposals if is_proposal else cards).refresh(app)
    return ended


def _instead(error: MonitorError) -> tuple[Outcome, str]:
    """What is written down, and told, of an answer that could not be carried out."""
    if isinstance(error, StaleAnswer | StaleRequest):
        return Outcome.EXPIRED, f"Nothing was done: {error}."
    if isinstance(error, RequestRefused):
        return Outcome.REFUSED, f"Nothing was done: {error}."
    return Outcome.FAILED, f"This did not work: {error}."


async def _refusal(app: App, press: Pressed, answer: Answer | None) -> str:
    """Why this press does nothing; empty where it may. Raises StaleAnswer where the incident has moved on."""
    if answer is None:
        return "This button is not one of this version; nothing was done."
    if answer.choice in asking.ABOUT_A_PROPOSAL:
        return await proposals.refusal(app, press, answer)
    if not await allowed.is_operator(app, press.user_id):
        return _STRANGER
    incident = await asyncio.to_thread(answers.current, app, answer.incident_id, answer.step)
    if not incident.key_hash.startswith(answer.key_prefix):
        return "Nothing was done: this button is about another key than the incident."
    return ""


async def _do(app: App, desk: Desk, answer: Answer, *, by: str) -> str:
    incident_id, step = answer.incident_id, answer.step
    if answer.choice in {Choice.SNOOZE, Choice.PLANNED}:
        until = app.now() + (answer.span or timedelta())
        act = desk.snooze if answer.choice is Choice.SNOOZE else desk.planned
        return await act(incident_id, by=by, expected_step=step, until=until)
    simple = {
        Choice.ACKNOWLEDGE: desk.ack,
        Choice.EXPECTED: desk.expected,
        Choice.ABUSE: desk.abuse,
        Choice.DISABLE: desk.disable,
        Choice.RESTORE: desk.restore,
    }
    return await simple[answer.choice](incident_id, by=by, expected_step=step)


async def _end(app: App, press: Pressed, entry: Press, outcome: Outcome, detail: str) -> Press:
    """Writes down what became of a press, says it in the log, and tells the presser."""
    ended = replace(entry, outcome=outcome, detail=shorten(one_line(detail), 500))
    await asyncio.to_thread(app.store.cards.note, ended, at=app.now())
    await asyncio.to_thread(auditing.publish, app.store)
    level = logging.INFO if outcome is Outcome.DONE else logging.WARNING
    log.log(
        level,
        "button_pressed",
        extra={
            "by": ended.by,
            "choice": ended.choice,
            "incident": ended.incident_id,
            "step": ended.step,
            "outcome": outcome.value,
            "detail": ended.detail,
        },
    )
    if app.people is not None:
        said = f"Done: {ended.detail}." if outcome is Outcome.DONE else ended.detail
        thread = press.thread_ts or press.message_ts
        try:
            await app.people.whisper(said, channel=press.channel, user=press.user_id, thread=thread)
        except DeliveryError as error:
            log.warning("whisper_not_sent", extra={"error": str(error)})
    return ended


def _what(earlier: Press) -> str:
    return "This was answered already" if earlier.outcome is Outcome.DONE else "This is being done"
