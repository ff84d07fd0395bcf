"""The account's own total, or none at all: never a guess."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from digest_build import WEEKS

from monitor.frames import COUNTERS
from monitor.report.account import account_total

WEEK = WEEKS.current
OLD, YOUNG = WEEK.since - timedelta(days=90), WEEK.since + timedelta(days=1)


def samples(*rows: tuple[int, int], minutes_ago: int = 1) -> pd.DataFrame:
    made = [
        {
            "sampled_at": WEEK.since - timedelta(minutes=minutes_ago),
            "key_no": key_no,
            "usage_nusd": usage,
            "usage_daily_nusd": 0,
        }
        for key_no, usage in rows
    ]
    return pd.DataFrame(made, columns=list(COUNTERS)).astype(dict(COUNTERS))


def test_the_rise_of_all_counters_is_the_total() -> None:
    total = account_total(samples((1, 10), (2, 5)), samples((1, 17), (2, 5)), window=WEEK, created_at={1: OLD, 2: OLD})

    assert total == 7


def test_only_the_last_sample_before_each_end_counts() -> None:
    early = pd.concat([samples((1, 10)), samples((1, 4), minutes_ago=30)])

    assert account_total(early, samples((1, 17)), window=WEEK, created_at={1: OLD}) == 7


def test_a_key_made_within_the_week_began_at_zero() -> None:
    assert account_total(samples((1, 1)), samples((1, 1), (2, 9)), window=WEEK, created_at={1: OLD, 2: YOUNG}) == 9


@pytest.mark.parametrize(
    ("first", "last", "created"),
    [
        ([], [], {}),
        ([(1, 5)], [], {1: OLD}),
        ([(1, 5), (2, 5)], [(1, 9)], {1: OLD, 2: OLD}),
        ([], [(1, 9)], {1: OLD}),
        ([], [(1, 9)], {}),
        ([(1, 5)], [(1, 4)], {1: OLD}),
    ],
    ids=["nothing", "no end", "vanished", "no beginning", "unknown age", "backwards"],
)
def test_what_the_counters_cannot_tell_is_not_told(
    first: list[tuple[int, int]], last: list[tuple[int, int]], created: dict[int, object]
) -> None:
    assert account_total(samples(*first), samples(*last), window=WEEK, created_at=created) is None  # type: ignore[arg-type]
