"""Figures, incidents and hourly spend of a replay -> what its report shows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import HOUR_S, Incident
from monitor.frames import Catalog
from monitor.report.replay.figures import Summary
from monitor.report.replay.values import (
    Day,
    Facts,
    Floats,
    Ints,
    Model,
    Picture,
    ReplayReport,
    Row,
    groups,
)

MAX_ACTED: Final = 80
"""Pictures of keys that would have been acted on: what keeps the page below three megabytes. The dearest are kept."""

MAX_ALERTED: Final = 20
"""Pictures of keys that would only have been alerted on. The dearest are kept."""

N_MODELS: Final = 4
"""Models with a color of their own; the others are one."""

Usual = Callable[[int], tuple[Ints, Floats]]
"""key_no -> (starts of hours in epoch seconds, nano-dollars expected; NaN where that was not known)."""

Bools = npt.NDArray[np.bool_]


def build(
    summary: Summary,
    incidents: Iterable[Incident],
    *,
    hourly: pd.DataFrame,
    usual: Usual,
    catalog: Catalog,
    title: str,
    made_at: datetime,
    policy: Facts,
    detector: Facts,
) -> ReplayReport:
    """The report of a replay.

    `incidents`: those that `summary.cases` tell of. `hourly`: columns hour_s (epoch seconds of its start), key_no, value_no (of the
    model), cost_nusd; an hour without a row cost nothing, or is not known (`summary.gaps`). `detector`: empty where none judged."""
    told = {incident.incident_id: incident for incident in incidents}
    rows = tuple(Row(case, told[case.incident_id]) for case in summary.cases)
    spend = _Spend.of(hourly, rows, catalog=catalog, usual=usual, summary=summary)
    pictured = _pictured(rows)
    return ReplayReport(
        title=title,
        made_at=made_at,
        summary=summary,
        policy=policy,
        detector=detector,
        has_detector=bool(detector),
        rows=rows,
        days=_days(hourly, rows, spend, summary=summary),
        pictures=tuple(_picture(own, hourly, spend, catalog=catalog) for own in pictured),
        n_without_picture=summary.n_alerted_keys - len(pictured),
        owners=groups(rows, by_owner=True),
        keys=groups(rows, by_owner=False),
    )


@dataclass(frozen=True, slots=True)
class _Spend:
    """Hours (starts in epoch seconds) x keys with incidents (`number`: key_hash -> row): what was usual, and which hours touch an
    incident; `excess_nusd`: spend above the usual in these hours. `key_no`: -1 for keys without any usage."""

    hours_s: Ints
    number: Mapping[str, int]
    key_no: Ints
    usual_nusd: Floats
    is_incident: Bools
    excess_nusd: Ints

    @classmethod
    def of(
        cls, hourly: pd.DataFrame, rows: Sequence[Row], *, catalog: Catalog, usual: Usual, summary: Summary
    ) -> _Spend:
        """Of the keys with incidents, over the hours of the time decided on."""
        since_s, until_s = int(summary.since.timestamp()), int(summary.until.timestamp())
        hours = np.arange(since_s // HOUR_S * HOUR_S, until_s, HOUR_S, dtype=np.int64)
        number = {key_hash: no for no, key_hash in enumerate(dict.fromkeys(row.case.key_hash for row in rows))}
        known = [catalog.known_key_no(key_hash) for key_hash in number]
        key_no = np.array([-1 if no is None else no for no in known], dtype=np.int64)
        expected = np.full((len(number), len(hours)), np.nan)
        for row, no in enumerate(key_no.tolist()):
            if no >= 0:
                expected[row] = _aligned(*usual(no), hours)
        is_incident = np.zeros(expected.shape, dtype=np.bool_)
        for each in rows:
            onset_s, end_s = each.incident.onset_at.timestamp(), each.incident.last_seen_at.timestamp()
            is_incident[number[each.case.key_hash]] |= (hours + HOUR_S > onset_s) & (hours < end_s)
        spent = _matrix(hourly, hours, key_no)
        excess = np.maximum(spent - np.nan_to_num(expected, nan=0.0), 0.0) * is_incident
        return cls(hours, number, key_no, expected, is_incident, np.rint(excess).astype(np.int64))


def _aligned(at: Ints, nusd: Floats, hours: Ints) -> Floats:
    """What was expected of each of `hours`, NaN where nothing was said of it."""
    found = np.full(len(hours), np.nan)
    place = np.searchsorted(hours, at)
    is_inside = place < len(hours)
    is_inside[is_inside] = hours[place[is_inside]] == at[is_inside]
    found[place[is_inside]] = nusd[is_inside]
    return found


def _matrix(hourly: pd.DataFrame, hours: Ints, key_no: Ints) -> Ints:
    """Spend by key (in the order of `key_no`) and hour; rows of other keys and hours are left out."""
    sums = np.zeros((len(key_no), len(hours)), dtype=np.int64)
    if not len(key_no) or not len(hours):
        return sums
    order = np.argsort(key_no, kind="stable")
    at, owner = hourly["hour_s"].to_numpy(np.int64), hourly["key_no"].to_numpy(np.int64)
    place = np.minimum(np.searchsorted(key_no[order], owner), len(key_no) - 1)
    column = (at - hours[0]) // HOUR_S
    is_ours = (key_no[order][place] == owner) & (column >= 0) & (column < len(hours))
    cost = hourly["cost_nusd"].to_numpy(np.int64)
    np.add.at(sums, (order[place[is_ours]], column[is_ours]), cost[is_ours])
    return sums


def _days(hourly: pd.DataFrame, rows: Sequence[Row], spend: _Spend, *, summary: Summary) -> tuple[Day, ...]:
    first = summary.since.replace(hour=0, minute=0, second=0, microsecond=0)
    n_days = max(0, -((first - summary.until) // timedelta(days=1)))
    edges = [first + timedelta(days=no) for no in range(n_days + 1)]
    at = hourly["hour_s"].to_numpy(np.int64)
    spent = _by_day(at, hourly["cost_nusd"].to_numpy(np.int64), edges)
    unusual = _by_day(spend.hours_s, spend.excess_nusd.sum(axis=0), edges)
    return tuple(
        _day(rows, since, until, spent_nusd=spent[no], unusual_nusd=unusual[no], summary=summary)
        for no, (since, until) in enumerate(pairwise(edges))
    )


def _by_day(hours_s: Ints, nusd: Ints, edges: Sequence[datetime]) -> list[int]:
    days = np.searchsorted([int(edge.timestamp()) for edge in edges], hours_s, side="right") - 1
    is_inside = (days >= 0) & (days < len(edges) - 1)
    sums = np.zeros(max(len(edges) - 1, 0), dtype=np.int64)
    np.add.at(sums, days[is_inside], nusd[is_inside])
    found: list[int] = sums.tolist()
    return found


def _day(
    rows: Sequence[Row], since: datetime, until: datetime, *, spent_nusd: int, unusual_nusd: int, summary: Summary
) -> Day:
    """A moment of decision is the end of a bucket: what is opened at midnight belongs to the day that ends."""
    own = [row.case for row in rows if since < row.case.opened_at <= until]
    n_disabled = sum(case.disabled_at is not None for case in own)
    n_capped = sum(case.capped_at is not None and case.disabled_at is None for case in own)
    return Day(
        since=max(since, summary.since),
        until=min(until, summary.until),
        n_alerted=len(own) - n_disabled - n_capped,
        n_capped=n_capped,
        n_disabled=n_disabled,
        spent_nusd=spent_nusd,
        unusual_nusd=unusual_nusd,
    )


def _pictured(rows: Sequence[Row]) -> list[tuple[Row, ...]]:
    """Rows of the keys that get a picture: those acted on, in the order of time, then those alerted on."""
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row.case.key_hash, []).append(row)
    acted = [own for own in by_key.values() if any(row.case.disabled_at or row.case.capped_at for row in own)]
    alerted = [own for own in by_key.values() if own not in acted]
    kept = (*_dearest(acted, MAX_ACTED), *_dearest(alerted, MAX_ALERTED))
    return [tuple(own) for own in kept]


def _dearest(keys: list[list[Row]], n_most: int) -> list[list[Row]]:
    """The dearest by spend above the usual, in the order they came."""
    ranked = sorted(keys, key=lambda own: (-sum(row.case.spent_nusd for row in own), own[0].case.key_hash))
    kept = {own[0].case.key_hash for own in ranked[:n_most]}
    return [own for own in keys if own[0].case.key_hash in kept]


def _picture(rows: tuple[Row, ...], hourly: pd.DataFrame, spend: _Spend, *, catalog: Catalog) -> Picture:
    case = rows[0].case
    no = spend.number[case.key_hash]
    own = hourly[(hourly["key_no"] == int(spend.key_no[no])).to_numpy()]
    return Picture(
        key_hash=case.key_hash,
        key_name=case.key_name,
        owner=case.owner,
        rows=rows,
        hours_s=spend.hours_s,
        usual_nusd=spend.usual_nusd[no],
        models=_models(own, spend.hours_s, spend.is_incident[no], catalog=catalog),
    )


def _models(own: pd.DataFrame, hours: Ints, is_incident: Bools, *, catalog: Catalog) -> tuple[Model, ...]:
    """The two models dearest in the incidents' hours, then the dearest of all, then the others as one.

    Stacked from below by how little they have to do with incidents: what is odd is on top, and what is usual stands still."""
    values = np.unique(own["value_no"].to_numpy(np.int64))
    cost = _matrix(own.assign(key_no=own["value_no"]), hours, values)
    spent, inside = cost.sum(axis=1), cost[:, is_incident].sum(axis=1)
    dearest = np.lexsort((values, -spent, -inside))[:2].tolist()
    dearest += [no for no in np.lexsort((values, -spent)).tolist() if no not in dearest]
    named, rest = dearest[:N_MODELS], dearest[N_MODELS:]
    named.sort(key=lambda no: (inside[no] / max(int(spent[no]), 1), -int(spent[no]), no))
    made = [_model(catalog.value(int(values[no])), cost[no], is_incident) for no in named]
    if rest:
        made.insert(0, _model(None, cost[rest].sum(axis=0), is_incident))
    return tuple(made)


def _model(model: str | None, cost_nusd: Ints, is_incident: Bools) -> Model:
    return Model(model, cost_nusd, int(cost_nusd.sum()), int(cost_nusd[is_incident].sum()))
