"""The digest: two weeks of usage, the inventory and the ledger -> what each owner and the account spent. Pure.

Every key is in exactly one owner's part, and the keys' dollars plus the unattributed ones are the account's; where the
issuer's own counters say otherwise, the gap is shown and not hidden. A figure over unknown hours is a lower bound and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import Action, ApiKey, Dimension, Incident, Reason, Verdict
from monitor.frames import USAGE, Catalog, check, epoch_s
from monitor.report.gaps import Gaps, find_gaps
from monitor.report.weeks import Weeks, Window


@dataclass(frozen=True, slots=True)
class KeyWeek:
    """One key in both weeks, nano-dollars. `key` is None for a key that is no longer in the inventory; `gone_name` is
    what it was called."""

    key_hash: str
    key: ApiKey | None
    owner: str
    spent_nusd: int
    before_nusd: int
    n_requests: int
    top_model: str
    n_unknown_hours: int
    gone_name: str = ""


@dataclass(frozen=True, slots=True)
class ModelWeek:
    """One model in both weeks, nano-dollars."""

    model: str
    spent_nusd: int
    before_nusd: int
    n_requests: int


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


@dataclass(frozen=True, slots=True)
class Digest:
    """`owners` partition `keys`; `spent_nusd` is the sum over keys. `account_total_nusd` is what the issuer's counters rose
    by in the current week, None where they do not tell. Incidents and actions are those of the current week. `warnings`: what
    people must hear of the monitor itself, first. `probes`: verdicts that tell of a probe, the newest of each key. `audit_head`:
    the line with the head of the audit trail, kept here because a digest lies outside the store."""

    weeks: Weeks
    spent_nusd: int
    before_nusd: int
    unattributed_nusd: int
    account_total_nusd: int | None
    keys: tuple[KeyWeek, ...]
    models: tuple[ModelWeek, ...]
    owners: tuple[OwnerWeek, ...]
    incidents: tuple[Incident, ...]
    actions: tuple[Action, ...]
    gaps: Gaps
    gaps_before: Gaps
    warnings: tuple[str, ...] = ()
    probes: tuple[Verdict, ...] = ()
    audit_head: str = ""

    @property
    def gap_nusd(self) -> int | None:
        """Counter spend that neither a key's usage nor the unattributed dollars account for; may be negative."""
        if self.account_total_nusd is None:
            return None
        return self.account_total_nusd - self.spent_nusd - self.unattributed_nusd

    @property
    def without_limit(self) -> tuple[KeyWeek, ...]:
        """Live keys without a limit, dearest first."""
        return tuple(each for each in self.keys if _is_live(each.key) and _limit(each.key) is None)

    @property
    def unowned(self) -> tuple[KeyWeek, ...]:
        """Live keys that no route gives an owner."""
        return tuple(each for each in self.keys if _is_live(each.key) and not each.owner)

    @property
    def dormant(self) -> tuple[KeyWeek, ...]:
        """Live keys, older than both weeks, that spent nothing in them although all hours are known."""
        is_known = not self.gaps.n_hours and not self.gaps_before.n_hours
        return tuple(each for each in self.keys if is_known and _is_dormant(each, self.weeks))

    def movers(self, n_most: int) -> tuple[KeyWeek, ...]:
        """Keys whose spend changed most, in dollars."""
        moved = [each for each in self.keys if each.spent_nusd != each.before_nusd]
        ranked = sorted(moved, key=lambda each: (-abs(each.spent_nusd - each.before_nusd), each.key_hash))
        return tuple(ranked[:n_most])


