"""What somebody else might do with a key: drawn at random from what the fleet's own keys do. Pure, seeded.

Nobody has labels of thefts. But a theft is, for a key, the behavior of somebody else: other models, countries, apps, hours,
sizes. The fleet is full of such behavior. A *thief* takes the prices, request sizes, models, places and apps of other keys
and mixes them; a classifier then learns what a key looks like when somebody else uses it too (`detect.transplant`).
The kinds and their rates follow published incidents only loosely, and wide: docs/detection.md says what was tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.domain import NUSD, Dimension
from monitor.features.columns import Array, Floats, Ints, total_by
from monitor.features.state import FleetState

AGES: Final = (1, 1, 1, 2, 2, 3, 4, 6, 6, 9, 12, 18, 24, 36, 54, 72, 96)
"""Ten-minute buckets since a theft began, of which one is drawn: most are looked at while they are young."""

KINDS: Final = {
    "burst": 0.22,
    "pool": 0.18,
    "scan": 0.12,
    "trickle": 0.14,
    "copy": 0.16,
    "elsewhere": 0.13,
    "hidden": 0.05,
}
"""How often each kind is drawn. burst: one or two models, fast. pool: many users of many models. scan: many models, a few
requests each, then use. trickle: a few dear requests an hour. copy: another key's whole behavior. elsewhere: the host's own
models from other places. hidden: the host's own models and places, more of them, or at other hours."""

HONEST: Final = {"bakeoff": 0.4, "trial": 0.3, "trip": 0.3}
"""What owners do that looks new as well. bakeoff: many models tried in minutes, from where they always are. trial: one or two
new models. trip: the usual models and app from another country."""

_KINDS: Final = {False: tuple(KINDS), True: tuple(HONEST)}
_CHANCES: Final = {False: np.cumsum(list(KINDS.values()))[:-1], True: np.cumsum(list(HONEST.values()))[:-1]}
_OWN_MODELS: Final = frozenset({"elsewhere", "hidden", "trip"})
_OWN_PLACE: Final = frozenset({"hidden", "bakeoff", "trial"})
_OWN_APP: Final = frozenset({"hidden", *HONEST})

UNSEEN_SHARE: Final = 0.12
"""How often a thief's value is one that nobody in the fleet has ever used."""

OWN_PLACE: Final = 0.22
OWN_APP: Final = 0.25
NO_APP: Final = 0.3
"""How often a thief comes only from the host's countries, sends the host's app titles, or none at all."""


@dataclass(frozen=True, slots=True)
class Market:
    """What the fleet does, over the last day: one entry a (key, value) in use, by dimension.

    `key`: key index; `value`: value number; `requests`, `cost`, `tokens` of the day. `n_values`: numbers from there on are
    values that nobody has used. `no_app`: the value number of requests without an app title, or one nobody used."""

    key: dict[int, Ints]
    value: dict[int, Ints]
    requests: dict[int, Floats]
    usd_each: Floats
    tokens_each: Floats
    n_values: int
    no_app: int

    def mix(self, dimension: Dimension, key: int) -> tuple[Ints, Floats]:
        """Values a key used during the day, with their shares of its requests; empty if it used none."""
        at = self.key[int(dimension)] == key
        weight = self.requests[int(dimension)][at]
        return self.value[int(dimension)][at], weight / max(weight.sum(), 1.0)


@dataclass(frozen=True, slots=True)
class Thief:
    """One stranger on one key: requests by bucket (oldest first, the last one is the bucket under way), and how each dimension
    splits them. `usd`, `tokens`: of one request, by model."""

    kind: str
    requests: Ints
    values: dict[int, Ints]
    shares: dict[int, Floats]
    usd: Floats
    tokens: Floats


def market_of(state: FleetState, *, n_values: int, no_app: int) -> Market:
    """The fleet's last day, from the state's own rings."""
    day = state.slots["hour_requests"].sum(axis=0, dtype=np.int64)
    cost = state.slots["hour_cost"].sum(axis=0, dtype=np.float64) / NUSD
    tokens = state.slots["hour_tokens"].sum(axis=0, dtype=np.float64)
    order = state.slots.canonical()
    order = order[day[order] > 0]
    dimension = state.slots["dimension"][order]
    at = {int(d): order[dimension == int(d)] for d in Dimension}
    models = at[int(Dimension.MODEL)]
    return Market(
        key={d: state.slots["key"][slots].astype(np.int64) for d, slots in at.items()},
        value={d: state.slots["value"][slots].astype(np.int64) for d, slots in at.items()},
        requests={d: day[slots].astype(np.float64) for d, slots in at.items()},
        usd_each=cost[models] / day[models],
        tokens_each=tokens[models] / day[models],
        n_values=n_values,
        no_app=no_app,
    )


