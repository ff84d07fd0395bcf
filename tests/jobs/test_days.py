"""Days are summed up once, when settled and known as a whole; a slow ramp is told, held out of lessons, and accepted by people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from build import a_batch, a_quality
from jobs_build import settings_in
from judging import KEYS
from store_build import a_row, a_span, coverage, fill, usage

from monitor.decide.incidents import fingerprint
from monitor.detect.findings import Memory, find
from monitor.domain import NUSD, Opinion, Rung
from monitor.jobs import days, feedback
from monitor.store.base import Store

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = int(NOW.timestamp()) // 86_400
HASH = "a" * 64


def spent(store: Store, usd_by_day: list[float]) -> None:
    """Dollars of the one key in the days up to yesterday."""
    store.keys.catalog.key_no(HASH)
    for back, usd in enumerate(reversed(usd_by_day), start=1):
        store.days.write(TODAY - back, np.array([0]), np.array([round(usd * NUSD)]))


RAMP = [10.0] * 35 + [10.0 * 1.05**day for day in range(1, 61)]


def test_a_slow_ramp_is_told_as_an_incident_of_its_own_and_disables_nothing(store: Store, tmp_path: Path):
    settings = settings_in(tmp_path)
    spent(store, RAMP)

    (breach,) = days.breaches(store, settings, NOW)
    found, _ = find(
        a_batch(NOW, values=[[5.0, 0.0]], per_hour_nusd=NUSD), None, Memory(), keys=KEYS, names={},
        quality_of=lambda no: a_quality(), catalog=store.keys.catalog, settings=settings, ramps=(breach,),
    )  # fmt: skip

    assert [(one.rung, fingerprint(one)) for one in found] == [(Rung.NOTIFY, f"{HASH}:ramp")]


def test_a_ramp_that_is_called_expected_is_none_any_more(store: Store, tmp_path: Path):
    settings = settings_in(tmp_path)
    spent(store, RAMP)
    assert days.ramping(store, settings, NOW)

    feedback.say(store, HASH, Opinion.EXPECTED, by="cli:ann", now=NOW)

    assert days.ramping(store, settings, NOW) == ()


def test_the_weeks_of_a_ramp_do_not_teach(store: Store, tmp_path: Path):
    spent(store, RAMP)
    found = days.ramping(store, settings_in(tmp_path), NOW)

    (window,) = days.untaught(found, NOW)

    assert window.key_no == 0
    assert NOW - window.since >= timedelta(weeks=8)
    assert window.until == NOW


def test_a_wider_budget_allows_more(store: Store, tmp_path: Path):
    spent(store, RAMP)

    assert days.ramping(store, settings_in(tmp_path, detection={"max_drift_per_week": 0.5}), NOW) == ()


def test_days_are_summed_up_once_when_settled_and_known_as_a_whole(store: Store, tmp_path: Path):
    # given three whole days of known hours, one of them with a gap, and today
    settings = settings_in(tmp_path)
    first = TODAY - 3
    start = first * 86_400
    fill(store.keys.catalog)
    rows = [a_row(start + hour * 3600, cost=NUSD, size=3600) for hour in range(76)]
    spans = [a_span(start, start + 24 * 3600, size=3600), a_span(start + 48 * 3600, start + 76 * 3600, size=3600)]
    store.usage.write(usage(*rows), coverage(*spans))

    n_days, again = days.sum_up(store, settings, NOW), days.sum_up(store, settings, NOW)

    assert (n_days, again) == (2, 0)
    assert store.days.known() == {first, first + 2}
    assert store.days.read(first, first + 3, n_keys=1)[:, 0] == pytest.approx(
        [24 * NUSD, np.nan, 24 * NUSD], nan_ok=True
    )


def test_a_day_written_again_takes_its_newest_sums(store: Store):
    store.days.write(5, np.array([0, 1]), np.array([7, 0]))
    store.days.write(5, np.array([1]), np.array([9]))

    assert store.days.read(5, 6, n_keys=2).tolist() == [[0.0, 9.0]]
