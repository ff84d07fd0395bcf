"""The kinds of theft, each after published descriptions of how stolen keys are used (README.md), none after a detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from planted.habits import World, uniform_log
from planted.recording import APP, COUNTRY, DAY, HOUR, MODEL
from planted.thieves import (
    DEAR,
    WORTH,
    Bout,
    Loot,
    Theft,
    begin,
    catalog,
    foreigner,
    hours,
    some,
    spell,
    spree,
    stranger,
)
from planted.traffic import Mix, When, Who, poured, sized

ANY_PAID = 1e-8
MINOR_SHARE = 0.02
"""Of a key's requests: a model with less is not among its own."""


def smash_and_grab(w: World, key: int) -> Theft:
    """All the throughput there is on one dear model, for minutes to hours."""
    length = hours(w, (0.3, 7))
    usd, fastest = uniform_log(w.rng, (6, 700)), uniform_log(w.rng, (80, 450))
    loot = Loot(some(w, catalog(w, DEAR), count=(1, 1)), usd, fastest, longer=0.6)
    when = spell(w, begin(w, length), length=length, burst=6)
    return Theft("smash_and_grab", key, (spree(w, key, when=when, who=stranger(w, key), loot=loot),))


def resale_pool(w: World, key: int) -> Theft:
    """A proxy's customers: many models and countries, day and night, for days; cheaper models more often."""
    length = min(hours(w, (8, 200)), 110 * HOUR)
    models = some(w, catalog(w, WORTH), count=(3, 7)) | some(w, catalog(w, ANY_PAID), count=(1, 4))
    models = {m: s / w.traffic.price[m] ** 0.5 for m, s in models.items()}
    when = spell(w, begin(w, min(length, 4 * DAY)), length=length, burst=2, swing=0.4)
    loot = Loot(models, uniform_log(w.rng, (20, 700)))
    return Theft("resale_pool", key, (spree(w, key, when=when, who=stranger(w, key, most=22), loot=loot),))


def model_enumeration(w: World, key: int) -> Theft:
    """Tiny requests on many models, silence, then abuse of what answered."""
    pause, length = hours(w, (0.5, 10)), hours(w, (4, 48))
    start, who = begin(w, pause + length, alive=0.6), stranger(w, key)
    paid = list(w.traffic.price)
    probed = w.rng.choice(paid, int(w.rng.integers(10, min(40, len(paid)) + 1)), replace=False)
    worth = np.intersect1d(probed, catalog(w, WORTH))
    models = some(w, worth if len(worth) else probed, count=(1, 4))
    loot = Loot(models, uniform_log(w.rng, (1.3, 500)), fastest=400)
    abuse = spree(w, key, when=spell(w, start + pause, length=length), who=who, loot=loot)
    notes = {"probed": len(probed), "abuse_start": w.recording.time(start + pause)}
    return Theft("model_enumeration", key, (_probe(w, probed, start=start, who=who), abuse), notes)


def _probe(w: World, models: np.ndarray, *, start: int, who: Who) -> Bout:
    slots = start + np.sort(w.rng.integers(0, 4, len(models)))
    slots[0] = start
    cells = pd.DataFrame({"slot": slots, "model": models, "n": w.rng.integers(1, 4, len(models))})
    prompt, answer = w.rng.uniform(20, 1500), w.rng.uniform(10, 150)
    sizes = {int(m): w.traffic.tiny(int(m), w.rng, prompt=prompt, answer=answer) for m in models}
    return Bout(sized(cells, sizes, rng=w.rng), who)


def expensive_swap(w: World, key: int) -> Theft:
    """A handful of requests an hour, each long and dear."""
    length, model = hours(w, (8, 38)), int(w.rng.choice(catalog(w, DEAR)))
    sizes = w.traffic.sizes(model, w.rng, not_of=key)
    sizes = sizes[sizes[:, 0] >= np.median(sizes[:, 0])]
    sizes = sizes * np.clip(uniform_log(w.rng, (5000, 40_000)) / sizes[:, 0].mean(), 0.5, 40)
    requests = max(length / HOUR * uniform_log(w.rng, (1, 9)), 5)
    cells = poured(spell(w, begin(w, length), length=length, burst=1), {model: 1.0}, rng=w.rng, requests=requests)
    return Theft("expensive_swap", key, (Bout(sized(cells, {model: sizes}, rng=w.rng), stranger(w, key, most=2)),))


def dormant_revival(w: World, key: int) -> Theft:
    """On a key silent for days; a key that is not loses its last days."""
    length = hours(w, (4, 41))
    start = begin(w, length)
    loot = Loot(some(w, catalog(w, WORTH / 5), count=(1, 4)), uniform_log(w.rng, (5, 160)), fastest=600)
    bout = spree(w, key, when=spell(w, start, length=length), who=stranger(w, key, most=5), loot=loot)
    silent = max(int(start - w.rng.uniform(3, 7) * DAY), DAY)
    return Theft("dormant_revival", key, (bout,), {"silent_since": w.recording.time(silent)}, own=(0, silent))


