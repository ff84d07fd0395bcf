"""The proof of the incremental state: live polls, kills and repetitions end in the state one replay of the store makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import build
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import features, frames
from monitor.features import FleetState, HabitParams, from_bytes, to_bytes

PARAMS = HabitParams(half_life_h=20.0, quarantine_h=6, ring_hours=26)
START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
N_KEYS, N_HOURS = 4, 14
N_POLLS = 2 * N_HOURS
INVENTORY = build.inventory_frame(N_KEYS, owner_no=[0, 0, 1, -1])


class Source:
    """What the issuer would answer: seeded usage by bucket, some of it arriving or changing late."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._cells: dict[tuple[int, int, int], tuple[int, int]] = {}

    def happen(self, bucket: int) -> None:
        """New usage in a bucket; and at times a correction of one up to three hours old, or a value that vanishes."""
        self._write(bucket, int(self._rng.integers(0, 6)))
        if self._rng.random() < 0.3:
            self._write(bucket - int(self._rng.integers(1, 15)), 2)
        if self._rng.random() < 0.2 and self._cells:
            cell = list(self._cells)[int(self._rng.integers(len(self._cells)))]
            if cell[0] > bucket - 15:
                del self._cells[cell]

    def rows(self, since: datetime, until: datetime, *, bucket_s: int) -> pd.DataFrame:
        """USAGE of the window as it is now, in random order."""
        rows = build.bucket_rows(self._cells, since, until, bucket_s=bucket_s)
        order = self._rng.permutation(len(rows))
        return build.usage(*(rows[at] for at in order), bucket_s=bucket_s)

    def _write(self, bucket: int, n: int) -> None:
        for _ in range(n):
            cell = (bucket, int(self._rng.integers(N_KEYS)), int(self._rng.integers(12)))
            self._cells[cell] = (int(self._rng.integers(1, 400)), int(self._rng.integers(0, 3 * 10**9)))


class Store:
    """Rows by bucket, key and value; a row that known coverage no longer holds is gone. As the real store does."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int, int, int], tuple[object, ...]] = {}
        self._coverage: list[pd.DataFrame] = []

    def write(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> None:
        for key, _, size, since, until, quality, _ in coverage[coverage["dimension"] == 0].itertuples(index=False):
            first, last = int(since.timestamp()), int(until.timestamp())
            for cell in [cell for cell in self._rows if cell[0] == size and first <= cell[1] < last]:
                if quality == 2 and key in (cell[2], frames.ALL_KEYS):
                    del self._rows[cell]
        cells = zip(
            usage["bucket_s"], frames.epoch_s(usage["bucket_start"]), usage["key_no"], usage["value_no"], strict=True
        )
        self._rows |= dict(zip(cells, usage.itertuples(index=False, name=None), strict=True))
        self._coverage.append(coverage)

    @property
    def usage(self) -> pd.DataFrame:
        return pd.DataFrame(list(self._rows.values()), columns=list(frames.USAGE)).astype(dict(frames.USAGE))

    @property
    def coverage(self) -> pd.DataFrame:
        return pd.concat(self._coverage)


def live(seed: int, kills: set[int], *, repeat: int) -> tuple[FleetState, Store, datetime]:
    """A service at work for fourteen hours: polls of unequal windows, hourly settling, failures, kills, repetitions."""
    rng = np.random.default_rng(seed + 1)
    source, store, state = Source(seed), Store(), FleetState(PARAMS)
    state.advance(START)
    for poll in range(N_POLLS):
        now = START + 30 * MINUTE * (poll + 1)
        for bucket in range(3 * poll, 3 * poll + 3):
            source.happen(bucket + int(START.timestamp()) // 600)
        state.advance(now)
        since = max(START, now - 10 * MINUTE * int(rng.integers(16, 19)))
        is_failing = rng.random() < 0.1 and poll < N_POLLS - 1
        readings = [(source.rows(since, now, bucket_s=600), build.coverage(since, now, quality=0 if is_failing else 2))]
        if is_failing:
            readings = [(frames.empty(frames.USAGE), readings[0][1])]
        if poll % 2 == 1:
            begin = max(START, now - 5 * HOUR)
            readings.append((source.rows(begin, now, bucket_s=3600), build.coverage(begin, now, bucket_s=3600)))
        for usage, coverage in readings * repeat:
            store.write(usage, coverage)
            state.take_window(usage, coverage)
        if poll in kills:
            state = from_bytes(to_bytes(state), PARAMS)
    return state, store, now


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**20),
    kills=st.sets(st.integers(0, N_POLLS), max_size=4),
    repeat=st.integers(1, 2),
)
def test_live_polls_end_in_the_state_that_one_replay_of_the_store_makes(
    seed: int, kills: set[int], repeat: int
) -> None:
    state, store, now = live(seed, kills, repeat=repeat)

    replayed = FleetState(PARAMS)
    replayed.advance(START)
    features.replay(replayed, store.usage, store.coverage, until=now)

    assert state.needs_rebuild == frozenset()
    assert to_bytes(state) == to_bytes(replayed)
    ours, theirs = (features.build(each, INVENTORY, now) for each in (state, replayed))
    assert len(ours.key_no) > 0
    np.testing.assert_array_equal(ours.key_no, theirs.key_no)
    np.testing.assert_array_equal(ours.values, theirs.values)
    pd.testing.assert_frame_equal(ours.spend, theirs.spend)
    pd.testing.assert_frame_equal(ours.evidence, theirs.evidence)


@pytest.fixture(scope="module")
def lived() -> tuple[FleetState, Store, datetime]:
    return live(7, set(), repeat=1)


def test_a_checkpoint_comes_back_bit_for_bit(lived: tuple[FleetState, Store, datetime]) -> None:
    state, _, now = lived

    restored = from_bytes(to_bytes(state), PARAMS)

    assert to_bytes(restored) == to_bytes(state)
    np.testing.assert_array_equal(
        features.build(restored, INVENTORY, now).values, features.build(state, INVENTORY, now).values
    )


@pytest.mark.parametrize("at", [3, 45, 200, 5_000])
def test_a_damaged_checkpoint_is_refused(lived: tuple[FleetState, Store, datetime], at: int) -> None:
    data = bytearray(to_bytes(lived[0]))
    data[at] ^= 1

    with pytest.raises(ValueError, match="checkpoint"):
        from_bytes(bytes(data), PARAMS)


def test_a_checkpoint_of_other_settings_is_refused() -> None:
    data = to_bytes(FleetState(PARAMS))

    with pytest.raises(ValueError, match="checkpoint"):
        from_bytes(data, HabitParams(half_life_h=21.0, quarantine_h=6, ring_hours=26))


def test_a_correction_of_a_learned_hour_asks_for_a_rebuild_and_the_rebuild_equals_a_fresh_replay() -> None:
    state, store, now = live(11, set(), repeat=1)
    late = build.usage((START + 2 * HOUR, 1, 0, 8, 50, 10**9), bucket_s=3600)
    window = build.coverage(START + 2 * HOUR, START + 3 * HOUR, bucket_s=3600, key_no=1)

    store.write(late, window)
    taken = state.take_window(late, window)
    asked = state.needs_rebuild
    features.rebuild(state, asked, store.usage, store.coverage)

    replayed = FleetState(PARAMS)
    replayed.advance(START)
    features.replay(replayed, store.usage, store.coverage, until=now)
    assert taken.n_late > 0
    assert 1 in asked
    assert state.needs_rebuild == frozenset()
    assert to_bytes(state) == to_bytes(replayed)
