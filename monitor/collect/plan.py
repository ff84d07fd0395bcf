"""What to ask the analytics API, so that every row that comes back belongs to exactly one key. Pure.

Rows come back by key *name*, and names are not unique. So: one account-wide question covers the names that a single known
key bears; keys that share a name (or have none, or whose name's rows are older than the key) are asked by hash in a second
round, in batches in which names are distinct, and only where their name has rows at all. What would not fit an answer is
split by time beforehand, and by hash where a single bucket of the whole account is too much. Limits: the public analytics
skills, see `openrouter.analytics`.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.domain import BUCKET_S, Dimension
from monitor.openrouter.analytics import MAX_DAYS, MAX_MINUTES, Granularity

ROWS_AIM: Final = 8_000
"""Predicted rows above this are split beforehand (an answer holds at most 10,000)."""
MAX_HASHES: Final = 200
"""Hashes in one filter. No bound is documented; the source refusing one (400) splits the batch."""
SHARE_FOR_SWEEPS: Final = 0.6
"""Share of our requests a minute that the regular sweep may plan with; the rest is for drill-downs and backfill."""
JOINT: Final = ((Dimension.MODEL, Dimension.COUNTRY), (Dimension.APP, Dimension.PROVIDER))
"""With one key a question both dimension slots are free: two questions give all four marginals."""
FIRST_GUESS: Final[Mapping[Granularity, float]] = {Granularity.MINUTE: 0.5, Granularity.HOUR: 3.0, Granularity.DAY: 5.0}
"""Rows a key and bucket before anything was measured."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as attribution needs it; disabled and vanished keys count, their usage is still served.

    `gone_s`: when it was first seen to have vanished; no usage of it is newer."""

    key_hash: str
    key_name: str
    created_s: int
    gone_s: int | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """All keys ever known. `sole`: by name, where one key bears it and nothing contests it; `by_hash`: all others, in order."""

    keys: Mapping[str, KnownKey]
    sole: Mapping[str, KnownKey]
    by_hash: tuple[str, ...]
    by_name: Mapping[str, Sequence[KnownKey]]

    def bearers(self, name: str) -> Sequence[KnownKey]:
        """The keys of that name; the empty name is nobody's, for no label can be trusted to mean it."""
        return self.by_name.get(name, ()) if name else ()


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: window in epoch seconds, one or two dimensions; no hashes: the whole account.

    Two dimensions only with exactly one hash; else the second slot is taken by the key."""

    granularity: Granularity
    since_s: int
    until_s: int
    dimensions: tuple[Dimension, ...]
    key_hashes: tuple[str, ...] = ()

    @property
    def n_buckets(self) -> int:
        """Buckets of the granularity that the window touches."""
        return -(-(self.until_s - self.since_s) // self.granularity.seconds)


@dataclass(slots=True)
class Density:
    """Rows a key and bucket, by granularity and dimension, learned from answers: rises at once, falls slowly."""

    _rows: dict[tuple[Granularity, Dimension], float] = field(default_factory=dict)

    def rows(self, granularity: Granularity, dimension: Dimension) -> float:
        """Expected rows of one key in one bucket (averaged over all keys, silent ones too)."""
        return self._rows.get((granularity, dimension), FIRST_GUESS[granularity])

    def learn(self, granularity: Granularity, dimension: Dimension, *, n_rows: int, n_cells: int) -> None:
        """Takes in one complete reading of `n_cells` keys x buckets."""
        if n_cells <= 0:
            return
        seen = max(n_rows / n_cells, 1e-3)
        before = self._rows.get((granularity, dimension), seen)
        self._rows[granularity, dimension] = max(seen, 0.8 * before + 0.2 * seen)


def fleet_of(keys: Iterable[KnownKey], contested: Collection[str] = (), *, since_s: int = 0) -> Fleet:
    """Sorts keys into those a name identifies and those only their hash does.

    Keys gone before `since_s` are left out: a name that was used again is free of them."""
    by_name: dict[str, list[KnownKey]] = defaultdict(list)
    by_key_hash = {key.key_hash: key for key in keys if key.gone_s is None or key.gone_s >= since_s}
    for key in by_key_hash.values():
        by_name[key.key_name].append(key)
    sole = {
        name: bearers[0] for name, bearers in by_name.items() if len(bearers) == 1 and name and name not in contested
    }
    by_hash = tuple(key_hash for key_hash, key in by_key_hash.items() if key.key_name not in sole)
    return Fleet(keys=by_key_hash, sole=sole, by_hash=by_hash, by_name=dict(by_name))


def batches(fleet: Fleet, key_hashes: Iterable[str], *, size: int) -> list[tuple[str, ...]]:
    """The hashes in as few groups as can be, each of at most `size` and without two equal names; nameless keys stand alone."""
    layers: dict[int, list[str]] = defaultdict(list)
    alone: list[tuple[str, ...]] = []
    n_seen: dict[str, int] = defaultdict(int)
    for key_hash in key_hashes:
        name = fleet.keys[key_hash].key_name
        if not name:
            alone.append((key_hash,))
            continue
        layers[n_seen[name]].append(key_hash)
        n_seen[name] += 1
    return alone + [
        tuple(layer[start : start + size]) for layer in layers.values() for start in range(0, len(layer), size)
    ]


def plan_account(
    fleet: Fleet,
    since_s: int,
    until_s: int,
    *,
    granularity: Granularity,
    dimensions: Sequence[Dimension],
    density: Density,
) -> list[Ask]:
    """The first round: account-wide questions, each predicted to fit one answer; in dimensions that are too crowded for
    that (`is_crowded`), every key by hash. An empty window asks nothing."""
    asks: list[Ask] = []
    for dimension in dimensions:
        if is_crowded(fleet, granularity, dimension, density):
            asks += plan_by_hash(
                fleet, fleet.keys, since_s, until_s, granularity=granularity, dimensions=[dimension], density=density
            )
            continue
        rows_per_bucket = len(fleet.keys) * density.rows(granularity, dimension)
        windows = slices(since_s, until_s, granularity=granularity, rows_per_bucket=rows_per_bucket)
        asks += [Ask(granularity, start, end, (dimension,)) for start, end in windows]
    return asks


def plan_by_hash(
    fleet: Fleet,
    key_hashes: Iterable[str],
    since_s: int,
    until_s: int,
    *,
    granularity: Granularity,
    dimensions: Sequence[Dimension],
    density: Density,
) -> list[Ask]:
    """The second round: these keys by hash, in batches without two equal names; a key left alone in its batch gets two
    dimensions a question."""
    asks: list[Ask] = []
    alone: dict[str, list[Dimension]] = defaultdict(list)
    hashes = list(key_hashes)
    for dimension in dimensions:
        rows_per_cell = density.rows(granularity, dimension)
        size = max(1, min(MAX_HASHES, int(ROWS_AIM / rows_per_cell)))
        for batch in batches(fleet, hashes, size=size):
            if len(batch) == 1:
                alone[batch[0]].append(dimension)
                continue
            rows_per_bucket = len(batch) * rows_per_cell
            windows = slices(since_s, until_s, granularity=granularity, rows_per_bucket=rows_per_bucket)
            asks += [Ask(granularity, start, end, (dimension,), batch) for start, end in windows]
    for key_hash, wanted in alone.items():
        asks += plan_one_key(key_hash, since_s, until_s, granularity=granularity, dimensions=wanted)
    return asks


def is_crowded(fleet: Fleet, granularity: Granularity, dimension: Dimension, density: Density) -> bool:
    """Whether one bucket of the whole account is predicted to be more than an answer can hold."""
    return len(fleet.keys) * density.rows(granularity, dimension) > ROWS_AIM


def open_dimensions(
    fleet: Fleet, granularity: Granularity, dimensions: Sequence[Dimension], density: Density
) -> list[Dimension]:
    """The dimensions that `plan_account` asks account-wide: only there is a second round by hash to be asked."""
    return [dimension for dimension in dimensions if not is_crowded(fleet, granularity, dimension, density)]


def plan_one_key(
    key_hash: str, since_s: int, until_s: int, *, granularity: Granularity, dimensions: Collection[Dimension]
) -> list[Ask]:
    """Questions for one key by its hash: dimensions in pairs where both of a pair are wanted."""
    pairs: list[tuple[Dimension, ...]] = []
    for pair in JOINT:
        wanted = tuple(dimension for dimension in pair if dimension in dimensions)
        if wanted:
            pairs.append(wanted)
    windows = slices(since_s, until_s, granularity=granularity, rows_per_bucket=0.0)
    return [Ask(granularity, start, end, pair, (key_hash,)) for pair in pairs for start, end in windows]


def slices(since_s: int, until_s: int, *, granularity: Granularity, rows_per_bucket: float) -> list[tuple[int, int]]:
    """Windows that keep the documented bounds (3 h of minutes, 31 days) and the predicted rows below ROWS_AIM."""
    step = granularity.seconds
    n_most = MAX_MINUTES if granularity is Granularity.MINUTE else MAX_DAYS * 86400 // step
    n_fit = max(1, int(min(n_most, ROWS_AIM / max(rows_per_bucket, 1e-6))))
    windows = []
    start = since_s
    while start < until_s:
        end = start + n_fit * step
        end = until_s if end >= until_s else _cut(end, after=start, step=step)
        windows.append((start, end))
        start = end
    return windows


def split(ask: Ask, fleet: Fleet) -> list[Ask]:
    """Smaller questions that together are `ask`, for an answer that was cut off: by time, then by hash, then by dimension.

    Empty: one bucket of one key in one dimension cannot be split; what came back is all there is to get. Halves of an
    account-wide bucket name every known key, so usage of unknown keys is lost from sight there."""
    step = ask.granularity.seconds
    if ask.n_buckets > 1:
        middle = _cut(ask.since_s + ask.n_buckets // 2 * step, after=ask.since_s, step=step)
        return [_with(ask, until_s=middle), _with(ask, since_s=middle)]
    if len(ask.key_hashes) > 1:
        return split_hashes(ask)
    if not ask.key_hashes and fleet.sole:
        size = max(1, min(MAX_HASHES, -(-len(fleet.sole) // 2)))
        hashes = [key.key_hash for key in fleet.sole.values()]
        return [_with(ask, key_hashes=batch) for batch in batches(fleet, hashes, size=size)]
    if len(ask.dimensions) > 1:
        return [_with(ask, dimensions=(dimension,)) for dimension in ask.dimensions]
    return []


def split_hashes(ask: Ask) -> list[Ask]:
    """The two halves of a batch of hashes."""
    half = len(ask.key_hashes) // 2
    return [_with(ask, key_hashes=ask.key_hashes[:half]), _with(ask, key_hashes=ask.key_hashes[half:])]


def _with(ask: Ask, **changes: Any) -> Ask:
    return dataclasses.replace(ask, **changes)


def _cut(edge_s: int, *, after: int, step: int) -> int:
    """`edge_s` moved back to the start of a detection bucket where that leaves something, so a bucket is read in one go."""
    for grid in (max(BUCKET_S, step), step):
        if edge_s - edge_s % grid > after:
            return edge_s - edge_s % grid
    return edge_s
