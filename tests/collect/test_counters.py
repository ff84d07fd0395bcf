from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from build import NOW, a_hash, a_key
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.collect.counters import DAILY_UNKNOWN, bursts, deltas, latest, sample
from monitor.domain import NUSD, Inventory
from monitor.frames import COUNTERS, DELTAS, Catalog, check, epoch_s

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday: day and week begin
NEW_MONTH = datetime(2026, 12, 1, tzinfo=UTC)


def at(moment: datetime, *rows: tuple[int, int, int]) -> pd.DataFrame:
    """COUNTERS of (key_no, lifetime, daily) at one moment."""
    frame = pd.DataFrame(rows, columns=["key_no", "usage_nusd", "usage_daily_nusd"]).astype(
        {"key_no": "int32", "usage_nusd": "int64", "usage_daily_nusd": "int64"}
    )
    frame.insert(0, "sampled_at", pd.Series([moment] * len(rows), dtype="datetime64[s, UTC]"))
    return check(frame, COUNTERS)


def spent(before: pd.DataFrame, after: pd.DataFrame) -> list[tuple[int, int, bool]]:
    got = deltas(before, after)
    return list(zip(got["key_no"].tolist(), got["cost_nusd"].tolist(), got["is_fault"].tolist(), strict=True))


MINUTE = timedelta(minutes=1)


# --- samples


def test_a_sample_is_credits_and_byok_together():
    key = a_key(1, usage_nusd=100, byok_usage_nusd=7, usage_daily_nusd=30, byok_usage_daily_nusd=2)

    got = sample(Inventory(NOW, (key,), ()), Catalog())

    assert got.to_dict("records") == [
        {"sampled_at": pd.Timestamp(NOW), "key_no": 0, "usage_nusd": 107, "usage_daily_nusd": 32}
    ]
    check(got, COUNTERS)


@pytest.mark.parametrize("missing", ["usage_nusd", "byok_usage_nusd"])
def test_a_key_with_an_unknown_lifetime_counter_is_absent_not_zero(missing):
    keys = (a_key(1, **{missing: None}), a_key(2))

    assert sample(Inventory(NOW, keys, ()), Catalog([a_hash(1), a_hash(2)]))["key_no"].tolist() == [1]


@pytest.mark.parametrize("missing", ["usage_daily_nusd", "byok_usage_daily_nusd"])
def test_an_unknown_daily_counter_leaves_the_lifetime_counter_in_use(missing):
    key = a_key(1, **({"usage_nusd": 5, "byok_usage_daily_nusd": 1} | {missing: None}))

    got = sample(Inventory(NOW, (key,), ()), Catalog())

    assert (got["usage_nusd"].tolist(), got["usage_daily_nusd"].tolist()) == ([5], [DAILY_UNKNOWN])


def test_an_inventory_without_keys_is_a_sample_without_rows():
    assert len(check(sample(Inventory(NOW, (), ()), Catalog()), COUNTERS)) == 0


# --- deltas


def test_spend_is_the_step_of_the_lifetime_counter():
    got = deltas(
        at(NOW, (1, 1_000_000_000, 0), (2, 500, 0)), at(NOW + MINUTE, (2, 500, 0), (1, 1_250_000_000, 250_000_000))
    )

    assert got.to_dict("records") == [
        {
            "key_no": no,
            "since": pd.Timestamp(NOW),
            "until": pd.Timestamp(NOW + MINUTE),
            "cost_nusd": cost,
            "is_fault": False,
        }
        for no, cost in ((1, 250_000_000), (2, 0))
    ]
    check(got, DELTAS)


def test_keys_in_only_one_sample_have_no_delta():
    assert spent(at(NOW, (1, 5, 5), (2, 5, 5)), at(NOW + MINUTE, (2, 5, 5), (3, 9 * NUSD, 5))) == [(2, 0, False)]


def test_a_sample_that_is_not_later_gives_no_delta():
    assert spent(at(NOW, (1, 5, 5)), at(NOW, (1, 9, 9))) == []


@pytest.mark.parametrize("boundary", [MIDNIGHT, NEW_MONTH], ids=["day and week", "day and month"])
def test_a_reset_at_midnight_is_no_negative_spend(boundary):
    # given a key that spent 40 dollars yesterday and spends 3 around midnight
    before = at(boundary - MINUTE / 2, (1, 140 * NUSD, 40 * NUSD))
    after = at(boundary + MINUTE / 2, (1, 143 * NUSD, 2 * NUSD))

    assert spent(before, after) == [(1, 3 * NUSD, False)]


