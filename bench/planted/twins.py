"""Benign twins: what owners do that looks like a theft. Each returns the key's new rows and the label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from planted.disguise import REGIONS
from planted.grid import merged, retotaled, scaled
from planted.habits import World, blend, uniform_log
from planted.recording import APP, COUNTRY, COUNTS, DAY, HOUR, MODEL, Event
from planted.thefts import ANY_PAID
from planted.thieves import Bout, Loot, begin, catalog, hours, some, spree, title, tools
from planted.traffic import Mix, When, Who, poured, shown, sized, stamped

Changed = tuple[pd.DataFrame, Event]
MORNINGS = (7, 0, 3, 14, 6)
"""UTC hour at which work begins, by region."""


class Twin(Protocol):
    def __call__(self, w: World, key: int, *, own: pd.DataFrame) -> Changed: ...


def _added(w: World, key: int, *, own: pd.DataFrame, bout: Bout) -> pd.DataFrame:
    rows = stamped(shown(bout.cells, bout.who, rng=w.rng, providers=w.traffic.providers), key=key, theft=0)
    return merged(pd.concat([own, rows], ignore_index=True))


def _owners(w: World, key: int, *, dim: int) -> Mix:
    """Values of the owner's keys, this one too."""
    creator = w.recording.keys[key]["creator_user_id"]
    mixes = [w.habits.mix(i, dim) for i, k in enumerate(w.recording.keys) if k["creator_user_id"] == creator]
    return {v: 1.0 for mix in mixes for v in mix} or dict.fromkeys(w.rng.choice(w.values(dim), 1).tolist(), 1.0)


def _one(w: World, mix: Mix) -> int:
    return int(w.rng.choice(list(mix)))


def _new(w: World, key: int, *, dim: int) -> int:
    return int(w.rng.choice(np.setdiff1d(w.values(dim), list(w.habits.mix(key, dim)))))


def _office(w: World, country: int, *, length: int) -> When:
    """Seven to ten hours of each day, from the morning of the country on."""
    at = next((m for region, m in zip(REGIONS, MORNINGS, strict=True) if w.name(country) in region), 8)
    day = begin(w, length) // DAY * DAY
    start = max(day + at * HOUR + int(w.rng.integers(2 * HOUR)), w.recording.evaluation)
    slots = np.arange(start, min(start + length, w.recording.n_slots))
    worked = (slots - start) % DAY < int(w.rng.integers(7, 11)) * HOUR
    return When(slots[worked], np.ones(int(worked.sum())), 0.5)


def _span(cells: pd.DataFrame) -> tuple[int, int]:
    return int(cells["slot"].min()), int(cells["slot"].max()) + 1


