"""Sentences that all forms of the digest share. Plain text: each form escapes for itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from monitor.domain import Action, ActionState, ApiKey, Incident, Severity, Verb, Verdict
from monitor.report.figures import Digest, KeyWeek, Mover, OwnerWeek
from monitor.report.forecast import Doubt, Forecast
from monitor.report.limits import LOOKS_AHEAD, LimitForecast, Outlook
from monitor.report.watching import Review
from monitor.wording import change, count, dollars, moment, money, name, one_line, shorten, to_the_cent

NOBODY: Final = "(no owner named)"
ATTENTION: Final = "Attention"
ON_ITS_WAY: Final = frozenset({Outlook.REACHED, Outlook.LIKELY, Outlook.POSSIBLE})
"""Limits that people should hear of."""

_SHORT_HASH: Final = 12
_PARTS: Final = 2
_SEVERITIES: Final = {Severity.NOTICE: "notice", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}
_REVIEWS: Final = {Review.FALSE_ALARM.value: "false alarm", Review.REVIEWED.value: "looked at by a person"}
_DOUBTS: Final = {
    Doubt.SHORT_HISTORY: "too few whole days are known yet",
    Doubt.ERRATIC: "spend is too uneven to say",
}
_VERBS: Final = {
    Verb.DISABLE: "disabled",
    Verb.CAP: "capped",
    Verb.ZERO: "stopped by a limit of 0",
    Verb.RESTORE: "restored",
    Verb.DELETE: "deleted",
}


def key_name(line: KeyWeek) -> str:
    """A key in a list; names are not unique, so the short hash stands beside it."""
    return f"{label(line)} [{line.key_hash[:_SHORT_HASH]}]"


def label(line: KeyWeek) -> str:
    """A key's name alone."""
    return name(line.key.key_name) if line.key else f"{name(line.gone_name, fallback='')} (gone)".lstrip()


def owner_name(owner: str) -> str:
    """An owner in a list."""
    return name(owner, fallback=NOBODY)


def line_of(digest: Digest, key_hash: str) -> KeyWeek | None:
    """The key of an incident or action."""
    return next((each for each in digest.keys if each.key_hash == key_hash), None)


def key_name_of(digest: Digest, key_hash: str) -> str:
    """The name of the key of an incident or action."""
    found = line_of(digest, key_hash)
    return key_name(found) if found else f"[{key_hash[:_SHORT_HASH]}]"


def spend(spent_nusd: int, before_nusd: int) -> str:
    """$41.20 (+12%, before $36.80)."""
    return f"{money(spent_nusd)} ({change(spent_nusd, before_nusd)}, before {money(before_nusd)})"


def more(delta_nusd: int) -> str:
    """+$4.40, -$12.00."""
    return f"+{money(delta_nusd)}" if delta_nusd >= 0 else money(delta_nusd)


def headline(digest: Digest) -> str:
    """The week in one sentence."""
    said = (
        f"{_users(digest)} spent {money(digest.spent_nusd)}"
        f" ({_against(digest.spent_nusd, digest.before_nusd)} {money(digest.before_nusd)} the week before"
    )
    usual = digest.norm_of(digest.norm_nusd)
    said += f", {_against(digest.spent_nusd, usual)} the usual {money(usual)})" if usual is not None else ")"
    return f"{said}; {_rest(digest)}."


def beside_the_total(digest: Digest) -> str:
    """The week in one sentence below a title that says its dollars already: a notification shows both."""
    usual = digest.norm_of(digest.norm_nusd)
    against = f", {_against(digest.spent_nusd, usual)} the usual {money(usual)}" if usual is not None else ""
    return f"Spent by {_users(digest)}{against}; {_rest(digest)}."


def _users(digest: Digest) -> str:
    there = [each for each in digest.keys if not each.is_past]
    return f"{sum(1 for each in there if each.spent_nusd):,} of {count(len(there), 'key')}"