def test_a_lifetime_counter_that_goes_back_is_a_fault_not_spend():
    assert spent(at(NOW, (1, 10 * NUSD, NUSD)), at(NOW + MINUTE, (1, 9 * NUSD, NUSD))) == [(1, 0, True)]


def test_a_step_back_within_float_noise_is_no_spend_and_no_fault():
    assert spent(at(NOW, (1, 10**15, NUSD)), at(NOW + MINUTE, (1, 10**15 - 1_000, NUSD))) == [(1, 0, False)]


def test_a_lifetime_step_above_all_of_todays_spend_is_a_fault():
    # given a lifetime counter that jumps by 500 dollars on a day with 3 dollars of spend
    before, after = at(NOW, (1, 100 * NUSD, 2 * NUSD)), at(NOW + MINUTE, (1, 600 * NUSD, 3 * NUSD))

    assert spent(before, after) == [(1, 0, True)]


@pytest.mark.parametrize(
    ("daily_before", "daily_after"),
    [(2 * NUSD, 2 * NUSD), (DAILY_UNKNOWN, 3 * NUSD), (2 * NUSD, DAILY_UNKNOWN)],
    ids=["stood still", "unknown before", "unknown after"],
)
def test_a_burst_is_spend_while_the_daily_counter_lags_or_is_unknown(daily_before, daily_after):
    before, after = at(NOW, (1, 100 * NUSD, daily_before)), at(NOW + MINUTE, (1, 150 * NUSD, daily_after))

    assert spent(before, after) == [(1, 50 * NUSD, False)]


def test_near_midnight_clocks_may_differ_and_the_daily_counter_proves_nothing():
    # given a source whose day has just begun while ours is about to end
    before = at(MIDNIGHT - 3 * MINUTE, (1, 100 * NUSD, NUSD))
    after = at(MIDNIGHT - 2 * MINUTE, (1, 150 * NUSD, 2 * NUSD))

    assert spent(before, after) == [(1, 50 * NUSD, False)]