def new_key_abuse(w: World, key: int) -> Theft:
    """Within hours of the creation; an older key loses its past."""
    length, lead = hours(w, (2, 10)), hours(w, (0.5, 10))
    born = int(w.habits.created[key])
    if born < w.recording.evaluation:
        born = begin(w, lead + length, alive=1.0)
    loot = Loot(some(w, catalog(w, WORTH / 3), count=(1, 3)), uniform_log(w.rng, (2, 120)), fastest=300)
    bout = spree(w, key, when=spell(w, born + lead, length=length), who=stranger(w, key, most=6), loot=loot)
    notes = {"hours_after_creation": round(lead / HOUR, 1)}
    return Theft("new_key_abuse", key, (bout,), notes, own=(born, w.recording.n_slots), created=born)


def several_keys(w: World, keys: list[int]) -> list[Theft]:
    """One leak: the same thief, models and tools on all of the keys, one soon after another."""
    length = hours(w, (1, 30))
    start, models, who = begin(w, length), some(w, catalog(w, WORTH), count=(1, 4)), stranger(w, keys[0], most=6)
    found = []
    for key in keys:
        when = spell(w, start + int(w.rng.exponential(8)), length=length, swing=0.2)
        loot = Loot(models, uniform_log(w.rng, (4, 150)), fastest=400)
        found.append(Theft("several_keys", key, (spree(w, key, when=when, who=who, loot=loot),)))
    return found


def tiny_key(w: World, key: int) -> Theft:
    """Cents to dollars on a key that costs cents a day."""
    length = hours(w, (1, 24))
    new = some(w, catalog(w, ANY_PAID * 10), count=(1, 3))
    models = _own_models(w, key) if w.rng.random() < 0.3 else new
    when = spell(w, begin(w, length), length=length)
    loot = Loot(models, uniform_log(w.rng, (0.15, 6)))
    return Theft("tiny_key", key, (spree(w, key, when=when, who=stranger(w, key, most=3), loot=loot),))


def _own_models(w: World, key: int) -> Mix:
    paid = {m: s for m, s in w.habits.mix(key, MODEL).items() if s > MINOR_SHARE and w.traffic.price.get(m, 0) > 0}
    return paid or some(w, catalog(w, WORTH), count=(1, 1))


def same_models_elsewhere(w: World, key: int) -> Theft:
    """About as much again as the key usually spends, on its own models, from new countries."""
    length, factor = hours(w, (6, 72)), float(w.rng.uniform(0.5, 1.5))
    loot = Loot(_own_models(w, key), factor * w.habits.usd_day[key] * length / DAY)
    when = spell(w, begin(w, length), length=length, swing=0.5)
    bout = spree(w, key, when=when, who=foreigner(w, key, most=3), loot=loot)
    return Theft("same_models_elsewhere", key, (bout,), {"factor": round(factor, 2)})


def ramp(w: World, key: int) -> Theft:
    """From a tenth of the usual spend to three times as much, within days."""
    length = int(w.rng.uniform(2, 4) * DAY)
    when = spell(w, begin(w, length, alive=0.9), length=length)
    growth = 0.1 * 30 ** (np.arange(len(when.slots)) / length)
    models = _own_models(w, key) if w.rng.random() < 0.5 else some(w, catalog(w, WORTH), count=(1, 2))
    loot = Loot(models, float(growth.sum()) * w.habits.usd_day[key] / DAY)
    bout = spree(w, key, when=replace(when, weight=growth), who=stranger(w, key, most=2), loot=loot)
    return Theft("ramp", key, (bout,))


def low_and_slow(w: World, key: int) -> Theft:
    """A little more of the same, for days."""
    length, factor = int(w.rng.uniform(2, 5) * DAY), float(w.rng.uniform(0.3, 1.0))
    home = w.habits.mix(key, COUNTRY)
    inside = Who({max(home, key=lambda c: home[c]): 1.0}, w.habits.mix(key, APP))
    who = inside if w.rng.random() < 0.4 else foreigner(w, key, most=1)
    when = spell(w, begin(w, length, alive=0.8), length=length, swing=0.5)
    loot = Loot(_own_models(w, key), factor * w.habits.usd_day[key] * length / DAY)
    return Theft("low_and_slow", key, (spree(w, key, when=when, who=who, loot=loot),), {"factor": round(factor, 2)})


def off_hours(w: World, key: int) -> Theft:
    """The key's own models, countries and titles, in hours in which the key never works, for one to four days."""
    days, factor = int(w.rng.integers(1, 5)), float(w.rng.uniform(0.5, 3))
    start = begin(w, days * DAY, alive=0.9)
    slots = np.arange(start, min(start + days * DAY, w.recording.n_slots))
    slots = slots[w.habits.quiet[key][slots // HOUR % 24]]
    worked = max(int((~w.habits.quiet[key]).sum()), 1)
    loot = Loot(_own_models(w, key), factor * w.habits.usd_day[key] / worked * len(slots) / HOUR)
    who = Who(w.habits.mix(key, COUNTRY), w.habits.mix(key, APP))
    bout = spree(w, key, when=When(slots, np.ones(len(slots)), 2.0), who=who, loot=loot)
    return Theft("off_hours", key, (bout,), {"factor": round(factor, 2)})


SINGLE: Mapping[str, Callable[[World, int], Theft]] = {
    f.__name__: f
    for f in (
        dormant_revival, off_hours, new_key_abuse, tiny_key, same_models_elsewhere, low_and_slow, ramp,
        expensive_swap, smash_and_grab, resale_pool, model_enumeration,
    )
}  # fmt: skip
"""Those that need special keys come first."""