def _rest(digest: Digest) -> str:
    """What happened, and what is to be mended."""
    n_disabled = sum(1 for each in digest.actions if each.verb is Verb.DISABLE and each.state is ActionState.DONE)
    n_failed = sum(1 for each in digest.actions if each.state is ActionState.FAILED)
    rest = [count(len(digest.incidents), "incident"), f"{count(n_disabled, 'key')} disabled"]
    rest += [f"{count(n_failed, 'action')} failed"] if n_failed else []
    rest.append(f"{count(len(digest.without_limit), 'live key')} without a limit")
    return ", ".join(rest)


def _against(now_nusd: int, before_nusd: int) -> str:
    """+12% against …, 7.2 times as much as …"""
    said = change(now_nusd, before_nusd)
    return f"{said} {'as' if said.endswith('as much') else 'against'}"


def norm(digest: Digest) -> str:
    """A usual week, and what it is made of."""
    usual = digest.norm_of(digest.norm_nusd)
    if usual is None:
        return "not known yet: too few of the four weeks before are known well enough"
    told = change(digest.spent_nusd, usual)
    return f"{money(usual)} ({told}), the mean of {count(digest.n_norm, 'week')} before"


def forecast(month: Forecast | None) -> str:
    """What the month comes to, with its interval, or why nobody can say."""
    if month is None:
        return "not known"
    if month.expected_nusd is None or month.low_nusd is None or month.high_nusd is None:
        why = _DOUBTS[month.doubt] if month.doubt else "nothing is known"
        return f"I don't know: {why} ({money(month.spent_nusd)} spent so far)"
    if money(month.low_nusd) == money(month.high_nusd):
        return f"about {money(month.expected_nusd)} ({money(month.spent_nusd)} spent so far)"
    return (
        f"about {money(month.expected_nusd)}, 8 in 10 times between {money(month.low_nusd)} and {money(month.high_nusd)}"
        f" ({money(month.spent_nusd)} spent so far)"
    )


def month_end(digest: Digest) -> str:
    """The last day of the month told of: 30 Nov."""
    return day(digest.weeks.month.until - timedelta(hours=1), digest)


def day(at: datetime, digest: Digest) -> str:
    """A day in the digest's time zone: 3 Dec."""
    local = at.astimezone(digest.weeks.zone)
    return f"{local.day} {local:%b}"


def mover(each: Mover) -> str:
    """What one key spent more or less, and on what."""
    parts = _because(each.models, each.delta_nusd)
    app = next((part for part in each.apps if 2 * abs(part[1]) >= abs(each.delta_nusd) > 0), None)
    parts += [f"app {_part(*app)}"] if app else []
    said = (
        f"{more(each.delta_nusd)} {key_name(each.line)}: {money(each.line.before_nusd)} → {money(each.line.spent_nusd)}"
    )
    return f"{said}; {', '.join(parts)}" if parts else said


def led_by(digest: Digest, part: OwnerWeek) -> str:
    """The key that made most of an owner's change; empty where nothing changed."""
    most = next((each for each in digest.movers if each.delta_nusd and each.line.owner == part.owner), None)
    return f"mostly {more(most.delta_nusd)} {key_name(most.line)}" if most else ""


def because(each: Mover) -> str:
    """What made the difference, without the key."""
    return ", ".join(_because(each.models, each.delta_nusd)) or "-"


def _because(parts: Sequence[tuple[str, int]], delta_nusd: int) -> list[str]:
    """The parts that make a tenth of it at least, two at most, and the rest in one where it is a twentieth."""
    told = [part for part in parts if 10 * abs(part[1]) >= abs(delta_nusd)][:_PARTS]
    rest = sum(nusd for _, nusd in parts) - sum(nusd for _, nusd in told)
    said = [_part(*part) for part in told]
    is_much = rest and 20 * abs(rest) >= abs(delta_nusd)
    return [*said, f"other models {more(rest)}"] if is_much else said


def _part(what: str, nusd: int) -> str:
    return f"{shorten(name(what), 60)} {more(nusd)}"


def limits_on_their_way(digest: Digest) -> list[LimitForecast]:
    """Limits that are reached, or may be before they reset."""
    return [each for each in digest.limits if each.outlook in ON_ITS_WAY]


