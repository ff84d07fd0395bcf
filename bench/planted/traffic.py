"""Requests of somebody else: when, how many, how long, at what price, and how they show in the four dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from planted.grid import split
from planted.recording import APP, COUNTRY, COUNTS, MODEL, PROVIDER, Recording

MOST_REQUESTS, DRAWN = 300_000, 8
OTHER_MODELS = 0.5
LONGEST = 5.0
"""Times the median: dearer requests are left out, so that a theft of few requests costs about what it was meant to."""
TOKENS = ("prompt", "answer", "reasoning")
Mix = dict[int, float]
"""Value and its share."""


@dataclass(frozen=True, slots=True)
class Who:
    """From where and with what the requests come."""

    countries: Mix
    apps: Mix


@dataclass(frozen=True, slots=True)
class When:
    """Slots and the relative number of requests in them; `burst` is the shape of gamma noise (small: bursty)."""

    slots: np.ndarray
    weight: np.ndarray
    burst: float = 3.0


class Traffic:
    """What the fleet's clean requests look like, model by model."""

    def __init__(self, recording: Recording):
        rows = recording.rows[recording.rows["dim"] == MODEL]
        self.rows = rows.assign(**{c: rows[c] / rows["n"] for c in (*TOKENS, "usd")})
        self.by_model = {int(m): g for m, g in self.rows.groupby("value")}
        self.providers = _providers(recording)
        self.thinks = np.zeros(len(recording.values), bool)
        self.thinks[rows.loc[rows["reasoning"] > 0, "value"]] = True
        self.price = {
            m: g["usd"].mul(g["n"]).sum() / g[list(TOKENS)].mul(g["n"], axis=0).sum().sum()
            for m, g in self.by_model.items()
        }

    def sizes(self, model: int, rng: np.random.Generator, *, not_of: int, stretch: float = 1.0) -> np.ndarray:
        """Real requests of one to three other keys: (k, 4) of TOKENS and usd a request.

        Half of the time requests to this very model at the price paid, else those to any of its class at its price a token.
        """
        alike = rng.random() < OTHER_MODELS
        rows = (
            self.rows[self.thinks[self.rows["value"].to_numpy()] == self.thinks[model]]
            if alike
            else self.by_model[model]
        )
        others = rows[rows["key"] != not_of]
        rows = others if len(others) else rows
        requests = np.sqrt(rows.groupby("key")["n"].sum())
        count = min(len(requests), int(rng.integers(1, 4)))
        rows = rows[rows["key"].isin(rng.choice(requests.index, count, replace=False, p=requests / requests.sum()))]
        weight = rows["n"].to_numpy() / rows["n"].sum()
        drawn = rows[[*TOKENS, "usd"]].to_numpy()[rng.choice(len(rows), size=400, p=weight)] * stretch
        if alike:
            drawn[:, 3] = self.cost(model, drawn)
        return drawn[drawn[:, 3] <= LONGEST * np.median(drawn[:, 3])]

    def cost(self, model: int, tokens: np.ndarray) -> np.ndarray:
        """USD of requests of so many TOKENS: prices by least squares, level as the fleet pays."""
        rows = self.by_model[model]
        paid, known = rows["usd"].to_numpy(), np.stack([rows["prompt"], rows["answer"] + rows["reasoning"]], axis=1)
        price, *_ = np.linalg.lstsq(known, paid, rcond=None)
        price = np.maximum(price, self.price[model] / 4)
        level = paid.sum() / max(float((known @ price).sum()), 1e-12)
        return tokens[:, 0] * price[0] * level + (tokens[:, 1] + tokens[:, 2]) * price[1] * level

    def tiny(self, model: int, rng: np.random.Generator, *, prompt: float, answer: float) -> np.ndarray:
        """Requests of a probe."""
        size = np.stack([prompt * rng.lognormal(0, 0.1, 50), answer * rng.lognormal(0, 0.3, 50), np.zeros(50)], axis=1)
        return np.column_stack([size, self.cost(model, size)])


def _providers(recording: Recording) -> dict[int, Mix]:
    """Providers that alone served a bucket of one model: who offers what."""
    rows = recording.rows
    model = rows[rows["dim"] == MODEL].groupby(["key", "slot"])["value"].agg(["size", "first"])
    alone = model.loc[model["size"] == 1, "first"].rename("model").astype(int)
    joined = rows[rows["dim"] == PROVIDER].join(alone, on=["key", "slot"], how="inner")
    share = joined.groupby(["model", "value"])["n"].sum()
    known = {int(m): dict(g.droplevel(0) / g.sum()) for m, g in share.groupby(level=0)}
    used = rows.loc[rows["dim"] == MODEL, "value"].unique()
    return {int(m): known.get(int(m)) or _nearest(int(m), known, names=recording.values) for m in used}


