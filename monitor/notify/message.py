"""Notice -> Message: what people are told, in words. Pure.

A message reads from the top: one sentence that says it all, the facts, why, what happens, how to undo it, and how far
the figures can be trusted. Usage alone cannot tell a leak from a runaway job, so nobody is ever accused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from monitor.domain import (
    Action,
    ActionState,
    ApiKey,
    Choice,
    Incident,
    IncidentKind,
    Message,
    MessageKind,
    Notice,
    Reason,
    Rung,
    Severity,
    Verb,
    short_id,
)
from monitor.notify import escalation, proposal
from monitor.notify.asking import ask_about, ask_only
from monitor.notify.facts import About, facts, identity, prior, usual
from monitor.notify.wording import DONE, MEANS, QUALITIES, acted_on, called, cause_lines, command, short_hash, why
from monitor.notify.words import Words
from monitor.wording import (
    REASONS,
    count,
    duration,
    moment,
    money,
    multiple,
    name,
    one_line,
    shorten,
)

RESTORE: Final = "openrouter-monitor restore"
REVOKE: Final = "openrouter-monitor revoke"
EXPLAIN: Final = "openrouter-monitor explain"

LIST: Final = "LIST"
"""How the thread of a message begins that tells of several incidents which are no event of their own."""

_MAX_TITLE_NAME: Final = 80


def compose(
    notice: Notice,
    key: ApiKey | None,
    *,
    channel: str,
    owner: str,
    workspace_name: str | None,
    now: datetime,
    data_as_of: datetime | None,
    restore_command: str = RESTORE,
    routed: str = "",
) -> Message:
    """The message for a notice. `routed`: which rule chose the channel, told where that is nobody's own.

    `key` is the key as last seen, None where the notice is about none or the key is gone. `data_as_of`: how fresh the usage
    behind the figures is, None where unknown. The `message_id` depends on what is told, never on `now`: a notice composed
    again after a crash is the same message."""
    about = About(key, owner, workspace_name, now, restore_command, routed)
    words = _WRITERS.get(notice.kind, _plain)(notice, about)
    return Message(
        message_id=message_id(notice),
        kind=notice.kind,
        channel=channel,
        severity=words.severity,
        title=words.title,
        summary=words.summary,
        facts=words.facts,
        evidence=words.evidence,
        sections=words.sections,
        undo=words.undo,
        footer=_footer(notice, now=now, data_as_of=data_as_of),
        thread=_thread(notice),
        created_at=now,
        ask=words.ask,
        about=tuple(each.incident_id for each in notice.incidents),
    )


def _thread(notice: Notice) -> str | None:
    """An event of many keys, keys told of in one list, an incident, or the incident of an action. A call for a wider audience goes
    to another channel, so that its thread is its own."""
    if notice.kind is MessageKind.ESCALATION and notice.incident is not None:
        return f"{notice.incident.incident_id}:{notice.kind.value}"
    if notice.thread is None and len(notice.incidents) > 1:
        return short_id(LIST, message_id(notice))
    if notice.thread is not None or notice.incident is None:
        return notice.thread or (notice.action.incident_id if notice.action else None)
    return notice.incident.incident_id


def message_id(notice: Notice) -> str:
    """`INC-…:2:alert`. Actions add their own id, so that disable, restore and disable again at one step are three messages;
    notices without incident are told apart by when and what they say."""
    incident, action, kind = notice.incident, notice.action, notice.kind
    if kind in {MessageKind.ACTION, MessageKind.ACTION_FAILED} and action is not None:
        base = f"{incident.incident_id}:{incident.step}" if incident else f"{action.incident_id or 'NONE'}:0"
        return f"{base}:{kind.value}:{action.action_id}"
    if kind is MessageKind.PROPOSAL and action is not None:  # whatever step it is at by now: it is edited in place
        return f"{action.incident_id or 'NONE'}:0:{kind.value}:{action.action_id}"
    if kind is MessageKind.ESCALATION and incident is not None:
        return f"{incident.incident_id}:{incident.step}:{kind.value}:{incident.n_escalations}"
    if incident is not None:
        return f"{incident.incident_id}:{incident.step}:{kind.value}"
    return f"{short_id('MSG', kind.value, notice.at.isoformat(), notice.detail)}:0:{kind.value}"


def _alert(notice: Notice, about: About) -> Words:
    incident = notice.incident
    if incident is None:
        return _plain(notice, about)
    is_act = notice.verdict is not None and notice.verdict.is_act
    return Words(
        title=f"Unusual spend: {_title_name(about, incident.key_hash)}",
        summary=_alert_sentence(incident, about),
        severity=incident.severity,
        facts=facts(incident, about),
        evidence=cause_lines(incident.causes),
        sections=(("What happens now", _what_happens(notice, incident.key_hash)),),
        undo=command(about.restore_command, incident.key_hash) if is_act else "",
        ask=ask_about(incident, about.key),
    )


def _alert_sentence(incident: Incident, about: About) -> str:
    """Amount, window, rate, multiple, key: enough for whoever reads only the notification on a phone."""
    who = called(about.key, incident.key_hash)
    if incident.spent_nusd <= 0:
        return f"{who} spends {money(incident.per_hour_nusd)}/h ({usual(incident)}) and needs a look."
    times = multiple(incident.per_hour_nusd, incident.expected_per_hour_nusd)
    against = f", {times} its usual" if times else ", where it usually spends nothing"
    return (
        f"{who} spent {money(incident.spent_nusd)} above its usual in {duration(_since_onset(incident, about))}:"
        f" {money(incident.per_hour_nusd)}/h now{against}. A leak or a runaway job."
    )


def _since_onset(incident: Incident, about: About) -> timedelta:
    return (incident.resolved_at or about.now) - incident.onset_at


def _what_happens(notice: Notice, key_hash: str) -> tuple[str, ...]:
    verdict = notice.verdict
    by_hand = f"To stop it by hand: {command(REVOKE, key_hash)}"
    look = f"To see all evidence: {command(EXPLAIN, key_hash)}"
    if verdict is None:
        return (by_hand, look)
    if verdict.is_act:
        verb, reason = acted_on(verdict)
        return (f"The key is being {DONE[verb]} automatically: {reason}. The outcome follows in this thread.", look)
    head = "Not yet" if verdict.reason in {Reason.HELD, Reason.AWAITING_APPROVAL} else "Nothing automatic"
    told = f"{head}: {REASONS[verdict.reason]}."
    if verdict.detail:
        told = f"{told} {_sentence(verdict.detail)}"
    if verdict.reason in {Reason.ALREADY_DISABLED, Reason.KEY_GONE}:
        return (told, look)
    return (told, by_hand, look)


_REVERSIBLE: Final = frozenset({Verb.DISABLE, Verb.CAP, Verb.ZERO})
"""What a press on Restore undoes."""


def _action(notice: Notice, about: About) -> Words:
    action = notice.action
    if action is None:
        return _plain(notice, about)
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
        title=f"Key {DONE[action.verb]}: {_title_name(about, action.key_hash)}",
        summary=f"{called(about.key, action.key_hash)} was {DONE[action.verb]} at {at}{after}.",
        severity=_severity_of(incident) if takes_away else Severity.NOTICE,
        facts=(*identity(about, action.key_hash), *prior(action)),
        sections=(("What was done", tuple(lines)),),
        undo="" if action.verb is Verb.DELETE else undo,
        ask=ask_only(incident, Choice.RESTORE) if incident is not None and action.verb in _REVERSIBLE else None,
    )


def _action_failed(notice: Notice, about: About) -> Words:
    """The loudest message there is: money keeps flowing and the monitor could not stop it."""
    action = notice.action
    if action is None:
        return _plain(notice, about)
    incident = notice.incident
    still = ""
    if incident is not None and action.verb is not Verb.RESTORE:
        still = f" It spends {money(incident.per_hour_nusd)}/h; {money(incident.at_risk_nusd)} is at risk."
    detail = notice.detail or action.detail
    why = _sentence(detail) if detail else "the outcome is not known."
    if action.state is ActionState.EXPIRED and not notice.detail:
        why = "the intent grew too old to carry out safely."
    elif action.state is ActionState.EXPIRED:
        why = f"the intent grew too old to carry out safely. {_sentence(detail)}"
    who = called(about.key, action.key_hash)
    title, summary = f"COULD NOT {action.verb.upper()}", f"{who} was NOT {DONE[action.verb]}: {why}{still}"
    if action.state is ActionState.DONE:
        title, summary = "STILL SPENDING", f"{who} was {DONE[action.verb]}, but {why}"
    return Words(
        title=f"{title}: {_title_name(about, action.key_hash)}",
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


def _resolved(notice: Notice, about: About) -> Words:
    incident = notice.incident
    if incident is None:
        return _plain(notice, about)
    ended = incident.resolved_at or about.now
    is_disabled = about.key is not None and about.key.settings.is_disabled
    lines = [f"Why: {one_line(incident.resolution)}"] if incident.resolution else []
    if is_disabled:
        lines.append("The key is still disabled.")
    return Words(
        title=f"Resolved: {_title_name(about, incident.key_hash)}",
        summary=(
            f"The incident of {called(about.key, incident.key_hash)} is over: {money(incident.spent_nusd)} above its usual"
            f" in all, from {moment(incident.onset_at)} to {moment(incident.last_seen_at)}; {noticed(incident)}."
        ),
        severity=Severity.NOTICE,
        facts=(
            *identity(about, incident.key_hash),
            ("Total damage", f"{money(incident.spent_nusd)} above usual"),
            ("Time to detect", duration(max(timedelta(), incident.opened_at - incident.onset_at))),
            ("Closed", moment(ended)),
        ),
        sections=(("How it ended", tuple(lines)),) if lines else (),
        undo=command(about.restore_command, incident.key_hash) if is_disabled else "",
        ask=ask_about(incident, about.key),
    )


def noticed(incident: Incident) -> str:
    """How long it took the monitor, in a few words."""
    return f"noticed {duration(max(timedelta(), incident.opened_at - incident.onset_at))} after it began"


def _escalation(notice: Notice, about: About) -> Words:
    incident = notice.incident
    if incident is None:
        return _plain(notice, about)
    return Words(
        title=escalation.title(incident, _title_name(about, incident.key_hash)),
        summary=escalation.summary(incident, called(about.key, incident.key_hash), about.now),
        severity=incident.severity,
        facts=facts(incident, about) if incident.kind is IncidentKind.KEY else (),
        evidence=cause_lines(incident.causes),
        sections=(("What to do", escalation.what_to_do(incident, REVOKE)),),
    )


def _rehearsal(notice: Notice, about: About) -> Words:
    """The alert that a simulated theft would have been, or how a rehearsal ended; never to be taken for a theft."""
    incident, verdict = notice.incident, notice.verdict
    if incident is not None:
        real = _alert(notice, about)
        said = (
            "The abuse is simulated, the figures with it: nobody misuses this key.",
            "Everything after it is real: this message, then the disable of the key, its reading back and its restore.",
            "Nothing needs to be done.",
        )
        return replace(
            real,
            title=f"Rehearsal, no theft: {_title_name(about, incident.key_hash)}",
            summary=f"This is a rehearsal. In earnest it would say: {real.summary}",
            severity=Severity.NOTICE,
            sections=(("What this is", said),),
            undo="",
            ask=None,
        )
    lines = [line for raw in notice.detail.splitlines() if (line := one_line(raw))] or ["No details were given."]
    key_hash = verdict.key_hash if verdict else ""
    is_ok = verdict is not None and verdict.is_act
    return Words(
        title=f"Rehearsal {'over' if is_ok else 'FAILED'}: {_title_name(about, key_hash)}",
        summary=lines[0],
        severity=Severity.NOTICE if is_ok else Severity.CRITICAL,
        sections=(("Delay of each step", tuple(lines[1:])),) if lines[1:] else (),
        undo=command(about.restore_command, key_hash) if verdict and verdict.rung is Rung.DISABLE else "",
    )


def _proposal(notice: Notice, about: About) -> Words:
    return proposal.words(notice, about) or _plain(notice, about)


def _plain(notice: Notice, _about: About) -> Words:
    """Notices in free words: the first line is the sentence, further lines a list."""
    lines = [line for raw in notice.detail.splitlines() if (line := one_line(raw))]
    worst = max((each.severity for each in notice.incidents), default=Severity.WARNING)
    if notice.kind is MessageKind.TEST:
        test = "This is a test message from openrouter-monitor; nothing needs to be done."
        return Words("Test message", lines[0] if lines else test, Severity.NOTICE)
    spent = money(sum(each.spent_nusd for each in notice.incidents))
    together = f"{count(len({each.key_hash for each in notice.incidents}), 'key')}: {spent} above usual"
    if notice.incidents and not any(each.is_alive for each in notice.incidents):
        together, worst = f"Over: {together}", Severity.NOTICE
    return Words(
        title=together if notice.incidents else "About the monitor itself",
        summary=lines[0] if lines else "No details were given.",
        severity=worst,
        sections=(("Keys" if notice.incidents else "Details", tuple(lines[1:])),) if len(lines) > 1 else (),
    )


_WRITERS: Final[Mapping[MessageKind, Callable[[Notice, About], Words]]] = {
    MessageKind.ALERT: _alert,
    MessageKind.ACTION: _action,
    MessageKind.ACTION_FAILED: _action_failed,
    MessageKind.RESOLVED: _resolved,
    MessageKind.ESCALATION: _escalation,
    MessageKind.REHEARSAL: _rehearsal,
    MessageKind.PROPOSAL: _proposal,
}


def _severity_of(incident: Incident | None) -> Severity:
    return incident.severity if incident else Severity.WARNING


def _by(action: Action) -> str:
    who, approver = one_line(action.requested_by), one_line(action.decided_by)
    if who in {"", "monitor"}:
        return f"Automatically, approved by {shorten(approver, 80)}" if approver else "Automatically"
    return f"By {shorten(who, 80)}"


def _sentence(text: str) -> str:
    plain = one_line(text)
    return plain if plain.endswith((".", "!", "?", "…")) else f"{plain}."


def _title_name(about: About, key_hash: str) -> str:
    visible = name(about.key.key_name, fallback="") if about.key else ""
    return shorten(visible, _MAX_TITLE_NAME) or short_hash(key_hash)


def _footer(notice: Notice, *, now: datetime, data_as_of: datetime | None) -> str:
    """Identity and honesty: which incident, how old the data is, and what is wrong with it."""
    incident = notice.incident
    parts = []
    if incident is not None:
        parts += [incident.incident_id, f"step {incident.step}"]
    elif notice.action is not None and notice.action.incident_id:
        parts.append(notice.action.incident_id)
    if notice.action is not None:
        parts.append(notice.action.action_id)
    if incident is not None:
        as_of = data_as_of or incident.quality.as_of
        parts.append(f"data {duration(now - as_of)} old" if as_of else "age of the data unknown")
        parts += [QUALITIES[incident.quality.state]] if QUALITIES[incident.quality.state] else []
        parts += ["not certain which key"] if incident.quality.is_ambiguous else []
        parts += [shorten(one_line(note), 200) for note in incident.quality.notes]
    return " · ".join(part for part in parts if part)
