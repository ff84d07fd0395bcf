"""What happens to all keys at once: a provider fails over, a price changes, credit limits hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from planted.grid import merged, retotaled
from planted.recording import DAY, HOUR, MODEL, PROVIDER, Event, Recording

STAND_INS = (
    ("Anthropic", "Amazon Bedrock"), ("Google AI Studio", "Google"), ("Azure", "OpenAI"), ("DeepInfra", "Novita"),
    ("Google", "Google AI Studio"),
)  # fmt: skip
"""Another provider that has the same models."""


def provider_failover(recording: Recording, rng: np.random.Generator) -> Recording:
    """For some hours all that one provider served is served by another."""
    start = int(rng.integers(recording.evaluation, recording.n_slots - DAY))
    end = start + int(rng.integers(2, 6)) * HOUR
    known = [pair for pair in STAND_INS if set(pair) <= set(recording.values)]
    down, up = known[int(rng.integers(len(known)))]
    rows = recording.rows
    hit = (rows["dim"] == PROVIDER) & rows["slot"].between(start, end - 1) & (rows["value"] == recording.code(down))
    concerned = np.unique(rows.loc[hit & (rows["theft"] == 0), "key"])
    events = tuple(Event("provider_failover", int(k), start, end, {"provider": down}) for k in concerned)
    value = np.where(hit, recording.code(up), rows["value"]).astype(np.int32)
    return replace(recording, rows=merged(rows.assign(value=value)), benign=(*recording.benign, *events))


def price_change(recording: Recording, rng: np.random.Generator) -> Recording:
    """One of the ten models most is spent on has another price from a midnight on."""
    rows = recording.rows
    start = int(recording.evaluation + rng.integers(1, 5) * DAY)
    later = (rows["dim"] == MODEL) & (rows["slot"] >= start)
    model = int(rng.choice(rows[later].groupby("value")["usd"].sum().nlargest(10).index))
    factor = float(rng.choice([rng.uniform(0.5, 0.8), rng.uniform(1.2, 1.6)]))
    hit = later & (rows["value"] == model)
    detail = {"model": recording.values[model], "factor": round(factor, 3)}
    concerned = np.unique(rows.loc[hit & (rows["theft"] == 0), "key"])
    events = tuple(Event("price_change", int(k), start, start + DAY, detail) for k in concerned)
    changed = retotaled(rows.assign(usd=rows["usd"] * np.where(hit, factor, 1.0)))
    return replace(recording, rows=changed, benign=(*recording.benign, *events))


def limited(recording: Recording) -> Recording:
    """Refuses what goes beyond a key's credit limit, bucket by bucket, the thief's too."""
    rows = recording.rows
    refused = np.zeros((len(recording.keys), recording.n_slots), bool)
    spent = rows[rows["dim"] == MODEL].groupby(["key", "slot"])["usd"].sum()
    for number in spent.index.unique("key"):
        if recording.keys[number]["limit"] is not None:
            refused[number, _over(recording, number, spent=spent.loc[number])] = True
    return replace(recording, rows=rows[~refused[rows["key"].to_numpy(), rows["slot"].to_numpy()]])


def _over(recording: Recording, number: int, *, spent: pd.Series) -> np.ndarray:
    """Slots at whose end the key would be over its limit."""
    key = recording.keys[number]
    days = (recording.begin.hour * HOUR + spent.index.to_numpy()) // DAY
    weeks = (days + recording.begin.weekday()) // 7
    period = {"daily": days, "weekly": weeks}.get(key["limit_reset"], np.zeros_like(days))
    before = key["usage_before"] if key["limit_reset"] is None else 0.0
    return spent.index[(spent.groupby(period).cumsum() + before > key["limit"]).to_numpy()].to_numpy()
