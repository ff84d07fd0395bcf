"""Who tries what a key can do, and for how long the key counts as probed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import build
import numpy as np
import pandas as pd
import pytest

from monitor import features
from monitor.domain import NUSD
from monitor.features import FleetState, HabitParams
from monitor.features.probes import MANY_MODELS, WATCH_H

PARAMS = HabitParams(half_life_h=168.0, quarantine_h=18, ring_hours=26)
START = datetime(2026, 11, 2, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = START + timedelta(days=4)
USUAL, DEAR, CHEAP, LAB = 10, 11, 12, 100  # models; LAB and the next are more of them
CENT = NUSD // 100
Row = tuple[object, ...]


def use(at: datetime, model: int, *, n: int, each: int, key_no: int = 0) -> list[Row]:
    """Requests on one model, the rest of the key's habits kept; a hundred tokens each."""
    return [(at, key_no, d, model if d == 0 else 10 * (d + 1), n, n * each) for d in range(4)]


def usual(at: datetime, *, n_keys: int = 3) -> list[Row]:
    return [row for no in range(n_keys) for row in use(at, USUAL, n=30, each=CENT, key_no=no)]


def habit(until: datetime, *, others_use: tuple[int, ...] = (DEAR,)) -> list[Row]:
    """Three keys on their usual model; a fourth uses models at ten cents a request."""
    rows: list[Row] = []
    at = START
    while at < until:
        rows += usual(at) + [row for m in others_use for row in use(at, m, n=5, each=10 * CENT, key_no=3)]
        at += HOUR
    return rows


def lived(until: datetime = NOW, *, tried: list[Row] | None = None, **habits: tuple[int, ...]) -> FleetState:
    """By the hour up to an hour before `until`, and `tried` beside it."""
    state = FleetState(PARAMS)
    state.advance(START)
    rows = build.usage(*habit(until - HOUR, **habits), *(tried or []), bucket_s=3600)
    features.replay(state, rows, build.coverage(START, until - HOUR, bucket_s=3600), until=until)
    return state


def watched(state: FleetState, *tried: Row, at: datetime = NOW, **inventory: object) -> pd.DataFrame:
    """SPEND of the moment; the keys did the usual in the last hour, and tried this."""
    rows = build.usage(*usual(at - 20 * MINUTE), *tried)
    state.take_window(rows, build.coverage(at - HOUR, at))
    return features.build(state, build.inventory_frame(4, **inventory), at).spend


def is_probed(spend: pd.DataFrame, key_no: int = 0) -> bool:
    return bool(spend["is_probed"].to_numpy()[list(spend["key_no"]).index(key_no)])


def test_a_dear_model_tried_a_few_times_is_a_probe_of_that_key_alone() -> None:
    spend = watched(lived(), *use(NOW - 20 * MINUTE, DEAR, n=2, each=10 * CENT))

    assert spend["is_probed"].tolist() == [True, False, False]
    assert spend["probed_s"].tolist() == [int((NOW - HOUR).timestamp()), 0, 0]


@pytest.mark.parametrize(
    ("model", "n", "each"),
    [(DEAR, 400, 10 * CENT), (DEAR, 4, 50 * CENT), (CHEAP, 2, CENT), (USUAL, 2, 10 * CENT)],
    ids=["in bulk", "for dollars", "a cheap model", "the model of every day"],
)
def test_use_is_no_probe(model: int, n: int, each: int) -> None:
    assert not is_probed(watched(lived(), *use(NOW - 30 * MINUTE, model, n=n, each=each)))


@pytest.mark.parametrize("n_models", [MANY_MODELS - 1, MANY_MODELS])
def test_many_models_in_an_hour_are_a_probe_however_cheap(n_models: int) -> None:
    tried = [row for no in range(n_models) for row in use(NOW - 30 * MINUTE, LAB + no, n=1, each=CENT // 10)]

    assert is_probed(watched(lived(), *tried)) is (n_models == MANY_MODELS)


def test_as_many_models_over_a_day_are_none() -> None:
    tried = [row for no in range(12) for row in use(NOW - (2 + 2 * no) * HOUR, LAB + no, n=1, each=CENT // 10)]

    assert not is_probed(watched(lived(tried=tried)))


@pytest.mark.parametrize("hours", [3, 12, 20, 30, WATCH_H - 1, WATCH_H + 1, 90])
@pytest.mark.parametrize("tried", ["dear", "many"])
def test_a_probe_is_watched_for_two_days(hours: int, tried: str) -> None:
    at = NOW - hours * HOUR
    many = [row for no in range(9) for row in use(at, LAB + no, n=1, each=CENT // 10)]
    state = lived(tried=use(at, DEAR, n=2, each=10 * CENT) if tried == "dear" else many)

    spend = watched(state)

    assert is_probed(spend) is (hours < WATCH_H)
    assert spend["probed_s"].tolist()[0] == (int(at.timestamp()) if hours < WATCH_H else 0)


@pytest.mark.parametrize("hours", [20, 30])
def test_what_a_model_cost_that_nobody_else_uses_is_forgotten_with_the_cells_of_the_day(hours: int) -> None:
    tried = use(NOW - hours * HOUR, CHEAP, n=2, each=10 * CENT)

    assert is_probed(watched(lived(tried=tried))) is (hours < PARAMS.ring_hours)


def test_the_newest_of_several_probes_counts() -> None:
    tried = [*use(NOW - 30 * HOUR, DEAR, n=2, each=10 * CENT), *use(NOW - 5 * HOUR, CHEAP, n=1, each=10 * CENT)]

    assert watched(lived(tried=tried))["probed_s"].tolist()[0] == int((NOW - 5 * HOUR).timestamp())


def test_to_a_new_key_everything_is_new_and_nothing_a_probe() -> None:
    tried = use(NOW - 20 * MINUTE, DEAR, n=2, each=10 * CENT)

    assert not is_probed(watched(lived(), *tried, created_at=NOW - 5 * HOUR))


def test_a_restart_does_not_forget_a_probe() -> None:
    state = lived(tried=use(NOW - 30 * HOUR, DEAR, n=2, each=10 * CENT))
    restarted = features.from_bytes(features.to_bytes(state), PARAMS)

    ours, theirs = watched(state), watched(restarted)

    assert is_probed(ours)
    np.testing.assert_array_equal(ours["probed_s"], theirs["probed_s"])
