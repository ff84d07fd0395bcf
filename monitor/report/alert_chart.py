"""What the picture in an alert shows: a week of one key, hour by hour, by model, against its usual range. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.domain import HOUR_S, Dimension, Incident
from monitor.frames import ALL_KEYS, QUALITY_CODES, Catalog
from monitor.report import alert_close
from monitor.report.alert_close import CloseUp
from monitor.wording import duration, moment, money, name

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SHOWN: Final = timedelta(days=7)
LEARNED: Final = timedelta(days=28)
"""How far before the onset the usual range reaches back."""

MOST_SHOWN: Final = timedelta(days=35)
MOST_MODELS: Final = 4
MOST_MARKS: Final = 4
_FEWEST_DAYS: Final = 4
_LOW, _HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Band:
    """Dollars of one model by hour; `model` None: all others together."""

    model: str | None
    cost_nusd: Ints
    is_first_seen: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was done to the key: `said` in a word."""

    at: datetime
    said: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`hours_s`: starts of the hours shown, epoch seconds. `low_nusd`, `high_nusd`: between which eight of ten such hours of
    the day were in the four weeks before the onset; NaN where too few are known. `is_known`: where usage was read.
    `bands`: from below; all others together first, then the least to the most dollars of the incident. `marks`: what was done to
    the key, oldest first. `is_over`: the incident ended, and `last_seen_at` is its last unusual moment. `close`: its hours once
    more, where they are few."""

    hours_s: Ints
    bands: tuple[Band, ...]
    low_nusd: Floats
    high_nusd: Floats
    is_known: Bools
    onset_at: datetime
    last_seen_at: datetime
    until: datetime
    marks: tuple[Mark, ...] = ()
    is_over: bool = False
    close: CloseUp | None = None

    @property
    def spent_nusd(self) -> Ints:
        """By hour, all models."""
        return np.sum([band.cost_nusd for band in self.bands], axis=0, dtype=np.int64) + np.zeros_like(self.hours_s)


def chart(
    usage: pd.DataFrame,
    coverage: pd.DataFrame,
    *,
    key_no: int,
    catalog: Catalog,
    incident: Incident,
    now: datetime,
    marks: Sequence[Mark] = (),
    fine: pd.DataFrame | None = None,
) -> Chart:
    """`usage`: hourly rows of the key since `reads_from`; `coverage`: rows of the same time; `fine`: its ten-minute rows of the
    time that `alert_close.window` names. Seven days are shown, and a day before the onset where that is longer; at most
    `MOST_SHOWN`."""
    until_s = -(-int(now.timestamp()) // HOUR_S) * HOUR_S
    first_s = int(reads_from(incident, now).timestamp())
    hours_s = np.arange(first_s, until_s, HOUR_S, dtype=np.int64)
    is_model = (usage["dimension"] == int(Dimension.MODEL)) & (usage["key_no"] == key_no)
    rows = usage[is_model.to_numpy()]
    at = (frames.epoch_s(rows["bucket_start"]) - first_s) // HOUR_S
    is_inside = (at >= 0) & (at < len(hours_s))
    at, values = at[is_inside], rows["value_no"].to_numpy(np.int64)[is_inside]
    costs = rows["cost_nusd"].to_numpy(np.int64)[is_inside]
    known = _known(coverage, hours_s, key_no)
    known[at] = True
    total = np.zeros(len(hours_s), np.int64)
    np.add.at(total, at, costs)
    low, high = _usual(total, known, hours_s, onset_s=int(incident.onset_at.timestamp()))
    shown = hours_s >= until_s - int(_span(incident, now).total_seconds())
    new = {cause.value for cause in incident.causes if cause.dimension is Dimension.MODEL and cause.is_first_seen}
    matrix = _by_model(at, values, costs, len(hours_s))
    bands = _bands({no: row[shown] for no, row in matrix.items()}, hours_s[shown], incident, catalog, new)
    return Chart(
        hours_s=hours_s[shown],
        bands=bands,
        low_nusd=low[shown],
        high_nusd=high[shown],
        is_known=known[shown],
        onset_at=incident.onset_at,
        last_seen_at=max(incident.last_seen_at, incident.onset_at),
        until=now,
        marks=tuple(each for each in marks if each.at >= datetime.fromtimestamp(int(hours_s[shown][0]), tz=UTC)),
        is_over=not incident.is_alive,
        close=_close(fine, bands, hours_s[shown], key_no=key_no, catalog=catalog, incident=incident, now=now),
    )


def _close(
    fine: pd.DataFrame | None,
    bands: tuple[Band, ...],
    hours_s: Ints,
    *,
    key_no: int,
    catalog: Catalog,
    incident: Incident,
    now: datetime,
) -> CloseUp | None:
    window = alert_close.window(incident, now)
    if window is None or not bands or window.since_s < hours_s[0]:
        return None
    is_inside = (hours_s >= window.since_s) & (hours_s < window.until_s)
    return alert_close.close_up(
        frames.empty(frames.USAGE) if fine is None else fine,
        key_no=key_no,
        catalog=catalog,
        models=[band.model for band in bands],
        by_hour=np.stack([band.cost_nusd[is_inside] for band in bands]),
        window=window,
        now=now,
    )


def reads_from(incident: Incident, now: datetime) -> datetime:
    """From where usage is needed: a whole hour."""
    since = min(incident.onset_at - LEARNED, now - _span(incident, now) - timedelta(hours=1))
    return datetime.fromtimestamp(int(since.timestamp()) // HOUR_S * HOUR_S, tz=UTC)


def _span(incident: Incident, now: datetime) -> timedelta:
    """How much is shown: the whole of an incident that is over, with the day before it."""
    if incident.is_alive:
        return SHOWN
    hours = -(-(now - incident.onset_at + timedelta(days=1)) // timedelta(hours=1))
    return min(max(SHOWN, timedelta(hours=hours)), MOST_SHOWN)


def told(shown: Chart) -> str:
    """The picture in words, for whoever does not see it."""
    spent = shown.spent_nusd
    if not len(spent) or not spent.any():
        return f"Hourly spend of the last {days(shown)}: none is known."
    highest = int(spent.argmax())
    at = datetime.fromtimestamp(int(shown.hours_s[highest]), tz=UTC)
    parts = [f"Hourly spend of the last {days(shown)}. Highest hour: {money(int(spent[highest]))}, from {moment(at)}."]
    if np.isfinite(shown.high_nusd).any():
        parts.append(f"Usually {usual_range(shown)} at that hour.")
    parts += _told_close(shown)
    span = duration(shown.last_seen_at - shown.onset_at)
    lasted = f"lasted {span}" if shown.is_over else f"lasts {span} so far"
    parts.append(f"The incident began {moment(shown.onset_at)} and {lasted}.")
    parts += [f"The key was {mark.said} {moment(mark.at)}." for mark in shown.marks[-MOST_MARKS:]]
    inside = [(band, _inside(band.cost_nusd, shown.hours_s, shown.onset_at)) for band in reversed(shown.bands)]
    said = [
        f"{money(nusd)} on {label(band)}{', never used before' if band.is_first_seen else ''}"
        for band, nusd in inside
        if nusd
    ]
    return " ".join([*parts, f"Since then: {'; '.join(said)}." if said else ""]).strip()


def _told_close(shown: Chart) -> list[str]:
    close = shown.close
    if close is None or not close.spent_nusd.any():
        return []
    highest = int(close.spent_nusd.argmax())
    at = datetime.fromtimestamp(int(close.starts_s[highest]), tz=UTC)
    rate = f"the highest rate is {money(int(close.spent_nusd[highest]))}/h, from {moment(at)}"
    return [f"Above it {spoken(close)} as a close-up: {rate}."]


def days(shown: Chart) -> str:
    """How many days it shows, in words."""
    return "seven days" if len(shown.hours_s) <= 7 * 24 else f"{len(shown.hours_s) // 24} days"


def spoken(close: CloseUp) -> str:
    """What the close-up shows, in words."""
    hours = -(-len(close.starts_s) // alert_close.PER_HOUR)
    return f"{hours} hours{' by ten minutes' if close.is_fine else ''}"


def label(band: Band) -> str:
    """What a band is called: the model's own name without its maker."""
    if band.model is None:
        return "other models"
    return name(band.model.rsplit("/", 1)[-1], fallback="(no name)")


