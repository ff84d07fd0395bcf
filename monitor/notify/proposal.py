"""A proposal in words, as it stands: asked with its buttons (to what is only held there is but a no), and later what people
said and what came of it. Pure.

The same action in the same state gives the same words, whatever the time: the message is edited in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.domain import Action, ActionState, Incident, Notice, Severity, Verb
from monitor.notify.asking import ask_to_approve, ask_to_object
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

_HELD_TITLES: Final[Mapping[ActionState, str]] = {
    **_TITLES,
    ActionState.PROPOSED: "On hold: {verb}",
    ActionState.INTENDED: "Hold over, under way: {verb}",
    ActionState.DONE: "Hold over and done: {verb}",
    ActionState.FAILED: "Hold over, but FAILED: {verb}",
}

_MAX_NAME: Final = 80


def words(notice: Notice, about: About) -> Words | None:
    """What is asked, or how it ended; None where the notice is about no action."""
    action, incident = notice.action, notice.incident
    if action is None:
        return None
    is_open = action.state is ActionState.PROPOSED
    visible = name(about.key.key_name, fallback="") if about.key else ""
    titles = _HELD_TITLES if _is_by_silence(action) else _TITLES
    title = titles[action.state].format(verb=_verb(action))
    asks = ask_to_approve if action.not_before is None else ask_to_object
    return Words(
        title=f"{title} {shorten(visible, _MAX_NAME) or action.key_hash[:12]}",
        summary=_summary(action, incident, called(about.key, action.key_hash)),
        severity=incident.severity if is_open and incident is not None else Severity.NOTICE,
        facts=(*identity(about, action.key_hash), *(prior(action) if is_open else ())),
        sections=(("By hand", _by_hand(action)),) if is_open else (),
        ask=asks(action, incident) if is_open and incident is not None else None,
    )


def _is_by_silence(action: Action) -> bool:
    """Whether it is held only, and nobody has said anything to it."""
    return action.not_before is not None and not action.decided_by


def _verb(action: Action) -> str:
    return f"{action.verb.value} to {dollars(action.limit_usd)}" if action.verb is Verb.CAP else action.verb.value


def _summary(action: Action, incident: Incident | None, who: str) -> str:
    yes = "The hold is over and nobody objected"
    if not _is_by_silence(action):
        yes = f"Approved by {one_line(action.decided_by)}" if action.decided_by else "Approved"
    said = f" {one_line(action.detail)}" if action.detail else ""
    if action.state is ActionState.PROPOSED:
        spends = f" It spends {money(incident.per_hour_nusd)}/h." if incident is not None else ""
        if action.not_before is not None:
            return (
                f"The monitor will {_verb(action)} {who} at {moment(action.not_before)}, if the evidence still stands then:"
                f" {why(action)}.{spends} Deny it if this is no theft; otherwise nothing needs to be done."
            )
        return (
            f"The monitor proposes to {_verb(action)} {who}: {why(action)}.{spends}"
            f" Without a yes until {moment(action.expires_at)} nothing is done."
        )
    if action.state is ActionState.APPROVED:
        return f"{yes}. The next cycle judges the evidence again, and acts if it still stands."
    if action.state is ActionState.DENIED:
        by = f" by {one_line(action.decided_by)}" if action.decided_by else ""
        return f"Denied{by}. Nothing automatic happens to {who} for response.cooldown."
    if action.state is ActionState.INTENDED:
        return f"{yes}; the evidence still stands, and {who} is being {DONE[action.verb]}."
    if action.state is ActionState.DONE:
        return f"{yes}; {who} was {DONE[action.verb]} at {moment(action.finished_at or action.intended_at)}.{said}"
    if action.state is ActionState.FAILED:
        return f"{yes}, but {who} was NOT {DONE[action.verb]}:{said or ' the outcome is not known'}"
    return f"Nothing was done to {who}:{said or ' its time is over'}. These buttons are over."


def _by_hand(action: Action) -> tuple[str, ...]:
    if action.not_before is not None:
        return (
            "Who may press Deny: slack.allowed_users and allowed_groups, response.approvers, and whom the key's route names.",
            f"openrouter-monitor deny {action.action_id}",
            f"If it is theft, do not wait: openrouter-monitor revoke {action.key_hash[:12]}",
        )
    return (
        "Yes acts only if the evidence still stands in the next cycle; whoever may press is named in response.approvers.",
        f"openrouter-monitor approve {action.action_id}",
        f"openrouter-monitor deny {action.action_id}",
    )
