"""Thefts and their benign look-alikes, laid over ordinary traffic: values, pure functions of their own fields.

A theft adds requests; a benign event adds to or changes the key's own. Neither knows about limits or disabled keys: the
world refuses requests to both alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import numpy as np

from monitor.demo.catalogue import ABROAD, DEAR, MODELS, RELAYS
from monitor.demo.fleet import Fleet, Key
from monitor.demo.traffic import MINUTE_S, ROW, Rows, price
from monitor.domain import HOUR_S, NUSD


class Event(Protocol):
    """Something that changes the usage of the world from `start` on."""

    @property
    def kind(self) -> str:
        """Which of the kinds below."""
        ...

    @property
    def start(self) -> datetime:
        """First minute."""
        ...

    @property
    def end(self) -> datetime:
        """First minute after it."""
        ...

    @property
    def key_hash(self) -> str | None:
        """The key concerned; None: all keys."""
        ...

    @property
    def is_lasting(self) -> bool:
        """Whether it changes existing rows alike from `start` on for good, so that hours after it need no minutes."""
        ...

    def shape(self, rows: Rows, fleet: Fleet, hour_start: int) -> Rows:
        """Minute rows of one hour as the event leaves them; only minutes from `start` to `end` differ."""
        ...


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of a theft. `n_requests` is exact in all; without it requests follow `usd_per_minute`.

    Traffic is spread evenly over `models` x `countries` x `apps`; models are permaslugs."""

    after: timedelta
    duration: timedelta
    models: tuple[str, ...]
    countries: tuple[str, ...]
    apps: tuple[str, ...]
    usd_per_minute: float = 0.0
    n_requests: int = 0
    prompt_tokens: int = 6000
    completion_tokens: int = 900


