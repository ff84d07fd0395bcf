"""Words of an incident of one key: its alert, its end, the call for somebody to take it, and the same in a rehearsal. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from monitor.domain import Incident, IncidentKind, Notice, Reason, Rung, Severity
from monitor.notify import escalation
from monitor.notify.asking import ask_about
from monitor.notify.facts import About, evidence, facts, identity, usual
from monitor.notify.wording import DONE, EXPLAIN, REVOKE, acted_on, called, command, sentence, title_name
from monitor.notify.words import Words
from monitor.wording import REASONS, duration, moment, money, multiple, one_line


def alert(notice: Notice, about: About) -> Words | None:
    """That a key spends unusually."""
    return _alert(notice.incident, notice, about) if notice.incident is not None else None


def _alert(incident: Incident, notice: Notice, about: About) -> Words:
    is_act = notice.verdict is not None and notice.verdict.is_act
    return Words(
        title=f"Unusual spend: {title_name(about.key, incident.key_hash)}",
        summary=_alert_sentence(incident, about),
        severity=incident.severity,
        facts=facts(incident, about),
        evidence=evidence(incident),
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
        told = f"{told} {sentence(verdict.detail)}"
    if verdict.reason in {Reason.ALREADY_DISABLED, Reason.KEY_GONE}:
        return (told, look)
    return (told, by_hand, look)


def resolved(notice: Notice, about: About) -> Words | None:
    """That it is over, with the damage."""
    incident = notice.incident
    if incident is None:
        return None
    is_disabled = about.key is not None and about.key.settings.is_disabled
    lines = [f"Why: {one_line(incident.resolution)}"] if incident.resolution else []
    if is_disabled:
        lines.append("The key is still disabled.")
    return Words(
        title=f"Resolved: {title_name(about.key, incident.key_hash)}",
        summary=(
            f"The incident of {called(about.key, incident.key_hash)} is over: {money(incident.spent_nusd)} above its usual"
            f" in all, from {moment(incident.onset_at)} to {moment(incident.last_seen_at)}; {noticed(incident)}."
        ),
        severity=Severity.NOTICE,
        facts=(
            ("Total damage", f"{money(incident.spent_nusd)} above usual"),
            ("Time to detect", duration(max(timedelta(), incident.opened_at - incident.onset_at))),
            *identity(about, incident.key_hash),
        ),
        sections=(("How it ended", tuple(lines)),) if lines else (),
        undo=command(about.restore_command, incident.key_hash) if is_disabled else "",
        ask=ask_about(incident, about.key),
    )


def noticed(incident: Incident) -> str:
    """How long it took the monitor, in a few words."""
    return f"noticed {duration(max(timedelta(), incident.opened_at - incident.onset_at))} after it began"


def escalated(notice: Notice, about: About) -> Words | None:
    """That nobody took it."""
    incident = notice.incident
    if incident is None:
        return None
    return Words(
        title=escalation.title(incident, title_name(about.key, incident.key_hash)),
        summary=escalation.summary(incident, called(about.key, incident.key_hash), about.now),
        severity=incident.severity,
        facts=facts(incident, about) if incident.kind is IncidentKind.KEY else (),
        evidence=evidence(incident),
        sections=(("What to do", escalation.what_to_do(incident, REVOKE)),),
    )


def rehearsal(notice: Notice, about: About) -> Words | None:
    """The alert that a simulated theft would have been, or how a rehearsal ended; never to be taken for a theft."""
    incident, verdict = notice.incident, notice.verdict
    if incident is not None:
        real = _alert(incident, notice, about)
        said = (
            "The abuse is simulated, the figures with it: nobody misuses this key.",
            "Everything after it is real: this message, then the disable of the key, its reading back and its restore.",
            "Nothing needs to be done.",
        )
        return replace(
            real,
            title=f"Rehearsal, no theft: {title_name(about.key, incident.key_hash)}",
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
        title=f"Rehearsal {'over' if is_ok else 'FAILED'}: {title_name(about.key, key_hash)}",
        summary=lines[0],
        severity=Severity.NOTICE if is_ok else Severity.CRITICAL,
        sections=(("Delay of each step", tuple(lines[1:])),) if lines[1:] else (),
        undo=command(about.restore_command, key_hash) if verdict and verdict.rung is Rung.DISABLE else "",
    )
