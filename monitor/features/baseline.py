"""What a key usually spends in a window that ends at some hour of the week: robust, seasonal, from learned hours only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.features.columns import Bools, Floats, Ints
from monitor.features.levels import DAY_H, decoded
from monitor.features.params import LEVEL_HOURS, WEEK_H
from monitor.features.state import FleetState

MIN_SAMPLES: Final = 3
"""Known values asked of an hour of the week, or of a pooled hour of the day, before it is believed."""

MAD_TO_SIGMA: Final = 1.4826
MEAN_TO_SIGMA: Final = 1.2533
"""Both deviations estimate the same sigma on normal data; on keys that are silent most hours only the mean one is not 0."""

PRIOR_SAMPLES: Final = 6.0
"""Weight, in samples, of the prior spread (the key's mean level) against the spread of the samples."""

FLEET_SHARE: Final = 0.25
"""Share of the fleet's typical level below which no spread goes: a key that always spent nothing must not divide by it."""

WINDOWS: Final = {"1h": 1, "6h": 6, "24h": 24}
"""Hours of the trailing windows."""

CHUNK_KEYS: Final = 1_000
"""Keys looked at together: the samples stay in the cache, and memory does not grow with the fleet."""

DAYS: Final = 34
"""Days looked back for the pooled hour of the day."""

_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Expectation:
    """Median and spread (one sigma) of a measure by key index; NaN where the key has too little history."""

    median: Floats
    spread: Floats

    def z(self, now: Floats, *, share: float = 1.0) -> Floats:
        """One-sided robust z of `now`: >= 0, NaN where unknown. `share` < 1: `now` is over that part of the window only."""
        spread = self.spread * np.sqrt(share)
        excess = np.maximum(now - self.median * share, 0.0)
        z: Floats = np.divide(excess, spread, out=np.full(len(excess), np.nan), where=spread > 0)
        return z


def expectations(state: FleetState, measure: str, hour: int, *, born_hour: Ints) -> dict[str, Expectation]:
    """Expectations of `measure` (`level_cost`, `level_requests`) over each of WINDOWS that ends with `hour`, by key index.

    `born_hour`: hours before a key was created count as unknown. Hour of the week where three or more weeks are known,
    else the hour of the day pooled over weekdays or weekend days, else all days."""
    ends = samples_of(state, hour)
    parts = (
        ends % WEEK_H == hour % WEEK_H,
        _is_weekend(ends) == _is_weekend(np.array([hour])),
        np.ones(len(ends), np.bool_),
    )
    backs = np.arange(max(WINDOWS.values()))
    hours = ends[:, None] - backs
    season = np.full((4, len(WINDOWS), state.keys.n), np.nan)
    for first in range(0, state.keys.n, CHUNK_KEYS):
        own = slice(first, first + CHUNK_KEYS)
        amounts = decoded(state.keys[measure][hours % LEVEL_HOURS, own])
        amounts[hours[..., None] < born_hour[own]] = np.nan
        sums = np.stack([np.add.reduce(amounts[:, :n], axis=1) for n in WINDOWS.values()], axis=1)
        told = _season(sums.reshape(len(ends), len(WINDOWS) * sums.shape[2]), parts)
        season[..., own] = told.reshape(4, len(WINDOWS), sums.shape[2])
    return {
        name: Expectation(median, _shrunk(spread, n, level=level))
        for name, (median, spread, n, level) in zip(WINDOWS, season.swapaxes(0, 1), strict=True)
    }


def samples_of(state: FleetState, hour: int) -> Ints:
    """The hours at which windows like those that end with `hour` ended, as far as they are learned and still held. While these
    are the same, and nothing was rebuilt, so is what is expected: a day lies between them and what is being learned."""
    ends = hour - DAY_H * np.arange(1, DAYS + 1)
    held: Ints = ends[(ends <= state.learned_hour) & (ends - DAY_H > state.learned_hour - LEVEL_HOURS)]
    return held


def _season(sums: Floats, parts: tuple[Bools, ...]) -> Floats:
    """Median, spread and its count from the finest part of the samples that holds enough of them; mean of all. (4, keys)."""
    told = [median_and_spread(sums[part]) for part in parts]
    enough = [n >= MIN_SAMPLES for _, _, n in told]
    median = np.select(enough, [median for median, _, _ in told], np.nan)
    spread = np.select(enough[1:], [spread for _, spread, _ in told[1:]], np.nan)
    n = np.select(enough[1:], [n for _, _, n in told[1:]], 0)
    return np.stack((median, spread, n, _mean(sums)))


def median_and_spread(samples: Floats) -> tuple[Floats, Floats, Ints]:
    """Median, spread and count of each column of (n, keys), NaN left out; NaN where nothing is known.

    The spread is the larger of the sigmas told by the median and by the mean absolute deviation."""
    n = np.isfinite(samples).sum(axis=0)
    if not len(samples):
        nothing = np.full(samples.shape[1], np.nan)
        return nothing, nothing, n
    median = _median(samples, n)
    deviation = np.abs(samples - median)
    spread = np.maximum(MAD_TO_SIGMA * _median(deviation, n), MEAN_TO_SIGMA * _mean(deviation))
    return median, np.where(n > 0, spread, np.nan), n


def _median(samples: Floats, n: Ints) -> Floats:
    ordered = np.sort(np.ascontiguousarray(samples.T), axis=1)  # NaN sorts to the end
    row = np.arange(len(ordered))
    low, high = np.maximum((n - 1) // 2, 0), np.maximum(n // 2, 0)
    middle: Floats = (ordered[row, low] + ordered[row, np.minimum(high, ordered.shape[1] - 1)]) / 2
    return np.where(n > 0, middle, np.nan)


def _mean(samples: Floats) -> Floats:
    known = np.isfinite(samples)
    n = known.sum(axis=0)
    total = np.where(known, samples, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, n, out=np.zeros(len(n)), where=n > 0)
    return mean


def _shrunk(spread: Floats, n: Floats, *, level: Floats) -> Floats:
    """Spread drawn toward the key's mean level, the more the fewer samples; never below a share of the fleet's level."""
    drawn = np.sqrt((n * spread**2 + PRIOR_SAMPLES * (0.5 * level) ** 2) / (n + PRIOR_SAMPLES))
    typical = float(np.median(level[level > 0])) if (level > 0).any() else 0.0
    return np.maximum(drawn, FLEET_SHARE * typical)


def _is_weekend(hours: Ints) -> Bools:
    weekend: Bools = (hours // DAY_H + _EPOCH_WEEKDAY) % 7 >= 5
    return weekend
