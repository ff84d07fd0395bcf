"""Sentences that the digest's message and its Markdown share. Plain text: each form escapes for itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitor.domain import Action, ActionState, ApiKey, Incident, Severity, Verb, Verdict
from monitor.report.digest import Digest, KeyWeek
from monitor.wording import change, count, dollars, moment, money, name, one_line, shorten, to_the_cent

NOBODY: Final = "(no owner named)"
ATTENTION: Final = "Attention"
_SHORT_HASH: Final = 12
_SEVERITIES: Final = {Severity.NOTICE: "notice", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}
_VERBS: Final = {
    Verb.DISABLE: "disabled",
    Verb.CAP: "capped",
    Verb.ZERO: "stopped by a limit of 0",
    Verb.RESTORE: "restored",
    Verb.DELETE: "deleted",
}


def key_name(line: KeyWeek) -> str:
    """A key in a list; names are not unique, so the short hash stands beside it."""
    known = name(line.key.key_name) if line.key else f"{name(line.gone_name, fallback='')} (gone)".lstrip()
    return f"{known} [{line.key_hash[:_SHORT_HASH]}]"


def owner_name(owner: str) -> str:
    """An owner in a list."""
    return name(owner, fallback=NOBODY)


def key_name_of(digest: Digest, key_hash: str) -> str:
    """The key of an incident or action."""
    found = next((each for each in digest.keys if each.key_hash == key_hash), None)
    return key_name(found) if found else f"[{key_hash[:_SHORT_HASH]}]"


def spend(spent_nusd: int, before_nusd: int) -> str:
    """$41.20 (+12%, before $36.80)."""
    return f"{money(spent_nusd)} ({change(spent_nusd, before_nusd)}, before {money(before_nusd)})"


def headline(digest: Digest) -> str:
    """The week in one sentence."""
    n_used = sum(1 for each in digest.keys if each.spent_nusd)
    said = (
        f"{n_used:,} of {count(len(digest.keys), 'key')} spent {money(digest.spent_nusd)}"
        f" ({change(digest.spent_nusd, digest.before_nusd)} against {money(digest.before_nusd)} the week before)"
    )
    n_disabled = sum(1 for each in digest.actions if each.verb is Verb.DISABLE and each.state is ActionState.DONE)
    n_failed = sum(1 for each in digest.actions if each.state is ActionState.FAILED)
    rest = [count(len(digest.incidents), "incident"), f"{count(n_disabled, 'key')} disabled"]
    rest += [f"{count(n_failed, 'action')} failed"] if n_failed else []
    rest.append(f"{count(len(digest.without_limit), 'live key')} without a limit")
    return f"{said}; {', '.join(rest)}."


def balance(digest: Digest) -> str:
    """How the sum of the keys stands to the account's own total."""
    parts = f"keys {to_the_cent(digest.spent_nusd)} + unattributed {to_the_cent(digest.unattributed_nusd)}"
    gap = digest.gap_nusd
    if digest.account_total_nusd is None or gap is None:
        return f"{parts}; the account's own counters are not known for the whole week"
    if gap == 0:
        return f"{parts} = account total {to_the_cent(digest.account_total_nusd)}"
    side = "more" if gap > 0 else "less"
    return (
        f"{parts}; the account's counters say {to_the_cent(digest.account_total_nusd)}, {to_the_cent(abs(gap))} {side}"
    )


def completeness(digest: Digest) -> str:
    """What is not known, so that a low figure is not taken for a quiet week."""
    worse = sum(1 for each in digest.keys if each.n_unknown_hours > digest.gaps.n_hours)
    keys = f"; {count(worse, 'key')} with further gaps" if worse else ""
    hours, before = digest.gaps.n_hours, digest.gaps_before.n_hours
    if not hours and not before:
        return f"all hours of both weeks are known{keys}"
    this = f"{hours} of {count(digest.weeks.current.n_hours, 'hour')} incomplete or unknown: figures are a lower bound"
    earlier = f"{before} of {count(digest.weeks.previous.n_hours, 'hour')} of the week before incomplete or unknown"
    return f"{'; '.join(text for text, n in ((this, hours), (earlier, before)) if n)}{keys}"


def gap_lines(digest: Digest) -> list[str]:
    """Each run of hours that is not fully known."""
    return [f"{moment(each.since)} to {moment(each.until)}" for each in digest.gaps.account]


def incident_line(incident: Incident, called: str) -> str:
    """One incident of the week."""
    return (
        f"{called}: {money(incident.spent_nusd)} above usual since {moment(incident.onset_at)},"
        f" {_SEVERITIES[incident.severity]}, {incident.state.value}, {incident.incident_id}"
    )


def action_line(action: Action, called: str) -> str:
    """One action of the week, and how it ended."""
    outcome = {
        ActionState.DONE: f"{_VERBS[action.verb]}",
        ActionState.FAILED: f"could NOT be {_VERBS[action.verb]}",
        ActionState.EXPIRED: f"was not {_VERBS[action.verb]} in time",
        ActionState.INTENDED: f"is to be {_VERBS[action.verb]}",
        ActionState.PROPOSED: f"waits to be {_VERBS[action.verb]}",
        ActionState.APPROVED: f"may be {_VERBS[action.verb]}",
        ActionState.DENIED: f"was not {_VERBS[action.verb]}: denied by {name(action.decided_by, fallback='a person')}",
    }[action.state]
    return f"{called} {outcome}, {moment(action.finished_at or action.intended_at)}, by {name(action.requested_by)}"


def probe_line(probe: Verdict, called: str) -> str:
    """Somebody tried what a key can do; alone it was no alert."""
    return f"{called}: {moment(probe.at)}, {shorten(one_line(probe.detail), 300)}"


def limit(key: ApiKey | None) -> str:
    """A key's limit in a table."""
    if key is None or key.settings.limit_usd is None:
        return "none" if key else "?"
    reset = f" {name(key.settings.limit_reset)}" if key.settings.limit_reset else ""
    return f"{dollars(key.settings.limit_usd)}{reset}"


def names(lines: Sequence[KeyWeek]) -> list[str]:
    """Keys as a list of names."""
    return [key_name(each) for each in lines]
