"""Seeded ordinary usage of a fleet: hours as a pure function of (seed, day), minutes as a pure split of the hours.

An hour's rows are drawn for the whole fleet at once (gamma-Poisson: bursty counts around a daily and weekly rhythm).
A minute's rows are the hour's requests and tokens shared out over sixty minutes by a generator seeded with that hour, so
that the sixty minutes add up to the hour exactly, however often and in whatever order they are asked for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.demo.fleet import Fleet
from monitor.demo.founding import ARCHETYPES, WEEK_SHAPES
from monitor.domain import HOUR_S

DAY_S: Final = 86_400
MINUTE_S: Final = 60

ROW: Final = np.dtype([
    ("t", "i8"), ("key", "i4"), ("model", "i2"), ("provider", "i2"), ("country", "i2"), ("app", "i2"),
    ("n", "i8"), ("prompt", "i8"), ("completion", "i8"), ("reasoning", "i8"), ("cost", "i8"),
])  # fmt: skip
"""Usage of one (key, model, provider, country, app) in the hour or minute that starts at epoch second `t`;
`cost` in nano-dollars is exactly tokens times price."""

MEASURES: Final = (("prompt", 1), ("completion", 1), ("reasoning", 1), ("cost", 20))
"""What is shared out with the requests, and in which whole units (cost in 20 nano-dollars: a BYOK fee of 5 % stays whole)."""

Rows = npt.NDArray[np.void]


def no_rows() -> Rows:
    """No usage."""
    return np.zeros(0, dtype=ROW)


class Traffic:
    """Ordinary usage of one fleet, generated day by day as it is asked for."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._shape = _weekly_shapes(fleet)
        self._days = lru_cache(maxsize=3)(self._day)
        self._minutes = lru_cache(maxsize=16)(self._hour_in_minutes)

    def hour(self, hour_start: int) -> Rows:
        """Rows of one hour (all keys), `t` the hour's start."""
        rows = self._days(hour_start // DAY_S)
        lo, hi = np.searchsorted(rows["t"], (hour_start, hour_start + 1))
        return rows[lo:hi]

    def day(self, day_start: int) -> Rows:
        """Rows of the 24 hours of one UTC day, sorted by `t`."""
        return self._days(day_start // DAY_S)

    def minutes(self, hour_start: int) -> Rows:
        """Rows of one hour shared out over its minutes, sorted by `t`; sums equal `hour(hour_start)`."""
        return self._minutes(hour_start)

    def _day(self, day_no: int) -> Rows:
        fleet, cells = self.fleet, self.fleet.cells
        rng = np.random.default_rng(np.random.SeedSequence([fleet.seed, 2, day_no]))
        hours = day_no * DAY_S + np.arange(24) * HOUR_S
        rate = self._rates(rng, hours)
        mix = rng.lognormal(-0.03, 0.25, (24, len(cells.key)))
        n = rng.poisson(rate[:, cells.key] * cells.share * mix)
        at, cell = np.nonzero(n)
        rows = np.zeros(len(at), dtype=ROW)
        rows["t"], rows["key"], rows["n"] = hours[at], cells.key[cell], n[at, cell]
        for name in ("model", "provider", "country", "app"):
            rows[name] = getattr(cells, name)[cell]
        wobble = rng.lognormal(0, 0.5, (2, len(at))) ** (1 / np.sqrt(rows["n"]))
        rows["prompt"] = np.maximum(rows["n"], rows["n"] * cells.prompt[cell] * wobble[0])
        rows["completion"] = np.maximum(rows["n"], rows["n"] * cells.completion[cell] * wobble[1])
        rows["reasoning"] = rows["completion"] * fleet.prices.reasoning_share()[rows["model"]]
        return price(rows, fleet)

    def _rates(self, rng: np.random.Generator, hours: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Expected requests by (hour, key): rhythm x days off x spells x bursts."""
        fleet = self.fleet
        shape, at_work = self._shape
        local = (hours[:, None] // HOUR_S + 72 + fleet.utc_offset_h) % 168  # epoch was a Thursday; 0 is Monday 00:00
        rate = fleet.requests_per_hour * shape[np.arange(fleet.n_founders), local]
        rate *= (rng.random(fleet.n_founders) < at_work) * rng.lognormal(-0.02, 0.2, fleet.n_founders)
        variance = np.maximum(fleet.burstiness, 0.05) ** 2
        rate *= rng.gamma(1 / variance, variance, (24, fleet.n_founders))
        return np.where(hours[:, None] >= fleet.born_s, rate, 0.0)

    def _hour_in_minutes(self, hour_start: int) -> Rows:
        seed = np.random.SeedSequence([self.fleet.seed, 3, hour_start])
        return split(self.hour(hour_start), np.random.default_rng(seed), n_keys=self.fleet.n_founders)


def price(rows: Rows, fleet: Fleet) -> Rows:
    """The same rows with `cost` set from tokens and prices."""
    rows["cost"] = (
        rows["prompt"] * fleet.prices.prompt_nusd()[rows["model"]]
        + rows["completion"] * fleet.prices.completion_nusd()[rows["model"]]
    )
    return rows


def split(hour: Rows, rng: np.random.Generator, *, n_keys: int) -> Rows:
    """Shares rows of one hour out over its minutes; sums are kept exactly. Bursts are shared by a key's rows."""
    weights = rng.gamma(1.5, 1.0, (n_keys, 60)) + 1e-9
    counts = rng.multinomial(hour["n"], (weights / weights.sum(axis=1, keepdims=True))[hour["key"]])
    upto = np.cumsum(counts * rng.lognormal(0, 0.3, counts.shape), axis=1)
    upto /= upto[:, -1:]
    row, minute = np.nonzero(counts)
    rows = hour[row]
    rows["t"] = hour["t"][row] + minute * MINUTE_S
    rows["n"] = counts[row, minute]
    for name, unit in MEASURES:
        shared = np.floor(upto * (hour[name] // unit)[:, None]).astype(np.int64)
        shared[:, -1] = hour[name] // unit
        rows[name] = np.diff(shared, axis=1, prepend=0)[row, minute] * unit
    return rows[np.argsort(rows["t"], kind="stable")]


def slice_of(rows: Rows, since: float, until: float) -> Rows:
    """What of minute rows (sorted by `t`) falls into [since, until), requests taking place evenly within their minute.

    Slices that share borders add up to the whole, to the token and the nano-dollar."""
    lo, hi = np.searchsorted(rows["t"], (since - MINUTE_S + 1e-6, until))
    part = rows[lo:hi].copy()
    n = part["n"].copy()
    before, after = (
        np.floor(n * np.clip((at - part["t"]) / MINUTE_S, 0, 1) + 1e-9).astype(np.int64) for at in (since, until)
    )
    part["n"] = after - before
    some = np.maximum(n, 1)
    for name, unit in MEASURES:
        whole = part[name] // unit
        part[name] = (whole * after // some - whole * before // some) * unit
    return part[part["n"] > 0]


def merge(rows: Rows, *, bucket_s: int) -> Rows:
    """Rows summed into buckets of `bucket_s` seconds, one row a bucket and (key, model, provider, country, app)."""
    if not len(rows):
        return no_rows()
    labels = rows[["t", "key", "model", "provider", "country", "app"]].copy()
    labels["t"] -= labels["t"] % bucket_s
    order = np.lexsort([labels[name] for name in ("app", "country", "provider", "model", "key", "t")])
    labels = labels[order]
    is_first = np.ones(len(labels), dtype=np.bool_)
    is_first[1:] = np.any([labels[name][1:] != labels[name][:-1] for name in labels.dtype.names or ()], axis=0)
    first = np.flatnonzero(is_first)
    merged = np.zeros(len(first), dtype=ROW)
    for name in labels.dtype.names or ():
        merged[name] = labels[name][first]
    for name in ("n", "prompt", "completion", "reasoning", "cost"):
        merged[name] = np.add.reduceat(rows[name][order], first)
    return merged


def _weekly_shapes(fleet: Fleet) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rate by (key, hour of the week from Monday 00:00 local), mean 1 a key over days at work and off; share of days at work."""
    shapes = np.zeros((fleet.n_founders, 168))
    at_work = np.zeros(fleet.n_founders)
    for code, archetype in enumerate(ARCHETYPES):
        by_hour, weekend, share = WEEK_SHAPES[archetype.name]
        mine = np.flatnonzero(fleet.kind == code)
        at_work[mine] = share
        week = np.concatenate([np.tile(by_hour, 5), np.tile(by_hour, 2) * weekend])
        shapes[mine] = np.maximum(week, 0.0)
        if archetype.name == "batch":
            hours = (np.arange(168)[None, :] % 24 - fleet.phase_h[mine, None]) % 24
            shapes[mine] = (hours < 2).astype(np.float64) + 0.01
    shapes /= shapes.mean(axis=1, keepdims=True) * at_work[:, None]
    return shapes, at_work
