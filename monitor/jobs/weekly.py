"""The digest of a week, made from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from monitor import frames
from monitor.config import Settings
from monitor.decide.incidents import FALSE_ALARM_RESOLUTION, KEY_GONE_RESOLUTION
from monitor.domain import Dimension, Incident, IncidentKind, IncidentState, Reason
from monitor.domain.audit import head_line
from monitor.jobs import arming, rehearsed, silences, unattributed
from monitor.jobs.owners import creators as creators_of
from monitor.notify import routing
from monitor.report import digest as digests
from monitor.report import watching
from monitor.report.account import account_total
from monitor.report.figures import Digest, Health
from monitor.report.history import condense
from monitor.report.watching import Review
from monitor.report.weeks import Weeks, Window, weeks_before
from monitor.store.base import Delivery, Store

NEAR: Final = timedelta(minutes=15)
"""A sample of the counters stands for a week's end if it was taken this near to it."""

_BY_ITSELF: Final = "nothing unusual for"


def make(store: Store, settings: Settings, now: datetime, *, weeks: Weeks | None = None) -> Digest:
    """The digest of `weeks`, by default of the seven whole days before `now`'s day. Raises StoreError."""
    weeks = weeks or weeks_before(now, settings.digest.zone)
    current = weeks.current
    keys, everything = store.keys.keys(), store.keys.keys(include_vanished=True)
    owners = routing.owners(
        everything,
        routes=settings.routes,
        workspaces=store.keys.workspaces(),
        creators=creators_of(store, settings),
    )
    incidents, actions = (
        _of_keys(store.ledger.incidents(since=current.since)),
        [each for each in store.ledger.actions(since=current.since) if each.reason is not Reason.REHEARSAL],
    )
    judged = {each.incident_id for each in store.feedback.said() if each.incident_id}
    reviews = {each.incident_id: review_of(each, is_judged=each.incident_id in judged) for each in incidents}
    return digests.build(
        condense(_usage(store, weeks), weeks.edges),
        weeks=weeks,
        now=now,
        keys=keys,
        catalog=store.keys.catalog,
        owners=owners,
        incidents=incidents,
        actions=actions,
        coverage=store.usage.coverage(weeks.edges[0], weeks.edges[-1]),
        unattributed_nusd=unattributed.of(store, current, now=now),
        account_total_nusd=counted(store, current),
        verdicts=store.ledger.verdicts(current.since),
        gone_names={key.key_hash: key.key_name for key in everything},
        warnings=arming.warnings(store, settings, now),
        alerts=watching.alerts(
            incidents,
            [each for each in actions if each.intended_at in current],
            week=current,
            reviews=reviews,
            budget=settings.detection.max_false_alerts_per_week,
            findings=store.ledger.findings(current.since - timedelta(days=1)),
            people_within=settings.response.people_within,
        ),
        reviews=reviews,
        health=health(store, settings, current, now),
        audit_head=head_line(store.audit.head()),
    )


def _of_keys(incidents: tuple[Incident, ...]) -> tuple[Incident, ...]:
    """Those of keys: a platform event is told of by its keys, and its dollars are theirs."""
    return tuple(each for each in incidents if each.kind is IncidentKind.KEY)


def review_of(incident: Incident, *, is_judged: bool = False) -> Review:
    """What people said of an incident. Acknowledging it, or ending it in any way but by itself, is a word too; `is_judged`:
    somebody gave feedback on it."""
    if incident.resolution == FALSE_ALARM_RESOLUTION:
        return Review.FALSE_ALARM
    if is_judged or incident.state is IncidentState.ACKNOWLEDGED:
        return Review.REVIEWED
    ended = incident.resolution or ""
    is_by_itself = not ended or ended == KEY_GONE_RESOLUTION or ended.startswith(_BY_ITSELF)
    return Review.UNREVIEWED if is_by_itself else Review.REVIEWED


def health(store: Store, settings: Settings, week: Window, now: datetime) -> Health:
    """How the monitor itself did in a week, and its last rehearsal as of now. Raises StoreError."""
    watched, status = silences.read(store), store.state.get("status") or {}
    since = max(week.since, watched.since) if watched.since else week.until
    spans = watching.silences_in(
        Window(since, week.until) if since < week.until else Window(week.until, week.until),
        watched.spans,
        last_cycle_at=watched.last_at,
    )
    silent = sum((until - begin for begin, until in spans), timedelta())
    dead = store.outbox.entries(states={Delivery.DEAD})
    return Health(
        watched_since=watched.since,
        silences=spans,
        watched=max(week.until - since, timedelta()) - silent,
        mode=settings.response.mode,
        detector=str(status.get("detector", "")),
        troubles=tuple(_texts(status.get("troubles"))),
        n_undelivered=sum(1 for each in dead if each.message.created_at and each.message.created_at >= week.since),
        rehearsal=rehearsed.last(store, now),
    )


def counted(store: Store, window: Window) -> int | None:
    """What the counters of all keys rose by in the window, by the samples nearest to its ends; None where they do not tell."""
    numbers = ((store.keys.catalog.known_key_no(key.key_hash), key) for key in store.keys.keys(include_vanished=True))
    born = {number: key.created_at for number, key in numbers if number is not None}
    ends = [_nearest(store.usage.counters(at - NEAR, at + NEAR), at) for at in (window.since, window.until)]
    return account_total(ends[0], ends[1], window=window, created_at=born)


def _usage(store: Store, weeks: Weeks) -> Iterator[pd.DataFrame]:
    """Week by week: all of it at once would not fit where there are many keys. Apps are told of two weeks only, and of providers
    and countries nothing is said."""
    edges = weeks.edges[::7]
    for since, until in pairwise(edges):
        wanted = {Dimension.MODEL, Dimension.APP} if since >= weeks.previous.since else {Dimension.MODEL}
        yield store.usage.read_hourly(since, until, dimensions=wanted)


def _nearest(samples: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """Each key's sample nearest to a moment."""
    distance_s = np.abs(frames.epoch_s(samples["sampled_at"]) - int(at.timestamp()))
    return samples.iloc[np.argsort(distance_s, kind="stable")].drop_duplicates("key_no")


def _texts(value: object) -> Iterable[str]:
    return (str(each) for each in value) if isinstance(value, list | tuple) else ()