def draw(
    market: Market, host: int, rng: np.random.Generator, *, usd_per_hour: float, is_honest: bool = False
) -> Thief | None:
    """A thief for this key index; None where the fleet did too little during the day to learn from.

    `usd_per_hour`: what the host itself spends in a mean hour; some thieves go by it. `is_honest`: the owner, with something
    new; None also for a key that did nothing during the day, whose owner nobody knows."""
    if len(market.usd_each) < 2 or (is_honest and not len(market.mix(Dimension.COUNTRY, host)[0])):
        return None
    kind = _KINDS[is_honest][int(np.searchsorted(_CHANCES[is_honest], rng.random()))]
    n_buckets = int(rng.choice(AGES))
    models = _models(market, host, kind, rng)
    values, share, usd, tokens = models
    grown = _size(kind, rng)
    usd, tokens = usd * grown, tokens * grown
    rate = _rate(kind, rng, usd_per_hour=usd_per_hour)
    per_hour = rate / max(float(share @ usd), 1e-7)
    if kind == "trickle":
        per_hour = float(np.exp(rng.uniform(np.log(0.7), np.log(20.0))))
    requests = _requests(kind, n_buckets, min(per_hour, 30_000.0), rng)
    if kind in ("scan", "bakeoff"):
        values, share, usd, tokens = _scanned(market, models, requests, rng, is_bakeoff=kind == "bakeoff")
    place = _place(market, host, kind, rng)
    app = _app(market, host, kind, rng)
    provider = _provider(market, values, rng)
    drawn = {
        Dimension.MODEL: (values, share),
        Dimension.COUNTRY: place,
        Dimension.APP: app,
        Dimension.PROVIDER: provider,
    }
    return Thief(
        kind=kind,
        requests=requests,
        values={int(d): pair[0] for d, pair in drawn.items()},
        shares={int(d): pair[1] for d, pair in drawn.items()},
        usd=usd,
        tokens=tokens,
    )


def _models(market: Market, host: int, kind: str, rng: np.random.Generator) -> tuple[Ints, Floats, Floats, Floats]:
    """Values, shares, dollars and tokens of a request."""
    value, key = market.value[int(Dimension.MODEL)], market.key[int(Dimension.MODEL)]
    own = np.flatnonzero(key == host)
    if kind in _OWN_MODELS and len(own):
        at = own
        share = market.requests[int(Dimension.MODEL)][at]
    elif kind == "copy":
        at = np.flatnonzero(key == int(rng.choice(key)))
        share = market.requests[int(Dimension.MODEL)][at]
    else:
        n = {"pool": int(rng.integers(4, 15)), "scan": int(rng.integers(1, 5)), "trickle": 1}.get(
            kind, int(rng.integers(1, 3))
        )
        at = _some(value, n, rng, weight=_dearness(market, kind))
        share = rng.gamma(1.0, size=len(at)) + 0.05
    picked = value[at].copy()
    if kind not in _OWN_MODELS and rng.random() < UNSEEN_SHARE:
        picked[int(rng.integers(len(picked)))] = market.n_values + int(Dimension.MODEL)
    return picked, share / share.sum(), market.usd_each[at], market.tokens_each[at]


def _dearness(market: Market, kind: str) -> Floats:
    """Weights of the model entries: thieves prefer what is dear; a pool takes what is asked for."""
    power = {"pool": 0.3, "scan": 0.4}.get(kind, 0.8)
    weight: Floats = np.maximum(market.usd_each, 1e-7) ** power
    return weight


def _some(value: Ints, n: int, rng: np.random.Generator, *, weight: Floats) -> Ints:
    """Up to `n` entries with distinct values, drawn by weight."""
    drawn = rng.choice(len(value), size=min(4 * n, 64), p=weight / weight.sum())
    _, first = np.unique(value[drawn], return_index=True)
    found: Ints = drawn[np.sort(first)[:n]]
    return found


def _size(kind: str, rng: np.random.Generator) -> float:
    """Requests longer or shorter than those of the key the prices came from."""
    if kind == "trickle":
        return float(np.exp(rng.uniform(np.log(2.0), np.log(25.0))))
    return float(np.exp(rng.normal(0.0, 0.7)))


def _rate(kind: str, rng: np.random.Generator, *, usd_per_hour: float) -> float:
    """Dollars an hour: absolute, or by what the host spends itself."""
    if kind in ("trial", "trip"):
        return max(usd_per_hour, 0.02) * float(np.exp(rng.uniform(np.log(0.1), np.log(2.0))))
    if kind == "hidden":
        return max(usd_per_hour, 0.02) * float(np.exp(rng.uniform(np.log(2.0), np.log(30.0))))
    low, high = {"burst": (1.0, 300.0), "pool": (0.2, 60.0), "scan": (0.5, 60.0), "elsewhere": (0.2, 30.0)}.get(
        kind, (0.1, 60.0)
    )
    if kind in ("elsewhere", "copy") and rng.random() < 0.5:
        return max(usd_per_hour, 0.02) * float(np.exp(rng.uniform(np.log(0.3), np.log(20.0))))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _requests(kind: str, n_buckets: int, per_hour: float, rng: np.random.Generator) -> Ints:
    """Requests by bucket; the thief is there in the first and in the last one."""
    pace = np.full(n_buckets, per_hour / 6.0) * rng.gamma(2.0, 0.5, size=n_buckets)
    if kind in ("pool", "copy", "burst") and rng.random() < 0.5:
        pace *= np.linspace(rng.uniform(0.05, 1.0), 1.0, n_buckets)
    if kind in ("trickle", "scan", "elsewhere", "hidden"):
        pace *= rng.random(n_buckets) < rng.uniform(0.3, 1.0)
    counted = rng.poisson(pace)
    counted[[0, -1]] = np.maximum(counted[[0, -1]], 1)
    found: Ints = counted.astype(np.int64)
    return found