@dataclass(frozen=True, slots=True)
class Theft:
    """A stolen key in a thief's hands."""

    kind: str
    key_hash: str
    start: datetime
    phases: tuple[Phase, ...]
    seed: int = 0

    @property
    def end(self) -> datetime:
        """When the thief stops by himself."""
        return max(self.start + phase.after + phase.duration for phase in self.phases)

    @property
    def is_lasting(self) -> bool:
        """It ends."""
        return False

    def shape(self, rows: Rows, fleet: Fleet, hour_start: int) -> Rows:
        """Adds the thief's minutes of this hour."""
        key_no = _key_no(fleet, self.key_hash)
        parts = [rows]
        for number, phase in enumerate(self.phases):
            first = _minute(self.start + phase.after)
            n_minutes = max(1, int(phase.duration.total_seconds() // MINUTE_S))
            for minute in range(
                max(first, hour_start), min(first + n_minutes * MINUTE_S, hour_start + HOUR_S), MINUTE_S
            ):
                rng = np.random.default_rng(np.random.SeedSequence([self.seed, 11, key_no, number, minute]))
                parts.append(
                    _theft_minute(rng, fleet, phase, key_no, minute, no=(minute - first) // MINUTE_S, of=n_minutes)
                )
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class BatchBackfill:
    """A key does `factor` times its usual hourly work on top, on its usual models, from its usual places."""

    key_hash: str
    start: datetime
    duration: timedelta
    factor: float
    kind: str = "batch_backfill"

    @property
    def end(self) -> datetime:
        """When it is done."""
        return self.start + self.duration

    @property
    def is_lasting(self) -> bool:
        """It ends."""
        return False

    def shape(self, rows: Rows, fleet: Fleet, hour_start: int) -> Rows:
        """Adds the surge's minutes of this hour."""
        key_no = _key_no(fleet, self.key_hash)
        cells = np.flatnonzero(fleet.cells.key == key_no)
        first, last = max(_minute(self.start), hour_start), min(_minute(self.end), hour_start + HOUR_S)
        parts = [rows]
        for minute in range(first, last, MINUTE_S):
            rng = np.random.default_rng(np.random.SeedSequence([fleet.seed, 12, key_no, minute]))
            counts = rng.poisson(fleet.requests_per_hour[key_no] / 60 * self.factor * fleet.cells.share[cells])
            used = cells[counts > 0]
            more = np.zeros(len(used), dtype=ROW)
            more["t"], more["key"], more["n"] = minute, key_no, counts[counts > 0]
            for name in ("model", "provider", "country", "app"):
                more[name] = getattr(fleet.cells, name)[used]
            more["prompt"] = np.maximum(more["n"], more["n"] * fleet.cells.prompt[used])
            more["completion"] = np.maximum(more["n"], more["n"] * fleet.cells.completion[used])
            more["reasoning"] = more["completion"] * fleet.prices.reasoning_share()[more["model"]]
            parts.append(price(more, fleet))
        return np.concatenate(parts)


FOR_GOOD: Final = timedelta(days=10_000)


class Lasting:
    """An event that stays."""

    __slots__ = ()
    start: datetime

    @property
    def end(self) -> datetime:
        """Long after any demo."""
        return self.start + FOR_GOOD

    @property
    def is_lasting(self) -> bool:
        """It stays."""
        return True


@dataclass(frozen=True, slots=True)
class Growth(Lasting):
    """A key's traffic is `factor` times what it was, to stay."""

    key_hash: str
    start: datetime
    factor: float
    kind: str = "growth"

    def shape(self, rows: Rows, fleet: Fleet, hour_start: int) -> Rows:
        """Multiplies the key's rows."""
        mine = (rows["key"] == _key_no(fleet, self.key_hash)) & (rows["t"] >= _minute(self.start))
        grown = rows.copy()
        for name in ("n", "prompt", "completion", "reasoning"):
            grown[name][mine] = np.ceil(rows[name][mine] * self.factor)
        grown[mine] = price(grown[mine], fleet)
        return grown


@dataclass(frozen=True, slots=True)
class ModelMigration(Lasting):
    """A key's requests to its models all go to one other model from now on."""

    key_hash: str
    start: datetime
    model: str
    kind: str = "model_migration"

    def shape(self, rows: Rows, fleet: Fleet, hour_start: int) -> Rows:
        """Replaces model and provider, at the new model's price."""
        mine = (rows["key"] == _key_no(fleet, self.key_hash)) & (rows["t"] >= _minute(self.start))
        moved = rows.copy()
        code = fleet.prices.code(self.model)
        moved["model"][mine] = code
        moved["provider"][mine] = fleet.providers.code(fleet.prices.models[code].providers[0])
        moved[mine] = price(moved[mine], fleet)
        return moved


@dataclass(frozen=True, slots=True)
class PriceChange(Lasting):
    """Every model costs `factor` times as much from now on, for all keys."""

    start: datetime
    factor: float
    kind: str = "price_change"
    key_hash: str | None = None

    def shape(self, rows: Rows, fleet: Fleet, hour_start: int) -> Rows:
        """Multiplies costs, in whole units of 20 nano-dollars."""
        later = rows["t"] >= _minute(self.start)
        dearer = rows.copy()
        dearer["cost"][later] = np.rint(rows["cost"][later] * self.factor / 20).astype(np.int64) * 20
        return dearer


def smash_and_grab(
    key: Key,
    fleet: Fleet,
    *,
    start: datetime,
    usd_per_minute: float = 8.0,
    burst_after: timedelta = timedelta(minutes=6),
    duration: timedelta = timedelta(hours=4),
    seed: int = 0,
) -> Theft:
    """A tiny probe (1 to 3 requests) on a dear model the key never used, from a country and program it never was used
    from; `burst_after` later all the throughput there is on that model."""
    rng = _rng(seed, key)
    model, country, app = _never_used(rng, key, fleet)
    tiny = int(rng.integers(1, 4))
    return Theft("smash_and_grab", key.key_hash, start, (
        Phase(timedelta(0), timedelta(minutes=1), (model,), (country,), (app,),
              n_requests=tiny, prompt_tokens=12, completion_tokens=4),
        Phase(burst_after, duration, (model,), (country,), (app,), usd_per_minute, prompt_tokens=20_000, completion_tokens=2500),
    ), seed)  # fmt: skip


def resale_pool(
    key: Key,
    fleet: Fleet,
    *,
    start: datetime,
    usd_per_minute: float = 0.8,
    duration: timedelta = timedelta(days=2),
    seed: int = 0,
) -> Theft:
    """The key serves a relay: many models, many countries, day and night."""
    rng = _rng(seed, key)
    models = tuple(str(slug) for slug in rng.choice([model.permaslug for model in MODELS], size=9, replace=False))
    countries = tuple(str(code) for code in rng.choice(ABROAD, size=6, replace=False))
    pool = Phase(timedelta(0), duration, models, countries, tuple(str(app) for app in rng.choice(RELAYS, 2, replace=False)),
                 usd_per_minute, prompt_tokens=3000, completion_tokens=700)  # fmt: skip
    return Theft("resale_pool", key.key_hash, start, (pool,), seed)


def model_enumeration(
    key: Key,
    fleet: Fleet,
    *,
    start: datetime,
    usd_per_minute: float = 3.0,
    silence: timedelta = timedelta(hours=3),
    seed: int = 0,
) -> Theft:
    """One or two tiny requests on each of many models within minutes, silence, then abuse of the dearest."""
    rng = _rng(seed, key)
    dear, country, app = _never_used(rng, key, fleet)
    models = tuple(model.permaslug for model in MODELS)
    return Theft("model_enumeration", key.key_hash, start, (
        Phase(timedelta(0), timedelta(minutes=5), models, (country,), (app,),
              n_requests=2 * len(models), prompt_tokens=10, completion_tokens=5),
        Phase(silence, timedelta(hours=2), (dear,), (country,), (app,), usd_per_minute),
    ), seed)  # fmt: skip


def expensive_swap(
    key: Key,
    fleet: Fleet,
    *,
    start: datetime,
    usd_per_hour: float = 12.0,
    duration: timedelta = timedelta(hours=10),
    seed: int = 0,
) -> Theft:
    """A handful of requests an hour, each on a dear model with a very long prompt."""
    rng = _rng(seed, key)
    model, country, app = _never_used(rng, key, fleet)
    swap = Phase(timedelta(0), duration, (model,), (country,), (app,), usd_per_hour / 60,
                 prompt_tokens=150_000, completion_tokens=3000)  # fmt: skip
    return Theft("expensive_swap", key.key_hash, start, (swap,), seed)


def quiet_abroad(
    key: Key,
    fleet: Fleet,
    *,
    start: datetime,
    usd_per_hour: float = 3.0,
    duration: timedelta = timedelta(days=1),
    seed: int = 0,
) -> Theft:
    """The thief uses the models the key is used for anyway; only the country and the program are new."""
    rng = _rng(seed, key)
    _, country, app = _never_used(rng, key, fleet)
    codes = np.unique(fleet.cells.model[fleet.cells.key == key.no])
    models = tuple(fleet.prices.models[code].permaslug for code in codes)
    quiet = Phase(timedelta(0), duration, models, (country,), (app,), usd_per_hour / 60, prompt_tokens=2000)
    return Theft("quiet_abroad", key.key_hash, start, (quiet,), seed)


def _never_used(rng: np.random.Generator, key: Key, fleet: Fleet) -> tuple[str, str, str]:
    """A dear model, a country and a program that are not among the key's habits."""
    mine = fleet.cells.key == key.no
    used = {fleet.prices.models[code].permaslug for code in np.unique(fleet.cells.model[mine])}
    places = {fleet.countries.texts[code] for code in np.unique(fleet.cells.country[mine])}
    programs = {fleet.apps.texts[code] for code in np.unique(fleet.cells.app[mine])}
    return _pick(rng, DEAR, used), _pick(rng, ABROAD, places), _pick(rng, RELAYS, programs)


def _pick(rng: np.random.Generator, choices: Sequence[str], used: set[str]) -> str:
    return str(rng.choice([choice for choice in choices if choice not in used] or list(choices)))


def _rng(seed: int, key: Key) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, 10, key.no]))


