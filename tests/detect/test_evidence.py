"""A finding explains itself: the dollars first, then the habits broken, in words that can be checked."""

from __future__ import annotations

from typing import Any

import pytest
from build import a_cause, a_spend

from monitor.detect.evidence import MAX_CAUSES, Used, causes
from monitor.detect.habits import Habits
from monitor.domain import NUSD, Cause, Dimension, Spend
from monitor.frames import Catalog

CATALOG = Catalog(
    (),
    [
        (0, "acme/opus-9"), (0, "acme/mini"), (1, "Acme"), (2, "KP"), (2, "VN"), (2, "NG"), (2, "DE"), (3, "chat"), (3, ""),
        *[(0, f"lab/m{number}") for number in range(20)],
    ],
)  # fmt: skip
OPUS, MINI, ACME, KP, VN, NG, DE, CHAT, NO_TITLE, FIRST_LAB = range(10)


def used(dimension: Dimension, value_no: int, usd: float, **changes: Any) -> Used:
    """Dollars on a value never seen; `usual=` dollars make it a familiar one."""
    usual = changes.pop("usual", None)
    fields: dict[str, Any] = {
        "usual_nusd": round((usual or 0.0) * NUSD),
        "is_first_seen": usual is None,
        "novelty": 1.0 if usual is None else 0.0,
    }
    return Used(int(dimension), value_no, round(usd * NUSD), **(fields | changes))


def model(value_no: int, usd: float, **changes: Any) -> Used:
    return used(Dimension.MODEL, value_no, usd, **changes)


def country(value_no: int, usd: float, **changes: Any) -> Used:
    return used(Dimension.COUNTRY, value_no, usd, **changes)


def lead(rows: list[Used], spend: Spend, **changes: Any) -> str:
    return causes(rows, spend, catalog=CATALOG, **changes)[0].sentence


def test_the_leading_sentence_says_how_much_on_what_which_habits_and_what_is_usual() -> None:
    rows = [model(OPUS, 37.7), model(MINI, 3.3, usual=1.8), *(country(no, 12.0) for no in (KP, VN, NG))]

    said = lead(rows, a_spend(41.0, expected=1.8), credit={"model": 0.6, "country": 0.3, "volume": 0.02})

    assert said == (
        "92% of $41.00/h is acme/opus-9, never used by this key; 3 countries never seen (KP, VN, NG); "
        "usual $1.80/h at this hour"
    )


def test_the_habits_are_named_in_the_order_of_their_credit() -> None:
    rows = [model(MINI, 41.0, usual=1.8), country(KP, 20.0), country(DE, 21.0, usual=1.8)]
    kept = Habits(n_requests=900, usual_requests=40.0, hour_surprise=2.0)

    by_place = lead(rows, a_spend(41.0, expected=1.8), kept=kept, credit={"country": 0.7, "rhythm": 0.2})
    by_time = lead(rows, a_spend(41.0, expected=1.8), kept=kept, credit={"country": 0.2, "rhythm": 0.7})

    odd = "at an hour at which this key hardly ever works"
    assert by_place == f"$41.00/h; 49% comes from KP, never seen; {odd}; usual $1.80/h at this hour"
    assert by_time == f"$41.00/h; {odd}; 49% comes from KP, never seen; usual $1.80/h at this hour"


def test_a_new_model_with_much_of_the_money_is_named_though_others_weigh_more() -> None:
    rows = [model(OPUS, 20.0), country(KP, 41.0), used(Dimension.APP, CHAT, 41.0)]
    credit = {"country": 0.4, "app": 0.3, "volume": 0.2, "model": 0.1}

    said = lead(rows, a_spend(41.0, expected=1.8), credit=credit)

    assert said.startswith("100% of $20.00/h is acme/opus-9, never used by this key; ")


def test_the_provider_of_a_new_model_is_not_named_beside_it() -> None:
    rows = [model(OPUS, 41.0), used(Dimension.PROVIDER, ACME, 41.0)]

    with_model = lead(rows, a_spend(41.0), credit={"provider": 0.6, "model": 0.4})
    alone = lead(rows[1:], a_spend(41.0), credit={"provider": 0.6, "model": 0.4})

    assert "Acme" not in with_model
    assert "100% goes through Acme, never used" in alone


