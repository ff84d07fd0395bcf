"""Our own detector with parts left out, and what would have been chosen had some labels had no say."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from detect import choose, tables, variants

import monitor.detect.train
from monitor.detect.base import Thefts
from monitor.detect.contrast import Contrast
from monitor.features import NAMES


def a_summary(*, false: float = 4.0, revokes: int = 0, n: int = 10, **kinds: float) -> dict:
    """A scorer's summary in which every share of a kind is the same."""

    def row(share: float) -> dict:
        shares = ("within_1h", "within_6h", "within_24h", "saved_alert", "saved_stop", "saved_revoke")
        return {"n": n, "usd": 100.0, **dict.fromkeys(shares, share)}

    return {
        "overall": row(sum(kinds.values()) / len(kinds)),
        "by_type": {kind: row(share) for kind, share in kinds.items()},
        "false_incidents_per_week": false,
        "false_revokes": revokes,
    }


def test_a_kind_has_no_say_in_what_is_chosen_for_it() -> None:
    candidates = {
        "steady": a_summary(scan=0.5, resale=0.5, swap=0.5),
        "tuned": a_summary(scan=0.4, resale=1.0, swap=0.4),
    }

    found = {choice.left_out: choice for choice in choose.leave_one_kind_out(candidates)}

    assert {kind: choice.chosen for kind, choice in found.items()} == {
        "scan": "tuned",
        "resale": "steady",
        "swap": "tuned",
    }
    assert found["resale"].row["within_1h"] == 0.5
    assert choose.pooled(list(found.values()))["within_24h"] == pytest.approx((0.4 + 0.5 + 0.4) / 3)


@pytest.mark.parametrize("bad", [{"false": 10.1}, {"revokes": 1}])
def test_a_candidate_out_of_bounds_is_never_chosen(bad: dict) -> None:
    candidates = {"loud": a_summary(scan=0.9, swap=0.9, **bad), "quiet": a_summary(scan=0.1, swap=0.1)}

    assert {choice.chosen for choice in choose.leave_one_kind_out(candidates)} == {"quiet"}
    only = choose.leave_one_kind_out({"loud": candidates["loud"]})
    assert {choice.chosen for choice in only} == {None}
    assert choose.pooled(only) == {}


def test_one_half_chooses_and_the_other_judges() -> None:
    candidates = {
        "a": [a_summary(scan=0.9, false=2.0), a_summary(scan=0.1, false=2.0)],
        "b": [a_summary(scan=0.2, false=2.0), a_summary(scan=0.3, false=2.0)],
    }

    first, second = choose.across_halves(candidates)

    assert (first.chosen, first.row["within_1h"]) == ("b", 0.2)
    assert (second.chosen, second.row["within_1h"]) == ("a", 0.1)


def test_every_feature_is_in_a_group_and_every_group_has_some() -> None:
    assert {variants.group_of(name) for name in NAMES} == set(variants.GROUPS)
    assert variants.group_of("hour_surprise") == "rhythm"
    assert variants.group_of("new_model_share_1h") == "mix"


@pytest.mark.parametrize("name", variants.VARIANTS)
def test_what_a_variant_exchanges_is_there_and_comes_back(name: str) -> None:
    before = {part: value for part, value in vars(monitor.detect.train).items() if not part.startswith("__")}

    with variants.VARIANTS[name]().change():
        during = dict(vars(monitor.detect.train))

    for part in (part for part, value in before.items() if inspect.isfunction(value)):
        assert inspect.signature(during[part]).parameters.keys() == inspect.signature(before[part]).parameters.keys()
    assert all(getattr(monitor.detect.train, part) is value for part, value in before.items())


def test_a_blind_detector_scores_by_what_it_sees() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(400, len(NAMES)))
    stolen = rng.normal(size=(200, len(NAMES)))
    seen, hidden = NAMES.index("spend_z_1h"), NAMES.index("novel_model_1h")
    stolen[:, [seen, hidden]] += 4.0
    thefts = Thefts(stolen, np.zeros(200, dtype=np.int64), np.ones(200, dtype=np.bool_))

    with variants.without_features("newness").change():
        blind = monitor.detect.train.Contrast(NAMES)
    blind.fit(rows, np.ones(400), seed=1, thefts=thefts)

    other = rows.copy()
    other[:, hidden] += 9.0
    assert isinstance(blind, Contrast) and type(blind) is not Contrast
    assert np.array_equal(blind.score(rows), blind.score(other))
    assert blind.score(stolen).mean() > blind.score(rows).mean() + 1.0


def test_several_seeds_are_shown_as_mean_and_range() -> None:
    assert tables.percent([0.5, 0.6, 0.7]) == "60 (50-70)"
    assert tables.percent([0.5, 0.5]) == "50"
    assert tables.percent([None]) == "-"
    assert tables.table(["who", "n"], [["a", "10"]]) == "| who |  n |\n| --- | -: |\n| a   | 10 |"