def build(
    usage: pd.DataFrame,
    *,
    weeks: Weeks,
    keys: Sequence[ApiKey],
    catalog: Catalog,
    owners: Mapping[str, str],
    incidents: Iterable[Incident],
    actions: Iterable[Action],
    coverage: pd.DataFrame,
    unattributed_nusd: int = 0,
    account_total_nusd: int | None = None,
    gone_names: Mapping[str, str] = MappingProxyType({}),
    warnings: tuple[str, ...] = (),
    verdicts: Iterable[Verdict] = (),
    audit_head: str = "",
) -> Digest:
    """The digest of `weeks.current` against `weeks.previous`.

    Columns: `usage` frames.USAGE of one bucket size over both weeks (rows outside are ignored), `coverage` frames.COVERAGE
    over both. `owners`: owner by key_hash; absent or empty is nobody. Keys without usage are listed with nothing spent; keys
    with usage that are not in `keys` any more are listed by their hash, and by name where `gone_names` has it."""
    rows = _by_model(usage)
    spent, before = _sums(rows, weeks.current), _sums(rows, weeks.previous)
    gaps, gaps_before = find_gaps(coverage, weeks.current), find_gaps(coverage, weeks.previous)
    lines = _key_weeks(spent, before, keys=keys, catalog=catalog, owners=owners, gaps=gaps, gone_names=gone_names)
    told = tuple(
        each for each in incidents if each.opened_at < weeks.current.until and each.last_seen_at >= weeks.current.since
    )
    done = tuple(each for each in actions if each.intended_at in weeks.current)
    return Digest(
        weeks=weeks,
        spent_nusd=int(spent["cost_nusd"].sum()),
        before_nusd=int(before["cost_nusd"].sum()),
        unattributed_nusd=unattributed_nusd,
        account_total_nusd=account_total_nusd,
        keys=lines,
        models=_model_weeks(spent, before, catalog=catalog),
        owners=_owner_weeks(lines, spent, before, catalog=catalog, incidents=told, actions=done),
        incidents=told,
        actions=done,
        gaps=gaps,
        gaps_before=gaps_before,
        warnings=warnings,
        probes=_probes(verdicts, weeks.current),
        audit_head=audit_head,
    )


def _probes(verdicts: Iterable[Verdict], week: Window) -> tuple[Verdict, ...]:
    """The newest probe of each key in the week, newest first."""
    told = [each for each in verdicts if each.reason is Reason.PROBED and each.at in week]
    newest = {each.key_hash: each for each in sorted(told, key=lambda each: each.at)}
    return tuple(sorted(newest.values(), key=lambda each: (each.at, each.key_hash), reverse=True))


def _by_model(usage: pd.DataFrame) -> pd.DataFrame:
    """The rows of one dimension: each dimension is a full marginal, so that adding two would count all money twice."""
    check(usage, USAGE)
    if usage["bucket_s"].nunique() > 1:
        raise ValueError("usage of two bucket sizes would be counted twice; read it in hours")
    return usage[(usage["dimension"] == int(Dimension.MODEL)).to_numpy()]


