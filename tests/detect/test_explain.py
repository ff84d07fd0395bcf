"""Credit by habit: who plants one broken habit finds it named first, whatever the detector."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pytest
from plants import HOUR, N_KEYS, START, USD_EACH, Fleet, a_forest, mixed, new_values, now_with, rows_of, trained_rows

from monitor.detect import explain
from monitor.detect.explain import CONTEXT, GROUPS, credit, groups_of
from monitor.detect.forest import Forest
from monitor.domain import Dimension
from monitor.features import NAMES
from monitor.frames import FeatureBatch

DAYS = 8
NOON, NIGHT = START + timedelta(days=DAYS, hours=14), START + timedelta(days=DAYS, hours=3)
PLANTED = ("model", "provider", "country", "app", "volume", "price", "enumeration")
N_PLANTS = 60


@pytest.fixture(scope="module")
def forest() -> Forest:
    return a_forest(trained_rows(Fleet(), START + timedelta(days=DAYS)))


def use_of(fleet: Fleet, key_no: int, broken: str, at: datetime) -> Iterable[tuple[object, ...]]:
    """An hour of the key's usual use with this habit broken: all other habits are kept."""
    habit, rng = fleet.habits[key_no], np.random.default_rng(key_no)
    use, n, usd_each = habit.use, habit.requests, USD_EACH
    if broken in ("model", "provider", "country", "app"):
        dimension = Dimension[broken.upper()]
        use = mixed(use, dimension, {new_values(dimension)[0]: 1.0}, share=float(rng.uniform(0.3, 0.9)))
    elif broken == "volume":
        n *= float(rng.uniform(10, 30))
    elif broken == "price":
        usd_each *= float(rng.uniform(6, 15))
    elif broken == "enumeration":
        tried = new_values(Dimension.MODEL, 12)
        use = mixed(use, Dimension.MODEL, dict.fromkeys(tried, 1 / 12), share=min(0.5, 12 / n))
    for bucket in range(6):
        yield from rows_of(at - HOUR + bucket * HOUR / 6, key_no, use, n=max(1, round(n / 6)), usd_each=usd_each)


@dataclass
class Tally:
    """Plants of one moment, and which group leads the credit of each."""

    batch: FeatureBatch
    planted: dict[int, str]
    led: dict[int, str] = field(default_factory=dict)

    def judge(self, detector: Forest) -> None:
        found = credit(detector, self.batch.values, own=explain.own_baseline(self.batch.spend))
        leading = [max(found.of(row).items(), key=lambda pair: pair[1])[0] for row in range(len(self.batch.key_no))]
        self.led = dict(zip(self.batch.key_no.tolist(), leading, strict=True))


def at_noon() -> Tally:
    """Every key breaks one habit, in turn."""
    fleet = Fleet()
    state = fleet.lived(NOON)
    planted = {key_no: PLANTED[key_no % len(PLANTED)] for key_no in range(N_KEYS)}
    rows = [row for key_no, broken in planted.items() for row in use_of(fleet, key_no, broken, NOON)]
    return Tally(now_with(state, rows, NOON), planted)


def at_night() -> Tally:
    """Every key of office hours does at three in the morning what it does by day."""
    fleet = Fleet()
    state = fleet.lived(NIGHT)
    planted = {key_no: "rhythm" for key_no in range(N_KEYS) if fleet.habits[key_no].is_office}
    rows = [row for key_no in planted for row in use_of(fleet, key_no, "rhythm", NIGHT)]
    return Tally(now_with(state, rows, NIGHT), planted)


def test_the_planted_habit_leads_in_four_of_five_plants_at_least(forest: Forest) -> None:
    tallies = [at_noon(), at_night()]

    for tally in tallies:
        tally.judge(forest)

    pairs = [(tally.planted[no], tally.led[no]) for tally in tallies for no in tally.planted]
    assert len(pairs) == N_PLANTS
    assert {planted for planted, _ in pairs} == {*PLANTED, "rhythm"}
    assert sum(planted == led for planted, led in pairs) >= 0.8 * N_PLANTS


def test_a_key_that_does_the_usual_has_nothing_to_explain_that_a_theft_would_not_dwarf(forest: Forest) -> None:
    fleet = Fleet()
    usual = now_with(fleet.lived(NOON), [r for no in range(20) for r in use_of(fleet, no, "nothing", NOON)], NOON)

    found = credit(forest, usual.values, own=explain.own_baseline(usual.spend))

    assert found.score.max() < 0.1 < at_noon_score(forest)