def _scanned(
    market: Market,
    models: tuple[Ints, Floats, Floats, Floats],
    requests: Ints,
    rng: np.random.Generator,
    *,
    is_bakeoff: bool,
) -> tuple[Ints, Floats, Floats, Floats]:
    """The models of a scan: many, one to three tiny requests each, in the first buckets; then the few that are used.

    Shares are over the whole time, so a scan that just began consists of probes alone. Changes `requests` in place."""
    value = market.value[int(Dimension.MODEL)]
    n_models = int(rng.integers(4, 16) if is_bakeoff else rng.integers(8, 41))
    probed = _some(value, n_models, rng, weight=np.ones(len(value)))
    n_probes = len(probed) * rng.uniform(1.0, 3.0)
    first = max(1, min(len(requests), int(rng.integers(1, 4))))
    if len(requests) <= first or is_bakeoff or rng.random() < 0.35:
        requests[:] = 0
        requests[-first:] = np.maximum(1, round(n_probes / first))
        tiny = rng.uniform(0.02, 0.3)
        return (
            value[probed],
            np.full(len(probed), 1.0 / len(probed)),
            market.usd_each[probed] * tiny,
            market.tokens_each[probed] * tiny,
        )
    requests[:first] = max(1, round(n_probes / first))
    used, share, usd, tokens = models
    total = max(float(requests.sum()), 1.0)
    probe_share = min(0.9, float(requests[:first].sum()) / total)
    return (
        np.concatenate([value[probed], used]),
        np.concatenate([np.full(len(probed), probe_share / len(probed)), share * (1.0 - probe_share)]),
        np.concatenate([market.usd_each[probed] * 0.1, usd]),
        np.concatenate([market.tokens_each[probed] * 0.1, tokens]),
    )


def _place(market: Market, host: int, kind: str, rng: np.random.Generator) -> tuple[Ints, Floats]:
    own = market.mix(Dimension.COUNTRY, host)
    if len(own[0]) and (kind in _OWN_PLACE or (kind not in ("elsewhere", "trip") and rng.random() < OWN_PLACE)):
        return own
    if kind == "copy":
        return _of_another(market, Dimension.COUNTRY, rng)
    n = int(rng.integers(5, 26)) if kind == "pool" and rng.random() < 0.8 else int(rng.integers(1, 5))
    value = market.value[int(Dimension.COUNTRY)]
    at = _some(value, n, rng, weight=np.ones(len(value)))
    picked = value[at].copy()
    if rng.random() < 2 * UNSEEN_SHARE:
        picked[: max(1, len(picked) // 3)] = market.n_values + int(Dimension.COUNTRY)
    return _uneven(picked, rng)


def _app(market: Market, host: int, kind: str, rng: np.random.Generator) -> tuple[Ints, Floats]:
    own = market.mix(Dimension.APP, host)
    if len(own[0]) and (kind in _OWN_APP or rng.random() < OWN_APP):
        return own
    if rng.random() < NO_APP:
        return np.array([market.no_app]), np.ones(1)
    if kind == "copy":
        return _of_another(market, Dimension.APP, rng)
    value = market.value[int(Dimension.APP)]
    at = _some(value, int(rng.integers(1, 3)), rng, weight=np.ones(len(value)))
    picked = value[at].copy()
    if rng.random() < 2 * UNSEEN_SHARE:
        picked[0] = market.n_values + int(Dimension.APP)
    return _uneven(picked, rng)


def _provider(market: Market, models: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """The providers of a key that uses one of these models."""
    users = market.key[int(Dimension.MODEL)][np.isin(market.value[int(Dimension.MODEL)], models)]
    mixes = (
        [market.mix(Dimension.PROVIDER, int(rng.choice(users))) for _ in range(2 if len(models) > 2 else 1)]
        if len(users)
        else []
    )
    mixes = [mix for mix in mixes if len(mix[0])] or [_of_another(market, Dimension.PROVIDER, rng)]
    value, share = np.concatenate([m[0] for m in mixes]), np.concatenate([m[1] for m in mixes])
    distinct, at = np.unique(value, return_inverse=True)
    summed = total_by(at, share, len(distinct))
    return distinct, summed / summed.sum()


def _of_another(market: Market, dimension: Dimension, rng: np.random.Generator) -> tuple[Ints, Floats]:
    return market.mix(dimension, int(rng.choice(market.key[int(dimension)])))


def _uneven(values: Array, rng: np.random.Generator) -> tuple[Ints, Floats]:
    distinct = np.unique(values)
    share = rng.gamma(1.0, size=len(distinct)) + 0.05
    return distinct, share / share.sum()
