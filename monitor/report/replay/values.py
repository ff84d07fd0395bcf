"""What the HTML report of a replay shows, as frozen values. Text from outside stands here as it came: the page escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from monitor.domain import Incident
from monitor.report.replay.figures import Case, Summary

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One incident in full: `case` has its figures, `incident` the evidence."""

    case: Case
    incident: Incident


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day, cut to the time that was decided on. Incidents count on the day they were opened, each once, by the most that
    would have been done. `unusual_nusd`: what keys spent above their usual in the whole hours of incidents."""

    since: datetime
    until: datetime
    n_alerted: int
    n_capped: int
    n_disabled: int
    spent_nusd: int
    unusual_nusd: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a key spent on; None is all the others together. `cost_nusd`: by hour."""

    model: str | None
    cost_nusd: Ints
    spent_nusd: int
    in_incidents_nusd: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One key over the time decided on, hour by hour.

    `hours_s`: starts in epoch seconds, without gaps; `usual_nusd`: what was expected of each, NaN where that was not known;
    `models`: at most five, in the order they are stacked from below, all others together the lowest."""

    key_hash: str
    key_name: str
    owner: str
    rows: tuple[Row, ...]
    hours_s: Ints
    usual_nusd: Floats
    models: tuple[Model, ...]

    @property
    def is_acted_on(self) -> bool:
        """Whether it would have been capped or disabled."""
        return any(row.case.disabled_at or row.case.capped_at for row in self.rows)

    @property
    def places(self) -> tuple[int, ...]:
        """Which color each of `models` has: 1, 2 … from below, 0 for all others together."""
        n_unnamed = sum(model.model is None for model in self.models)
        return tuple(0 if model.model is None else no - n_unnamed + 1 for no, model in enumerate(self.models))

    @property
    def spent_nusd(self) -> Ints:
        """By hour, all models."""
        total: Ints = np.zeros(len(self.hours_s), dtype=np.int64)
        return total + np.sum([model.cost_nusd for model in self.models], axis=0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Group:
    """Incidents of one key, or of the keys of one owner. `owner` may be empty; `key_hash` is empty where it is an owner's group.
    `n_alerts`: messages at most: an incident alerts when it opens, and each time it gets worse by a step."""

    owner: str
    key_hash: str
    key_name: str
    n_keys: int
    n_incidents: int
    n_alerts: int
    n_capped: int
    n_disabled: int
    spent_nusd: int
    stopped_nusd: int


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Everything the page shows. `summary`: the figures, the same as everywhere else. `policy`, `detector`: (what, how much) in
    words; `has_detector` is False where only hard rules spoke. `pictures`: keys that would have been acted on first, then some that
    would have been alerted on; `n_without_picture`: keys with incidents that have none. `owners`, `keys`: most disturbed first."""

    title: str
    made_at: datetime
    summary: Summary
    policy: Facts
    detector: Facts
    has_detector: bool
    rows: tuple[Row, ...]
    days: tuple[Day, ...]
    pictures: tuple[Picture, ...]
    n_without_picture: int
    owners: tuple[Group, ...]
    keys: tuple[Group, ...]

    @property
    def length(self) -> timedelta:
        """Of the time decided on."""
        return self.summary.until - self.summary.since

    @property
    def unknown_share(self) -> float:
        """Share of the time decided on that is not known."""
        return self.summary.unknown / self.length if self.length else 0.0

    @property
    def n_acted_on(self) -> int:
        """Keys that would have been capped or disabled."""
        return len({row.case.key_hash for row in self.rows if row.case.disabled_at or row.case.capped_at})


def groups(rows: Sequence[Row], *, by_owner: bool) -> tuple[Group, ...]:
    """Incidents by owner, or by key; those with most incidents first. A key without an owner is an owner by itself."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        owner = row.case.owner if by_owner else ""
        found.setdefault(owner or row.case.key_hash, []).append(row)
    made = [_group(own, is_of_owner=by_owner and bool(own[0].case.owner)) for own in found.values()]
    return tuple(sorted(made, key=lambda each: (-each.n_incidents, -each.n_alerts, -each.spent_nusd, each.key_hash)))


def _group(rows: Sequence[Row], *, is_of_owner: bool) -> Group:
    cases = [row.case for row in rows]
    return Group(
        owner=cases[0].owner,
        key_hash="" if is_of_owner else cases[0].key_hash,
        key_name="" if is_of_owner else cases[0].key_name,
        n_keys=len({case.key_hash for case in cases}),
        n_incidents=len(cases),
        n_alerts=sum(row.incident.step for row in rows),
        n_capped=len({case.key_hash for case in cases if case.capped_at}),
        n_disabled=len({case.key_hash for case in cases if case.disabled_at}),
        spent_nusd=sum(case.spent_nusd for case in cases),
        stopped_nusd=sum(case.stopped_nusd for case in cases),
    )