def _nearest(model: int, known: Mapping[int, Mix], *, names: tuple[str, ...]) -> Mix:
    vendor = names[model].split("/")[0]
    return next((mix for m, mix in known.items() if names[m].split("/")[0] == vendor), next(iter(known.values())))


def requests_for(usd: float, models: Mix, *, sizes: Mapping[int, np.ndarray]) -> float:
    mean = sum(share * sizes[m][:, 3].mean() for m, share in models.items()) / sum(models.values())
    return float(np.clip(usd / max(mean, 1e-9), 1, MOST_REQUESTS))


def poured(when: When, models: Mix, *, rng: np.random.Generator, requests: float) -> pd.DataFrame:
    """Cells (slot, model, n) with about so many requests; the first slot is never empty."""
    rate = when.weight / when.weight.sum() * requests
    rate = rate * rng.gamma(when.burst, 1 / when.burst, len(rate))
    names = np.array(list(models))
    share = np.array(list(models.values())) / sum(models.values())
    n = rng.poisson(rate[:, None] * share[None, :])
    if not n[0].any():
        n[0, rng.choice(len(names), p=share)] = 1
    slot, model = np.nonzero(n)
    return pd.DataFrame({"slot": when.slots[slot], "model": names[model], "n": n[slot, model]})


def sized(cells: pd.DataFrame, sizes: Mapping[int, np.ndarray], *, rng: np.random.Generator) -> pd.DataFrame:
    """Cells with tokens and dollars: each is the mean of up to DRAWN real requests."""
    out = cells.assign(**dict.fromkeys((*TOKENS, "usd"), 0.0))
    for model, part in cells.groupby("model"):
        table = sizes[int(model)]
        draws = table[rng.integers(len(table), size=(len(part), DRAWN))]
        weight = (np.arange(DRAWN)[None, :] < np.minimum(part["n"].to_numpy(), DRAWN)[:, None])[:, :, None]
        mean = (draws * weight).sum(axis=1) / weight.sum(axis=1)
        out.loc[part.index, [*TOKENS, "usd"]] = mean * part["n"].to_numpy()[:, None]
    return out.assign(**{c: np.rint(out[c]).astype(np.int64) for c in TOKENS})


def shown(cells: pd.DataFrame, who: Who, *, rng: np.random.Generator, providers: Mapping[int, Mix]) -> pd.DataFrame:
    """Rows of the four dimensions: slot, dim, value, COUNTS, usd, not yet merged."""
    parts = [cells.rename(columns={"model": "value"}).assign(dim=MODEL)]
    for model, part in cells.groupby("model"):
        parts.append(_spread(part, providers[int(model)], rng=rng, dim=PROVIDER))
    parts += [_spread(cells, mix, rng=rng, dim=dim) for dim, mix in ((COUNTRY, who.countries), (APP, who.apps))]
    return pd.concat(parts, ignore_index=True)


def _spread(cells: pd.DataFrame, mix: Mix, *, rng: np.random.Generator, dim: int) -> pd.DataFrame:
    values = np.array(list(mix))
    share = np.array(list(mix.values()), dtype=float)
    n = rng.multinomial(cells["n"].to_numpy(), share / share.sum())
    weight = n * rng.gamma(8, 1 / 8, n.shape)
    cell, value = np.nonzero(n)
    columns = {c: split(cells[c].to_numpy(), weight)[cell, value] for c in TOKENS}
    usd = (weight / weight.sum(axis=1, keepdims=True) * cells["usd"].to_numpy()[:, None])[cell, value]
    return pd.DataFrame({
        "slot": cells["slot"].to_numpy()[cell], "dim": dim, "value": values[value], "n": n[cell, value], **columns, "usd": usd,
    })  # fmt: skip


def stamped(rows: pd.DataFrame, *, key: int, theft: int) -> pd.DataFrame:
    """The rows in the form of Recording.rows."""
    kinds = {"key": np.int32, "slot": np.int32, "dim": np.int8, "value": np.int32, "theft": np.int16}
    whole = rows.assign(key=key, theft=theft).astype(kinds)
    return whole.groupby(["key", "slot", "dim", "value", "theft"], as_index=False)[[*COUNTS, "usd"]].sum()
