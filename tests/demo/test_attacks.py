"""Thefts and their look-alikes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.demo.attacks import (
    BatchBackfill,
    Growth,
    ModelMigration,
    PriceChange,
    Theft,
    expensive_swap,
    model_enumeration,
    quiet_abroad,
    resale_pool,
    smash_and_grab,
)
from monitor.demo.catalogue import DEAR, MODELS
from monitor.demo.fleet import Fleet, Key
from monitor.demo.founding import found
from monitor.demo.traffic import Rows, Traffic, no_rows
from monitor.domain import HOUR_S, NUSD

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
HOUR = int(NOW.timestamp())


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return found(seed=5, n_keys=60, n_workspaces=2, now=NOW)


@pytest.fixture(scope="module")
def key(fleet: Fleet) -> Key:
    return next(key for key in fleet.keys if key.archetype == "service" and key.no > 3)


def malicious(theft: Theft, fleet: Fleet, hours: int = 1) -> Rows:
    return np.concatenate([theft.shape(no_rows(), fleet, HOUR + no * HOUR_S) for no in range(hours)])


def names_used(rows: Rows, fleet: Fleet) -> tuple[set[str], set[str], set[str]]:
    models = {fleet.prices.models[code].permaslug for code in rows["model"]}
    countries = {fleet.countries.texts[code] for code in rows["country"]}
    return models, countries, {fleet.apps.texts[code] for code in rows["app"]}


def habits(key: Key, fleet: Fleet) -> tuple[set[str], set[str], set[str]]:
    mine = fleet.cells.key == key.no
    rows = no_rows()
    rows = np.zeros(int(mine.sum()), dtype=rows.dtype)
    for name in ("model", "country", "app"):
        rows[name] = getattr(fleet.cells, name)[mine]
    return names_used(rows, fleet)


def test_a_smash_and_grab_probes_with_pennies_then_drains(fleet: Fleet, key: Key) -> None:
    theft = smash_and_grab(key, fleet, start=NOW, usd_per_minute=8, burst_after=timedelta(minutes=6))

    rows = malicious(theft, fleet)
    minute = (rows["t"] - HOUR) // 60

    assert 1 <= rows["n"][minute == 0].sum() <= 3
    assert rows["cost"][minute == 0].sum() < 0.02 * NUSD
    assert not rows["n"][(minute > 0) & (minute < 6)].any()
    per_minute = np.bincount(minute, weights=rows["cost"], minlength=60)[6:] / NUSD
    assert 6 < per_minute.mean() < 10
    assert (per_minute > 1).all()


def test_a_thief_uses_a_dear_model_a_country_and_a_program_new_to_the_key(fleet: Fleet, key: Key) -> None:
    used = names_used(malicious(smash_and_grab(key, fleet, start=NOW), fleet), fleet)

    for new, usual in zip(used, habits(key, fleet), strict=True):
        assert new and not new & usual
    assert used[0] <= set(DEAR)


def test_a_theft_is_the_same_however_often_and_in_whatever_order_it_is_asked_for(fleet: Fleet, key: Key) -> None:
    theft = resale_pool(key, fleet, start=NOW, seed=4)
    later, first = malicious(theft, fleet, 2)[::-1], malicious(theft, fleet, 2)

    assert np.array_equal(np.sort(later), np.sort(first))
    assert not np.array_equal(malicious(resale_pool(key, fleet, start=NOW, seed=5), fleet), malicious(theft, fleet))


def test_a_resale_pool_runs_on_many_models_from_many_countries_day_and_night(fleet: Fleet, key: Key) -> None:
    rows = malicious(resale_pool(key, fleet, start=NOW), fleet, 24)

    models, countries, _ = names_used(rows, fleet)

    assert len(models) >= 8
    assert len(countries) >= 5
    assert len(np.unique(rows["t"] // HOUR_S)) == 24


def test_an_enumeration_tries_every_model_with_tiny_requests_then_falls_silent(fleet: Fleet, key: Key) -> None:
    theft = model_enumeration(key, fleet, start=NOW, silence=timedelta(hours=2))
    probes = malicious(theft, fleet)

    assert names_used(probes, fleet)[0] == {model.permaslug for model in MODELS}
    assert probes["cost"].sum() < 0.5 * NUSD
    assert len(theft.shape(no_rows(), fleet, HOUR + HOUR_S)) == 0
    assert theft.shape(no_rows(), fleet, HOUR + 2 * HOUR_S)["cost"].sum() > 100 * NUSD


def test_an_expensive_swap_is_a_handful_of_huge_requests(fleet: Fleet, key: Key) -> None:
    rows = malicious(expensive_swap(key, fleet, start=NOW, usd_per_hour=12), fleet, 10)

    assert 60 < rows["cost"].sum() / NUSD < 180
    assert (rows["prompt"] / rows["n"]).mean() > 100_000
    assert rows["n"].sum() < 120


def test_a_quiet_theft_stays_on_the_models_of_the_key(fleet: Fleet, key: Key) -> None:
    models, countries, _ = names_used(malicious(quiet_abroad(key, fleet, start=NOW), fleet, 6), fleet)

    assert models <= habits(key, fleet)[0]
    assert not countries & habits(key, fleet)[1]


def test_a_backfill_is_much_more_of_the_same(fleet: Fleet, key: Key) -> None:
    event = BatchBackfill(key.key_hash, NOW, timedelta(hours=1), 10.0)

    rows = event.shape(no_rows(), fleet, HOUR)

    assert rows["n"].sum() == pytest.approx(10 * fleet.requests_per_hour[key.no], rel=0.1)
    for used, usual in zip(names_used(rows, fleet), habits(key, fleet), strict=True):
        assert used <= usual


def test_a_migration_moves_one_key_to_one_model_and_leaves_others_alone(fleet: Fleet, key: Key) -> None:
    before = Traffic(fleet).minutes(HOUR)
    after = ModelMigration(key.key_hash, NOW + timedelta(minutes=30), MODELS[7].permaslug).shape(before, fleet, HOUR)
    moved = (before["key"] == key.no) & (before["t"] >= HOUR + 1800)

    assert moved.any()
    assert set(after["model"][moved]) == {7}
    assert np.array_equal(after[~moved], before[~moved])
    assert np.array_equal(after["n"], before["n"])


def test_a_price_change_makes_the_same_requests_of_all_keys_dearer(fleet: Fleet) -> None:
    before = Traffic(fleet).minutes(HOUR)
    after = PriceChange(NOW, 3.0).shape(before, fleet, HOUR)

    assert np.array_equal(after["cost"], before["cost"] * 3)
    assert np.array_equal(after["prompt"], before["prompt"])


def test_growth_multiplies_one_key(fleet: Fleet, key: Key) -> None:
    before = Traffic(fleet).minutes(HOUR)
    after = Growth(key.key_hash, NOW, 2.0).shape(before, fleet, HOUR)
    mine = before["key"] == key.no

    assert np.array_equal(after["n"][mine], before["n"][mine] * 2)
    assert np.array_equal(after[~mine], before[~mine])
