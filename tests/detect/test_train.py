from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from build import NOW, a_batch, settings_with

from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.detect.calibrate import WEEK_S
from monitor.detect.forest import Forest
from monitor.detect.levels import joint_level
from monitor.detect.train import Excluded, Rows, stack
from monitor.detect.train import train as train_detector
from monitor.domain import NUSD
from monitor.errors import ArtifactError

NAMES = ("spend", "novelty", "price")


def train(rows: Rows, settings: Settings, **changes: Any) -> Trained:
    """As the real one, with a forest small enough for tests."""
    return train_detector(rows, settings, make=lambda names: Forest(names, n_trees=20, max_samples=256), **changes)


def history(*, n_keys: int = 9, n_buckets: int = 300, seed: int = 3) -> Rows:
    """Ordinary rows of some keys, ten minutes apart, each with a dollar at stake."""
    rng = np.random.default_rng(seed)
    n = n_keys * n_buckets
    return Rows(
        NAMES,
        rng.normal(size=(n, 3)),
        np.tile(int(NOW.timestamp()) + 600 * np.arange(n_buckets), n_keys),
        np.repeat(np.arange(n_keys), n_buckets),
        np.full(n, 500.0),
        np.full(n, NUSD),
        rng.integers(0, NUSD, n),
    )


def test_training_twice_with_one_seed_gives_the_same_detector() -> None:
    rows = history()

    first, again = (train(rows, Settings(), seed=5) for _ in range(2))

    assert first.manifest == again.manifest
    assert np.array_equal(first.detector.score(rows.values), again.detector.score(rows.values))


def test_clean_history_raises_no_more_incidents_than_the_budget_allows() -> None:
    rows = history(n_keys=20, n_buckets=1_008)

    trained = train(rows, settings_with(detection={"max_false_alerts_per_week": 10}), seed=1)

    assert 3 <= trained.manifest.clean_incidents_per_week <= 10 * WEEK_S / (WEEK_S - 600)


def test_a_larger_budget_gives_a_level_that_is_no_stricter() -> None:
    rows = history()

    alphas = [
        train(rows, settings_with(detection={"max_false_alerts_per_week": budget}), seed=1).manifest.levels.alpha
        for budget in (1, 5, 50)
    ]

    assert alphas == sorted(alphas)
    assert alphas[0] < alphas[-1]


def test_windows_under_suspicion_teach_nothing() -> None:
    rows = history()
    since = NOW + timedelta(hours=10)
    window = Excluded(key_no=2, since=since, until=since + timedelta(hours=5))
    poisoned = rows.values.copy()
    inside = (
        (rows.key_no == 2) & (rows.at_s > since.timestamp()) & (rows.at_s <= (since + timedelta(hours=5)).timestamp())
    )
    poisoned[inside] = 1e6

    clean = train(rows, Settings(), excluded=[window], seed=1)
    same = train(
        Rows(NAMES, poisoned, rows.at_s, rows.key_no, rows.history_hours, rows.stake_nusd, rows.joint_nusd),
        Settings(),
        excluded=[window],
        seed=1,
    )

    assert clean.manifest == same.manifest
    assert clean.manifest.n_rows_left_out == 30


def test_disabling_asks_for_more_joint_dollars_than_any_clean_row_shows() -> None:
    rows = history()
    rows.joint_nusd[77] = 40 * NUSD

    assert train(rows, Settings(), seed=1).manifest.levels.joint_nusd_per_hour == 50 * NUSD


def test_without_any_joint_dollars_the_level_for_disabling_still_has_a_floor() -> None:
    rows = history()
    rows.joint_nusd[:] = 0

    assert train(rows, Settings(), seed=1).manifest.levels.joint_nusd_per_hour == 5 * NUSD


def test_in_a_large_fleet_the_one_most_extreme_key_does_not_set_the_level() -> None:
    joint = np.concatenate([np.full(1_999, 8 * NUSD), [900 * NUSD]])

    assert joint_level(joint, np.arange(2_000) % 1_000) == 10 * NUSD


def test_hours_confirm_themselves_so_hourly_history_gives_no_looser_level() -> None:
    fine = history(n_keys=10, n_buckets=1_008)
    is_hour_end = (fine.at_s // 600) % 6 == 0

    alphas = [train(rows, Settings(), seed=1).manifest.levels.alpha for rows in (fine, fine.take(is_hour_end))]

    assert alphas[1] < 6 * alphas[0]


@pytest.mark.parametrize(("n_keys", "n_buckets"), [(1, 5_000), (12, 5), (0, 0)], ids=["one key", "an hour", "nothing"])
def test_too_little_history_is_refused_with_a_reason(n_keys: int, n_buckets: int) -> None:
    with pytest.raises(ArtifactError, match="too little history"):
        train(history(n_keys=n_keys, n_buckets=n_buckets), Settings(), seed=1)


def test_moments_are_stacked_by_key_and_time() -> None:
    later, earlier = (
        a_batch(NOW + timedelta(minutes=minutes), n=2, names=NAMES, values=np.zeros((2, 3))) for minutes in (10, 0)
    )

    rows = stack([later, earlier], NAMES)

    assert rows.key_no.tolist() == [0, 0, 1, 1]
    assert (rows.at_s - int(NOW.timestamp())).tolist() == [0, 600, 0, 600]


def test_a_large_fleet_is_sampled_by_whole_keys_and_the_budget_with_it() -> None:
    moments = [a_batch(NOW + n * timedelta(minutes=10), n=64, names=NAMES, values=np.zeros((64, 3))) for n in range(20)]

    rows = stack(iter(moments), NAMES, max_rows=700)

    _, counts = np.unique(rows.key_no, return_counts=True)
    assert set(counts) == {20}
    assert len(rows) <= 700
    assert rows.key_share in (0.5, 0.25)


def test_a_sample_of_keys_gets_its_share_of_the_budget() -> None:
    rows = history(n_keys=20, n_buckets=1_008)

    whole, half = (
        train(
            dataclasses.replace(rows, key_share=share),
            settings_with(detection={"max_false_alerts_per_week": 20}),
            seed=1,
        )
        for share in (1.0, 0.5)
    )

    assert half.manifest.levels.alpha < whole.manifest.levels.alpha
    assert half.manifest.clean_incidents_per_week <= 20 * WEEK_S / (WEEK_S - 600)


def test_no_moments_make_a_table_without_rows() -> None:
    assert len(stack([], NAMES)) == 0
