from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted.grid import merged, retotaled, scaled, split
from planted.recording import COUNTS

DIMS = range(4)
BUCKET = ["key", "slot", "theft"]


def _rows(rng: np.random.Generator, n_buckets: int = 200) -> pd.DataFrame:
    """Buckets with one to four values in each dimension, whose totals agree."""
    parts = []
    for bucket in range(n_buckets):
        n = int(rng.integers(1, 40))
        totals = {"n": n, **{c: int(rng.integers(0, 5000)) for c in COUNTS[1:]}}
        for dim in DIMS:
            counts = np.bincount(rng.integers(0, rng.integers(1, 5), n), minlength=4)
            used = np.flatnonzero(counts)
            whole = {c: split(np.array([t]), counts[None, used])[0] for c, t in totals.items()}
            usd = 0.5 * counts[used] / n
            part = {"key": bucket % 7, "slot": bucket, "theft": 0, "dim": dim, "value": used + 10 * dim, "usd": usd}
            parts.append(pd.DataFrame(part | whole))
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=1)


def _spread(rows: pd.DataFrame) -> pd.Series:
    """Largest disagreement between the dimensions of a bucket, by column."""
    totals = rows.groupby([*BUCKET, "dim"])[[*COUNTS, "usd"]].sum().unstack("dim")
    assert totals.notna().all().all()
    return pd.Series({c: (totals[c].max(axis=1) - totals[c].min(axis=1)).max() for c in (*COUNTS, "usd")})


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_split_total_is_whole_and_complete(rng):
    total, weight = (
        rng.integers(0, 10_000, 500),
        rng.random((500, 6)) * (rng.random((500, 6)) < 0.5) + [[1, 0, 0, 0, 0, 0]],
    )

    parts = split(total, weight)

    assert (parts.sum(axis=1) == total).all()
    assert (parts >= 0).all()
    assert (np.abs(parts - weight / weight.sum(axis=1, keepdims=True) * total[:, None]) <= 1).all()


def test_dimensions_follow_the_models_totals(rng):
    rows = _rows(rng)
    model = rows["dim"] == 0
    cheaper = rows.assign(
        usd=rows["usd"] * np.where(model, 0.6, 1), prompt=np.where(model, rows["prompt"] * 3, rows["prompt"])
    )

    mended = retotaled(cheaper)

    assert _spread(cheaper)["prompt"] > 0
    assert (_spread(mended)[list(COUNTS)] == 0).all()
    assert _spread(mended)["usd"] < 1e-12
    assert mended["usd"].sum() == pytest.approx(0.6 * rows["usd"].sum())


def test_rows_that_agree_stay_as_they_are(rng):
    rows = merged(_rows(rng))

    mended = retotaled(rows)

    pd.testing.assert_frame_equal(mended[list(COUNTS)], rows[list(COUNTS)])
    np.testing.assert_allclose(mended["usd"], rows["usd"])


@pytest.mark.parametrize("factor", [0.3, 1.0, 7.5])
def test_scaled_buckets_still_agree_and_have_the_factor_on_average(rng, factor):
    rows = _rows(rng, n_buckets=600)
    model = rows[rows["dim"] == 0]

    out = scaled(rows, rng, requests=np.full(len(rows), factor), size=1.5)

    assert (_spread(out)[list(COUNTS)] == 0).all()
    assert (out["n"] > 0).all()
    assert out.loc[out["dim"] == 0, "n"].sum() == pytest.approx(factor * model["n"].sum(), rel=0.05)
    assert out.loc[out["dim"] == 0, "usd"].sum() == pytest.approx(1.5 * factor * model["usd"].sum(), rel=0.1)
