"""The digest: eight weeks of usage, the inventory and the ledger -> what each owner and the account spent. Pure.

Every key is in exactly one owner's part, and the keys' dollars plus the unattributed ones are the account's; where the
issuer's own counters say otherwise, the gap is shown and not hidden. A figure over unknown hours is a lower bound and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import Action, ApiKey, Dimension, Incident, Reason, Verdict
from monitor.frames import Catalog
from monitor.report import history as histories
from monitor.report import movers, response_times
from monitor.report.figures import Alerts, Digest, Health, KeyWeek, ModelWeek, Mover, OwnerWeek
from monitor.report.forecast import Floats, Forecast, to_the_end
from monitor.report.gaps import Gaps, find_gaps
from monitor.report.history import History
from monitor.report.hygiene import STALE_AFTER, Debt, audit
from monitor.report.limits import LimitForecast, limit_forecast
from monitor.report.weeks import WEEK, Weeks, Window

__all__ = ["Digest", "KeyWeek", "ModelWeek", "OwnerWeek", "build"]

N_NORM_GAPS: Final = 8
"""A week with more unknown hours than that does not say what is normal."""

MOST_UNKNOWN: Final = 24
"""Unknown hours of 30 days above which no key is called unused."""

_DAY: Final = timedelta(days=1)
_MONTH: Final = STALE_AFTER // _DAY


@dataclass(frozen=True, slots=True)
class _Spend:
    """`history.sums` of one dimension: this week, the week before, and all weeks of the norm together."""

    now: pd.DataFrame
    before: pd.DataFrame
    norm: pd.DataFrame

    def of_keys(self, owner_no: npt.NDArray[np.int64], number: int) -> _Spend:
        """Of one owner's keys."""
        return _Spend(*(each.loc[owner_no[each["key_no"].to_numpy()] == number] for each in self._parts))

    @property
    def _parts(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        return self.now, self.before, self.norm


def build(
    history: History,
    *,
    weeks: Weeks,
    now: datetime,
    keys: Sequence[ApiKey],
    catalog: Catalog,
    owners: Mapping[str, str],
    incidents: Iterable[Incident],
    actions: Iterable[Action],
    coverage: pd.DataFrame,
    unattributed_nusd: int | None = 0,
    account_total_nusd: int | None = None,
    gone_names: Mapping[str, str] = MappingProxyType({}),
    warnings: tuple[str, ...] = (),
    verdicts: Iterable[Verdict] = (),
    alerts: Alerts | None = None,
    reviews: Mapping[str, str] = MappingProxyType({}),
    health: Health | None = None,
    audit_head: str = "",
) -> Digest:
    """The digest of `weeks.current` against `weeks.previous` and the norm; `now`: when the inventory is from.

    `history`: all of `weeks.edges`. `coverage`: frames.COVERAGE over the same time. `owners`: owner by key_hash; absent or
    empty is nobody. Keys without usage are listed with nothing spent; keys with usage that are not in `keys` any more are
    listed by their hash, and by name where `gone_names` has it."""
    norm = _norm(history, weeks, coverage)
    spend = _spend(history, Dimension.MODEL, norm)
    gaps, gaps_before = find_gaps(coverage, weeks.current), find_gaps(coverage, weeks.previous)
    lines = _key_weeks(history, spend, keys=keys, catalog=catalog, owners=owners, gaps=gaps, gone_names=gone_names)
    told = tuple(
        each for each in incidents if each.opened_at < weeks.current.until and each.last_seen_at >= weeks.current.since
    )
    every_action = tuple(actions)
    done = tuple(each for each in every_action if each.intended_at in weeks.current)
    all_gaps = find_gaps(coverage, Window(weeks.edges[0], weeks.edges[-1]))
    is_known = _known_days(all_gaps, weeks.edges)
    n_unknown = find_gaps(coverage, Window(weeks.current.until - STALE_AFTER, weeks.current.until)).n_hours
    by_key = {line.key_hash: np.array(line.by_day_nusd, dtype=np.int64) for line in lines}
    return Digest(
        weeks=weeks,
        spent_nusd=int(spend.now["cost_nusd"].sum()),
        before_nusd=int(spend.before["cost_nusd"].sum()),
        unattributed_nusd=unattributed_nusd,
        account_total_nusd=account_total_nusd,
        keys=lines,
        models=_model_weeks(spend, catalog=catalog),
        owners=_owner_weeks(
            lines, spend, catalog=catalog, incidents=told, actions=done, is_known=is_known, weeks=weeks
        ),
        incidents=told,
        actions=done,
        gaps=gaps,
        gaps_before=gaps_before,
        movers=_movers(history, lines, spend, catalog=catalog, coverage=coverage, weeks=weeks),
        month=month_of(lines, is_known, weeks),
        limits=_limits(keys, by_key, is_known, weeks=weeks, now=now),
        debts=_debts(keys, lines, now=now, n_unknown_hours=n_unknown),
        is_known_day=tuple(is_known.tolist()),
        n_norm=len(norm),
        norm_nusd=int(spend.norm["cost_nusd"].sum()),
        n_unknown_month_hours=n_unknown,
        alerts=alerts or Alerts(),
        health=health or Health(),
        warnings=warnings,
        probes=_probes(verdicts, weeks.current),
        reviews=reviews,
        audit_head=audit_head,
        times=response_times.summary([each for each in told if each.opened_at in weeks.current], every_action),
    )


def _probes(verdicts: Iterable[Verdict], week: Window) -> tuple[Verdict, ...]:
    """The newest probe of each key in the week, newest first."""
    told = [each for each in verdicts if each.reason is Reason.PROBED and each.at in week]
    newest = {each.key_hash: each for each in sorted(told, key=lambda each: each.at)}
    return tuple(sorted(newest.values(), key=lambda each: (each.at, each.key_hash), reverse=True))


def _norm(history: History, weeks: Weeks, coverage: pd.DataFrame) -> list[int]:
    """Which weeks say what is normal: those known well enough, from the first in which anything was ever spent; one is none."""
    rows = history.of(Dimension.MODEL)
    first_day = (
        int(rows.loc[rows["cost_nusd"] > 0, "day_no"].min()) if (rows["cost_nusd"] > 0).any() else history.n_days
    )
    first_week = (first_day - (history.n_days - 7 * 5)) // 7
    norm = [
        no
        for no, week in enumerate(weeks.norm)
        if no >= first_week and find_gaps(coverage, week).n_hours <= N_NORM_GAPS
    ]
    return norm if len(norm) > 1 else []


def _spend(history: History, dimension: Dimension, norm: Sequence[int]) -> _Spend:
    """`norm`: which of the weeks before the current one count, 0 the oldest of four."""
    rows, n_days = history.of(dimension), history.n_days
    first = n_days - 7 * 5
    counted = [rows[((rows["day_no"] - first) // 7 == no).to_numpy()] for no in norm]
    usual = pd.concat(counted) if counted else rows.iloc[:0]
    return _Spend(
        now=histories.sums(rows, first=n_days - 7, last=n_days),
        before=histories.sums(rows, first=n_days - 14, last=n_days - 7),
        norm=histories.sums(usual, first=first, last=n_days - 7),
    )


def _movers(
    history: History,
    lines: Sequence[KeyWeek],
    spend: _Spend,
    *,
    catalog: Catalog,
    coverage: pd.DataFrame,
    weeks: Weeks,
) -> tuple[Mover, ...]:
    both = Window(weeks.previous.since, weeks.current.until)
    is_known = not find_gaps(coverage, both, dimension=Dimension.APP).n_hours
    apps = _spend(history, Dimension.APP, ()) if is_known else None
    return movers.explain(lines, (spend.now, spend.before), (apps.now, apps.before) if apps else None, catalog=catalog)


def _key_weeks(
    history: History,
    spend: _Spend,
    *,
    keys: Sequence[ApiKey],
    catalog: Catalog,
    owners: Mapping[str, str],
    gaps: Gaps,
    gone_names: Mapping[str, str],
) -> tuple[KeyWeek, ...]:
    costs, requests = histories.totals(spend.now, "key_no"), histories.totals(spend.now, "key_no", "n_requests")
    earlier, usual = histories.totals(spend.before, "key_no"), histories.totals(spend.norm, "key_no")
    dearest = spend.now.sort_values(["cost_nusd", "value_no"], ascending=[False, True]).drop_duplicates("key_no")
    top = dict(zip(dearest["key_no"].tolist(), dearest["value_no"].tolist(), strict=True))
    known = {key.key_hash: key for key in keys}
    seen = {catalog.key_hash(key_no) for key_no in history.of(Dimension.MODEL)["key_no"].unique().tolist()}
    every = sorted(known.keys() | seen)
    numbers = {catalog.known_key_no(key_hash): no for no, key_hash in enumerate(every)}
    by_day = history.by_day({number: no for number, no in numbers.items() if number is not None}, len(every))
    lines = []
    for no, key_hash in enumerate(every):
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
                norm_nusd=usual.get(at, 0),
                by_day_nusd=tuple(by_day[no].tolist()),
            )
        )
    return tuple(sorted(lines, key=lambda each: (-each.spent_nusd, -each.before_nusd, each.key_hash)))


def _model_weeks(spend: _Spend, *, catalog: Catalog) -> tuple[ModelWeek, ...]:
    costs, requests = histories.totals(spend.now, "value_no"), histories.totals(spend.now, "value_no", "n_requests")
    earlier, usual = histories.totals(spend.before, "value_no"), histories.totals(spend.norm, "value_no")
    lines = [
        ModelWeek(catalog.value(no), costs.get(no, 0), earlier.get(no, 0), requests.get(no, 0), usual.get(no, 0))
        for no in costs.keys() | earlier.keys() | usual.keys()
    ]
    return tuple(sorted(lines, key=lambda each: (-each.spent_nusd, -each.before_nusd, each.model)))


def _owner_weeks(
    lines: Sequence[KeyWeek],
    spend: _Spend,
    *,
    catalog: Catalog,
    incidents: Sequence[Incident],
    actions: Sequence[Action],
    is_known: npt.NDArray[np.bool_],
    weeks: Weeks,
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
        parts.append(
            OwnerWeek(
                owner=owner,
                spent_nusd=sum(each.spent_nusd for each in own),
                before_nusd=sum(each.before_nusd for each in own),
                keys=own,
                models=_model_weeks(spend.of_keys(owner_no, number), catalog=catalog),
                incidents=tuple(each for each in incidents if owner_of.get(each.key_hash, "") == owner),
                actions=tuple(each for each in actions if owner_of.get(each.key_hash, "") == owner),
                norm_nusd=sum(each.norm_nusd for each in own),
                month=month_of(own, is_known, weeks),
            )
        )
    return tuple(sorted(parts, key=lambda part: (-part.spent_nusd, -part.before_nusd, part.owner)))


def _owner_numbers(catalog: Catalog, owner_of: Mapping[str, str], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number of the owner by key_no, -1 for keys in neither the inventory nor the usage."""
    number = {owner: no for no, owner in enumerate(names)}
    found = (number.get(owner_of.get(key_hash, "\0"), -1) for key_hash in catalog.keys_from(0))
    return np.fromiter(found, dtype=np.int64, count=catalog.n_keys)


def _known_days(gaps: Gaps, edges: Sequence[datetime]) -> npt.NDArray[np.bool_]:
    """Whether each day is known to the last hour."""
    is_known = np.ones(len(edges) - 1, dtype=np.bool_)
    for day_no, (since, until) in enumerate(pairwise(edges)):
        is_known[day_no] = not any(gap.since < until and gap.until > since for gap in gaps.account)
    return is_known


def month_of(lines: Sequence[KeyWeek], is_known: Sequence[bool] | npt.NDArray[np.bool_], weeks: Weeks) -> Forecast:
    """The month that the week's end lies in, of some keys together: spent so far, and what it comes to.

    Days before anything was ever spent tell nothing of the days to come."""
    by_day = np.zeros(len(is_known), dtype=np.int64)
    for line in lines:
        by_day = by_day + np.array(line.by_day_nusd, dtype=np.int64)
    days = zip(weeks.edges[:-1], by_day.tolist(), strict=True)
    so_far = sum(int(nusd) for since, nusd in days if since in weeks.month)
    n_days = round((weeks.month.until - weeks.current.until) / _DAY)
    has_begun = np.cumsum(by_day) > 0
    return to_the_end(so_far, _series(by_day, np.asarray(is_known) & has_begun), n_days=n_days)


def _debts(
    keys: Sequence[ApiKey], lines: Sequence[KeyWeek], *, now: datetime, n_unknown_hours: int
) -> dict[str, tuple[Debt, ...]]:
    """By hash. No key is called unused where more than a day of the month is not known."""
    spent = {line.key_hash: sum(line.by_day_nusd[-_MONTH:]) for line in lines}
    debts = audit(keys, spent, now)
    if n_unknown_hours <= MOST_UNKNOWN:
        return debts
    told = {key_hash: tuple(debt for debt in owed if debt is not Debt.STALE) for key_hash, owed in debts.items()}
    return {key_hash: owed for key_hash, owed in told.items() if owed}


def _limits(
    keys: Sequence[ApiKey],
    by_key: Mapping[str, npt.NDArray[np.int64]],
    is_known: npt.NDArray[np.bool_],
    *,
    weeks: Weeks,
    now: datetime,
) -> tuple[LimitForecast, ...]:
    """Soonest first. Of an older week nothing is said: what remains of a limit is only known as it is now."""
    if now - weeks.current.until >= WEEK:
        return ()
    starts = weeks.edges[:-1]
    found = []
    for key in keys:
        lived = is_known & np.array([since >= key.created_at for since in starts])
        found.append(limit_forecast(key, _series(by_key[key.key_hash], lived), now=now))
    told = [each for each in found if each is not None]
    return tuple(
        sorted(told, key=lambda each: (each.at or each.earliest or weeks.month.until + 99 * WEEK, each.key_hash))
    )


def _series(by_day: npt.NDArray[np.int64], is_known: npt.NDArray[np.bool_]) -> Floats:
    series: Floats = np.where(is_known, by_day.astype(np.float64), np.nan)
    return series