def _sums(rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    """cost_nusd and n_requests by key_no and value_no in the window, int64."""
    at = epoch_s(rows["bucket_start"])
    inside = (at >= int(window.since.timestamp())) & (at < int(window.until.timestamp()))
    grouped = rows.loc[inside].groupby(["key_no", "value_no"], as_index=False, sort=True)
    return grouped[["cost_nusd", "n_requests"]].sum()


def _totals(sums: pd.DataFrame, by: str, columns: tuple[str, ...] = ("cost_nusd",)) -> list[dict[int, int]]:
    grouped = sums.groupby(by)[list(columns)].sum()
    return [dict(zip(grouped.index.tolist(), grouped[name].tolist(), strict=True)) for name in columns]


def _key_weeks(
    spent: pd.DataFrame,
    before: pd.DataFrame,
    *,
    keys: Sequence[ApiKey],
    catalog: Catalog,
    owners: Mapping[str, str],
    gaps: Gaps,
    gone_names: Mapping[str, str],
) -> tuple[KeyWeek, ...]:
    costs, requests = _totals(spent, "key_no", ("cost_nusd", "n_requests"))
    (earlier,) = _totals(before, "key_no")
    dearest = spent.sort_values(["cost_nusd", "value_no"], ascending=[False, True]).drop_duplicates("key_no")
    top = dict(zip(dearest["key_no"].tolist(), dearest["value_no"].tolist(), strict=True))
    known = {key.key_hash: key for key in keys}
    seen = {catalog.key_hash(key_no) for key_no in costs.keys() | earlier.keys()}
    lines = []
    for key_hash in known.keys() | seen:
        number = catalog.known_key_no(key_hash)
        at = -1 if number is None else number
        lines.append(
            KeyWeek(
                key_hash=key_hash,
                key=known.get(key_hash),
                owner=owners.get(key_hash, ""),
                spent_nusd=costs.get(at, 0),
                before_nusd=earlier.get(at, 0),
                n_requests=requests.get(at, 0),
                top_model=catalog.value(top[at]) if at in top else "",
                n_unknown_hours=gaps.of(number),
                gone_name="" if key_hash in known else gone_names.get(key_hash, ""),
            )
        )
    return tuple(sorted(lines, key=lambda each: (-each.spent_nusd, -each.before_nusd, each.key_hash)))


def _model_weeks(spent: pd.DataFrame, before: pd.DataFrame, *, catalog: Catalog) -> tuple[ModelWeek, ...]:
    costs, requests = _totals(spent, "value_no", ("cost_nusd", "n_requests"))
    (earlier,) = _totals(before, "value_no")
    lines = [
        ModelWeek(catalog.value(no), costs.get(no, 0), earlier.get(no, 0), requests.get(no, 0))
        for no in costs.keys() | earlier.keys()
    ]
    return tuple(sorted(lines, key=lambda each: (-each.spent_nusd, -each.before_nusd, each.model)))


def _owner_weeks(
    lines: Sequence[KeyWeek],
    spent: pd.DataFrame,
    before: pd.DataFrame,
    *,
    catalog: Catalog,
    incidents: Sequence[Incident],
    actions: Sequence[Action],
) -> tuple[OwnerWeek, ...]:
    by_owner: dict[str, list[KeyWeek]] = {}
    owner_of = {line.key_hash: line.owner for line in lines}
    for line in lines:
        by_owner.setdefault(line.owner, []).append(line)
    names = sorted(by_owner)
    owner_no = _owner_numbers(catalog, owner_of, names)
    parts = []
    for number, owner in enumerate(names):
        own = tuple(by_owner[owner])
        models = _model_weeks(_of_owner(spent, owner_no, number), _of_owner(before, owner_no, number), catalog=catalog)
        parts.append(
            OwnerWeek(
                owner=owner,
                spent_nusd=sum(each.spent_nusd for each in own),
                before_nusd=sum(each.before_nusd for each in own),
                keys=own,
                models=models,
                incidents=tuple(each for each in incidents if owner_of.get(each.key_hash, "") == owner),
                actions=tuple(each for each in actions if owner_of.get(each.key_hash, "") == owner),
            )
        )
    return tuple(sorted(parts, key=lambda part: (-part.spent_nusd, -part.before_nusd, part.owner)))


def _owner_numbers(catalog: Catalog, owner_of: Mapping[str, str], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number of the owner by key_no, -1 for keys in neither the inventory nor the usage."""
    number = {owner: no for no, owner in enumerate(names)}
    found = (number.get(owner_of.get(key_hash, "\0"), -1) for key_hash in catalog.keys_from(0))
    return np.fromiter(found, dtype=np.int64, count=catalog.n_keys)


def _of_owner(sums: pd.DataFrame, owner_no: npt.NDArray[np.int64], number: int) -> pd.DataFrame:
    own: pd.DataFrame = sums.loc[owner_no[sums["key_no"].to_numpy()] == number]
    return own


def _is_live(key: ApiKey | None) -> bool:
    return key is not None and not key.settings.is_disabled


def _limit(key: ApiKey | None) -> float | None:
    return key.settings.limit_usd if key else None


def _is_dormant(line: KeyWeek, weeks: Weeks) -> bool:
    is_old = line.key is not None and line.key.created_at < weeks.previous.since
    return is_old and _is_live(line.key) and not line.spent_nusd and not line.before_nusd and not line.n_requests
