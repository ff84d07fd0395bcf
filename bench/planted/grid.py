"""Arithmetic on rows that keeps the four marginals of a bucket equal, to the token."""

from __future__ import annotations

import numpy as np
import pandas as pd

from planted.recording import COUNTS, MODEL

BUCKET = ["key", "slot", "theft"]


def split(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Whole numbers in proportion to each line's weights; every line adds up to its total."""
    share = np.cumsum(weight, axis=1)
    edges = np.round(share / np.maximum(share[:, -1:], 1e-300) * total[:, None])
    return np.diff(edges, axis=1, prepend=0).astype(np.int64)


def _groups(rows: pd.DataFrame) -> np.ndarray:
    """First line of each (bucket, dimension); rows are sorted by it."""
    ids = rows[[*BUCKET, "dim"]].to_numpy()
    return np.flatnonzero(np.r_[True, (np.diff(ids, axis=0) != 0).any(axis=1)])


def _running(weight: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulative weight within each group, after and before each line, and the group of each line."""
    group = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(weight)]))
    total = np.cumsum(weight)
    base = (total[first] - weight[first])[group]
    return total - base, total - weight - base, group


def retotaled(rows: pd.DataFrame) -> pd.DataFrame:
    """The model dimension is the truth: the others are made to agree with its totals."""
    rows = rows.sort_values([*BUCKET, "dim", "value"], kind="stable", ignore_index=True)
    first = _groups(rows)
    dim = rows["dim"].to_numpy()[first]
    bucket = np.cumsum(dim == MODEL) - 1
    out = {}
    for column in (*COUNTS, "usd"):
        truth = np.add.reduceat(rows[column].to_numpy(), first)[dim == MODEL][bucket]
        out[column] = _to(rows[column].to_numpy(), rows["n"].to_numpy(), first=first, truth=truth)
    return rows.assign(**out)


def _to(have: np.ndarray, fallback: np.ndarray, *, first: np.ndarray, truth: np.ndarray) -> np.ndarray:
    size = np.diff(np.r_[first, len(have)])
    zero = np.repeat(np.add.reduceat(have, first) == 0, size)
    weight = np.where(zero, fallback, have).astype(np.float64)
    if have.dtype.kind == "f":
        return weight / np.repeat(np.maximum(np.add.reduceat(weight, first), 1e-300), size) * np.repeat(truth, size)
    weight = weight.astype(np.int64)
    after, before, group = _running(weight, first)
    whole = np.maximum(np.add.reduceat(weight, first), 1)[group]
    goal = truth[group]
    return np.where(
        whole == goal,
        weight,
        np.rint(after / whole * goal).astype(np.int64) - np.rint(before / whole * goal).astype(np.int64),
    )


def scaled(
    rows: pd.DataFrame, rng: np.random.Generator, *, requests: np.ndarray, size: np.ndarray | float = 1.0
) -> pd.DataFrame:
    """Rows with `requests` times the requests (fewer: thinned, buckets may vanish) and `size` times the tokens of a request.

    One draw a bucket, shared by its dimensions, so that they keep the same total.
    """
    rows = rows.assign(_f=requests, _g=size).sort_values([*BUCKET, "dim", "value"], kind="stable", ignore_index=True)
    first = _groups(rows)
    draw = rng.random(len(first))[np.cumsum(rows["dim"].to_numpy()[first] == MODEL) - 1]
    n = rows["n"].to_numpy()
    after, before, group = _running(n, first)
    factor, offset = rows.pop("_f").to_numpy(), draw[group]
    kept = (np.floor(after * factor + offset) - np.floor(before * factor + offset)).astype(np.int64)
    ratio = kept / np.maximum(n, 1) * rows.pop("_g").to_numpy()
    rows = rows.assign(
        n=kept, usd=rows["usd"] * ratio,
        **{c: np.rint(rows[c] * ratio).astype(np.int64) for c in ("prompt", "answer", "reasoning")},
    )  # fmt: skip
    return retotaled(rows[kept > 0])


def merged(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a bucket, dimension and value."""
    return rows.groupby([*BUCKET, "dim", "value"], as_index=False, sort=True)[[*COUNTS, "usd"]].sum()