@settings(deadline=None)
@given(
    start=st.integers(0, 5 * 366 * 86_400).map(
        lambda seconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
    steps=st.lists(
        st.tuples(st.integers(1, 200_000), st.integers(0, 500 * NUSD), st.floats(-1e-9, 1e-9)), min_size=2, max_size=12
    ),
    lifetime=st.integers(0, 10**6 * NUSD),
    missed=st.sets(st.integers(1, 11), max_size=4),
)
def test_over_any_resets_and_missed_samples_the_deltas_add_up_to_what_was_spent(start, steps, lifetime, missed):
    # given a key that spends at random moments over days, weeks and months, read with float noise
    moment, daily, total, samples = start, 0, 0, []
    for pause_s, cost, noise_usd in steps:
        later = moment + timedelta(seconds=pause_s)
        daily = (daily if later.date() == moment.date() else 0) + cost
        total += cost
        moment = later
        samples.append(at(moment, (1, lifetime + total + round(noise_usd * NUSD), daily)))

    # when its counters are read now and then
    read = [frame for no, frame in enumerate(samples) if no not in missed]
    got = [deltas(before, after) for before, after in itertools.pairwise(read)]

    # then their differences are the spend between the first and the last reading, to the noise
    expected = read[-1]["usage_nusd"].iloc[0] - read[0]["usage_nusd"].iloc[0]
    assert not any(frame["is_fault"].any() for frame in got)
    assert sum(frame["cost_nusd"].sum() for frame in got) == pytest.approx(expected, abs=4 * len(got) + 1)


@settings(deadline=None)
@given(st.permutations(range(20)), st.lists(st.integers(-5 * NUSD, 50 * NUSD), min_size=20, max_size=20))
def test_deltas_do_not_depend_on_the_order_of_rows_or_on_other_keys(order, costs):
    before = at(NOW, *[(no, 100 * NUSD, NUSD) for no in range(20)])
    after = at(NOW + MINUTE, *[(no, 100 * NUSD + cost, 90 * NUSD) for no, cost in enumerate(costs)])
    shuffled = after.iloc[order].reset_index(drop=True)

    pd.testing.assert_frame_equal(deltas(before, after), deltas(before, shuffled))
    pd.testing.assert_frame_equal(deltas(before, after).head(1), deltas(before.head(1), after))


# --- what to compare with


def test_the_latest_sample_of_each_key_is_kept_so_that_a_missed_reading_loses_no_spend():
    # given a key that the second of three readings missed
    first, second, third = (
        at(NOW, (1, 100, 0), (2, 100, 0)),
        at(NOW + MINUTE, (1, 200, 0)),
        at(NOW + 2 * MINUTE, (1, 250, 0), (2, 900, 0)),
    )

    # when the third is compared with the latest of both before
    got = deltas(latest(first, second), third)

    # then the spend of two minutes is there
    assert got["cost_nusd"].tolist() == [50, 800]
    assert (epoch_s(got["until"]) - epoch_s(got["since"])).tolist() == [60, 120]


# --- bursts


def a_delta(key_no: int, usd: float, *, seconds: int = 60, is_fault: bool = False) -> dict[str, object]:
    until = NOW + timedelta(seconds=seconds)
    return {"key_no": key_no, "since": NOW, "until": until, "cost_nusd": int(usd * NUSD), "is_fault": is_fault}


def found(rows: list[dict[str, object]], expected_usd: list[float], **changes: float) -> list[int]:
    options = {"floor_per_hour_nusd": 0.5 * NUSD, "ratio": 4.0, "limit": 20} | changes
    frame = pd.DataFrame(rows, columns=list(DELTAS)).astype(dict(DELTAS))
    return bursts(frame, np.array(expected_usd) * NUSD, **options).tolist()


def test_a_key_far_above_its_expectation_bursts():
    assert found([a_delta(0, 1.0), a_delta(1, 1.0)], [10.0, 30.0]) == [0]


def test_small_change_never_bursts():
    assert found([a_delta(0, 0.008)], [0.0]) == []


@pytest.mark.parametrize("expected", [[float("nan")], []], ids=["not known", "new key"])
def test_a_key_without_expectation_is_held_to_the_floor(expected):
    assert found([a_delta(0, 0.01)], expected) == [0]


def test_a_fault_is_no_burst():
    assert found([a_delta(0, 100.0, is_fault=True)], [0.0]) == []


def test_spend_is_judged_per_hour_whatever_the_interval():
    assert found([a_delta(0, 1.0, seconds=60), a_delta(1, 1.0, seconds=7200)], [1.0, 1.0]) == [0]


def test_one_request_within_a_second_is_no_burst():
    assert found([a_delta(0, 0.004, seconds=1)], [0.0]) == []


def test_the_largest_excess_in_dollars_comes_first_and_the_number_is_limited():
    rows = [a_delta(no, usd) for no, usd in enumerate([1.0, 9.0, 4.0, 9.0])]

    assert found(rows, [0.0, 0.0, 0.0, 100.0], limit=2) == [1, 3]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.booleans(), st.integers(1, 7200)), max_size=30),
    st.lists(st.floats(0, 1e12) | st.just(float("nan")), max_size=20),
    st.integers(0, 10),
)
def test_a_burst_is_always_above_floor_and_ratio_and_never_a_fault(rows, expected, limit):
    until = [NOW + timedelta(seconds=seconds) for _, _, seconds in rows]
    columns = {"key_no": range(len(rows)), "since": NOW, "until": until}
    frame = pd.DataFrame(columns | {"cost_nusd": [row[0] for row in rows], "is_fault": [row[1] for row in rows]})
    frame = frame.astype(dict(DELTAS))

    got = bursts(frame, np.array(expected), floor_per_hour_nusd=1e9, ratio=4.0, limit=limit)

    assert len(got) <= limit
    for no in got:
        cost, is_fault, seconds = rows[no]
        per_hour = cost * 3600 / seconds
        assert not is_fault
        assert per_hour > 1e9
        assert no >= len(expected) or np.isnan(expected[no]) or per_hour > 4.0 * expected[no] * (1 - 1e-12)


def test_ten_thousand_keys_are_compared_in_milliseconds():
    rng = np.random.default_rng(3)
    rows = [(no, int(usage), 0) for no, usage in enumerate(rng.integers(0, 10**12, 10_000))]
    before, after = at(NOW, *rows), at(NOW + MINUTE, *rows)

    started = time.process_time()
    got = deltas(before, after)
    bursts(got, np.zeros(10_000), floor_per_hour_nusd=1.0, ratio=4.0, limit=20)

    assert time.process_time() - started < 0.5  # about 10 ms; the rest is for a busy machine
    assert len(got) == 10_000