def at_noon_score(forest: Forest) -> float:
    """The smallest leading credit of what is planted at noon in whole values, by model."""
    tally = at_noon()
    found = credit(forest, tally.batch.values)
    rows = [row for row, no in enumerate(tally.batch.key_no.tolist()) if tally.planted[no] == "model"]
    return float(found.score[rows, list(GROUPS).index("model")].min())


def test_every_feature_belongs_to_a_group_or_says_who_the_key_is() -> None:
    homeless = [name for name in NAMES if not groups_of(name) and not re.fullmatch(CONTEXT, name)]

    assert homeless == []
    assert all(any(group in groups_of(name) for name in NAMES) for group in GROUPS)


@dataclass
class Summing:
    """A detector whose score is the sum of what it knows; it counts how often it is asked."""

    feature_names: tuple[str, ...]
    name: str = "summing"
    n_calls: int = 0

    def fit(self, rows: np.ndarray, weights: np.ndarray, *, seed: int, thefts: object = None) -> None:
        """Nothing to learn."""

    def score(self, rows: np.ndarray) -> np.ndarray:
        self.n_calls += 1
        return np.nansum(rows, axis=1)


def test_all_keys_and_groups_are_one_call_of_the_detector() -> None:
    detector = Summing(("novel_model_1h", "spend_z_1h"))

    credit(detector, np.array([[3.0, 1.0], [0.0, 4.0], [2.0, 2.0]]))

    assert detector.n_calls == 1


def test_credit_is_what_each_group_adds_and_sums_to_one() -> None:
    detector = Summing(("novel_model_1h", "spend_z_1h", "history_h"))

    found = credit(detector, np.array([[3.0, 1.0, 500.0]]))

    assert found.of(0)["model"] == pytest.approx(0.75)
    assert found.of(0)["volume"] == pytest.approx(0.25)
    assert found.score[0].sum() == pytest.approx(4.0)


def test_a_row_with_nothing_odd_has_no_credit_at_all() -> None:
    found = credit(Summing(("novel_model_1h", "spend_z_1h")), np.zeros((1, 2)))

    assert not found.share.any()


def test_what_is_unknown_stays_unknown_and_gets_no_credit() -> None:
    found = credit(Summing(("novel_model_1h", "spend_z_1h")), np.array([[np.nan, 2.0]]))

    assert found.of(0)["model"] == 0.0
    assert found.of(0)["volume"] == pytest.approx(1.0)


def test_shares_follow_the_rarity_where_there_is_one() -> None:
    detector = Summing(("novel_model_1h", "spend_z_1h"))

    found = credit(detector, np.array([[9.0, 1.0]]), rarity=lambda scores: np.where(scores > 5.0, 6.0, 0.0))

    assert found.of(0)["model"] == pytest.approx(1.0)
    assert found.rarity[0, list(GROUPS).index("model")] == 6.0


def test_dollars_of_new_models_tried_by_the_dozen_belong_to_trying_them() -> None:
    detector = Summing(("novel_model_1h", "new_models_1h"))

    few = credit(detector, np.array([[8.0, 1.0]])).of(0)
    many = credit(detector, np.array([[8.0, 12.0]])).of(0)

    assert few["model"] > 0.8 and few["enumeration"] < 0.2
    assert many["model"] == 0.0 and many["enumeration"] == pytest.approx(1.0)


def test_the_dollars_of_a_dearer_price_belong_to_the_price() -> None:
    names = ("spend_z_1h", "requests_z_1h", "price_jump_1h")

    dearer = credit(Summing(names), np.array([[9.0, 0.5, 9.0]])).of(0)
    busier = credit(Summing(names), np.array([[9.0, 9.0, 0.0]])).of(0)

    assert dearer["price"] > 0.9
    assert busier["volume"] == pytest.approx(1.0)


def test_the_usual_of_the_day_by_night_is_a_matter_of_the_hour_and_much_more_is_not() -> None:
    names = ("spend_z_1h", "hour_surprise", "times_peak_1h")

    moved = credit(Summing(names), np.array([[20.0, 2.5, 0.8]])).of(0)
    burst = credit(Summing(names), np.array([[20.0, 2.5, 40.0]])).of(0)

    assert moved["rhythm"] > 0.9
    assert burst["volume"] > 0.8


def test_the_features_of_the_moment_are_left_as_they_were(forest: Forest) -> None:
    tally = at_noon()
    before = tally.batch.values.copy()

    credit(forest, tally.batch.values, own=explain.own_baseline(tally.batch.spend))

    np.testing.assert_array_equal(tally.batch.values, before)
