"""Severity: dollars at risk first; how regular the key is moves it by one step at most, and the rung never."""

from __future__ import annotations

import pytest
from build import a_batch
from hypothesis import given
from hypothesis import strategies as st
from judging import hot, judge

from monitor.detect.levels import severity
from monitor.domain import NUSD, Rung, Severity

NOTICE, WARNING, CRITICAL = Severity.NOTICE, Severity.WARNING, Severity.CRITICAL
STEADY, ORDINARY, ERRATIC, UNKNOWN = 0.7, 0.4, 0.1, float("nan")


def of(
    usd_at_risk: float, regularity: float = UNKNOWN, *, is_disable: bool = False, left: int | None = None
) -> Severity:
    return severity(
        round(usd_at_risk * NUSD), hours=1.0, limit_remaining_nusd=left, is_disable=is_disable, regularity=regularity
    )


@pytest.mark.parametrize(
    ("usd", "steady", "ordinary", "erratic"),
    [
        (0.5, NOTICE, NOTICE, NOTICE),
        (3.0, WARNING, NOTICE, NOTICE),
        (20.0, WARNING, WARNING, NOTICE),
        (60.0, CRITICAL, CRITICAL, CRITICAL),
    ],
)
def test_a_steady_key_that_departs_is_worse_than_an_erratic_one(
    usd: float, steady: Severity, ordinary: Severity, erratic: Severity
) -> None:
    assert [of(usd, each) for each in (STEADY, ORDINARY, UNKNOWN, ERRATIC)] == [steady, ordinary, ordinary, erratic]


@given(usd=st.floats(0, 1e4), regularity=st.floats(0, 1), is_disable=st.booleans())
def test_regularity_moves_severity_by_one_step_at_most_and_never_to_or_from_critical(
    usd: float, regularity: float, is_disable: bool
) -> None:
    plain, moved = of(usd, is_disable=is_disable), of(usd, regularity, is_disable=is_disable)

    assert abs(moved - plain) <= 1
    assert (moved is CRITICAL) == (plain is CRITICAL)


@given(usd=st.floats(0, 1e4), more=st.floats(1, 100), regularity=st.floats(0, 1))
def test_more_dollars_and_more_regularity_are_never_milder(usd: float, more: float, regularity: float) -> None:
    assert of(usd * more, regularity) >= of(usd, regularity)
    assert of(usd, min(1.0, regularity * more)) >= of(usd, regularity)


def test_what_a_limit_lets_through_still_bounds_it() -> None:
    assert of(60.0, STEADY, left=2 * NUSD) is WARNING
    assert of(60.0, ERRATIC, left=20 * NUSD) is NOTICE


@pytest.mark.parametrize("regularity", [STEADY, ERRATIC, UNKNOWN])
def test_the_rung_does_not_depend_on_it(regularity: float) -> None:
    columns = {"joint_per_hour_nusd": 40 * NUSD, "regularity": regularity}

    found, _ = judge(hot(score=30.0, **columns))

    assert (found[0].rung, found[0].severity) == (Rung.DISABLE, CRITICAL)


def test_an_erratic_key_is_a_notice_where_a_steady_one_is_a_warning() -> None:
    found = [judge(hot(score=30.0, regularity=each))[0][0].severity for each in (STEADY, ORDINARY, ERRATIC)]

    assert found == [WARNING, WARNING, NOTICE]
    assert a_batch().spend["regularity"].isna().all()
