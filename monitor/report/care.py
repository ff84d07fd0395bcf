"""Sentences about the monitor's own work and about how keys are kept. Plain text: each form escapes for itself. Pure."""

from __future__ import annotations

from typing import Final

from monitor.domain import ActionState, IncidentState, Severity
from monitor.report import words
from monitor.report.figures import Alerts, Digest, Health, KeyWeek
from monitor.report.hygiene import Debt
from monitor.wording import count, duration, moment, money, share

_DEBTS: Final = {
    Debt.NO_LIMIT: ("without a limit", "a thief can spend all the account has"),
    Debt.NO_RESET: ("with a limit that never resets", "it stops a healthy key one day"),
    Debt.SHARED_NAME: ("with a name another key has too", "an alert cannot say whose it is"),
    Debt.STALE: ("nobody used for 30 days", "delete them: nobody would miss them, and nobody watches them"),
    Debt.UNOWNED: ("without a creator", "nobody to ask"),
}


def attention(digest: Digest) -> list[str]:
    """What somebody must do something about, most urgent first."""
    said = [
        f"{words.action_line(each, words.key_name_of(digest, each.key_hash))}: act by hand"
        for each in digest.actions
        if each.state is ActionState.FAILED
    ]
    said += [
        words.incident_line(each, words.key_name_of(digest, each.key_hash))
        for each in digest.incidents
        if each.state is IncidentState.OPEN and each.severity is Severity.CRITICAL
    ]
    said += digest.warnings
    if digest.owner is None and digest.alerts.is_over_budget:
        said.append(f"Alerts: {alert_line(digest.alerts)}; tell the monitor which were false, it learns from that")
    if digest.owner is None and digest.health.n_undelivered:
        said.append(
            f"{count(digest.health.n_undelivered, 'message')} could not be delivered and will not be tried again"
        )
    return said


def alert_line(alerts: Alerts) -> str:
    """Alerts against the budget."""
    if not alerts.n_opened:
        return f"no incident was opened; the budget is {alerts.budget:g} false ones a week"
    wrong = alerts.n_false + alerts.n_unreviewed
    side = "over" if alerts.is_over_budget else "within"
    return (
        f"{count(alerts.n_opened, 'incident')} opened: {alerts.n_false:,} false, {alerts.n_unreviewed:,} not reviewed;"
        f" {wrong:,} of at most {alerts.budget:g} a week, {side} the budget"
    )


def saved_line(alerts: Alerts) -> str:
    """What disabling keys saved, as far as one can say."""
    if not alerts.n_disabled:
        return f"no key was disabled; {money(alerts.unusual_nusd)} of unusual spend was told of"
    return (
        f"about {money(alerts.saved_nusd)} by disabling {count(alerts.n_disabled, 'key')}"
        f" (their unusual rate until somebody would have looked); {money(alerts.unusual_nusd)} was spent above the usual"
    )


def watch_line(health: Health) -> str:
    """Uptime."""
    if health.watched_since is None:
        return "not on record yet"
    total = health.watched + health.silent
    if not total:
        return f"on record since {moment(health.watched_since)}, after this week"
    part = (
        "" if not health.silences else f", {count(len(health.silences), 'pause')} of {duration(health.silent)} in all"
    )
    whole = share(health.watched / total)
    return f"{whole} of {duration(total)}{part}; on record since {moment(health.watched_since)}"


def silence_lines(health: Health) -> list[str]:
    """Each time the monitor did not watch."""
    return [
        f"{moment(since)} to {moment(until)} ({duration(until - since)}): not watching"
        for since, until in health.silences
    ]


def health_facts(digest: Digest) -> list[tuple[str, str]]:
    """The monitor itself, in short."""
    health = digest.health
    facts = [("Watched", watch_line(health)), ("Mode", health.mode or "not known")]
    facts += [("Detector", health.detector)] if health.detector else []
    facts += [("Messages given up", f"{health.n_undelivered:,}")] if health.n_undelivered else []
    return facts


def debt_rows(digest: Digest) -> list[tuple[str, tuple[KeyWeek, ...], str]]:
    """(what is wrong, keys, why it matters), the most keys first; only what is owed."""
    rows = [(said, digest.owing(debt), why) for debt, (said, why) in _DEBTS.items()]
    rows.append(("that no route gives an owner", digest.unowned, "their alerts go to the default channel"))
    if digest.n_unknown_month_hours:
        unsure = f"; {count(digest.n_unknown_month_hours, 'hour')} of that time are unknown"
        rows = [(said, keys, f"{why}{unsure}" if "30 days" in said else why) for said, keys, why in rows]
    return [row for row in rows if row[1]]


def debt_lines(digest: Digest) -> list[str]:
    """Each debt with how many keys owe it."""
    return [f"{count(len(keys), 'live key')} {said}: {why}" for said, keys, why in debt_rows(digest)]
