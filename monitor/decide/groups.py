"""Incidents that belong together, for people: by owner, by model, or by the platform event or source trouble behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.domain import Dimension, Incident, IncidentKind

NOBODY = "nobody named"


@dataclass(frozen=True, slots=True)
class Group:
    """Incidents of keys with one cause in common, most dollars at risk first. Each incident is in exactly one group."""

    cause: str
    incidents: tuple[Incident, ...]

    @property
    def at_risk_nusd(self) -> int:
        """Dollars at risk of all of them."""
        return sum(each.at_risk_nusd for each in self.incidents)


def by_owner(incidents: Iterable[Incident], owners: Mapping[str, str]) -> tuple[Group, ...]:
    """By whom the keys belong to."""
    return _grouped((owners.get(each.key_hash) or NOBODY, each) for each in _of_keys(incidents))


def by_model(incidents: Iterable[Incident]) -> tuple[Group, ...]:
    """By the model that cost most of what is unusual; keys without one are a group of their own."""
    return _grouped((_model(each), each) for each in _of_keys(incidents))


def by_platform(incidents: Iterable[Incident]) -> tuple[Group, ...]:
    """By the platform event or source trouble that explains them; what nothing explains is one group."""
    return _grouped((each.part_of or "on its own", each) for each in _of_keys(incidents))


def _of_keys(incidents: Iterable[Incident]) -> Iterable[Incident]:
    return (each for each in incidents if each.kind is IncidentKind.KEY)


def _model(incident: Incident) -> str:
    models = [cause for cause in incident.causes if cause.dimension is Dimension.MODEL]
    return max(models, key=lambda cause: (cause.cost_nusd, cause.value)).value if models else "no single model"


def _grouped(pairs: Iterable[tuple[str, Incident]]) -> tuple[Group, ...]:
    groups: dict[str, list[Incident]] = {}
    for cause, incident in pairs:
        groups.setdefault(cause, []).append(incident)
    made = [
        Group(cause, tuple(sorted(mine, key=lambda each: (-each.at_risk_nusd, each.incident_id))))
        for cause, mine in groups.items()
    ]
    return tuple(sorted(made, key=lambda group: (-group.at_risk_nusd, group.cause)))
