"""What a key would look like in other hands: the live code on copies of keys, and nothing of it in the real state."""

from __future__ import annotations

from datetime import timedelta

import build
import numpy as np
import pytest
from features_build import NOW, PARAMS, USUAL, habit, one_use, taught

from monitor import features
from monitor.domain import HOUR_S, NUSD
from monitor.features import FleetState
from monitor.features.fork import fork
from monitor.features.transplants import Transplant, transplant

N_VALUES = 50
NO_APP = 49
N_KEYS = 12


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    """Five days of a dozen keys, of which every third uses a dear model from elsewhere; the last hour in ten minutes."""
    state = taught(habit(n_keys=N_KEYS))
    other = {dimension: value + 2 for dimension, value in USUAL.items()}
    rows = [
        row
        for bucket in range(6)
        for key_no in range(N_KEYS)
        for row in one_use(
            NOW - timedelta(minutes=10 * (bucket + 1)),
            key_no,
            other if key_no % 3 == 0 else USUAL,
            n=5,
            cost=(40 if key_no % 3 == 0 else 1) * NUSD // 100,
        )
    ]
    state.take_window(build.usage(*rows), build.coverage(NOW - timedelta(hours=1), NOW))
    return features.to_bytes(state)


@pytest.fixture
def state(checkpoint: bytes) -> FleetState:
    return features.from_bytes(checkpoint, PARAMS)


def robbed(state: FleetState, *, seed: int = 3, n: int = 60) -> Transplant:
    rng = np.random.default_rng(seed)
    hosts = rng.integers(0, N_KEYS, n)
    made = transplant(state, build.inventory_frame(N_KEYS), hosts, NOW, rng, n_values=N_VALUES, no_app=NO_APP)
    assert made is not None
    return made


def test_a_fork_of_a_key_has_the_features_of_the_key_itself(state: FleetState) -> None:
    inventory = build.inventory_frame(N_KEYS)
    original = features.build(state, inventory, NOW)
    asked = np.array([7, 0, 7, 3])

    copied, listed = fork(state, inventory, asked, hour=int(NOW.timestamp() - 1) // HOUR_S)
    batch = features.build(copied, listed, NOW)

    assert batch.key_no.tolist() == [0, 1, 2, 3]
    assert np.array_equal(batch.values, original.values[asked], equal_nan=True)


def test_strangers_leave_nothing_behind_in_the_real_state(state: FleetState) -> None:
    before = features.to_bytes(state)

    made = robbed(state)
    features.build(made.state, made.keys, NOW)

    assert features.to_bytes(state) == before


def test_the_same_seed_makes_the_same_thefts(state: FleetState) -> None:
    first, again = (robbed(state, seed=5) for _ in range(2))

    assert first.kind == again.kind
    assert features.to_bytes(first.state) == features.to_bytes(again.state)


def test_a_stranger_is_seen_where_he_is_and_an_honest_twin_is_no_theft(state: FleetState) -> None:
    made = robbed(state, n=300)
    batch = features.build(made.state, made.keys, NOW)

    stolen = made.is_stolen[batch.key_no]
    kinds = np.array(made.kind)[batch.key_no]
    spent = batch.values[:, features.NAMES.index("usd_10m")]
    assert stolen.sum() == made.is_stolen.sum()  # every stolen key is active now
    assert (spent[stolen] > 0).all()
    assert set(kinds[~stolen]) <= {"", "bakeoff", "trial", "trip"}
    assert {"burst", "pool", "scan", "trickle", "copy", "elsewhere"} <= set(kinds[stolen])


def test_a_scan_shows_many_models_and_a_pool_many_countries(state: FleetState) -> None:
    made = robbed(state, n=400)
    batch = features.build(made.state, made.keys, NOW)

    kinds = np.array(made.kind)[batch.key_no]
    new_places = batch.values[:, features.NAMES.index("new_countries_1h")]
    dear = batch.values[:, features.NAMES.index("usd_1h")]
    assert np.median(new_places[kinds == "elsewhere"]) >= 1
    assert np.median(dear[kinds == "burst"]) > np.median(dear[kinds == "trickle"])


def test_a_fleet_that_did_nothing_teaches_no_thefts() -> None:
    idle = FleetState(PARAMS)
    idle.advance(NOW)

    made = transplant(
        idle, build.inventory_frame(3), np.arange(3), NOW, np.random.default_rng(1), n_values=N_VALUES, no_app=NO_APP
    )

    assert made is None
