"""What every store keeps to about cards and presses: what goes in comes out, and a press is taken up once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from build import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import AuditKind
from monitor.store.base import Card, Outcome, Press, Store
from monitor.store.sqlite import open_store

PRESS = Press("C1:1.2:U1:disable:3.4", "INC-1", 2, "disable", "slack:U1 (ann)", NOW)
LONG_AGO = NOW - timedelta(minutes=2)


@pytest.fixture(params=[open_store], ids=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = request.param(str(tmp_path / "monitor.db"))
    yield made
    made.maintenance.close()


def test_a_card_never_shown_is_empty(store: Store) -> None:
    assert store.cards.card("INC-1") == Card("INC-1")


@pytest.mark.parametrize(
    "card",
    [
        Card("INC-1", shown="a:b", shown_at=NOW, due_at=NOW + timedelta(minutes=1), n_refused=2),
        Card("INC-1", file_id="F01", alt_text="Spend “of” a week", n_tries=3, picture_due_at=NOW),
    ],
    ids=["shown", "picture"],
)
def test_a_card_is_replaced_as_a_whole(store: Store, card: Card) -> None:
    store.cards.put(Card("INC-1", shown="old", n_tries=1))
    store.cards.put(card)

    assert store.cards.card("INC-1") == card
    assert store.cards.card("INC-2") == Card("INC-2")


def test_a_press_is_taken_up_once(store: Store) -> None:
    assert store.cards.take(PRESS, stale_before=LONG_AGO) is None

    assert store.cards.take(PRESS, stale_before=LONG_AGO) == PRESS
    assert store.cards.presses() == (PRESS,)


@pytest.mark.parametrize(
    ("change", "is_taken"),
    [
        ({"press_id": "other", "by": "slack:U2"}, False),
        ({"press_id": "other", "step": 3}, True),
        ({"press_id": "other", "choice": "acknowledge"}, True),
        ({"press_id": "other", "incident_id": "INC-2"}, True),
    ],
    ids=["somebody else", "a later step", "another answer", "another incident"],
)
def test_the_same_answer_to_the_same_step_is_taken_up_once(
    store: Store, change: dict[str, object], is_taken: bool
) -> None:
    store.cards.take(PRESS, stale_before=LONG_AGO)
    store.cards.note(replace(PRESS, outcome=Outcome.DONE, detail="key disabled"))

    earlier = store.cards.take(replace(PRESS, **change), stale_before=LONG_AGO)  # type: ignore[arg-type]

    assert (earlier is None) is is_taken


@pytest.mark.parametrize(
    ("outcome", "is_taken"), [(Outcome.FAILED, True), (Outcome.REFUSED, True), (Outcome.DONE, False)]
)
def test_what_failed_may_be_answered_again(store: Store, outcome: Outcome, is_taken: bool) -> None:
    store.cards.take(PRESS, stale_before=LONG_AGO)
    store.cards.note(replace(PRESS, outcome=outcome))

    assert (store.cards.take(replace(PRESS, press_id="again"), stale_before=LONG_AGO) is None) is is_taken


def test_a_press_cut_off_by_a_kill_gives_way_after_a_while(store: Store) -> None:
    store.cards.take(PRESS, stale_before=LONG_AGO)

    again = replace(PRESS, press_id="again", at=NOW + timedelta(minutes=3))

    assert store.cards.take(again, stale_before=NOW + timedelta(minutes=1)) is None


def test_what_became_of_a_press_stands(store: Store) -> None:
    store.cards.take(PRESS, stale_before=LONG_AGO)
    store.cards.note(replace(PRESS, outcome=Outcome.DONE, detail="key disabled"))
    store.cards.note(replace(PRESS, outcome=Outcome.FAILED, detail="too late"))

    (kept,) = store.cards.presses("INC-1")
    assert (kept.outcome, kept.detail) == (Outcome.DONE, "key disabled")


def test_each_press_has_its_rows_in_the_audit_trail_and_what_changes_nothing_has_none(store: Store) -> None:
    store.cards.take(PRESS, stale_before=LONG_AGO)
    store.cards.take(PRESS, stale_before=LONG_AGO)
    store.cards.note(replace(PRESS, outcome=Outcome.DONE, detail="key disabled"), at=NOW + timedelta(seconds=9))
    store.cards.note(replace(PRESS, outcome=Outcome.FAILED, detail="too late"))

    taken, done = store.audit.rows(kind=AuditKind.PRESSED)

    assert (taken.by, taken.incident_id, taken.why, done.why) == (PRESS.by, "INC-1", "", "key disabled")
    assert done.at_us - taken.at_us == 9_000_000
    assert store.audit.verify().is_ok


def test_presses_are_read_in_order_by_incident_and_by_time(store: Store) -> None:
    late = replace(PRESS, press_id="late", at=NOW + timedelta(hours=1), incident_id="INC-2", outcome=Outcome.REFUSED)
    store.cards.note(replace(PRESS, outcome=Outcome.REFUSED))
    store.cards.note(late)

    assert [press.press_id for press in store.cards.presses()] == [PRESS.press_id, "late"]
    assert store.cards.presses("INC-2") == (late,) == store.cards.presses(since=NOW + timedelta(minutes=1))


def test_of_many_who_press_at_once_one_is_first(store: Store) -> None:
    outcomes: list[Press | None] = []

    def press(number: int) -> None:
        outcomes.append(store.cards.take(replace(PRESS, press_id=f"p{number}"), stale_before=LONG_AGO))

    threads = [threading.Thread(target=press, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count(None) == 1


@settings(max_examples=20, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_of_a_press_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = open_store(str(tmp_path_factory.mktemp("presses") / "monitor.db"))
    try:
        press = replace(PRESS, by=text, detail=text, outcome=Outcome.REFUSED)
        store.cards.note(press)
        assert store.cards.presses() == (press,)
    finally:
        store.maintenance.close()
