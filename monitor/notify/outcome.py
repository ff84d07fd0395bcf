"""Words of what was done to a key, and of what could not be done. Pure."""

from __future__ import annotations

from typing import Final

from monitor.domain import Action, ActionState, Choice, Incident, Notice, Severity, Verb
from monitor.notify.asking import ask_only
from monitor.notify.facts import About, identity, prior
from monitor.notify.wording import DONE, EXPLAIN, MEANS, REVOKE, called, command, sentence, title_name, why
from monitor.notify.words import Words
from monitor.wording import duration, moment, money, one_line, shorten

_REVERSIBLE: Final = frozenset({Verb.DISABLE, Verb.CAP, Verb.ZERO})
"""What a press on Restore undoes."""


def done(notice: Notice, about: About) -> Words | None:
    """That something was done to a key, why, and how to undo it."""
    action = notice.action
    if action is None:
        return None
    takes_away = action.verb in MEANS
    incident = notice.incident
    at = moment(action.finished_at or about.now)
    after = ""
    if incident is not None and takes_away:
        span = duration((action.finished_at or about.now) - incident.onset_at)
        after = f", {span} after the unusual spend began; {money(incident.spent_nusd)} above its usual by then"
    lines = [f"{_by(action)}: {why(action)}." if takes_away else f"{_by(action)}."]
    if action.detail:
        lines.append(f"Read back: {one_line(action.detail)}")
    if takes_away:
        lines.append(MEANS[action.verb])
    undo = command(about.restore_command if takes_away else REVOKE, action.key_hash)
    return Words(
        title=f"Key {DONE[action.verb]}: {title_name(about.key, action.key_hash)}",
        summary=f"{called(about.key, action.key_hash)} was {DONE[action.verb]} at {at}{after}.",
        severity=_severity_of(incident) if takes_away else Severity.NOTICE,
        facts=(*identity(about, action.key_hash), *prior(action)),
        sections=(("What was done", tuple(lines)),),
        undo="" if action.verb is Verb.DELETE else undo,
        ask=ask_only(incident, Choice.RESTORE) if incident is not None and action.verb in _REVERSIBLE else None,
    )


def failed(notice: Notice, about: About) -> Words | None:
    """The loudest message there is: money keeps flowing and the monitor could not stop it."""
    action = notice.action
    if action is None:
        return None
    incident = notice.incident
    still = ""
    if incident is not None and action.verb is not Verb.RESTORE:
        still = f" It spends {money(incident.per_hour_nusd)}/h; {money(incident.at_risk_nusd)} is at risk."
    detail = notice.detail or action.detail
    why = sentence(detail) if detail else "the outcome is not known."
    if action.state is ActionState.EXPIRED and not notice.detail:
        why = "the intent grew too old to carry out safely."
    elif action.state is ActionState.EXPIRED:
        why = f"the intent grew too old to carry out safely. {sentence(detail)}"
    who = called(about.key, action.key_hash)
    title, summary = f"COULD NOT {action.verb.upper()}", f"{who} was NOT {DONE[action.verb]}: {why}{still}"
    if action.state is ActionState.DONE:
        title, summary = "STILL SPENDING", f"{who} was {DONE[action.verb]}, but {why}"
    return Words(
        title=f"{title}: {title_name(about.key, action.key_hash)}",
        summary=summary,
        severity=Severity.CRITICAL,
        facts=(*identity(about, action.key_hash), ("Asked by", one_line(action.requested_by) or "the monitor")),
        sections=(("What to do", _what_to_do(action, about)),),
        ask=ask_only(incident, Choice.DISABLE) if incident is not None and action.verb is Verb.DISABLE else None,
    )


def _what_to_do(action: Action, about: About) -> tuple[str, ...]:
    by_hand = "Disable the key yourself now, on the issuer's key page,"
    if action.verb is Verb.RESTORE:
        return (f"Try again: {command(about.restore_command, action.key_hash)}",)
    if action.verb is Verb.DELETE:
        return ("Look at the key on the issuer's key page; delete it there, or try again.",)
    if action.state is ActionState.DONE or action.verb is Verb.ZERO:
        return (
            "Set the key's limit to 0 and delete it on the issuer's key page, and write to their support.",
            f"To see all evidence: {command(EXPLAIN, action.key_hash)}",
        )
    return (by_hand, f"or try again: {command(REVOKE, action.key_hash)}")


def _severity_of(incident: Incident | None) -> Severity:
    return incident.severity if incident else Severity.WARNING


def _by(action: Action) -> str:
    who, approver = one_line(action.requested_by), one_line(action.decided_by)
    if who in {"", "monitor"}:
        return f"Automatically, approved by {shorten(approver, 80)}" if approver else "Automatically"
    return f"By {shorten(who, 80)}"