def limit_line(digest: Digest, each: LimitForecast) -> str:
    """One key and its limit."""
    of = f"{money(max(each.remaining_nusd or 0, 0))} left of {money(each.limit_nusd)}"
    return f"{key_name_of(digest, each.key_hash)}: {outlook(digest, each)}, {of}"


def outlook(digest: Digest, each: LimitForecast) -> str:
    """When a limit is reached, in words."""
    reset = f", resets {day(each.resets_at, digest)}" if each.resets_at else ", never resets"
    if each.outlook is Outlook.REACHED:
        return f"limit reached{reset}"
    if each.outlook is Outlook.LIKELY and each.at:
        first = day(each.earliest or each.at, digest)
        last = day(each.latest, digest) if each.latest else ""
        around = "" if first == last else f" ({first} to {last})" if last else f" ({first} or later)"
        return f"limit likely reached on {day(each.at, digest)}{around}{reset}"
    if each.outlook is Outlook.POSSIBLE and each.earliest:
        return f"limit may be reached from {day(each.earliest, digest)}{reset}"
    if each.outlook is Outlook.UNLIKELY:
        return f"not before it resets{reset}" if each.resets_at else f"not within {LOOKS_AHEAD} days{reset}"
    return f"I don't know{f': {_DOUBTS[each.doubt]}' if each.doubt else ''}"


def balance(digest: Digest) -> str:
    """How the sum of the keys stands to the account's own total."""
    if digest.unattributed_nusd is None:
        return f"keys {to_the_cent(digest.spent_nusd)}; unattributed dollars of that week are not on record"
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


def incident_line(incident: Incident, called: str, review: str = "") -> str:
    """One incident of the week."""
    said = f", {_REVIEWS[review]}" if review in _REVIEWS else ""
    return (
        f"{called}: {money(incident.spent_nusd)} above usual since {moment(incident.onset_at)},"
        f" {_SEVERITIES[incident.severity]}, {incident.state.value}{said}, {incident.incident_id}"
    )


def incident_lines(digest: Digest) -> list[str]:
    """Every incident, with its key and what people said of it."""
    return [
        incident_line(each, key_name_of(digest, each.key_hash), str(digest.reviews.get(each.incident_id, "")))
        for each in digest.incidents
    ]


def action_line(action: Action, called: str) -> str:
    """One action of the week, and how it ended."""
    verb = _VERBS[action.verb]
    outcome = {
        ActionState.DONE: verb,
        ActionState.FAILED: f"could NOT be {verb}",
        ActionState.EXPIRED: f"was not {verb} in time",
        ActionState.INTENDED: f"is to be {verb}",
        ActionState.PROPOSED: f"waits to be {verb}",
        ActionState.APPROVED: f"may be {verb}",
        ActionState.DENIED: f"was not {verb}: denied by {name(action.decided_by, fallback='a person')}",
    }[action.state]
    return f"{called} {outcome}, {moment(action.finished_at or action.intended_at)}, by {name(action.requested_by)}"


def action_lines(digest: Digest) -> list[str]:
    """Every action."""
    return [action_line(each, key_name_of(digest, each.key_hash)) for each in digest.actions]


def probe_line(probe: Verdict, called: str) -> str:
    """Somebody tried what a key can do; alone it was no alert."""
    return f"{called}: {moment(probe.at)}, {shorten(one_line(probe.detail), 300)}"


def probe_lines(digest: Digest) -> list[str]:
    """Every probed key."""
    return [probe_line(each, key_name_of(digest, each.key_hash)) for each in digest.probes]


def limit(key: ApiKey | None) -> str:
    """A key's limit in a table."""
    if key is None or key.settings.limit_usd is None:
        return "none" if key else "?"
    reset = f" {name(key.settings.limit_reset)}" if key.settings.limit_reset else ""
    return f"{dollars(key.settings.limit_usd)}{reset}"


def state(line: KeyWeek) -> str:
    """A key's state in a table."""
    return "disabled" if line.key and line.key.settings.is_disabled else "live" if line.key else "gone"


def names(lines: Sequence[KeyWeek]) -> list[str]:
    """Keys as a list of names."""
    return [key_name(each) for each in lines]
