"""A proposal in words, as it stands: asked with its two buttons, and later what people said and what came of it. Pure.

The same action in the same state gives the same words, whatever the time: the message is edited in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.domain import Action, ActionState, Incident, Notice, Severity, Verb
from monitor.notify.asking import ask_to_approve
from monitor.notify.facts import About, identity, prior
from monitor.notify.wording import DONE, called, why
from monitor.notify.words import Words
from monitor.wording import dollars, moment, money, name, one_line, shorten

_TITLES: Final[Mapping[ActionState, str]] = {
    ActionState.PROPOSED: "Approve? {verb}",
    ActionState.APPROVED: "Approved: {verb}",
    ActionState.DENIED: "Denied: {verb}",
    ActionState.INTENDED: "Approved, under way: {verb}",
    ActionState.DONE: "Approved and done: {verb}",
    ActionState.FAILED: "Approved, but FAILED: {verb}",
    ActionState.EXPIRED: "Not done: {verb}",
}

_MAX_NAME: Final = 80


def words(notice: Notice, about: About) -> Words | None:
    """What is asked, or how it ended; None where the notice is about no action."""
    action, incident = notice.action, notice.incident
    if action is None:
        return None
    is_open = action.state is ActionState.PROPOSED
    visible = name(about.key.key_name, fallback="") if about.key else ""
    title = _TITLES[action.state].format(verb=_verb(action))
    return Words(
        title=f"{title} {shorten(visible, _MAX_NAME) or action.key_hash[:12]}",
        summary=_summary(action, incident, called(about.key, action.key_hash)),
        severity=incident.severity if is_open and incident is not None else Severity.NOTICE,
        facts=(*identity(about, action.key_hash), *(prior(action) if is_open else ())),
        sections=(("By hand", _by_hand(action)),) if is_open else (),
        ask=ask_to_approve(action, incident) if is_open and incident is not None else None,
    )


def _verb(action: Action) -> str:
    return f"{action.verb.value} to {dollars(action.limit_usd)}" if action.verb is Verb.CAP else action.verb.value


def _summary(action: Action, incident: Incident | None, who: str) -> str:
    by = f" by {one_line(action.decided_by)}" if action.decided_by else ""
    said = f" {one_line(action.detail)}" if action.detail else ""
    if action.state is ActionState.PROPOSED:
        spends = f" It spends {money(incident.per_hour_nusd)}/h." if incident is not None else ""
        return (
            f"The monitor proposes to {_verb(action)} {who}: {why(action)}.{spends}"
            f" Without a yes until {moment(action.expires_at)} nothing is done."
        )
    if action.state is ActionState.APPROVED:
        return f"Approved{by}. The next cycle judges the evidence again, and acts if it still stands."
    if action.state is ActionState.DENIED:
        return f"Denied{by}. Nothing automatic happens to {who} for response.cooldown."
    if action.state is ActionState.INTENDED:
        return f"Approved{by}; the evidence still stands, and {who} is being {DONE[action.verb]}."
    if action.state is ActionState.DONE:
        return (
            f"Approved{by}; {who} was {DONE[action.verb]} at {moment(action.finished_at or action.intended_at)}.{said}"
        )
    if action.state is ActionState.FAILED:
        return f"Approved{by}, but {who} was NOT {DONE[action.verb]}:{said or ' the outcome is not known'}"
    return f"Nothing was done to {who}:{said or ' its time is over'}. These buttons are over."


def _by_hand(action: Action) -> tuple[str, ...]:
    return (
        "Yes acts only if the evidence still stands in the next cycle; whoever may press is named in response.approvers.",
        f"openrouter-monitor approve {action.action_id}",
        f"openrouter-monitor deny {action.action_id}",
    )
