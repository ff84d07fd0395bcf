"""Makes another fleet of the same clean clients: fewer keys, other volumes, other names of models, apps and countries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from planted.grid import merged, scaled
from planted.recording import APP, COUNTRY, MODEL, Event, Recording

REGIONS = (
    ("DE", "FR", "GB", "NL", "IT", "ES", "PL", "SE", "CH", "FI", "IE", "RO"),
    ("JP", "KR", "TW", "HK", "CN", "SG", "AU", "PH", "MY"),
    ("IN", "PK", "BD", "TH", "VN", "ID", "KZ"),
    ("US", "CA", "MX", "BR", "AR"),
    ("TR", "IL", "AE", "EG", "ZA", "KE", "NG", "MA", "RU", "UA", "IR"),
)
"""Countries change places within one: hours of work stay plausible."""
TOOLS = frozenset({
    "Aider", "Chatbox", "Cherry Studio", "Claude Code", "Cline", "Cursor", "Hermes Agent", "Janitor AI", "Kilo Code", "LibreChat",
    "LobeChat", "New API", "Open WebUI", "OpenClaw", "Roo Code", "SillyTavern", "Zed", "liteLLM", "n8n", "one-api", "opencode",
})  # fmt: skip
"""Titles anybody sends; the others are products of one owner."""
DROPPED, MOVED, SWAPPED = 0.10, 0.5, 0.6
SIMILAR_PRICE = 1.7
REQUESTS_SIGMA, SIZE_SIGMA = 0.6, 0.3


def disguised(recording: Recording, rng: np.random.Generator) -> Recording:
    recording = recording.only(rng.random(len(recording.keys)) >= DROPPED)
    recording = _renamed(recording, rng)
    return _resized(recording, rng)


def _renamed(recording: Recording, rng: np.random.Generator) -> Recording:
    models, apps, countries = _models(recording, rng), _apps(recording, rng), _countries(recording, rng)
    rows = recording.rows
    key, dim, value = (rows[c].to_numpy() for c in ("key", "dim", "value"))
    code = {v: i for i, v in enumerate(recording.values)}
    new = value.copy()
    for where, names in ((MODEL, models), (APP, apps)):
        lut = np.arange(len(code))
        lut[[code[a] for a in names]] = [code[b] for b in names.values()]
        new = np.where(dim == where, lut[value], new)
    lut = np.tile(np.arange(len(code)), (len(recording.keys), 1))
    for number, names in enumerate(countries):
        lut[number, [code[a] for a in names]] = [code[b] for b in names.values()]
    new = np.where(dim == COUNTRY, lut[key, value], new)
    events = tuple(_relabeled(e, models, apps=apps, countries=countries[e.key]) for e in recording.benign)
    return replace(recording, rows=merged(rows.assign(value=new.astype(np.int32))), benign=events)


def _relabeled(
    event: Event, models: Mapping[str, str], *, apps: Mapping[str, str], countries: Mapping[str, str]
) -> Event:
    def model(name: Any) -> Any:
        return [model(n) for n in name] if isinstance(name, list) else models.get(name, name)

    change: dict[str, Callable[[Any], Any]] = {
        "app": lambda v: apps.get(v, v), "country": lambda v: countries.get(v, v),
        **dict.fromkeys(("model", "models", "old", "new"), model),
    }  # fmt: skip
    return replace(event, detail={k: change[k](v) if k in change else v for k, v in event.detail.items()})


def _shuffled(names: list[str], rng: np.random.Generator) -> dict[str, str]:
    return dict(zip(names, rng.permutation(np.array(names, dtype=object)), strict=True))


def _used(recording: Recording, dim: int) -> list[str]:
    used = np.unique(recording.rows.loc[recording.rows["dim"] == dim, "value"])
    return [recording.values[v] for v in used]


def _apps(recording: Recording, rng: np.random.Generator) -> dict[str, str]:
    titles = [a for a in _used(recording, APP) if a]
    return _shuffled([a for a in titles if a in TOOLS], rng) | _shuffled([a for a in titles if a not in TOOLS], rng)


def _countries(recording: Recording, rng: np.random.Generator) -> list[dict[str, str]]:
    """One exchange an owner: what the owner's keys have in common, they keep in common."""
    used = set(_used(recording, COUNTRY))
    by_owner: dict[str, dict[str, str]] = {}
    for key in recording.keys:
        if key["creator_user_id"] not in by_owner:
            moves = [_shuffled([c for c in r if c in used], rng) for r in REGIONS if rng.random() < MOVED]
            by_owner[key["creator_user_id"]] = {a: b for m in moves for a, b in m.items()}
    return [by_owner[k["creator_user_id"]] for k in recording.keys]


def _models(recording: Recording, rng: np.random.Generator) -> dict[str, str]:
    """Pairs of one vendor and similar price, both or neither of them reasoning."""
    rows = recording.rows[recording.rows["dim"] == MODEL]
    sums = rows.groupby("value")[["prompt", "answer", "reasoning", "usd"]].sum()
    price = sums["usd"] / sums[["prompt", "answer", "reasoning"]].sum(axis=1)
    facts = pd.DataFrame(
        {"price": price, "thinks": sums["reasoning"] > 0, "name": [recording.values[v] for v in sums.index]}
    )
    facts = facts[facts["price"] > 0].sort_values("price")
    facts["vendor"] = facts["name"].str.split("/").str[0]
    swap: dict[str, str] = {}
    for _, group in facts.groupby(["vendor", "thinks"]):
        names, prices = list(group["name"]), list(group["price"])
        at = int(rng.integers(2))
        while at + 1 < len(names):
            if prices[at + 1] <= SIMILAR_PRICE * prices[at] and rng.random() < SWAPPED:
                swap |= {names[at]: names[at + 1], names[at + 1]: names[at]}
            at += 2
    return swap


def _resized(recording: Recording, rng: np.random.Generator) -> Recording:
    n = len(recording.keys)
    requests = np.exp(np.clip(rng.normal(0, REQUESTS_SIGMA, n), -1.4, 1.4))
    size = np.exp(np.clip(rng.normal(0, SIZE_SIGMA, n), -0.7, 0.7))
    key = recording.rows["key"].to_numpy()
    model = recording.rows["dim"] == MODEL
    before = recording.rows[model].groupby("key")["usd"].sum().reindex(range(n), fill_value=0.0)
    rows = scaled(recording.rows, rng, requests=requests[key], size=size[key])
    keys = tuple(
        dict(k, usage_before=max(k["usage"] - before[i], 0.0), limit=_limit(k["limit"], requests[i] * size[i]))
        for i, k in enumerate(recording.keys)
    )
    return replace(recording, rows=rows, keys=keys)


def _limit(limit: float | None, factor: float) -> float | None:
    """Grows with the key, so that only what is planted meets it."""
    return None if limit is None else float(np.ceil(limit * max(factor, 1.0)))
