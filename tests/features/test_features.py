"""What a feature may depend on, and what it must say in plain cases."""

from __future__ import annotations

from datetime import datetime

import build
import numpy as np
import pandas as pd
import pytest
from features_build import (
    COUNTRY,
    DAY,
    DAYS,
    HOUR,
    MINUTE,
    MODEL,
    NOW,
    PARAMS,
    START,
    STRANGE,
    USUAL,
    habit,
    one_use,
    taught,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import features, frames
from monitor.domain import NUSD
from monitor.features import FEATURES, NAMES, FleetState
from monitor.frames import FeatureBatch

RATIOS = [name for name, feature in FEATURES.items() if feature.unit != "usd"]


def theft(*, usd: float = 30.0, at: datetime = NOW - 20 * MINUTE, key_no: int = 0, currency: int = 1) -> pd.DataFrame:
    return build.usage(*one_use(at, key_no, STRANGE, n=50, cost=round(usd * NUSD) * currency))


def seen(state: FleetState, usage: pd.DataFrame, *, at: datetime = NOW, n_keys: int = 3) -> FeatureBatch:
    state.take_window(usage, build.coverage(NOW - HOUR, NOW))
    return features.build(state, build.inventory_frame(n_keys), at)


def value(batch: FeatureBatch, name: str, key_no: int = 0) -> float:
    return float(batch.values[list(batch.key_no).index(key_no), NAMES.index(name)])


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return habit()


@pytest.fixture(scope="module")
def checkpoint(history: pd.DataFrame) -> bytes:
    return features.to_bytes(taught(history))


@pytest.fixture
def state(checkpoint: bytes) -> FleetState:
    return features.from_bytes(checkpoint, PARAMS)


def test_dollars_on_a_strange_model_from_a_strange_country_are_jointly_novel(state: FleetState) -> None:
    batch = seen(state, theft(usd=30.0))

    assert value(batch, "joint_1h") == pytest.approx(30.0, rel=0.5)
    assert value(batch, "joint_same_1h") == value(batch, "joint_1h")
    assert value(batch, "new_models_1h") == 1
    assert value(batch, "spend_z_1h") > 5
    assert batch.spend["joint_per_hour_nusd"].iloc[0] == pytest.approx(value(batch, "joint_same_1h") * NUSD, abs=1)
    assert batch.spend["onset_at"].iloc[0] == pd.Timestamp(NOW - 20 * MINUTE)


def test_much_of_the_usual_is_not_novel_but_above_expectation(state: FleetState) -> None:
    usage = build.usage(*one_use(NOW - 20 * MINUTE, 0, USUAL, n=4000, cost=40 * NUSD))

    batch = seen(state, usage)

    assert value(batch, "joint_1h") == 0
    assert value(batch, "novel_model_1h") == 0
    assert value(batch, "model_distance_1h") == pytest.approx(0.0, abs=1e-9)
    assert value(batch, "spend_z_1h") > 20
    assert value(batch, "over_peak_1h") > 39
    assert batch.spend["per_hour_nusd"].iloc[0] == 40 * NUSD
    assert batch.spend["expected_per_hour_nusd"].iloc[0] == pytest.approx(0.22 * NUSD, rel=0.1)


def test_novel_in_model_now_and_in_country_later_is_not_novel_in_the_same_bucket(state: FleetState) -> None:
    first = one_use(NOW - 40 * MINUTE, 0, USUAL | {MODEL: STRANGE[MODEL]}, n=50, cost=20 * NUSD)
    then = one_use(NOW - 20 * MINUTE, 0, USUAL | {COUNTRY: STRANGE[COUNTRY]}, n=50, cost=20 * NUSD)

    batch = seen(state, build.usage(*first, *then))

    assert value(batch, "joint_same_1h") == 0
    assert value(batch, "joint_1h") > 5


def test_a_young_key_is_not_judged_by_a_baseline_it_does_not_have(state: FleetState) -> None:
    batch = seen(state, theft(key_no=5), n_keys=3)
    young = build.inventory_frame(6, created_at=NOW - 2 * HOUR)

    judged = features.build(state, young, NOW)

    assert value(batch, "joint_1h", 5) > 10  # not in the inventory: taken for old
    assert value(judged, "joint_1h", 5) == 0
    assert np.isnan(value(judged, "spend_z_1h", 5))
    assert judged.spend["history_hours"].iloc[0] == 0


def test_an_old_silent_key_is_not_young(state: FleetState) -> None:
    batch = seen(state, theft(key_no=2_000), n_keys=2_001)

    assert value(batch, "joint_1h", 2_000) > 10
    assert value(batch, "silence_h", 2_000) > 24 * (DAYS - 2)
    assert batch.spend["history_hours"].iloc[0] > 100


def test_a_value_the_owners_other_keys_use_is_less_surprising(history: pd.DataFrame) -> None:
    state = taught(pd.concat([history, habit_of_another()]))
    state.take_window(theft(), build.coverage(NOW - HOUR, NOW))

    mine = features.build(state, build.inventory_frame(4, owner_no=[0, 1, 1, 0]), NOW)
    theirs = features.build(state, build.inventory_frame(4, owner_no=[0, 1, 1, 1]), NOW)

    assert value(mine, "novel_model_1h") < value(theirs, "novel_model_1h")


def habit_of_another() -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    for hour in range(DAYS * 24 - 1):
        rows += one_use(START + hour * HOUR, 3, STRANGE, n=20, cost=NUSD // 5)
    return build.usage(*rows, bucket_s=3600)


def test_excluded_hours_teach_nothing_until_they_are_acknowledged(history: pd.DataFrame) -> None:
    rows = [row for hour in range(24, 48) for row in one_use(START + hour * HOUR, 0, STRANGE, n=90, cost=NUSD)]
    usage, covered = pd.concat([history, build.usage(*rows, bucket_s=3600)]), build.coverage(START, NOW, bucket_s=3600)
    state = FleetState(PARAMS)
    state.advance(START)
    state.exclude(0, START + DAY, START + 2 * DAY)
    features.replay(state, usage, covered, until=NOW)

    flagged = seen(state, theft())
    state.acknowledge(0, START + DAY, START + 2 * DAY)
    asked = state.needs_rebuild
    features.rebuild(state, asked, pd.concat([usage, theft()]), covered)
    cleared = features.build(state, build.inventory_frame(3), NOW)

    assert value(flagged, "new_models_1h") == 1
    assert asked == {0}
    assert value(cleared, "new_models_1h") == 0
    assert value(cleared, "joint_1h") < value(flagged, "joint_1h")


def test_an_unknown_hour_is_not_an_hour_of_zero(history: pd.DataFrame) -> None:
    state = taught(history, known_from=NOW - 2 * DAY)

    batch = seen(state, theft())

    assert batch.spend["history_hours"].iloc[0] < 48
    assert value(batch, "joint_1h") < 30 * 48 / 72


def test_counter_spend_counts_before_usage_rows_arrive(state: FleetState) -> None:
    delta = pd.DataFrame(
        {
            "key_no": [1],
            "since": [NOW - 2 * MINUTE],
            "until": [NOW - MINUTE],
            "cost_nusd": [7 * NUSD],
            "is_fault": [False],
        }
    ).astype(dict(frames.DELTAS))
    state.take_counters(delta)
    state.take_counters(delta)

    batch = features.build(state, build.inventory_frame(3), NOW)

    assert list(batch.key_no) == [1]
    assert batch.spend["per_hour_nusd"].iloc[0] == 7 * NUSD
    assert batch.spend["unexplained_nusd"].iloc[0] == 7 * NUSD
    assert value(batch, "spend_z_1h", 1) > 5
    assert np.isnan(value(batch, "requests_z_1h", 1))


def test_a_correction_replaces_and_a_row_gone_is_zero(state: FleetState) -> None:
    seen(state, theft(usd=30.0))

    corrected = seen(state, theft(usd=3.0))
    gone = seen(state, build.usage())

    assert corrected.spend["per_hour_nusd"].iloc[0] == 3 * NUSD
    assert len(gone.key_no) == 0


def test_a_truncated_answer_takes_nothing_away(state: FleetState) -> None:
    seen(state, theft(usd=30.0))

    state.take_window(build.usage(), build.coverage(NOW - HOUR, NOW, quality=1))

    assert features.build(state, build.inventory_frame(3), NOW).spend["per_hour_nusd"].iloc[0] == 30 * NUSD


def test_hourly_rows_give_the_same_features_at_the_end_of_an_hour(checkpoint: bytes) -> None:
    fine, hourly = (features.from_bytes(checkpoint, PARAMS) for _ in range(2))
    rows = one_use(NOW - HOUR, 0, STRANGE, n=50, cost=30 * NUSD)
    hourly.take_window(build.usage(*rows, bucket_s=3600), build.coverage(NOW - HOUR, NOW, bucket_s=3600))

    ours, theirs = seen(fine, theft()), features.build(hourly, build.inventory_frame(3), NOW)

    ten_minutes = [name for name in NAMES if name.endswith("10m") or name in ("joint_same_1h", "burst_share_1h")]
    same = [at for at, name in enumerate(NAMES) if name not in ten_minutes]
    np.testing.assert_allclose(ours.values[:, same], theirs.values[:, same], rtol=1e-12)
    assert all(np.isnan(value(theirs, name)) for name in ten_minutes)
    assert ours.spend["joint_per_hour_nusd"].equals(theirs.spend["joint_per_hour_nusd"])


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_rows_does_not_matter(history: pd.DataFrame, checkpoint: bytes, seed: int) -> None:
    usage = pd.concat([theft(), build.usage(*one_use(NOW - 30 * MINUTE, 1, USUAL, n=9, cost=123_456_789))])
    shuffled = usage.sample(frac=1, random_state=seed)

    ours = seen(features.from_bytes(checkpoint, PARAMS), usage)
    theirs = seen(taught(history.sample(frac=1, random_state=seed)), shuffled)

    np.testing.assert_array_equal(ours.values, theirs.values)
    pd.testing.assert_frame_equal(ours.spend, theirs.spend)
    pd.testing.assert_frame_equal(ours.evidence, theirs.evidence)
    pd.testing.assert_frame_equal(ours.twins, theirs.twins)


def test_rows_after_the_moment_do_not_matter(state: FleetState, checkpoint: bytes) -> None:
    later = build.usage(*one_use(NOW - 10 * MINUTE, 0, STRANGE, n=500, cost=500 * NUSD))
    at = NOW - 10 * MINUTE
    state.take_window(theft(), build.coverage(NOW - HOUR, at))
    informed = features.from_bytes(checkpoint, PARAMS)
    informed.take_window(pd.concat([theft(), later]), build.coverage(NOW - HOUR, NOW))

    ours, theirs = (features.build(each, build.inventory_frame(3), at) for each in (state, informed))

    np.testing.assert_array_equal(ours.values, theirs.values)
    for ours_, theirs_ in ((ours.spend, theirs.spend), (ours.evidence, theirs.evidence), (ours.twins, theirs.twins)):
        pd.testing.assert_frame_equal(ours_, theirs_)


def test_a_row_of_a_future_hour_is_refused_and_rolls_nothing_away(state: FleetState) -> None:
    taken = state.take_window(theft(at=NOW + 400 * DAY), frames.empty(frames.COVERAGE))

    assert taken.n_ahead == 4
    assert state.head_hour == int(NOW.timestamp()) // 3600 - 1


def test_the_volume_of_other_keys_does_not_change_a_keys_own_features(state: FleetState) -> None:
    busy = habit(extra=700)
    others = [name for name in NAMES if name.split("_z_")[0] not in ("spend", "requests", "tokens")]
    columns = [NAMES.index(name) for name in others]

    ours, theirs = seen(state, theft()), seen(taught(busy), theft())

    np.testing.assert_allclose(ours.values[0, columns], theirs.values[0, columns], rtol=1e-9)


@pytest.mark.parametrize("currency", [7])
def test_a_ratio_does_not_depend_on_the_currency(state: FleetState, currency: int) -> None:
    columns = [NAMES.index(name) for name in RATIOS]

    ours = seen(state, theft())
    theirs = seen(taught(habit(currency=currency)), theft(currency=currency))

    np.testing.assert_allclose(ours.values[:, columns], theirs.values[:, columns], rtol=2e-3, atol=1e-6)


def test_a_batch_fits_its_schema_and_every_feature_has_a_column(state: FleetState) -> None:
    batch = seen(state, theft())

    frames.check(batch.spend, frames.SPEND)
    frames.check(batch.evidence, frames.EVIDENCE)
    assert batch.names == tuple(FEATURES)
    assert batch.values.shape == (len(batch.key_no), len(FEATURES))
    assert set(batch.evidence["value_no"]) == set(STRANGE.values())
    assert batch.evidence["is_first_seen"].all()


def test_an_empty_moment_is_an_empty_batch(state: FleetState) -> None:
    batch = seen(state, build.usage())

    assert batch.values.shape == (0, len(FEATURES))
    frames.check(batch.spend, frames.SPEND)
    frames.check(batch.evidence, frames.EVIDENCE)


def test_a_key_that_spends_the_same_each_hour_is_regular_and_one_that_never_spends_has_no_level(
    state: FleetState,
) -> None:
    usage = build.usage(*one_use(NOW - 20 * MINUTE, 0, USUAL, n=20, cost=NUSD // 5))

    steady = seen(state, usage).spend
    asleep = seen(state, theft(key_no=2_000), n_keys=2_001).spend

    assert 0.6 < steady["regularity"].iloc[0] <= 1.0
    assert np.isnan(asleep["regularity"].iloc[-1])
    assert steady["usual_requests"].iloc[0] == pytest.approx(22, rel=0.1)
    assert steady["usual_request_nusd"].iloc[0] == pytest.approx(NUSD / 100, rel=0.01)
    assert steady["usual_request_tokens"].iloc[0] == pytest.approx(100, rel=0.01)
    assert steady["n_requests"].iloc[0] == 20
