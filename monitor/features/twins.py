"""Benign twins: ordinary events that look like theft, told apart by which habits they break and which they keep.

A twin is claimed only where the broken habits are exactly its own: growth breaks none but the amount, a failover none but the
provider. Whoever steals a key breaks others as well, or hides inside them and gains little. All facts are those of the
trailing hour, vectorised over the active keys; what softens what, and up to how many dollars, is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from monitor.domain import BUCKET_S, HOUR_S, NUSD, Dimension, Twin
from monitor.features.columns import Bools, Floats, Ints
from monitor.features.kept import BROKEN_SHARE, SETTLED_H, Facts, dearest, facts_of
from monitor.features.levels import DAY_H
from monitor.features.moves import JUMP, Moves, pair
from monitor.features.rhythm import silence
from monitor.features.scene import Scene
from monitor.features.volume import Expected, spend
from monitor.frames import TWINS

NEARLY: Final = 0.8
"""Share of what the best explanation accounts for, from which a more telling one is preferred."""

COMMON_SHARE: Final = 0.03
COMMON_KEYS: Final = 3
"""A value is commonly new where it was new to so many keys in a day, and to this share of those in use."""

REPLACED: Final = 0.6
"""Share of the usual dollars up to which the old models must have fallen, for new ones to have taken their place."""

FEW_MODELS: Final = 2
MIGRATION_TIMES: Final = 10.0
"""A migration is to a model or two, and not to much more than the usual dollars."""

FEW_COUNTRIES: Final = 2
EXPERIMENT_NUSD: Final = NUSD
"""A new region or a trip is a country or two; an experiment costs at most so many dollars an hour."""

BATCH_S: Final = 4 * HOUR_S
"""What lasts longer than this is growth, not a batch run."""

_M, _P, _C, _A = (int(dimension) for dimension in Dimension)


@dataclass(frozen=True, slots=True)
class _Claim:
    """One kind of twin, by active key: where it holds, the nano-dollars it explains, the value it is about (-1: none), and on
    how many other keys it is the same."""

    kind: Twin
    holds: Bools
    explained: Floats
    value: Ints | int = -1
    n_others: Ints | int = 0


def twins_frame(scene: Scene, usual: Expected, moves: Moves, onset_s: Ints) -> pd.DataFrame:
    """frames.TWINS: the active keys that look like a twin, one row each: the first that explains nearly as much as any other does.
    What other keys bear witness to comes first. `onset_s`: see money.onset."""
    facts = facts_of(scene, usual)
    claims = [
        _failover(scene, facts, moves),
        _price(scene, facts, moves),
        _common(scene, facts, moves),
        _migration(scene, facts),
        _region(scene, facts),
        _experiment(scene, facts),
        _catch_up(scene, facts, usual),
        _batch(scene, facts, onset_s),
        _growth(scene, facts, onset_s),
    ]
    explained = np.stack([np.where(claim.holds, np.maximum(claim.explained, 0.0), 0.0) for claim in claims])
    most = explained.max(axis=0)
    best, rows = (explained >= NEARLY * most).argmax(axis=0), np.flatnonzero(most > 0)

    def of_best(name: str) -> Any:
        return np.stack([np.broadcast_to(getattr(claim, name), scene.n) for claim in claims])[best[rows], rows]

    columns = {
        "key_no": scene.index[rows] - 1,
        "kind": np.array([int(claim.kind) for claim in claims])[best[rows]],
        "explained_nusd": np.rint(explained[best[rows], rows]),
        "value_no": of_best("value"),
        "n_others": of_best("n_others"),
    }
    return pd.DataFrame({name: columns[name].astype(dtype) for name, dtype in TWINS.items()})


def _failover(scene: Scene, facts: Facts, moves: Moves) -> _Claim:
    """Only the provider is new, and other keys with one of the same models went to it in the same hours."""
    provider = dearest(scene, _P, facts.is_new)
    at = np.flatnonzero((scene.dimension == _M) & (scene.cost["1h"] > 0))
    code = pair(scene.state.slots["value"][scene.slots[at]], np.maximum(provider[scene.key_at[at]], 0))
    place = np.minimum(np.searchsorted(moves.switched, code), max(len(moves.switched) - 1, 0))
    n_keys = np.zeros(scene.n, np.int64)
    if len(moves.switched):
        known = (moves.switched[place] == code) & (provider[scene.key_at[at]] >= 0)
        np.maximum.at(n_keys, scene.key_at[at], np.where(known, moves.n_switched[place], 0))
    n_others = np.maximum(n_keys - 1, 0)
    holds = facts.is_settled & facts.only(_P) & facts.broken[_P] & facts.same_volume & (n_others >= COMMON_KEYS)
    return _Claim(Twin.FAILOVER, holds, facts.new[_P], provider, n_others)


def _price(scene: Scene, facts: Facts, moves: Moves) -> _Claim:
    """Nothing is new, as many requests and tokens as usual: they cost more, as on most keys that use the model."""
    value = scene.state.slots["value"][scene.slots]
    times = np.where(scene.dimension == _M, moves.price_times[value], 1.0)
    dearer = scene.by_key(scene.cost["1h"] * (1.0 - 1.0 / times), Dimension.MODEL)
    model = dearest(scene, _M, times >= JUMP)
    n_others = np.where(model >= 0, moves.n_dearer[np.maximum(model, 0)] - 1, 0)
    holds = facts.is_settled & facts.only() & facts.same_volume & facts.same_size & (dearer > 0)
    return _Claim(Twin.PRICE, holds, np.minimum(dearer, facts.excess), model, np.maximum(n_others, 0))


def _common(scene: Scene, facts: Facts, moves: Moves) -> _Claim:
    """What is new here is new on many keys at once: a model, a provider or an app, never a country."""
    value = scene.state.slots["value"][scene.slots]
    is_common = facts.is_new & (moves.n_new[value] > max(COMMON_KEYS, COMMON_SHARE * moves.n_active))
    common = scene.by_key(scene.cost["1h"] * is_common)
    rest = facts.new - common
    is_all = (rest <= BROKEN_SHARE * facts.total).all(axis=0)
    found = [dearest(scene, dimension, is_common) for dimension in (_M, _P, _A)]
    first = np.where(found[0] >= 0, found[0], np.where(found[1] >= 0, found[1], found[2]))
    holds = facts.is_settled & ~facts.broken[_C] & facts.broken.any(axis=0) & is_all & facts.same_volume & (first >= 0)
    n_others = np.where(first >= 0, moves.n_new[np.maximum(first, 0)] - 1, 0)
    return _Claim(Twin.COMMON, holds, common.max(axis=0), first, n_others)


def _migration(scene: Scene, facts: Facts) -> _Claim:
    """A new model or two, and as much less of the old ones; number, countries and apps as usual."""
    model = dearest(scene, _M, facts.is_new)
    n_new = scene.by_key((facts.is_new & (scene.requests["1h"] > 0)).astype(np.float64), Dimension.MODEL)
    old = facts.total - facts.new[_M]
    holds = facts.is_settled & facts.only(_M, _P) & facts.broken[_M] & facts.same_volume
    holds &= (n_new <= FEW_MODELS) & (facts.expected > 0) & (old <= REPLACED * facts.expected)
    holds &= facts.total <= MIGRATION_TIMES * facts.expected
    return _Claim(Twin.MIGRATION, holds, facts.new[_M], model)


def _region(scene: Scene, facts: Facts) -> _Claim:
    """Only a country or two are new: same models, apps, number and price. Three at once are a crowd."""
    country = dearest(scene, _C, facts.is_new)
    n_new = scene.by_key((facts.is_new & (scene.requests["1h"] > 0)).astype(np.float64), Dimension.COUNTRY)
    holds = facts.is_settled & facts.only(_C) & facts.broken[_C] & facts.same_volume & facts.same_price
    holds &= n_new <= FEW_COUNTRIES
    return _Claim(Twin.REGION, holds, facts.new[_C], country)


def _experiment(scene: Scene, facts: Facts) -> _Claim:
    """New models for little money, from the usual places at a usual hour."""
    model = dearest(scene, _M, facts.is_new)
    holds = facts.is_settled & facts.only(_M, _P) & facts.broken[_M] & facts.same_volume
    holds &= facts.new[_M] <= EXPERIMENT_NUSD
    return _Claim(Twin.EXPERIMENT, holds, facts.new[_M], model)


def _catch_up(scene: Scene, facts: Facts, usual: Expected) -> _Claim:
    """More of the same after a pause, and the day as a whole is as usual."""
    day = np.nan_to_num(spend(scene, "24h"))
    is_even = day <= np.nan_to_num(usual.of["cost", "24h"].median + usual.of["cost", "24h"].spread)
    holds = (scene.history >= SETTLED_H) & (silence(scene) < DAY_H) & facts.has_paused & is_even
    holds &= facts.only() & facts.same_price
    return _Claim(Twin.CATCH_UP, holds, facts.excess)


def _batch(scene: Scene, facts: Facts, onset_s: Ints) -> _Claim:
    """Nothing but more of it, for a few hours so far: same models, providers, countries, apps and prices."""
    holds = _is_more(facts) & (_lasts_s(scene, onset_s) < BATCH_S)
    return _Claim(Twin.BATCH, holds, facts.excess)


def _growth(scene: Scene, facts: Facts, onset_s: Ints) -> _Claim:
    """The same for longer."""
    holds = _is_more(facts) & (_lasts_s(scene, onset_s) >= BATCH_S)
    return _Claim(Twin.GROWTH, holds, facts.excess)


def _is_more(facts: Facts) -> Bools:
    """A key that usually does nothing at this hour has no amount to compare with but its busiest hour."""
    return np.asarray(facts.is_settled & facts.only() & facts.same_price & ((facts.expected > 0) | facts.same_volume))


def _lasts_s(scene: Scene, onset_s: Ints) -> Ints:
    lasts: Ints = (scene.bucket + 1) * BUCKET_S - onset_s
    return lasts
