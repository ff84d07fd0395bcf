"""The close-up in an alert's picture: a short incident is a hairline in a week, so its hours are shown once more, in the finest
buckets there are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.domain import BUCKET_S, HOUR_S, Dimension, Incident
from monitor.frames import Catalog

Ints = npt.NDArray[np.int64]

PER_HOUR: Final = HOUR_S // BUCKET_S

_SPANS: Final = ((timedelta(hours=2), timedelta(hours=6)), (timedelta(hours=12), timedelta(hours=24)))
"""(incidents of at most so long, how much is shown of their time): half an hour is then as wide as a thumb on a telephone."""

_AFTER: Final = timedelta(hours=2)
"""So much of what came after the incident is shown."""


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open, in whole hours, epoch seconds."""

    since_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class CloseUp:
    """`starts_s`: of the ten-minute buckets shown, epoch seconds. `rates_nusd`: dollars an hour in each, one row a band of the
    week and in its order. An hour whose ten-minute buckets are not all there is level. `is_fine`: whether any are."""

    starts_s: Ints
    rates_nusd: Ints
    is_fine: bool

    @property
    def spent_nusd(self) -> Ints:
        """Dollars an hour in each bucket, all models."""
        summed: Ints = self.rates_nusd.sum(axis=0, dtype=np.int64)
        return summed

    def peak_nusd(self, since: datetime, until: datetime) -> int:
        """The highest rate of the buckets that [since, until] touches; 0 where it touches none."""
        is_inside = (self.starts_s + BUCKET_S > since.timestamp()) & (self.starts_s <= until.timestamp())
        return int(self.spent_nusd[is_inside].max(initial=0))


def window(incident: Incident, now: datetime) -> Window | None:
    """What the close-up shows; None where the incident is long enough to be seen in the week."""
    last = max(incident.last_seen_at, incident.onset_at)
    shown = next((shown for most, shown in _SPANS if last - incident.onset_at <= most), None)
    if shown is None:
        return None
    until_s = -(-int(min(now, last + _AFTER).timestamp()) // HOUR_S) * HOUR_S
    return Window(until_s - int(shown.total_seconds()), until_s)


def close_up(
    fine: pd.DataFrame,
    *,
    key_no: int,
    catalog: Catalog,
    models: Sequence[str | None],
    by_hour: Ints,
    window: Window,
    now: datetime,
) -> CloseUp:
    """`fine`: ten-minute rows of the key; `by_hour`: dollars of each band in each hour of the window, `models` what each is, None
    for all others together. Where the ten-minute rows come to less than their hour, as after a start, the hour is told."""
    n_bands, n_hours = by_hour.shape
    is_ours = (fine["dimension"] == int(Dimension.MODEL)) & (fine["key_no"] == key_no)
    rows = fine[is_ours.to_numpy()]
    at = (frames.epoch_s(rows["bucket_start"]) - window.since_s) // BUCKET_S
    is_inside = (at >= 0) & (at < n_hours * PER_HOUR)
    bands = {model: no for no, model in enumerate(models)}
    rest = bands.get(None, -1)
    values = rows["value_no"].to_numpy(np.int64)[is_inside]
    of_value = {no: bands.get(catalog.value(no), rest) for no in np.unique(values).tolist()}
    band_of = np.array([of_value[no] for no in values.tolist()], dtype=np.int64)
    rates = np.zeros((n_bands, n_hours * PER_HOUR), np.int64)
    is_shown = band_of >= 0
    costs = rows["cost_nusd"].to_numpy(np.int64)[is_inside]
    np.add.at(rates, (band_of[is_shown], at[is_inside][is_shown]), costs[is_shown] * PER_HOUR)
    of_hour = rates.reshape(n_bands, n_hours, PER_HOUR).sum(axis=(0, 2)) // PER_HOUR
    is_whole = (of_hour * 100 >= by_hour.sum(axis=0) * 99) & (of_hour > 0)
    shown = np.where(np.repeat(is_whole, PER_HOUR), rates, np.repeat(by_hour, PER_HOUR, axis=1))
    starts_s = window.since_s + BUCKET_S * np.arange(n_hours * PER_HOUR, dtype=np.int64)
    has_begun = starts_s < now.timestamp()
    return CloseUp(starts_s[has_begun], shown[:, has_begun], bool(is_whole.any()))
