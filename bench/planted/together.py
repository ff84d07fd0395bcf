"""One fleet: who is robbed, who only looks like it, and what happens to all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from planted.disguise import disguised
from planted.habits import Habits, World, world
from planted.recording import APP, COUNTRY, DAY, MODEL, Recording
from planted.thefts import SINGLE, several_keys
from planted.thieves import Theft
from planted.traffic import shown, stamped
from planted.twins import TWINS
from planted.wide import limited, price_change, provider_failover

EACH, LEAKS, KEYS_A_LEAK = 5, 2, 3
SAME_OWNER = 0.5
MADE_DORMANT, MADE_NEW = 2, 3
"""Of EACH: keys with their last days, or their past, taken away."""
BUSY_BUCKETS = 20
"""With traffic in the evaluation: what an owner's event needs to be seen."""
DEAREST = 100.0
"""USD a day: keys above it are not robbed in proportion to their own spend."""
PEOPLE = {"colleague": ("developer", "personal", "fallback", "production"), "travel": ("developer", "personal")}
"""Archetypes behind which a person sits, or a team."""
DAILY = frozenset({"minor_new_model", "minor_new_country", "minor_new_app", "provider_failover", "price_change"})
Planted = tuple[Recording, list[dict[str, Any]]]


class Draw:
    """Keys at random, each once."""

    def __init__(self, recording: Recording, habits: Habits, rng: np.random.Generator):
        self.free = np.array([not k["disabled"] for k in recording.keys])
        self.habits, self.rng = habits, rng
        self.idle = np.array([a == "idle" for a in recording.archetypes]) & (
            habits.last < recording.evaluation - 3 * DAY
        )
        self.old = habits.created < recording.evaluation - 2 * DAY
        self.born = (habits.created >= recording.evaluation) & (habits.created < recording.n_slots - DAY)
        self.used = self.old & (habits.requests > 30)
        eventful = {e.key for e in recording.benign if e.kind not in DAILY and e.end > recording.evaluation}
        late = recording.rows[(recording.rows["slot"] >= recording.evaluation) & (recording.rows["dim"] == MODEL)]
        alive = late[late["slot"] < recording.n_slots - 2 * DAY].groupby("key")["slot"].nunique()
        self.busy = alive.reindex(range(len(recording.keys)), fill_value=0).to_numpy() >= BUSY_BUCKETS
        self.owner = np.array([k["creator_user_id"] for k in recording.keys])
        self.archetype = np.array(recording.archetypes)
        self.plain = np.array([i not in eventful for i in range(len(recording.keys))])

    def take(self, want: np.ndarray, count: int) -> list[int]:
        found = np.flatnonzero(want & self.free)
        chosen = self.rng.permutation(found)[:count]
        self.free[chosen] = False
        return [int(k) for k in chosen]

    def for_theft(self, kind: str) -> list[int]:
        usd, h = self.habits.usd_day, self.habits
        if kind == "dormant_revival":
            return self.take(self.idle, EACH - MADE_DORMANT) + self.take(self.used & (usd > 0.02), MADE_DORMANT)
        if kind == "new_key_abuse":
            return self.take(self.born, EACH - MADE_NEW) + self.take(self.used, MADE_NEW)
        wanted = {
            "off_hours": self.used & (h.quiet.sum(axis=1) >= 6) & (usd > 0.2) & (usd < DEAREST),
            "tiny_key": self.used & (usd > 0) & (usd < 0.1),
            "same_models_elsewhere": self.used & (usd > 0.5) & (usd < DEAREST),
            "low_and_slow": self.used & (usd > 0.5) & (usd < DEAREST),
            "ramp": self.used & (usd > 0.3) & (usd < DEAREST),
        }
        return self.take(wanted.get(kind, self.old & ~self.idle), EACH)

    def for_twin(self, kind: str, count: int) -> list[int]:
        if kind == "revival":
            return self.take(self.idle & self.plain, count)
        able = self.used & self.plain & self.busy
        if kind in PEOPLE:
            return self.take(able & np.isin(self.archetype, PEOPLE[kind]), count)
        return self.take(able & (self.habits.usd_day > 0.1), count)

    def for_leak(self) -> list[int]:
        """Half of the time keys of one owner."""
        owners, counts = np.unique(self.owner[self.used & self.free], return_counts=True)
        owners = owners[counts >= KEYS_A_LEAK]
        same = len(owners) and self.rng.random() < SAME_OWNER
        return self.take(self.used & (self.owner == self.rng.choice(owners) if same else True), KEYS_A_LEAK)


