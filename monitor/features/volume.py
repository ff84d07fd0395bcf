"""How much, against the key's own season: one-sided robust z of spend, requests and tokens; jumps of price and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.domain import NUSD, Dimension
from monitor.features.baseline import WINDOWS, Expectation, expectations, samples_of
from monitor.features.columns import Floats, Ints
from monitor.features.params import FINE_PER_HOUR
from monitor.features.scene import Scene
from monitor.features.state import FleetState

PRIOR_SIGMA: Final = 0.35
"""Spread in ln units that a key's price or size is granted before its own history says otherwise."""

PRIOR_WEIGHT: Final = 5.0
_Z_AT_MOST: Final = 1e6


@dataclass(frozen=True, slots=True)
class Expected:
    """Expectations by measure (`cost`, `requests`) and window, over the active keys."""

    of: dict[tuple[str, str], Expectation]


def expected(scene: Scene) -> Expected:
    """Seasonal expectations of the active keys."""
    every = expected_of_all(scene.state, scene.hour, scene.inventory.born_hour)
    return Expected({name: Expectation(e.median[scene.index], e.spread[scene.index]) for name, e in every.items()})


def expected_of_all(state: FleetState, hour: int, born_hour: Ints) -> dict[tuple[str, str], Expectation]:
    """Expectations by measure and window, over all key indices; computed once an hour and kept."""
    kept = state.cache.get("expected")
    if kept is None or kept[0] != _stamp(state, hour, born_hour):
        keep_expected(state, hour, born_hour, _expected_of_all(state, hour, born_hour))
    every: dict[tuple[str, str], Expectation] = state.cache["expected"][1]
    return every


def keep_expected(state: FleetState, hour: int, born_hour: Ints, expected_: dict[tuple[str, str], Expectation]) -> None:
    """Has `expected_of_all` find these, as long as nothing they rest on changes."""
    state.cache["expected"] = (_stamp(state, hour, born_hour), expected_)


def _stamp(state: FleetState, hour: int, born_hour: Ints) -> tuple[object, ...]:
    return hour, samples_of(state, hour).tobytes(), state.n_rebuilt, state.keys.n, born_hour.tobytes()


def _expected_of_all(state: FleetState, hour: int, born_hour: Ints) -> dict[tuple[str, str], Expectation]:
    return {
        (measure, window): expectation
        for measure in ("cost", "requests")
        for window, expectation in expectations(state, f"level_{measure}", hour, born_hour=born_hour).items()
    }


def spend(scene: Scene, window: str) -> Floats:
    """Nano-dollars by active key: usage rows or counters, whichever saw more; NaN where neither saw anything."""
    counted = {"10m": scene.counter_10m, "1h": scene.counter_1h, "6h": scene.counter_1h, "24h": scene.counter_24h}[
        window
    ]
    usage = scene.by_key(scene.cost[window], Dimension.MODEL)
    seen = scene.is_known[int(Dimension.MODEL)] | (counted > 0)
    return np.where(seen, np.maximum(usage, counted), np.nan)


def features(scene: Scene, usual: Expected) -> dict[str, Floats]:
    """Z values (>= 0) and jumps; NaN inside the grace period, or where the window is unknown."""
    found: dict[str, Floats] = {}
    per_request = _mean_of(scene, "size", prior=np.nan)
    is_fine = scene.is_fine[int(Dimension.MODEL)]
    for window in ("10m", *WINDOWS):
        share = 1.0 / FINE_PER_HOUR if window == "10m" else 1.0
        over = "1h" if window == "10m" else window
        cost, requests = usual.of["cost", over], usual.of["requests", over]
        tokens = Expectation(requests.median * per_request, requests.spread * per_request)
        for name, season, now in (
            ("spend", cost, spend(scene, window)),
            ("requests", requests, scene.known(scene.by_key(scene.requests[window], Dimension.MODEL))),
            ("tokens", tokens, scene.known(scene.by_key(scene.tokens[window], Dimension.MODEL))),
        ):
            z = np.minimum(season.z(now, share=share), _Z_AT_MOST)
            found[f"{name}_z_{window}"] = np.where(is_fine, z, np.nan) if window == "10m" else z
    return found | _jumps(scene) | _limit(scene)


def _jumps(scene: Scene) -> dict[str, Floats]:
    cost, requests, tokens = (
        scene.by_key(part["1h"], Dimension.MODEL) for part in (scene.cost, scene.requests, scene.tokens)
    )
    return {
        "price_jump_1h": scene.known(_jump(scene, "price", cost, requests)),
        "size_jump_1h": scene.known(_jump(scene, "size", tokens, requests)),
        "rate_jump_1h": scene.known(_jump(scene, "rate", cost, tokens)),
    }


def _jump(scene: Scene, name: str, above: Floats, below: Floats) -> Floats:
    """One-sided z of ln(above / below) against the key's own learned mean and (shrunk) spread; NaN without history."""
    unit = scene.state.gain(scene.hour)
    weight, total, squares = scene.state.keys[name][:, scene.index]
    has = (weight > 0) & (above > 0) & (below > 0)
    mean = np.divide(total, weight, out=np.zeros(scene.n), where=has)
    variance = np.maximum(np.divide(squares, weight, out=np.zeros(scene.n), where=has) - mean**2, 0.0)
    n = weight / unit
    sigma = np.sqrt((n * variance + PRIOR_WEIGHT * PRIOR_SIGMA**2) / (n + PRIOR_WEIGHT))
    ratio = np.divide(above, below, out=np.ones(scene.n), where=has)
    return np.where(has, np.maximum(np.log(ratio) - mean, 0.0) / sigma, np.nan)


def _mean_of(scene: Scene, name: str, *, prior: float) -> Floats:
    """exp of the learned mean of ln(ratio), `prior` where nothing was learned."""
    weight, total, _ = scene.state.keys[name][:, scene.index]
    has = weight > 0
    return np.where(has, np.exp(np.divide(total, weight, out=np.zeros(scene.n), where=has)), prior)


def _limit(scene: Scene) -> dict[str, Floats]:
    limit = scene.inventory.limit[scene.index]
    left = scene.inventory.limit_remaining[scene.index]
    used = np.divide(limit - left, limit, out=np.full(scene.n, np.nan), where=limit > 0)
    return {"limit_used": np.clip(used, 0.0, 1.0)}


def typical_hour(usual: Expected) -> Floats:
    """Expected nano-dollars of this hour by active key, 0 where nothing is known."""
    return np.nan_to_num(usual.of["cost", "1h"].median, nan=0.0)


def usual_ratio(scene: Scene, name: str) -> Floats:
    """The key's usual dollars per request (`price`, nano-dollars) or tokens per request (`size`); NaN where nothing was learned."""
    return _mean_of(scene, name, prior=np.nan)


def regularity(usual: Expected) -> Floats:
    """1 / (1 + spread / median) of what the key spends in an hour like this one: near 1 for a steady service, near 0 for a key
    that works now and then. NaN where nothing is known, or nothing is usual: such a key has no level to depart from."""
    season = usual.of["cost", "1h"]
    regular: Floats = np.divide(
        season.median, season.median + season.spread, out=np.full(len(season.median), np.nan), where=season.median > 0
    )
    return regular


def excess_line(usual: Expected) -> Floats:
    """Nano-dollars an hour above which spend counts as excess, infinity without a baseline."""
    season = usual.of["cost", "1h"]
    return np.nan_to_num(season.median + 4.0 * season.spread, nan=np.inf)


MIN_NOVEL_NUSD: Final = NUSD // 100
"""Novel dollars of an hour (a cent) from which the hour belongs to a run of unusual hours."""
