"""What is computed once an hour, or once for an inventory, is what would be computed anew."""

from __future__ import annotations

import build
import numpy as np
import pandas as pd
from features_build import DAY, DAYS, HOUR, MINUTE, NOW, PARAMS, USUAL, habit, one_use, taught

from monitor import features
from monitor.domain import NUSD
from monitor.features import FleetState
from monitor.frames import FeatureBatch


def differences(some: FeatureBatch, others: FeatureBatch) -> list[str]:
    same = np.array_equal(some.key_no, others.key_no)
    columns = [name for name, a, b in zip(some.names, some.values.T, others.values.T, strict=True) if not alike(a, b)]
    return [*columns, *([] if same and some.spend.equals(others.spend) else ["keys or spend"])]


def alike(some: np.ndarray, others: np.ndarray) -> bool:
    return np.array_equal(some, others, equal_nan=True)


def test_over_a_day_a_state_that_keeps_things_says_the_same_as_one_that_kept_nothing() -> None:
    # given: a taught state that goes on from moment to moment, some of them where an hour ends or has just ended
    state, keys = taught(habit()), build.inventory_frame(3)
    moments = [NOW + hour * HOUR + minute * MINUTE for hour in range(1, 26) for minute in (0, 10)]

    for before, at in zip([NOW, *moments], moments, strict=False):
        # when: it takes in what happened since, and a key is created on the way
        rows = [row for no in range(3) for row in one_use(before, no, USUAL, n=20 + at.hour, cost=NUSD // (no + 1))]
        state.advance(at)
        state.take_window(build.usage(*rows), build.coverage(before, at))
        if at == moments[20]:
            keys = build.inventory_frame(4)

        # then
        anew = features.from_bytes(features.to_bytes(state), PARAMS)
        assert differences(features.build(state, keys, at), features.build(anew, keys, at)) == [], at


def test_a_rebuilt_key_is_judged_by_what_it_was_rebuilt_from() -> None:
    # given: a state that was asked, and of which a key is then rebuilt from three times the usage
    usage, keys = habit(), build.inventory_frame(3)
    now, state = build.usage(*one_use(NOW - 20 * MINUTE, 0, USUAL, n=20, cost=NUSD)), taught(usage)
    before = usual(state, now, keys)

    # when
    thrice = usage.assign(cost_nusd=3 * usage["cost_nusd"])
    features.rebuild(state, [0], thrice, build.coverage(NOW - DAYS * DAY, NOW - HOUR, bucket_s=3600))

    # then
    assert usual(state, now, keys) > 2 * before > 0


def usual(state: FleetState, now: pd.DataFrame, keys: pd.DataFrame) -> int:
    state.take_window(now, build.coverage(NOW - HOUR, NOW))
    return int(features.build(state, keys, NOW).spend["expected_per_hour_nusd"].iloc[0])
