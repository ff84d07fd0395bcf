"""What a digest says, as frozen values: money in nano-dollars, every total the sum of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from monitor.domain import Action, ApiKey, Incident, Verdict
from monitor.report.forecast import Forecast
from monitor.report.gaps import Gaps
from monitor.report.hygiene import Debt
from monitor.report.limits import LimitForecast
from monitor.report.response_times import Summary
from monitor.report.weeks import Weeks


@dataclass(frozen=True, slots=True)
class KeyWeek:
    """One key in both weeks. `key` is None for a key that is no longer in the inventory; `gone_name` is what it was called.

    `norm_nusd`: what it spent in all weeks of the norm together, see `Digest.n_norm`. `by_day_nusd`: on each day of
    `weeks.edges`."""

    key_hash: str
    key: ApiKey | None
    owner: str
    spent_nusd: int
    before_nusd: int
    n_requests: int
    top_model: str
    n_unknown_hours: int
    gone_name: str = ""
    norm_nusd: int = 0
    by_day_nusd: tuple[int, ...] = ()

    @property
    def is_past(self) -> bool:
        """Gone, and nothing spent in either week: only the norm knows it still."""
        return self.key is None and not self.spent_nusd and not self.before_nusd and not self.n_requests


@dataclass(frozen=True, slots=True)
class ModelWeek:
    """One model in both weeks, and in those of the norm together."""

    model: str
    spent_nusd: int
    before_nusd: int
    n_requests: int
    norm_nusd: int = 0

    @property
    def is_past(self) -> bool:
        """Used in neither week: only the norm knows it still."""
        return not self.spent_nusd and not self.before_nusd and not self.n_requests


@dataclass(frozen=True, slots=True)
class OwnerWeek:
    """What belongs to one owner (empty: nobody named), dearest first."""

    owner: str
    spent_nusd: int
    before_nusd: int
    keys: tuple[KeyWeek, ...]
    models: tuple[ModelWeek, ...]
    incidents: tuple[Incident, ...]
    actions: tuple[Action, ...]
    norm_nusd: int = 0
    month: Forecast | None = None


@dataclass(frozen=True, slots=True)
class Mover:
    """A key whose spend changed, and what made the difference: (model, dollars more or less), most first. The models' parts
    add up to `delta_nusd`; `apps` too, empty where the apps of both weeks are not wholly known."""

    line: KeyWeek
    delta_nusd: int
    models: tuple[tuple[str, int], ...]
    apps: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Alerts:
    """How the week's incidents went. `n_false`: a person said so. `n_unreviewed`: nobody said anything. Together they are held
    against `budget`. Times to detect are from the first unusual bucket to the incident; `saved_nusd`: see `watching`."""

    n_opened: int = 0
    n_false: int = 0
    n_unreviewed: int = 0
    budget: float = 0.0
    median_to_detect: timedelta | None = None
    longest_to_detect: timedelta | None = None
    n_disabled: int = 0
    unusual_nusd: int = 0
    saved_nusd: int = 0

    @property
    def is_over_budget(self) -> bool:
        """Whether more were false or unreviewed than the operator asked for."""
        return self.n_false + self.n_unreviewed > self.budget


@dataclass(frozen=True, slots=True)
class LastRehearsal:
    """The last `rehearse`. `problem`: empty where everything worked. `steps`: (name, seconds). `is_left`: its key may still be disabled."""

    at: datetime
    key_hash: str
    key_name: str
    problem: str
    steps: tuple[tuple[str, float], ...] = ()
    is_left: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """The monitor itself. `silences`: spans of the week in which no cycle was completed, oldest first. `watched_since`: before
    that nothing is on record (None: nothing at all is). `rehearsal`: the last one whatever the week, None: there never was one."""

    watched_since: datetime | None = None
    silences: tuple[tuple[datetime, datetime], ...] = ()
    watched: timedelta = timedelta()
    mode: str = ""
    detector: str = ""
    troubles: tuple[str, ...] = ()
    n_undelivered: int = 0
    rehearsal: LastRehearsal | None = None

    @property
    def silent(self) -> timedelta:
        """All silences together."""
        return sum((until - since for since, until in self.silences), timedelta())


@dataclass(frozen=True, slots=True)
class Digest:
    """`owners` partition `keys`; `spent_nusd` is the sum over keys. `account_total_nusd` is what the issuer's counters rose
    by in the current week, None where they do not tell. Incidents and actions are those of the current week. `warnings`: what
    people must hear of the monitor itself, first. `probes`: verdicts that tell of a probe, the newest of each key.

    `n_norm`: weeks the norm is made of, 0 where none of them is known well enough. `unattributed_nusd` None: not on record
    any more. `is_known_day`: of each day of `weeks.edges`. `owner`: the digest is of this owner's keys only, None: of all.
    `times`: how long the incidents opened in the week took. `audit_head`: the line with the head of the audit trail, kept here
    because a digest lies outside the store."""

    weeks: Weeks
    spent_nusd: int
    before_nusd: int
    unattributed_nusd: int | None
    account_total_nusd: int | None
    keys: tuple[KeyWeek, ...]
    models: tuple[ModelWeek, ...]
    owners: tuple[OwnerWeek, ...]
    incidents: tuple[Incident, ...]
    actions: tuple[Action, ...]
    gaps: Gaps
    gaps_before: Gaps
    movers: tuple[Mover, ...]
    month: Forecast
    limits: tuple[LimitForecast, ...]
    debts: Mapping[str, tuple[Debt, ...]]
    is_known_day: tuple[bool, ...]
    n_norm: int = 0
    norm_nusd: int = 0
    n_unknown_month_hours: int = 0
    alerts: Alerts = Alerts()
    health: Health = Health()
    warnings: tuple[str, ...] = ()
    probes: tuple[Verdict, ...] = ()
    reviews: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    owner: str | None = None
    audit_head: str = ""
    times: Summary = field(default_factory=Summary)

    @property
    def by_day_nusd(self) -> tuple[int, ...]:
        """All keys by day."""
        columns = zip(*(each.by_day_nusd for each in self.keys if each.by_day_nusd), strict=True)
        return tuple(sum(column) for column in columns) or (0,) * len(self.is_known_day)

    @property
    def gap_nusd(self) -> int | None:
        """Counter spend that neither a key's usage nor the unattributed dollars account for; may be negative."""
        if self.account_total_nusd is None or self.unattributed_nusd is None:
            return None
        return self.account_total_nusd - self.spent_nusd - self.unattributed_nusd

    @property
    def without_limit(self) -> tuple[KeyWeek, ...]:
        """Live keys without a limit, dearest first."""
        return self.owing(Debt.NO_LIMIT)

    @property
    def unowned(self) -> tuple[KeyWeek, ...]:
        """Live keys that no route gives an owner."""
        return tuple(each for each in self.keys if is_live(each.key) and not each.owner)

    @property
    def unused(self) -> tuple[KeyWeek, ...]:
        """Live keys that nobody is known to have used for 30 days."""
        return self.owing(Debt.STALE)

    def owing(self, debt: Debt) -> tuple[KeyWeek, ...]:
        """Keys with this debt, dearest first."""
        return tuple(each for each in self.keys if debt in self.debts.get(each.key_hash, ()))

    def norm_of(self, norm_nusd: int) -> int | None:
        """A usual week, from what the weeks of the norm come to together; None without a norm."""
        return round(norm_nusd / self.n_norm) if self.n_norm else None


def is_live(key: ApiKey | None) -> bool:
    """In the inventory and not disabled."""
    return key is not None and not key.settings.is_disabled
