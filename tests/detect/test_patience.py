from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect.patience import LONG_S, SHORT_S, Patience, added, gathered
from monitor.domain import BUCKET_S, HOUR_S

TEN = BUCKET_S / HOUR_S
START = 1_780_000_200 // BUCKET_S * BUCKET_S


def live(scores: list[float], *, floor: float = 0.0) -> tuple[list[float], list[float]]:
    """Score-hours of one key over an hour and six, judged bucket by bucket."""
    patience, short, long = Patience(), [], []
    for no, score in enumerate(scores):
        now, patience = added(
            patience,
            np.array([score]),
            np.array([7]),
            bucket_s=START + no * BUCKET_S,
            floor=floor,
            hours=np.array([TEN]),
        )
        short.append(float(now.short[0]))
        long.append(float(now.long[0]))
    return short, long


@given(st.lists(st.floats(-5.0, 9.0), min_size=1, max_size=60))
def test_live_evidence_is_that_of_the_history(scores: list[float]) -> None:
    at_s = START + BUCKET_S * np.arange(1, len(scores) + 1)

    past = gathered(np.array(scores), np.full(len(scores), 7), at_s, floor=1.0)
    short, long = live(scores, floor=1.0)

    assert short == pytest.approx(past.short.tolist(), abs=1e-9)
    assert long == pytest.approx(past.long.tolist(), abs=1e-9)


def test_evidence_of_an_hour_and_of_six_is_forgotten_in_time() -> None:
    short, long = live([6.0] + [-1.0] * 40)

    assert short[SHORT_S // BUCKET_S - 1] == pytest.approx(1.0)
    assert short[SHORT_S // BUCKET_S] == 0.0
    assert long[LONG_S // BUCKET_S - 1] == pytest.approx(1.0)
    assert long[LONG_S // BUCKET_S] == 0.0


def test_keys_do_not_lend_each_other_evidence() -> None:
    at_s = np.array([START, START + BUCKET_S, START + BUCKET_S])

    found = gathered(np.array([6.0, 6.0, 3.0]), np.array([1, 1, 2]), at_s, floor=0.0)

    assert found.short.tolist() == pytest.approx([1.0, 2.0, 0.5])


def test_judging_a_bucket_again_replaces_what_it_added() -> None:
    def judged(patience: Patience, score: float) -> tuple[float, Patience]:
        now, carried = added(
            patience, np.array([score]), np.array([7]), bucket_s=START, floor=0.0, hours=np.array([TEN])
        )
        return float(now.long[0]), carried

    _, once = judged(Patience(), 6.0)
    again, twice = judged(once, 6.0)
    calmer, calm = judged(twice, -1.0)

    assert (again, twice) == (pytest.approx(1.0), once)
    assert (calmer, calm) == (0.0, Patience())


def test_an_hour_known_only_as_a_whole_weighs_an_hour() -> None:
    now, _ = added(Patience(), np.array([6.0]), np.array([7]), bucket_s=START, floor=0.0, hours=np.array([1.0]))

    assert now.short.tolist() == [6.0]
