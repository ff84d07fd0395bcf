"""What a replay's report says in sentences: what one may conclude, by which policy, and what no replay can show. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from monitor.config import Settings
from monitor.domain import Reason
from monitor.report.replay.values import Facts, ReplayReport
from monitor.wording import REASONS, count, dollars, duration, moment, share

TOO_SHORT: Final = timedelta(days=3)
A_WEEK: Final = timedelta(days=7)
MUCH_UNKNOWN: Final = 0.1
MANY_KEYS: Final = 0.02
"""Share of keys acted on in a replay above which a policy looks too bold: thefts are rarer than that in most accounts."""

_FUSES: Final = (Reason.FUSE_HOUR, Reason.FUSE_DAY, Reason.FUSE_SHARE)


class Mood(enum.StrEnum):
    """How arming looks."""

    NOT_YET = "not-yet"
    LOOK = "look"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one may conclude: a sentence, and the points it rests on. `concerns`: what speaks against arming now."""

    mood: Mood
    headline: str
    concerns: tuple[str, ...]
    points: tuple[str, ...]


def opinion(report: ReplayReport) -> Opinion:
    """Whether arming looks safe. Never a promise: a replay knows neither the thefts of tomorrow nor what was right."""
    concerns, n_acted = _concerns(report), report.n_acted_on
    if concerns:
        mood, headline = Mood.NOT_YET, "Not yet: clear these points up before you arm."
    elif n_acted:
        those = (
            "the key it would have acted on" if n_acted == 1 else f"each of the {n_acted:,} keys it would have acted on"
        )
        mood, headline = Mood.LOOK, f"Nothing speaks against arming at first sight. Look at {those} before you arm."
    else:
        mood, headline = Mood.QUIET, "No key would have been touched: arming would have changed nothing in this time."
    return Opinion(mood, headline, concerns, _points(report))


def _concerns(report: ReplayReport) -> tuple[str, ...]:
    summary, n_keys = report.summary, max(report.summary.n_keys, 1)
    found = []
    if summary.alerts_per_week > summary.max_false_alerts_per_week:
        found.append(
            f"It would have alerted {summary.alerts_per_week:.1f} times a week, and you asked for at most "
            f"{summary.max_false_alerts_per_week:g} false alerts a week. Unless the rest were thefts, it is too loud."
        )
    if report.n_acted_on > max(1, MANY_KEYS * n_keys):
        found.append(
            f"It would have acted on {share(report.n_acted_on / n_keys)} of your keys in {duration(report.length)}. "
            "Thefts are rarer than that in most accounts: if these were none, the policy is too bold."
        )
    if report.length < TOO_SHORT:
        found.append(f"Only {duration(report.length)} were decided on: too little to judge a policy by.")
    if report.unknown_share > MUCH_UNKNOWN:
        found.append(f"{share(report.unknown_share)} of the time is not known: nothing was judged there.")
    if not report.has_detector:
        found.append("No detector judged, only hard rules and limits: there was too little history to train one.")
    return tuple(found)


def _points(report: ReplayReport) -> tuple[str, ...]:
    summary = report.summary
    found = []
    if report.n_acted_on:
        found.append("For each of them ask its owner: would it have been right to switch it off at that moment?")
    held_back = sum(summary.not_acted.get(reason.value, 0) for reason in _FUSES)
    if held_back:
        found.append(f"The fuses held back {count(held_back, 'incident')}: with wider ones more would have been done.")
    if summary.alerts_per_week <= summary.max_false_alerts_per_week:
        found.append(
            f"{count(len(summary.cases), 'incident')} ({summary.alerts_per_week:.1f} a week) stay within the "
            f"{summary.max_false_alerts_per_week:g} false alerts a week you asked for, even if none was a theft."
        )
    if TOO_SHORT <= report.length < A_WEEK:
        found.append(f"{duration(report.length)} are less than a week: not every day of the week was seen.")
    if not summary.cases:
        found.append("A quiet time does not show what would be done about a theft; `demo` does.")
    return tuple(found)


def policy(settings: Settings) -> Facts:
    """The settings that decide what is told and what is done, as (what, how much)."""
    detection, response = settings.detection, settings.response
    protected = count(len(response.protected_keys), "pattern") if response.protected_keys else "none"
    return (
        ("Mode", f"replayed as enforce (response.mode is {response.mode})"),
        ("Alert budget", f"{detection.max_false_alerts_per_week:g} false alerts a week, whole fleet"),
        ("Alerts from", f"{dollars(detection.min_usd_per_hour)}/h unusual"),
        ("Disables from", f"{dollars(response.min_usd_per_hour)}/h unusual"),
        (
            "Fuses",
            f"{response.max_per_hour} an hour, {response.max_per_day} a day, {share(response.max_share_of_keys)} of keys a day",
        ),
        ("Keys together", f"from {response.correlated_keys} at once, nothing automatic"),
        ("Protected keys", protected),
        ("Cooldown", duration(response.cooldown)),
        ("Hard rules", count(len(detection.rules), "rule") if detection.rules else "none"),
        ("People look within", duration(response.people_within)),
        ("Incidents end after", f"{duration(settings.incidents.resolve_after)} without anything unusual"),
    )


def data(report: ReplayReport) -> Facts:
    """What was replayed, as (what, how much)."""
    summary = report.summary
    taught = summary.since - summary.history_since
    unknown = f"{duration(summary.unknown)} ({share(report.unknown_share)})" if summary.unknown else "all of it known"
    return (
        ("Decided on", f"{moment(summary.since)} to {moment(summary.until)}"),
        ("Taught by", f"{duration(taught)} before that" if taught else "nothing before that"),
        ("Not known", unknown),
        ("Keys", f"{summary.n_keys:,}, deleted ones included"),
        ("Incidents", f"{len(summary.cases):,} on {count(summary.n_alerted_keys, 'key')}"),
    )


def meaning(reason: str) -> str:
    """Why nothing, or not more, was done: a `Reason` by its value, in words; as it stands where there is no such reason."""
    return _MEANT.get(reason, reason)


def reasons(not_acted: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """(reason, what it means, incidents) of each reason why nothing, or not more, was done."""
    return [(reason, meaning(reason), n) for reason, n in not_acted.items()]


_MEANT: Final = {reason.value: words for reason, words in REASONS.items()}

CANNOT_SEE: Final = (
    (
        "Which incidents were thefts",
        "Nothing here is labelled. A high count can mean a loud policy or a bad week; only people can tell, key by key.",
    ),
    (
        "Thefts nobody noticed",
        "What stayed below the policy is not in this report: cheap abuse, a thief with the key's own habits, a key in its first day.",
    ),
    (
        "What people would have done",
        "Nobody restored a key, called an alert false or silenced one. After a simulated disable the recorded traffic goes on, and the "
        "key counts as restored once its incident is over; so the dollars stopped are an estimate.",
    ),
    (
        "Keys as they were set up then",
        "All keys count as switched on and without a limit: settings, limits and counters are known for today only.",
    ),
    (
        "How late data came",
        "Each bucket counts as read at its end, in its last corrected form. In life readings are later, but the counters of keys, which "
        "are read every minute and are not replayed, are faster.",
    ),
    (
        "The detector of each day",
        "One detector judges all of the time; the service trains a new one every day.",
    ),
    (
        "The future",
        "The next thief may do something else, and so may your teams. Replay again when the fleet or the policy changes.",
    ),
)
"""What no replay shows, as (what, why)."""