def _minute(at: datetime) -> int:
    """The first whole minute not before `at`, epoch seconds."""
    return -(-math.ceil(at.timestamp()) // MINUTE_S) * MINUTE_S


def _key_no(fleet: Fleet, key_hash: str) -> int:
    for key in fleet.keys:
        if key.key_hash == key_hash:
            return key.no
    raise KeyError(f"no key {key_hash[:12]} in this fleet")


def _theft_minute(
    rng: np.random.Generator, fleet: Fleet, phase: Phase, key_no: int, minute: int, *, no: int, of: int
) -> Rows:
    """Rows of one minute of a phase, minute `no` of `of`."""
    codes = [
        (model, country, app)
        for model in (fleet.prices.code(permaslug) for permaslug in phase.models)
        for country in (fleet.countries.code(text) for text in phase.countries)
        for app in (fleet.apps.code(text) for text in phase.apps)
    ]
    if phase.n_requests:
        due = phase.n_requests * (no + 1) // of - phase.n_requests * no // of
        first = phase.n_requests * no // of
        counts = np.bincount((first + np.arange(due)) % len(codes), minlength=len(codes))
    else:
        prices = [fleet.prices.models[model] for model, *_ in codes]
        mean_nusd = float(np.mean([
            phase.prompt_tokens * model.prompt_nusd + phase.completion_tokens * model.completion_nusd for model in prices
        ]))  # fmt: skip
        counts = rng.poisson(phase.usd_per_minute * NUSD / mean_nusd / len(codes), len(codes))
    used = np.flatnonzero(counts)
    rows = np.zeros(len(used), dtype=ROW)
    rows["t"], rows["key"], rows["n"] = minute, key_no, counts[used]
    for column, values in zip(("model", "country", "app"), zip(*codes, strict=True), strict=True):
        rows[column] = np.array(values)[used]
    rows["provider"] = [fleet.providers.code(fleet.prices.models[model].providers[0]) for model in rows["model"]]
    wobble = rng.lognormal(0, 0.2, (2, len(used)))
    rows["prompt"] = np.maximum(rows["n"], rows["n"] * phase.prompt_tokens * wobble[0])
    rows["completion"] = np.maximum(rows["n"], rows["n"] * phase.completion_tokens * wobble[1])
    rows["reasoning"] = rows["completion"] * fleet.prices.reasoning_share()[rows["model"]]
    return price(rows, fleet)
