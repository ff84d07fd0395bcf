"""Which keys somebody must act on, and in which order keys are told: pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.domain import Action, ApiKey, Incident

MOST_ACTIONS: Final = 5
LONG_AGO: Final = timedelta(days=30)
"""A key that we disabled earlier than this is nobody's concern any more: it can still be put back."""

FEW: Final = 3
"""So many quiet keys are told like the others: folding them would save nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one key stands. `usual_day_nusd`: the mean of its whole days of four weeks, None where too few are known. `incidents`:
    those not over with the address of their message, worst first. `actions`: newest first. `stopped`: the action of ours that is
    still in force and that a restore would undo."""

    key: ApiKey
    workspace_name: str = ""
    usual_day_nusd: int | None = None
    incidents: tuple[tuple[Incident, str], ...] = ()
    actions: tuple[Action, ...] = ()
    stopped: Action | None = None


class Group(enum.IntEnum):
    """What a key asks of people, most urgent first."""

    INCIDENTS = 0
    STOPPED = 1
    SPENDING = 2
    QUIET = 3


def grouped(standings: Sequence[Standing], as_of: datetime | None) -> Mapping[Group, tuple[Standing, ...]]:
    """Every group with its keys in order. Few quiet keys join those that spend."""
    groups: dict[Group, list[Standing]] = {group: [] for group in Group}
    for each in standings:
        groups[_group(each, as_of)].append(each)
    if len(groups[Group.QUIET]) <= FEW:
        groups[Group.SPENDING] += groups[Group.QUIET]
        groups[Group.QUIET] = []
    return {group: tuple(sorted(members, key=_rank)) for group, members in groups.items()}


def ordered(standings: Sequence[Standing], as_of: datetime | None) -> tuple[Standing, ...]:
    """All of them, in the order in which they are told."""
    return tuple(each for members in grouped(standings, as_of).values() for each in members)


def _group(standing: Standing, as_of: datetime | None) -> Group:
    if standing.incidents:
        return Group.INCIDENTS
    if standing.stopped is not None and not _is_long_ago(standing.stopped, as_of):
        return Group.STOPPED
    return Group.QUIET if standing.key.settings.is_disabled or _is_idle(standing) else Group.SPENDING


def _is_long_ago(action: Action, as_of: datetime | None) -> bool:
    return as_of is not None and as_of - (action.finished_at or action.intended_at) > LONG_AGO


def _is_idle(standing: Standing) -> bool:
    """No usage in any figure. A week begins on Monday: what is usual, or spent this month, still counts then."""
    key = standing.key
    spent = (key.usage_daily_nusd, key.usage_weekly_nusd, key.usage_monthly_nusd, standing.usual_day_nusd or 0)
    return all(each == 0 for each in spent)


def _rank(standing: Standing) -> tuple[int, int, bool, int, int, int, str]:
    alive = [incident for incident, _ in standing.incidents]
    key = standing.key
    return (
        -max((int(each.severity) for each in alive), default=-1),
        -sum(each.at_risk_nusd for each in alive),
        key.settings.is_disabled and standing.stopped is None,
        -(key.usage_weekly_nusd or 0),
        -(key.usage_daily_nusd or 0),
        -(standing.usual_day_nusd or 0),
        key.key_hash,
    )
