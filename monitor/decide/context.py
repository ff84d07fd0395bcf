"""What `decide` knows beside the findings: the facts of one moment, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.domain import Action, ApiKey, Belonging, DataQuality, Incident, Silence, Verdict


@dataclass(frozen=True, slots=True)
class Context:
    """Facts of one moment. What is missing here makes decisions more careful, never bolder.

    `incidents`: all that are not over, and those that ended within `response.cooldown` or may be reopened (older ones do no
    harm). `silences`: those in force; `belonging`: whose keys are whose, by which some of them match.
    `actions`: the journal of at least 24 hours and `response.cooldown`, and every action still INTENDED, in any order.
    `verdicts`: recent ones, oldest first; at least the latest of each open incident, so that none is written twice.
    `keys`: the inventory by hash, disabled keys included; a key that is absent is never acted upon.
    `vanished`: hashes the issuer confirmed as gone; their incidents are closed.
    `quality`: how far each key's usage can be trusted; a key without an entry counts with its finding's own quality and
    keeps its incidents open. `n_live_keys`: keys not disabled, for the fuse by share.
    `is_enforcing`: False keeps everything automatic off whatever `response.mode` says (nothing armed yet, a replay).
    `reenabled_at`: when a person last switched a key on again outside this program, by hash; `n_reenabled`: how often in 30 days.
    `owners`: owner of a key as the routes name it, by hash; `workspaces`: name by id.
    `usual_day_nusd`: normal spend of a day by hash, as far as it is known; `fleet_day_nusd`: that of all keys together.
    `proven`: ids of disables seen to take effect (read back, and the counter stood still afterwards); `needs_canary` False:
    all are taken for it. `grown_nusd`: by id of an action that should have stopped a key, what its counter grew later than
    `response.escalate_after`."""

    incidents: tuple[Incident, ...] = ()
    actions: tuple[Action, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    vanished: frozenset[str] = frozenset()
    quality: Mapping[str, DataQuality] = field(default_factory=dict)
    n_live_keys: int = 0
    is_kill_switch_on: bool = False
    source_is_healthy: bool = True
    is_enforcing: bool = False
    reenabled_at: Mapping[str, datetime] = field(default_factory=dict)
    n_reenabled: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    workspaces: Mapping[str, str] = field(default_factory=dict)
    usual_day_nusd: Mapping[str, int] = field(default_factory=dict)
    fleet_day_nusd: int = 0
    proven: frozenset[str] = frozenset()
    needs_canary: bool = True
    grown_nusd: Mapping[str, int] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    belonging: Belonging = field(default_factory=lambda: Belonging({}, {}))
