"""A new detector takes the place of the old one only if people would notice nothing, or something better."""

from __future__ import annotations

import numpy as np
import pytest
from build import settings_with
from judging import NAMES, trained

from monitor.detect.base import Thefts
from monitor.detect.train import Rows
from monitor.detect.trial import FOUND_LESS, Showing, shortcomings, showing
from monitor.domain import NUSD


def shows(
    n_incidents: int = 5, *, found: float = 0.6, weeks: float = 1.0, disabled: frozenset[int] = frozenset()
) -> Showing:
    return Showing(n_incidents, weeks, found, disabled)


def test_one_that_does_the_same_may_take_over():
    assert shortcomings(shows(), shows(), budget_per_week=5.0, anchor=shows()) == ()


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (shows(12), "raises 12 incidents"),
        (shows(found=0.6 - FOUND_LESS - 0.01), "finds 56% of simulated thefts"),
        (shows(disabled=frozenset({3})), "1 clean keys out of service"),
    ],
)
def test_one_that_does_worse_may_not_and_the_reason_is_said(new: Showing, said: str):
    (why,) = shortcomings(new, shows(), budget_per_week=5.0)

    assert said in why


def test_a_few_incidents_more_in_a_day_are_chance():
    day = 1 / 7

    assert shortcomings(shows(2, weeks=day), shows(0, weeks=day), budget_per_week=5.0) == ()
    assert shortcomings(shows(9, weeks=day), shows(0, weeks=day), budget_per_week=5.0) != ()


def test_what_an_overspending_detector_finds_is_no_measure():
    shipped = shows(54, found=0.95)

    assert shortcomings(shows(5, found=0.6), shipped, budget_per_week=5.0) == ()


def test_giving_way_a_little_every_day_passes_every_yesterday_and_fails_last_month():
    # given detectors that find two points less than the one before, day after day
    anchor, live, n_days = shows(found=0.8), shows(found=0.8), 0

    # when
    for day in range(1, 29):
        new = shows(found=live.thefts_found - 0.02)
        assert shortcomings(new, live, budget_per_week=5.0) == ()
        if shortcomings(new, live, budget_per_week=5.0, anchor=anchor, may_find_less=0.02 * day / 7):
            break
        live, n_days = new, day

    # then it ends within days, not at nothing
    assert n_days <= 3
    assert live.thefts_found >= 0.74


def a_history(scores: list[float], *, joint_usd: float = 0.0) -> Rows:
    """One row an hour of key 0 with these first features (see judging.FirstColumn), four unusual dollars each."""
    n = len(scores)
    return Rows(
        NAMES,
        np.column_stack([scores, np.zeros(n)]),
        np.arange(n, dtype=np.int64) * 3600,
        np.zeros(n, dtype=np.int64),
        np.full(n, 500.0),
        np.full(n, 4 * NUSD, dtype=np.int64),
        np.full(n, int(joint_usd * NUSD), dtype=np.int64),
    )


def test_what_it_raises_is_counted_as_incidents_and_thefts_as_found_or_not():
    # given two hot hours a day apart, p = 0.01 and 0.02 allowed; and thefts of which half score high
    rows = a_history([9.9 if hour in {30, 60} else 5.0 for hour in range(100)])
    thefts = Thefts(
        np.array([[9.95, 0.0], [3.0, 0.0], [9.99, 0.0]]), np.zeros(3, np.int64), np.array([True, True, False])
    )

    shown = showing(trained(), rows, thefts, settings_with())

    assert (shown.n_incidents, shown.thefts_found, shown.disabled) == (2, 0.5, frozenset())
    assert shown.per_week == pytest.approx(2 * 168 / 99)


def test_a_clean_key_it_would_take_out_of_service_is_named():
    rows = a_history([20.0 if hour in {30, 31} else 5.0 for hour in range(100)], joint_usd=40.0)

    assert showing(trained(), rows, None, settings_with()).disabled == {0}


def test_rows_of_other_features_are_refused():
    rows = a_history([1.0])

    with pytest.raises(ValueError, match="features"):
        showing(
            trained(),
            Rows(
                ("other",),
                rows.values[:, :1],
                *(getattr(rows, n) for n in ("at_s", "key_no", "history_hours", "stake_nusd", "joint_nusd")),
            ),
            None,
            settings_with(),
        )
