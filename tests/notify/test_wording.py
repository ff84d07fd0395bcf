"""Money, spans and text from outside, readable and safe."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain import NUSD
from monitor.wording import and_more, change, duration, money, multiple, name, one_line, share, shorten


@pytest.mark.parametrize(
    ("nusd", "said"),
    [
        (0, "$0"),
        (1, "$0.000000001"),
        (3_100_000, "$0.0031"),
        (3_149_999, "$0.0031"),
        (99_600_000, "$0.100"),
        (100_000_000, "$0.10"),
        (41_200_000_000, "$41.20"),
        (-41_200_000_000, "-$41.20"),
        (999_994_999_999, "$999.99"),
        (999_995_000_000, "$1,000"),
        (1_771_000_000_000, "$1,771"),
        (9_999_600_000_000, "$10.0k"),
        (12_400 * NUSD, "$12.4k"),
        (999_960 * NUSD, "$1.00M"),
        (1_250_000 * NUSD, "$1.25M"),
    ],
)
def test_money_is_told_in_the_digits_that_matter(nusd: int, said: str) -> None:
    assert money(nusd) == said


@given(st.integers(1, 10**18))
def test_money_is_never_off_by_more_than_its_last_digits(nusd: int) -> None:
    text = money(nusd).removeprefix("$").replace(",", "")
    factor = {"k": 1_000, "M": 1_000_000}.get(text[-1], 1)

    shown = float(text.rstrip("kM")) * factor * NUSD

    assert shown == pytest.approx(nusd, rel=0.05)
    assert shown > 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (45, "45 s"),
        (720, "12 min"),
        (3570, "1 h"),
        (12_000, "3 h 20 min"),
        (7200, "2 h"),
        (187_200, "2 d 4 h"),
        (86_399, "1 d"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: int, said: str) -> None:
    assert duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("fraction", "said"),
    [(0.0, "0%"), (1.0, "100%"), (0.93, "93%"), (0.004, "0.4%"), (0.0001, "under 0.1%"), (0.9999, "99.9%")],
)
def test_a_share_is_all_or_nothing_only_if_it_is(fraction: float, said: str) -> None:
    assert share(fraction) == said


@pytest.mark.parametrize(
    ("now", "usual", "said"),
    [(45, 1, "45 times"), (17, 10, "1.7 times"), (12_345, 1, "about 12,000 times"), (5, 0, ""), (0, 5, "0.0 times")],
)
def test_a_multiple_is_told_only_against_something(now: int, usual: int, said: str) -> None:
    assert multiple(now, usual) == said


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (112, 100, "+12%"),
        (92, 100, "-8%"),
        (4_500, 100, "45 times as much"),
        (5, 0, "new"),
        (0, 5, "gone"),
        (5, 5, "unchanged"),
        (1_001, 1_000, "+0.1%"),
    ],
)
def test_a_change_is_told_as_people_say_it(now: int, before: int, said: str) -> None:
    assert change(now, before) == said


@given(st.text())
def test_text_from_outside_keeps_no_control_or_direction_character(text: str) -> None:
    kept = one_line(text)

    assert not {unicodedata.category(char) for char in kept} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert kept == kept.strip()
    assert one_line(kept) == kept


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_visible_text_is_not_changed(text: str) -> None:
    assert one_line(text) == text


def test_marks_cannot_pile_up_over_neighboring_lines() -> None:
    assert one_line("a" + "\u0301" * 50) == "a" + "\u0301" * 3


def test_a_name_is_capped_and_never_empty() -> None:
    assert len(name("x" * 1_000)) == 150
    assert name("\u202e\n") == "(no name)"


@given(st.text(), st.integers(0, 50))
def test_shortened_text_fits(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit


@given(st.lists(st.text()), st.integers(1, 10))
def test_a_cut_list_counts_what_it_leaves_out(lines: list[str], limit: int) -> None:
    kept = and_more(lines, limit)

    assert len(kept) <= limit
    assert len(lines) <= limit or kept[-1] == f"and {len(lines) - limit + 1} more"


def test_a_list_cut_twice_still_counts_everything() -> None:
    names = [f"key {number}" for number in range(500)]

    assert and_more(and_more(names, 100), 10)[-1] == "and 491 more"
