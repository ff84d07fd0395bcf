"""What the kinds of theft are made of: who comes, when, for which models, for how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from planted.disguise import TOOLS
from planted.habits import Span, World, blend, uniform_log
from planted.recording import APP, COUNTRY, DAY, HOUR
from planted.traffic import Mix, When, Who, poured, requests_for, sized

AT_HOME, COPIED_TITLE, NO_TITLE, ONE_TOOL = 0.2, 0.2, 0.3, 0.8
"""Shares of thieves who come only from the key's own countries, send the owner's title, send none, use one tool."""
DEAR, WORTH = 4e-6, 1.5e-6
"""USD a token: models a key is drained with; models that can be resold."""
FASTEST, MOST_USD = 2000, 700.0
"""Requests a slot; USD a theft."""


@dataclass(frozen=True, slots=True)
class Bout:
    """Cells (slot, model, n, tokens, usd) of one spell, and who sent them."""

    cells: pd.DataFrame
    who: Who


@dataclass(frozen=True, slots=True)
class Theft:
    """`own`: the slots in which the owner's rows stay; `created`: the key's new creation; `group`: the leak."""

    kind: str
    key: int
    bouts: tuple[Bout, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)
    own: tuple[int, int] | None = None
    created: int | None = None
    group: int = 0


@dataclass(frozen=True, slots=True)
class Loot:
    """So many dollars on these models; at most `fastest` requests a slot on average; `longer`: log of the usual stretch of a request."""

    models: Mix
    usd: float
    fastest: float = FASTEST
    longer: float = 0.0


def stranger(w: World, key: int, *, most: int = 4) -> Who:
    home = w.habits.mix(key, COUNTRY)
    if home and w.rng.random() < AT_HOME:
        return Who(home, title(w, key))
    abroad = np.setdiff1d(w.values(COUNTRY), list(home))
    chosen = w.rng.choice(abroad, int(w.rng.integers(1, most + 1)), replace=False)
    return Who(blend(w.rng, chosen, concentration=0.6), title(w, key))


def foreigner(w: World, key: int, *, most: int) -> Who:
    """A stranger from countries the key is not used from."""
    chosen = w.rng.choice(np.setdiff1d(w.values(COUNTRY), list(w.habits.mix(key, COUNTRY))), most, replace=False)
    return Who(blend(w.rng, chosen[: int(w.rng.integers(1, most + 1))], concentration=0.6), title(w, key))


def title(w: World, key: int) -> Mix:
    own, draw = w.habits.mix(key, APP), w.rng.random()
    if own and draw < COPIED_TITLE:
        return {max(own, key=lambda v: own[v]): 1.0}
    if draw < COPIED_TITLE + NO_TITLE:
        return {w.recording.code(""): 1.0}
    return dict.fromkeys(w.rng.choice(tools(w), 1 if w.rng.random() < ONE_TOOL else 2, replace=False).tolist(), 1.0)


def tools(w: World) -> list[int]:
    return [v for v in w.values(APP).tolist() if w.name(v) in TOOLS]


def catalog(w: World, price: float) -> np.ndarray:
    """Models of at least such a price a token."""
    return np.array([m for m, usd in w.traffic.price.items() if usd >= price])


def some(w: World, models: np.ndarray, *, count: tuple[int, int]) -> Mix:
    size = min(int(w.rng.integers(count[0], count[1] + 1)), len(models))
    return blend(w.rng, w.rng.choice(models, size, replace=False))


def hours(w: World, span: Span) -> int:
    return max(int(uniform_log(w.rng, span) * HOUR), 1)


def begin(w: World, length: int, *, alive: float = 0.7) -> int:
    """A start such that at least this share of the theft falls into the recording."""
    last = max(w.recording.n_slots - int(length * alive), w.recording.evaluation + 1)
    return int(w.rng.integers(w.recording.evaluation, last))


def spell(w: World, start: int, *, length: int, burst: float = 3.0, swing: float = 0.0) -> When:
    """Without a pause, with a daily swing of the thief's own."""
    start = min(start, w.recording.n_slots - 2)
    slots = np.arange(start, min(start + max(length, 1), w.recording.n_slots))
    phase = w.rng.uniform(0, 2 * np.pi)
    return When(slots, 1 + swing * np.sin(2 * np.pi * slots / DAY + phase), burst)


def spree(w: World, key: int, *, when: When, who: Who, loot: Loot) -> Bout:
    stretch = float(w.rng.lognormal(loot.longer, 0.4))
    sizes = {m: w.traffic.sizes(m, w.rng, not_of=key, stretch=stretch) for m in loot.models}
    requests = min(requests_for(min(loot.usd, MOST_USD), loot.models, sizes=sizes), loot.fastest * len(when.slots))
    cells = poured(when, loot.models, rng=w.rng, requests=requests)
    return Bout(sized(cells, sizes, rng=w.rng), who)
