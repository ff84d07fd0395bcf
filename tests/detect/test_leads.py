"""A lead makes one odd bucket enough, at a larger p-value; it is no proof, and it stays within what clean history overstates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from build import NOW
from hypothesis import given
from hypothesis import strategies as st
from judging import hot, judge, trained

from monitor.detect import leads
from monitor.detect.calibrate import WEEK_S, Budgeted, Clean, n_incidents, n_raised
from monitor.detect.patience import Gathered
from monitor.detect.train import _power
from monitor.domain import NUSD, Feedback, Opinion, Rung

JOINT = {"joint_per_hour_nusd": NUSD}
ODD = 9.4
"""A score of p-value 0.06: thrice the level of 0.02."""

MONEY = st.integers(0, 50 * NUSD)


def weight(**changes: Any) -> float:
    """Of one grown key that spends what it always does."""
    columns = {"new_countries_1h": np.array([changes.pop("countries", 0.0)])}
    fields = {"joint_nusd": 0, "stake_nusd": NUSD, "history_hours": 500.0} | changes
    found = leads.weights(columns, **{name: np.array([value]) for name, value in fields.items()}, grace_hours=24.0)
    return float(found[0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.0),
        ({"history_hours": 3.0}, 0.0),
        ({"history_hours": 3.0, "stake_nusd": 2 * NUSD}, leads.YOUNG_TIMES),
        ({"stake_nusd": 2 * NUSD}, 0.0),
        ({"stake_nusd": 5 * NUSD}, 1.0),
        ({"stake_nusd": 10 * NUSD}, 2.0),
        ({"stake_nusd": 500 * NUSD}, leads.DEAR_TIMES),
        ({"joint_nusd": NUSD // 5}, leads.JOINT_TIMES),
        ({"joint_nusd": NUSD // 5 - 1}, 0.0),
        ({"countries": 1.0}, 0.0),
        ({"countries": 2.0}, leads.PLACES_TIMES),
        ({"countries": np.nan}, 0.0),
        ({"countries": 2.0, "history_hours": 3.0, "stake_nusd": 2 * NUSD}, leads.YOUNG_TIMES),
    ],
)
def test_the_largest_lead_of_a_key_counts(changes: dict[str, Any], expected: float) -> None:
    assert weight(**changes) == expected


@given(stake=MONEY, more=MONEY, joint=MONEY, hours=st.floats(0.0, 800.0), countries=st.integers(0, 9))
def test_more_dollars_or_places_never_weaken_a_lead(
    stake: int, more: int, joint: int, hours: float, countries: int
) -> None:
    plain = {"joint_nusd": joint, "history_hours": hours, "countries": float(countries)}

    assert weight(stake_nusd=stake + more, **plain) >= weight(stake_nusd=stake, **plain)
    assert weight(stake_nusd=stake, **plain | {"countries": countries + 1.0}) >= weight(stake_nusd=stake, **plain)


def test_a_detector_without_a_measure_of_countries_has_no_such_lead() -> None:
    one = np.array([0])

    found = leads.weights({}, joint_nusd=one, stake_nusd=one, history_hours=np.array([500.0]), grace_hours=24.0)

    assert found.tolist() == [0.0]


def test_with_a_lead_one_bucket_is_told_of_at_a_larger_p_value_and_gains_no_rung_by_it() -> None:
    (finding,), _ = judge(hot(score=ODD, **JOINT), by=trained(leads=1.0))

    assert finding.rung is Rung.NOTIFY
    assert judge(hot(score=ODD), by=trained(leads=1.0))[0] == ()


@pytest.mark.parametrize("power", [0.0, 0.25])
def test_where_leads_count_less_more_is_asked(power: float) -> None:
    assert judge(hot(score=ODD, **JOINT), by=trained(leads=power))[0] == ()


def test_a_lead_without_dollars_worth_anybody_s_attention_is_none() -> None:
    cheap = {"per_hour_nusd": NUSD // 100, "novel_per_hour_nusd": NUSD // 100, "joint_per_hour_nusd": NUSD // 4}

    assert judge(hot(score=ODD, **cheap), by=trained(leads=1.0))[0] == ()


def test_who_called_the_use_expected_is_asked_less_often_with_a_lead_as_well() -> None:
    said = Feedback(
        feedback_id="FB-1", key_hash="a" * 64, said_at=NOW - timedelta(days=1), said_by="cli:ann",
        until=NOW + timedelta(days=1), opinion=Opinion.EXPECTED,
    )  # fmt: skip

    assert judge(hot(score=ODD, **JOINT), by=trained(leads=1.0), said={0: said})[0] == ()


def clean(n_odd: int) -> tuple[Clean, np.ndarray]:
    """A week of one look a day on each of forty keys; `n_odd` keys have a lead and p-values of four times alpha once."""
    key_no = np.repeat(np.arange(40), 7)
    at_s = np.tile(np.arange(7) * 86_400, 40)
    p, weight = np.ones(280), np.zeros(280)
    p[: 7 * n_odd : 7], weight[: 7 * n_odd : 7] = 4e-4, 5.0
    nothing = np.zeros(280)
    return Clean(p, Gathered(nothing, nothing), key_no, at_s), weight


@pytest.mark.parametrize(("n_odd", "expected"), [(0, 1.0), (12, 1.0), (20, 0.75)])
def test_leads_count_in_full_as_far_as_clean_history_overstates_and_else_less(n_odd: int, expected: float) -> None:
    seen, weight = clean(n_odd)
    bought = Budgeted(1e-4, 1e300, 1e300, 0)

    assert _power(seen, bought, weight, per_week=5 * WEEK_S / seen.span_s) == expected


def test_where_even_the_least_weight_is_too_much_no_lead_counts() -> None:
    seen, weight = clean(40)
    loud = Clean(np.minimum(seen.p, 1e-4), seen.gathered, seen.key_no, seen.at_s)

    assert _power(loud, Budgeted(1e-4, 1e300, 1e300, 0), np.maximum(weight, 1.0), per_week=5.0) == 0.0


def test_what_the_leads_add_counts_as_incidents_of_a_key_and_not_as_rows() -> None:
    seen, weight = clean(3)
    also = leads.is_told(seen.p, weight, alpha=1e-4, power=1.0)

    assert (
        n_raised(seen, Budgeted(1e-4, 1e300, 1e300, 0), also=also)
        == n_incidents(seen.key_no[also], seen.at_s[also])
        == 3
    )
