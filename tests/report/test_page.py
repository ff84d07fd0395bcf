"""The digest as a page: most important first, safe for any text, readable by anybody, in need of nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from build import a_cause, a_hash, a_key, an_action, an_incident, key_settings
from digest_build import FIRST_HOUR, WEEKS, a_catalog, a_digest, a_usage, all_known
from hostile import TEXT, VECTORS
from html_page import Page, assert_needs_nothing
from hypothesis import given, settings

from monitor.domain import NUSD, ActionState
from monitor.report.digest import Digest
from monitor.report.figures import Health
from monitor.report.owners import part_of
from monitor.report.page import to_html
from monitor.report.watching import Review
from monitor.wording import money


def full(text: str = "search-prod", **changes: object) -> Digest:
    """Two owners, a limit on its way, an incident, a failed action, gaps; all that is text from outside is `text`."""
    keys = [
        a_key(
            1, key_name=text, settings=key_settings(limit_usd=90.0), limit_remaining_usd=3.0, created_at=WEEKS.edges[0]
        ),
        a_key(2, key_name=text, created_at=WEEKS.edges[0]),
        a_key(3, key_name="idle", created_at=WEEKS.edges[0]),
    ]
    rows = [(no, no % 2, FIRST_HOUR + 24 * day + 3, no * 2 * NUSD) for no in (1, 2) for day in range(56)]
    incident = replace(
        an_incident(2, at=WEEKS.current.until), incident_id="INC-1", causes=(a_cause(text, sentence=f"on {text}"),)
    )
    action = an_action(
        2,
        intended_at=WEEKS.current.since,
        finished_at=WEEKS.current.since,
        state=ActionState.FAILED,
        requested_by=text,
    )
    fields: dict[str, object] = {
        "owners": {a_hash(1): text or "team", a_hash(2): "Search"},
        "catalog": a_catalog(20, [f"vendor/a{text}", f"vendor/b{text}"]),
        "incidents": [incident],
        "actions": [action],
        "unattributed_nusd": 2 * NUSD,
        "account_total_nusd": 45 * NUSD,
        "warnings": (f"careful: {text}",),
        "gone_names": {a_hash(4): text},
        "reviews": {"INC-1": Review.FALSE_ALARM},
        "health": Health(watched_since=WEEKS.current.since, troubles=(text,), mode="enforce", detector="forest"),
    }
    return a_digest(a_usage([*rows, (1, 1, 320, 5 * NUSD), (4, 0, 20, NUSD)]), keys, **(fields | changes))


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(to_html(full()))


def test_what_needs_somebody_comes_first_and_tables_last(page: Page) -> None:
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", to_html(full()))

    assert titles == [
        "Needs somebody",
        "In short",
        "What changed, and why",
        "Limits likely to be reached",
        "By team",
        "Incidents and actions",
        "To mend",
        "Whole tables",
        "The monitor itself",
    ]
    assert "could NOT be disabled" in page.words and "act by hand" in page.words


def test_the_figures_are_the_digest_s(page: Page) -> None:
    digest = full()

    assert f"Spent this week {money(digest.spent_nusd)}" in page.words
    assert f"Month to 30 Nov {money(digest.month.expected_nusd or 0)} 8 in 10" in page.words
    assert "+$5.00" in page.words
    assert "limit likely reached on 24 Nov" in page.words
    assert "false alarm, INC-1" in page.words


def test_the_teams_rows_add_up_to_the_account_before_the_reader_s_eyes(page: Page) -> None:
    table = page.words[page.words.index("By team") : page.words.index("Incidents and actions")]

    found = re.search(
        r"Sum of keys \$(\S+) .*?Unattributed .*?\$(\S+) Difference .*?(-?)\$(\S+) Account .*?\$(\S+)", table
    )
    assert found
    keys, unattributed, sign, gap, account = found.groups()
    assert float(keys) + float(unattributed) + float(f"{sign}{gap}") == pytest.approx(float(account))


def test_a_team_s_change_is_led_by_its_key_that_moved_most(page: Page) -> None:
    table = page.words[page.words.index("By team") : page.words.index("Incidents and actions")]

    assert "search-prod mostly +$5.00 search-prod [000000000000]" in table
    assert "Search mostly" not in table  # its key spent what it spent before


def test_an_unknown_total_and_an_unknown_forecast_are_said_to_be() -> None:
    words = Page(to_html(a_digest(a_usage([(1, 0, 300, NUSD)])))).words

    assert "Account by its own counters not known" in words
    assert "Month to 30 Nov I don't know" in words
    assert "A usual week not known yet" in words


def test_it_needs_nothing_and_runs_nothing(page: Page) -> None:
    html = to_html(full())

    assert_needs_nothing(page)
    assert "http://" not in html and "https://" not in html and "@import" not in html
    assert set(re.findall(r"url\((.*?)\)", html)) <= {"#stripes", "#dots"}
    assert "default-src 'none'" in page.values("content")[0]


@pytest.mark.parametrize(
    "vector", [*VECTORS, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x"]
)
def test_hostile_text_is_text(vector: str) -> None:
    plain, hostile = Page(to_html(full("harmless"))), Page(to_html(full(vector)))

    assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in plain.elements}
    assert {name for _, each in hostile.elements for name in each} <= {
        name for _, each in plain.elements for name in each
    }
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00-\x08\x1b]", to_html(full(vector)))


@settings(deadline=None, max_examples=15)
@given(TEXT)
def test_no_text_from_outside_adds_an_element_or_an_attribute(text: str) -> None:
    hostile = Page(to_html(full(text)))
    plain = Page(to_html(full("harmless")))

    assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in plain.elements}
    assert {name for _, each in hostile.elements for name in each} <= {
        name for _, each in plain.elements for name in each
    }
    assert len(to_html(full(text))) < 150_000


def test_names_are_unique_headings_descend_and_tables_are_described(page: Page) -> None:
    ids, tags = page.values("id"), [tag for tag, _ in page.elements]
    referred = [href.removeprefix("#") for href in page.values("href")]
    referred += [name for value in page.values("aria-labelledby") for name in value.split()]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]

    assert len(ids) == len(set(ids)) and set(referred) <= set(ids)
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels)) == 1
    assert tags.count("table") == tags.count("caption") == 3
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.elements if tag == "th")
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(each.get("aria-hidden") == "true" or each.get("role") == "img" for each in drawings)


def test_light_dark_narrow_and_paper_each_have_their_style() -> None:
    for query in ("prefers-color-scheme: dark", "max-width: 34rem", "@media print"):
        assert query in to_html(full())


def test_days_that_are_not_wholly_known_are_drawn_as_such() -> None:
    known, unknown = to_html(full()), to_html(full(coverage=all_known(since=WEEKS.norm[1].since)))

    assert "not wholly known" in unknown and "not wholly known" not in known
    assert unknown.count('class="unknown"') == 7 + 1


def test_an_owner_s_page_tells_of_no_other_s_keys() -> None:
    digest = full()
    part = next(each for each in digest.owners if each.owner == "Search")

    words = Page(to_html(part_of(digest, part))).words

    assert "weekly digest of Search" in words
    assert "The monitor itself" not in words and "careful" not in words
    assert "idle" not in words


def test_an_empty_account_is_a_page_too() -> None:
    words = Page(to_html(a_digest(a_usage([])))).words

    assert "Nothing: every key spent what it spent the week before." in words
    assert "No incident." in words
    assert "Needs somebody" not in words