def dearest(shown: Chart) -> int | None:
    """Nano-dollars of the dearest hour of the incident, or the highest rate an hour where a close-up shows it; None where that is
    within the usual range, or outside the picture."""
    inside = (shown.hours_s + HOUR_S > shown.onset_at.timestamp()) & (shown.hours_s <= shown.last_seen_at.timestamp())
    if not inside.any():
        return None
    at = int(np.where(inside, shown.spent_nusd, -1).argmax())
    spent, usual = int(shown.spent_nusd[at]), float(np.nan_to_num(shown.high_nusd)[at])
    if shown.close is not None:
        spent = max(spent, shown.close.peak_nusd(shown.onset_at, shown.last_seen_at))
    return spent if spent > usual else None


def usual_range(shown: Chart) -> str:
    """The range of the hour in which it began, in words; the middle of all ranges where that hour's is not known."""
    at = int(np.searchsorted(shown.hours_s, int(shown.onset_at.timestamp()), side="right")) - 1
    edges = (shown.low_nusd, shown.high_nusd)
    is_there = 0 <= at < len(shown.hours_s) and bool(np.isfinite(shown.high_nusd[at]))
    low, high = (float(each[at]) if is_there else float(np.nanmedian(each)) for each in edges)
    lowest, highest = money(round(low)), money(round(high))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def gaps(is_known: Bools) -> list[tuple[int, int]]:
    """Half-open stretches of hours that were not read."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~is_known, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _known(coverage: pd.DataFrame, hours_s: Ints, key_no: int) -> Bools:
    """Hours of which anything was read."""
    known: Bools = np.zeros(len(hours_s), np.bool_)
    is_ours = coverage["key_no"].isin([ALL_KEYS, key_no]) & (coverage["dimension"] == int(Dimension.MODEL))
    rows = coverage[(is_ours & (coverage["quality"] != QUALITY_CODES["unknown"])).to_numpy()]
    for since, until in zip(frames.epoch_s(rows["since"]), frames.epoch_s(rows["until"]), strict=True):
        known |= (hours_s < until) & (hours_s + HOUR_S > since)
    return known


def _by_model(at: Ints, values: Ints, costs: Ints, n_hours: int) -> dict[int, Ints]:
    found: dict[int, Ints] = {}
    for value_no in np.unique(values).tolist():
        row = np.zeros(n_hours, np.int64)
        is_it = values == value_no
        np.add.at(row, at[is_it], costs[is_it])
        found[value_no] = row
    return found


def _bands(
    matrix: dict[int, Ints], hours_s: Ints, incident: Incident, catalog: Catalog, new: Collection[str]
) -> tuple[Band, ...]:
    """The models with most dollars, in the incident first, then of the week; all others together at the bottom."""
    ranked = sorted(
        (no for no, row in matrix.items() if row.any()),
        key=lambda no: (-_inside(matrix[no], hours_s, incident.onset_at), -int(matrix[no].sum()), catalog.value(no)),
    )
    n_named = MOST_MODELS if len(ranked) > MOST_MODELS + 1 else MOST_MODELS + 1
    named = [Band(catalog.value(no), matrix[no], catalog.value(no) in new) for no in ranked[:n_named]]
    others = [matrix[no] for no in ranked[n_named:]]
    rest = [Band(None, np.sum(others, axis=0, dtype=np.int64), False)] if others else []
    return (*rest, *reversed(named))


def _inside(cost_nusd: Ints, hours_s: Ints, onset_at: datetime) -> int:
    return int(cost_nusd[hours_s + HOUR_S > int(onset_at.timestamp())].sum())


def _usual(total: Ints, known: Bools, hours_s: Ints, *, onset_s: int) -> tuple[Floats, Floats]:
    """Between which eight of ten hours of the same time of day were, an hour earlier and later included, before the onset."""
    low = np.full(len(total), np.nan)
    high = low.copy()
    of_day = hours_s // HOUR_S % 24
    is_before = known & (hours_s + HOUR_S <= onset_s)
    for hour in range(24):
        is_near = is_before & np.isin(of_day, [(hour - 1) % 24, hour, (hour + 1) % 24])
        if is_near.sum() >= 3 * _FEWEST_DAYS:
            is_it = of_day == hour
            low[is_it], high[is_it] = np.quantile(total[is_near], [_LOW, _HIGH])
    return low, high