def planted(recording: Recording, seed: int) -> Planted:
    """The clean recording as another fleet with thefts, and the attacks for labels.json."""
    rng = np.random.default_rng(seed)
    w = world(disguised(recording, rng), rng)
    draw = Draw(w.recording, w.habits, rng)
    thefts = [SINGLE[kind](w, key) for kind in SINGLE for key in draw.for_theft(kind)]
    leaks = [several_keys(w, draw.for_leak()) for _ in range(LEAKS)]
    thefts = numbered(thefts, leaks)
    taken = without_own(w.recording, thefts)
    twins = _twins(replace(w, recording=taken), draw)
    robbed, attacks = with_thieves(replace(w, recording=twins), thefts)
    whole = price_change(provider_failover(robbed, rng), rng)
    return limited(whole), attacks


def numbered(single: Iterable[Theft], leaks: Iterable[list[Theft]]) -> list[Theft]:
    """`group` is the number of the leak."""
    groups = [[t] for t in single] + list(leaks)
    return [replace(theft, group=number) for number, leak in enumerate(groups, 1) for theft in leak]


def without_own(recording: Recording, thefts: list[Theft]) -> Recording:
    """Takes the past of keys that are to be new, and the last days of keys that are to be dormant."""
    low, high = np.zeros(len(recording.keys), int), np.full(len(recording.keys), recording.n_slots)
    keys, archetypes = list(recording.keys), list(recording.archetypes)
    for theft in thefts:
        if theft.own is not None:
            low[theft.key], high[theft.key] = theft.own
        if theft.created is not None and theft.created > recording.created()[theft.key]:
            at = recording.time(theft.created)
            keys[theft.key] = keys[theft.key] | {"created_at": at, "updated_at": at, "usage_before": 0.0}
            archetypes[theft.key] = "new"
    key, slot = recording.rows["key"].to_numpy(), recording.rows["slot"].to_numpy()
    rows = recording.rows[(slot >= low[key]) & (slot < high[key])]
    benign = tuple(e for e in recording.benign if low[e.key] <= e.start < high[e.key])
    return replace(recording, rows=rows, keys=tuple(keys), archetypes=tuple(archetypes), benign=benign)


def _twins(w: World, draw: Draw) -> Recording:
    rows, parts, events = w.recording.rows, [], []
    chosen = [(twin, key) for kind, (count, twin) in TWINS.items() for key in draw.for_twin(kind, count)]
    for twin, key in chosen:
        changed, event = twin(w, key, own=rows[rows["key"] == key])
        parts.append(changed)
        events.append(event)
    rest = rows[~rows["key"].isin([key for _, key in chosen])]
    return replace(
        w.recording, rows=pd.concat([rest, *parts], ignore_index=True), benign=(*w.recording.benign, *events)
    )


def with_thieves(w: World, thefts: list[Theft]) -> Planted:
    parts, attacks = [w.recording.rows], []
    for number, theft in enumerate(thefts, 1):
        rows = [shown(b.cells, b.who, rng=w.rng, providers=w.traffic.providers) for b in theft.bouts]
        mine = stamped(pd.concat(rows, ignore_index=True), key=theft.key, theft=number)
        parts.append(mine)
        attacks.append(_label(w.recording, theft, number=number, mine=mine))
    return replace(w.recording, rows=pd.concat(parts, ignore_index=True)), attacks


def _label(recording: Recording, theft: Theft, *, number: int, mine: pd.DataFrame) -> dict[str, Any]:
    names = {
        d: sorted({recording.values[v] for v in mine.loc[mine["dim"] == d, "value"]}) for d in (MODEL, COUNTRY, APP)
    }
    return {
        "id": number, "type": theft.kind, "key": theft.key, "group": theft.group,
        "archetype": recording.archetypes[theft.key], "start": "", "end": "", "usd": 0.0, "requests": 0,
        "models": names[MODEL], "countries": names[COUNTRY], "apps": names[APP], "notes": dict(theft.notes),
    }  # fmt: skip