@pytest.mark.parametrize(
    ("kept", "group", "said"),
    [
        ({"n_requests": 100, "usual_request_nusd": 0.02 * NUSD}, "price", "price per request 20 times the usual"),
        ({"silence_h": 216.0}, "rhythm", "silent for 9 days before"),
        ({"silence_h": 30.0}, "rhythm", "silent for 30 hours before"),
        ({"hour_surprise": 2.0}, "rhythm", "at an hour at which this key hardly ever works"),
        ({"n_requests": 900, "usual_requests": 40.0}, "volume", "40 times the usual spend in 900 requests, usual 40"),
    ],
    ids=["dear requests", "a dormant key", "a day of silence", "an odd hour", "volume"],
)
def test_each_habit_has_its_words(kept: dict[str, Any], group: str, said: str) -> None:
    found = causes([], a_spend(40.0, expected=1.0), catalog=CATALOG, kept=Habits(**kept), credit={group: 1.0})

    assert found[0].sentence == f"$40.00/h; {said}; usual $1.00/h at this hour"
    assert [cause.credit for cause in found if cause.credit] == [1.0, 1.0]  # the sentence, and what it sums up


@pytest.mark.parametrize(
    "kept",
    [
        {"silence_h": 3.0, "hour_surprise": 0.1},
        {"n_requests": 2_000, "usual_request_nusd": 0.02 * NUSD},
        {"n_requests": 50, "usual_requests": 40.0},
        {},
    ],
    ids=["usual hour", "usual price", "usual number", "nothing known"],
)
def test_habits_that_hold_are_not_named(kept: dict[str, Any]) -> None:
    said = lead([], a_spend(40.0, expected=30.0), kept=Habits(**kept))

    assert said == "$40.00/h; usual $30.00/h at this hour"


def test_models_tried_by_the_dozen_are_one_cause() -> None:
    rows = [model(FIRST_LAB + number, 0.1) for number in range(14)]

    found = causes(rows, a_spend(1.4, expected=0.0), catalog=CATALOG, credit={"enumeration": 0.9})

    assert found[0].sentence == (
        "100% of $1.40/h is on 14 models never used by this key (lab/m0, lab/m1, lab/m2, lab/m3 and 10 more), "
        "tried within the hour; usually nothing at this hour"
    )
    assert [cause.credit for cause in found[1:]] == [0.9, 0.0]


def test_values_of_one_habit_share_its_credit_the_new_ones_most() -> None:
    rows = [country(KP, 10.0), country(DE, 10.0, usual=1.0)]

    found = causes(rows, a_spend(20.0), catalog=CATALOG, credit={"country": 0.8})

    credit = {cause.value: cause.credit for cause in found if cause.dimension is Dimension.COUNTRY}
    assert credit["KP"] > 0.7 > 0.1 > credit["DE"] > 0.0
    assert sum(credit.values()) == pytest.approx(0.8, abs=0.002)


def test_dollars_new_in_two_ways_at_once_are_a_cause_unless_they_are_next_to_nothing() -> None:
    told, silent = (
        causes([], a_spend(20.0), catalog=CATALOG, kept=Habits(joint_nusd=round(usd * NUSD))) for usd in (18.0, 0.01)
    )

    assert "$18.00 is new in model and, within the same ten minutes, in country or app" in {c.sentence for c in told}
    assert all("same ten minutes" not in cause.sentence for cause in silent)


def test_requests_without_an_app_title_are_called_so() -> None:
    said = lead([used(Dimension.APP, NO_TITLE, 20.0)], a_spend(20.0))

    assert "100% is requests without an app title, never used" in said


def test_spend_that_only_the_counter_knows_and_notes_come_right_after_the_sentence() -> None:
    note = a_cause("twin", dimension=None, sentence="looks like growth")
    spend = a_spend(20.0, unexplained_nusd=5 * NUSD)

    found = causes([model(OPUS, 15.0)], spend, catalog=CATALOG, notes=(note,))

    assert found[1] is note
    assert found[2].sentence.startswith("$5.00 of it shows in the key's counter only")


def test_however_much_is_odd_the_list_stays_short() -> None:
    rows = [
        used(d, no, 5.0) for d, no in ((Dimension.MODEL, OPUS), (Dimension.MODEL, MINI), (Dimension.PROVIDER, ACME))
    ]
    rows += [country(KP, 5.0), country(VN, 5.0), used(Dimension.APP, CHAT, 5.0), used(Dimension.APP, NO_TITLE, 5.0)]
    kept = Habits(n_requests=9, usual_request_nusd=1.0, silence_h=99.0, joint_nusd=9 * NUSD)

    assert len(causes(rows, a_spend(20.0), catalog=CATALOG, kept=kept)) == MAX_CAUSES


def test_nothing_used_and_nothing_usual_is_still_a_sentence() -> None:
    (only,) = causes([], a_spend(0.0, expected=0.0), catalog=CATALOG)

    assert only == Cause(None, "spend", 0, 1.0, False, 0, "$0.00/h; usually nothing at this hour")
