"""A labelled recording in memory: usage as whole numbers, labels as events, and how both are read and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

DIMENSIONS = ("model", "provider", "country", "app")
MODEL, PROVIDER, COUNTRY, APP = range(4)
COUNTS = ("n", "prompt", "answer", "reasoning")
"""Completion tokens are kept as answer and reasoning, so that rounding can never make the part larger than the whole."""
COLUMNS = {"request_count": "n", "tokens_prompt": "prompt", "tokens_completion": "answer",
           "reasoning_tokens": "reasoning", "total_usage": "usd"}  # fmt: skip
SLOT = pd.Timedelta(minutes=10)
HOUR, DAY = 6, 144
"""In slots."""


@dataclass(frozen=True, slots=True)
class Event:
    """A label; `end` is exclusive."""

    kind: str
    key: int
    start: int
    end: int
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recording:
    """`rows`: key, slot, dim, value, theft (0: the owner's), COUNTS, usd. Keys and values are positions in `keys` and `values`."""

    rows: pd.DataFrame
    keys: tuple[dict[str, Any], ...]
    values: tuple[str, ...]
    benign: tuple[Event, ...]
    archetypes: tuple[str, ...]
    begin: pd.Timestamp
    n_slots: int
    evaluation: int

    def slot(self, at: str | pd.Timestamp) -> int:
        return int((pd.Timestamp(at) - self.begin) // SLOT)

    def time(self, slot: int) -> str:
        return (self.begin + slot * SLOT).strftime("%Y-%m-%dT%H:%M:%SZ")

    def code(self, value: str) -> int:
        return self.values.index(value)

    def created(self) -> np.ndarray:
        """First slot in which each key could be used; negative: before the recording."""
        return np.array([self.slot(k["created_at"]) for k in self.keys])

    def only(self, keep: np.ndarray) -> Recording:
        """These keys and what belongs to them."""
        number = np.cumsum(keep) - 1
        rows = self.rows[keep[self.rows["key"].to_numpy()]]
        return replace(
            self,
            rows=rows.assign(key=number[rows["key"].to_numpy()].astype(np.int32)),
            keys=tuple(k for k, kept in zip(self.keys, keep, strict=True) if kept),
            archetypes=tuple(a for a, kept in zip(self.archetypes, keep, strict=True) if kept),
            benign=tuple(replace(e, key=int(number[e.key])) for e in self.benign if keep[e.key]),
        )


def clean(folder: Path) -> Recording:
    """The recording without its attacked keys."""
    meta = json.loads((folder / "meta.json").read_text())
    keys = json.loads((folder / "keys.json").read_text())["data"]
    labels = json.loads((folder / "labels.json").read_text())
    begin, end, evaluation = (pd.Timestamp(meta[k]) for k in ("start", "end", "evaluation_start"))
    number = {k["hash"]: i for i, k in enumerate(keys)}
    rows, values = _coded(pd.read_parquet(folder / "usage.parquet"), number, begin)
    events = tuple(
        Event(
            e["type"], number[e["key"]], *((pd.Timestamp(e[k]) - begin) // SLOT for k in ("start", "end")), e["detail"]
        )
        for e in labels["benign"]
    )
    whole = Recording(
        rows, tuple(keys), values, events, tuple(labels["archetypes"].get(k["hash"], "idle") for k in keys),
        begin, int((end - begin) // SLOT), int((evaluation - begin) // SLOT),
    )  # fmt: skip
    attacked = {a["key"] for a in labels["attacks"]}
    return whole.only(np.array([k["hash"] not in attacked for k in keys]))


def _coded(usage: pd.DataFrame, number: Mapping[str, int], begin: pd.Timestamp) -> tuple[pd.DataFrame, tuple[str, ...]]:
    value = usage["value"].astype("category")
    rows = pd.DataFrame({
        "key": usage["api_key_hash"].astype(str).map(number).to_numpy(np.int32),
        "slot": ((usage["bucket_start"] - begin) // SLOT).to_numpy(np.int32),
        "dim": usage["dimension"].astype(str).map({d: i for i, d in enumerate(DIMENSIONS)}).to_numpy(np.int8),
        "value": value.cat.codes.to_numpy(np.int32),
        "theft": np.zeros(len(usage), np.int16),
    })  # fmt: skip
    for column, name in COLUMNS.items():
        rows[name] = usage[column].to_numpy()
    rows["answer"] -= rows["reasoning"]
    return rows, tuple(value.cat.categories)


def renamed(key_hash: str, seed: int) -> str:
    """Another hash, so that keys of several fleets never meet."""
    return hashlib.sha256(f"{seed}:{key_hash}".encode()).hexdigest()


def write(folder: Path, recording: Recording, attacks: list[dict[str, Any]], *, seed: int) -> None:
    """All five files. `attacks` are as in labels.json, their `key` still a number; attacks of refused requests are left out."""
    folder.mkdir(parents=True)
    hashes = [renamed(k["hash"], seed) for k in recording.keys]
    usage = _usage(recording, hashes)
    malicious = _malicious(recording, hashes)
    listed = [_attack(a, malicious, hashes) for a in attacks if (malicious["attack"] == a["id"]).any()]
    usage.to_parquet(folder / "usage.parquet", index=False)
    malicious.to_parquet(folder / "malicious.parquet", index=False)
    keys = [dict(_display(k, recording, i), hash=hashes[i]) for i, k in enumerate(recording.keys)]
    benign = [
        {
            "type": e.kind,
            "key": hashes[e.key],
            "start": recording.time(e.start),
            "end": recording.time(e.end),
            "detail": e.detail,
        }
        for e in sorted(recording.benign, key=lambda e: (e.start, e.kind, e.key))
    ]
    archetypes = dict(zip(hashes, recording.archetypes, strict=True))
    _json(folder / "keys.json", {"data": keys})
    _json(
        folder / "labels.json",
        {"attacks": sorted(listed, key=lambda a: a["start"]), "benign": benign, "archetypes": archetypes},
    )
    _json(folder / "meta.json", _meta(recording, usage, malicious, attacks=listed, seed=seed))


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


def _usage(recording: Recording, hashes: list[str]) -> pd.DataFrame:
    rows = recording.rows.groupby(["key", "dim", "value", "slot"], as_index=False, sort=True)[[*COUNTS, "usd"]].sum()
    out = pd.DataFrame({
        "bucket_start": (recording.begin + rows["slot"] * SLOT).astype("datetime64[us, UTC]"),
        "api_key_hash": pd.Categorical.from_codes(rows["key"], hashes),
        "dimension": pd.Categorical.from_codes(rows["dim"], list(DIMENSIONS)),
        "value": pd.Categorical.from_codes(rows["value"], list(recording.values)),
    })  # fmt: skip
    for column, name in COLUMNS.items():
        out[column] = rows[name].to_numpy()
    out["tokens_completion"] += out["reasoning_tokens"]
    return out


def _malicious(recording: Recording, hashes: list[str]) -> pd.DataFrame:
    rows = recording.rows
    rows = rows[(rows["theft"] > 0) & (rows["dim"] == MODEL)]
    rows = rows.groupby(["theft", "key", "slot"], as_index=False)[["n", "usd"]].sum()
    return pd.DataFrame({
        "bucket_start": (recording.begin + rows["slot"] * SLOT).astype("datetime64[us, UTC]"),
        "attack": rows["theft"].astype(np.int32),
        "api_key_hash": np.array(hashes, dtype=object)[rows["key"]],
        "request_count": rows["n"],
        "total_usage": rows["usd"],
    })  # fmt: skip


def _attack(attack: dict[str, Any], malicious: pd.DataFrame, hashes: list[str]) -> dict[str, Any]:
    mine = malicious[malicious["attack"] == attack["id"]]
    first, last = mine["bucket_start"].min(), mine["bucket_start"].max() + SLOT
    return {
        **attack,
        "key": hashes[attack["key"]],
        "start": first.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": last.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "usd": round(float(mine["total_usage"].sum()), 6),
        "requests": int(mine["request_count"].sum()),
    }


def _display(key: dict[str, Any], recording: Recording, number: int) -> dict[str, Any]:
    """The counters as they stand at the end."""
    rows = recording.rows
    mine = rows[(rows["key"] == number) & (rows["dim"] == MODEL)]
    now = recording.begin + recording.n_slots * SLOT - SLOT
    since = {
        "daily": now.floor("D"),
        "weekly": now.floor("D") - pd.Timedelta(days=now.weekday()),
        "monthly": recording.begin,
    }
    spent = {p: float(mine.loc[mine["slot"] >= recording.slot(t), "usd"].sum()) for p, t in since.items()}
    usage = key["usage_before"] + float(mine["usd"].sum())
    used = usage if key["limit_reset"] is None else spent[key["limit_reset"]]
    left = None if key["limit"] is None else round(max(key["limit"] - used, 0.0), 6)
    shown = {f"usage_{p}": round(v, 6) for p, v in spent.items()} | {"usage": round(usage, 6), "limit_remaining": left}
    return {k: v for k, v in (key | shown).items() if k != "usage_before"}


def _meta(
    recording: Recording, usage: pd.DataFrame, malicious: pd.DataFrame, *, attacks: list[dict[str, Any]], seed: int
) -> dict[str, Any]:
    totals = usage[usage["dimension"] == "model"]
    return {
        "split": "planted", "seed": seed, "keys": len(recording.keys), "bucket_minutes": 10,
        "start": recording.time(0), "end": recording.time(recording.n_slots),
        "evaluation_start": recording.time(recording.evaluation),
        "attack_types": sorted({a["type"] for a in attacks}), "attacks": len(attacks),
        "benign_events": len(recording.benign), "usage_rows": len(usage),
        "requests": int(totals["request_count"].sum()), "usd": round(float(totals["total_usage"].sum()), 2),
        "malicious_usd": round(float(malicious["total_usage"].sum()), 2),
        "source": "clean keys of a labelled recording, with other thefts planted",
    }  # fmt: skip