def colleague(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    """Somebody else of the team, elsewhere, with other tools; moderate."""
    at_home = w.rng.random() < 0.4
    country = _one(w, _owners(w, key, dim=COUNTRY)) if at_home else int(w.rng.choice(w.values(COUNTRY)))
    models, apps = some(w, catalog(w, ANY_PAID * 10), count=(1, 3)), title(w, key)
    when = _office(w, country, length=int(w.rng.uniform(1, 2) * DAY))
    loot = Loot(models, uniform_log(w.rng, (0.2, 15)))
    bout = spree(w, key, when=when, who=Who({country: 1.0}, apps), loot=loot)
    detail = {"country": w.name(country), "app": w.names(apps)[0], "models": w.names(models)}
    return _added(w, key, own=own, bout=bout), Event("colleague", key, *_span(bout.cells), detail)


def revival(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    """The owner takes up an old key, with models, countries and tools of the owner's keys."""
    models = w.habits.mix(key, MODEL) or blend(w.rng, w.rng.choice(list(_owners(w, key, dim=MODEL)), 1))
    country = _one(w, w.habits.mix(key, COUNTRY) or _owners(w, key, dim=COUNTRY))
    when = _office(w, country, length=int(w.rng.uniform(0.5, 2.5) * DAY))
    sizes = {m: w.traffic.sizes(m, w.rng, not_of=key) for m in models}
    cells = sized(poured(when, models, rng=w.rng, requests=uniform_log(w.rng, (10, 600))), sizes, rng=w.rng)
    bout = Bout(cells, Who({country: 1.0}, {_one(w, _owners(w, key, dim=APP)): 1.0}))
    return _added(w, key, own=own, bout=bout), Event("revival", key, *_span(cells), {"requests": int(cells["n"].sum())})


def model_bakeoff(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    """The owner tries many models within minutes."""
    length = hours(w, (0.4, 3))
    start = _busy(w, own, length=length)
    new = np.setdiff1d(list(w.traffic.price), list(w.habits.mix(key, MODEL)))
    models = dict.fromkeys(w.rng.choice(new, int(w.rng.integers(5, 15)), replace=False).tolist(), 1.0)
    sizes = {m: w.traffic.sizes(m, w.rng, not_of=key) for m in models}
    slots = np.arange(start, start + length)
    requests = len(models) * uniform_log(w.rng, (3, 40))
    cells = sized(poured(When(slots, np.ones(len(slots))), models, rng=w.rng, requests=requests), sizes, rng=w.rng)
    bout = Bout(cells, Who(*({_one(w, w.habits.mix(key, dim)): 1.0} for dim in (COUNTRY, APP))))
    detail = {"models": sorted({w.name(m) for m in cells["model"]})}
    return _added(w, key, own=own, bout=bout), Event("model_bakeoff", key, *_span(cells), detail)


def _busy(w: World, own: pd.DataFrame, *, length: int) -> int:
    """A slot of the evaluation with traffic; of five, the one with the most behind it."""
    by_slot = own[own["dim"] == MODEL].groupby("slot")["n"].sum()
    totals = by_slot.reindex(range(w.recording.n_slots + length), fill_value=0).to_numpy()
    after = np.convolve(totals, np.ones(length))[length - 1 :][: w.recording.n_slots]
    slots = np.flatnonzero(totals[: w.recording.n_slots - length])
    slots = w.rng.choice(slots[slots >= w.recording.evaluation], 5)
    return int(slots[np.argmax(after[slots])])


def model_migration(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    """Buckets go over to another model of the vendor, ever more of them, until all have."""
    mix, length = w.habits.mix(key, MODEL), hours(w, (6, 24))
    start, old = _busy(w, own, length=DAY), max(mix, key=lambda m: mix[m])
    vendor = w.name(old).split("/")[0]
    others = [m for m in catalog(w, ANY_PAID).tolist() if m not in mix]
    new = int(w.rng.choice([m for m in others if w.name(m).split("/")[0] == vendor] or others))
    gone = w.rng.random(w.recording.n_slots) < (np.arange(w.recording.n_slots) - start) / length
    moved = ((own["dim"] == MODEL) & (own["value"] == old)).to_numpy() & gone[own["slot"].to_numpy()]
    ratio = float(np.clip(w.traffic.price[new] / max(w.traffic.price[old], ANY_PAID), 0.2, 5))
    value = np.where(moved, new, own["value"]).astype(np.int32)
    rows = merged(retotaled(own.assign(value=value, usd=own["usd"] * np.where(moved, ratio, 1.0))))
    detail = {"old": w.name(old), "new": w.name(new)}
    return rows, Event("model_migration", key, start, min(start + length, w.recording.n_slots), detail)


def _more(w: World, own: pd.DataFrame, *, label: Event) -> Changed:
    inside = own["slot"].between(label.start, label.end - 1)
    return scaled(own, w.rng, requests=np.where(inside, label.detail["factor"], 1.0)), label


def growth(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    factor = round(float(w.rng.uniform(2, 3)), 2)
    start = _busy(w, own, length=2 * DAY)
    return _more(w, own, label=Event("growth", key, start, w.recording.n_slots, {"factor": factor}))


def batch_backfill(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    length, factor = hours(w, (1, 3)), round(float(w.rng.uniform(6, 14)), 2)
    start = _busy(w, own, length=length)
    return _more(w, own, label=Event("batch_backfill", key, start, start + length, {"factor": factor}))


def new_region(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    """A tenth to a third of each bucket's requests comes from a further country, from then on."""
    start, share, country = _busy(w, own, length=2 * DAY), float(w.rng.uniform(0.1, 0.3)), _new(w, key, dim=COUNTRY)
    there = (own["dim"] == COUNTRY) & (own["slot"] >= start)
    old = own[there].reset_index(drop=True)
    n = w.rng.binomial(old["n"], share)
    part = n / np.maximum(old["n"], 1)
    tokens = {c: np.rint(old[c] * part).astype(np.int64) for c in COUNTS[1:]}
    new = old.assign(value=np.int32(country), n=n, usd=old["usd"] * part, **tokens)
    rest = old.assign(**{c: old[c] - new[c] for c in (*COUNTS, "usd")})
    rows = pd.concat([own[~there], new[new["n"] > 0], rest[rest["n"] > 0]], ignore_index=True)
    detail = {"country": w.name(country), "share": round(share, 3)}
    rows = merged(retotaled(merged(rows.astype({"value": np.int32}))))
    return rows, Event("new_region", key, start, w.recording.n_slots, detail)


def _replaced(own: pd.DataFrame, where: pd.Series, *, value: int) -> pd.DataFrame:
    return merged(own.assign(value=np.where(where, value, own["value"]).astype(np.int32)))


def travel(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    length, country = int(w.rng.uniform(1, 4) * DAY), _new(w, key, dim=COUNTRY)
    start = _busy(w, own, length=DAY)
    end = min(start + length, w.recording.n_slots)
    rows = _replaced(own, (own["dim"] == COUNTRY) & own["slot"].between(start, end - 1), value=country)
    return rows, Event("travel", key, start, end, {"country": w.name(country)})


def new_app(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    """The client sends another title for good."""
    start = _busy(w, own, length=DAY)
    app = int(w.rng.choice(np.setdiff1d([*tools(w), w.recording.code("")], list(w.habits.mix(key, APP)))))
    rows = _replaced(own, (own["dim"] == APP) & (own["slot"] >= start), value=app)
    return rows, Event("new_app", key, start, start + DAY, {"app": w.name(app)})


def outage_catchup(w: World, key: int, *, own: pd.DataFrame) -> Changed:
    """Silence, then the backlog within an hour."""
    length = hours(w, (2, 9))
    start = _busy(w, own, length=length + HOUR)
    slot = own["slot"].to_numpy()
    late = start + length + (slot * 7 + start) % HOUR
    rows = merged(own.assign(slot=np.where((slot >= start) & (slot < start + length), late, slot).astype(np.int32)))
    return rows, Event("outage_catchup", key, start, start + length + HOUR, {"outage_end": start + length})


TWINS: Mapping[str, tuple[int, Twin]] = {
    "revival": (6, revival),
    "colleague": (6, colleague),
    "travel": (3, travel),
    "model_bakeoff": (4, model_bakeoff),
    "model_migration": (4, model_migration),
    "growth": (4, growth),
    "batch_backfill": (4, batch_backfill),
    "new_region": (3, new_region),
    "new_app": (3, new_app),
    "outage_catchup": (3, outage_catchup),
}
"""How many of each in a fleet; those that need special keys come first."""
