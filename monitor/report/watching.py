"""How the monitor did: its alerts against the budget, how soon it saw, what it saved, and when it did not watch. Pure."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from monitor.domain import HOUR_S, Action, ActionState, Finding, Incident, Verb
from monitor.report.figures import Alerts
from monitor.report.weeks import Window


class Review(enum.StrEnum):
    """What people said of an incident."""

    FALSE_ALARM = "false_alarm"
    REVIEWED = "reviewed"
    UNREVIEWED = "unreviewed"


def alerts(
    incidents: Iterable[Incident],
    disables: Sequence[Action],
    *,
    week: Window,
    reviews: Mapping[str, Review],
    budget: float,
    findings: Sequence[Finding],
    people_within: timedelta,
) -> Alerts:
    """The incidents opened in the week. `reviews` by incident_id; an absent one is unreviewed. `disables`: the week's actions.

    Saved is an estimate: the unusual dollars an hour of the last finding before a key was disabled, for as long as people were
    assumed not to look (`response.people_within`), at most what its limit still allowed. Nothing is counted as saved where
    the alarm was false."""
    opened = [each for each in incidents if each.opened_at in week]
    told = [reviews.get(each.incident_id, Review.UNREVIEWED) for each in opened]
    took = [max(each.opened_at - each.onset_at, timedelta()) for each in opened]
    stopped = [
        each
        for each in disables
        if each.verb is Verb.DISABLE and each.state is ActionState.DONE and each.incident_id is not None
    ]
    real = [each for each in stopped if reviews.get(each.incident_id or "") is not Review.FALSE_ALARM]
    return Alerts(
        n_opened=len(opened),
        n_false=told.count(Review.FALSE_ALARM),
        n_unreviewed=told.count(Review.UNREVIEWED),
        budget=budget,
        median_to_detect=_median(took),
        longest_to_detect=max(took, default=None),
        n_disabled=len({each.key_hash for each in stopped}),
        unusual_nusd=sum(each.spent_nusd for each in opened),
        saved_nusd=sum(_saved(each, findings, people_within) for each in real),
    )


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=statistics.median(each.total_seconds() for each in spans)) if spans else None


def silences_in(
    window: Window, gaps: Iterable[tuple[datetime, datetime]], *, last_cycle_at: datetime | None
) -> tuple[tuple[datetime, datetime], ...]:
    """The parts of `gaps` that lie in the window, oldest first; after the last cycle there was none."""
    spans = [*gaps, *([(last_cycle_at, window.until)] if last_cycle_at and last_cycle_at < window.until else [])]
    clipped = ((max(since, window.since), min(until, window.until)) for since, until in sorted(spans))
    return tuple((since, until) for since, until in clipped if since < until)


def _saved(action: Action, findings: Sequence[Finding], people_within: timedelta) -> int:
    before = [each for each in findings if each.key_hash == action.key_hash and each.at <= action.intended_at]
    if not before:
        return 0
    spend = max(before, key=lambda each: each.at).spend
    saved = spend.unusual_per_hour_nusd * int(people_within.total_seconds()) // HOUR_S
    return saved if spend.limit_remaining_nusd is None else min(saved, max(0, spend.limit_remaining_nusd))
