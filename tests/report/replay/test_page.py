"""The page: all figures on it, safe for any text, readable by anybody, in need of nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from build import a_cause, a_key
from hostile import TEXT, VECTORS
from html_page import Page, assert_needs_nothing, contrast
from hypothesis import given, settings
from replay_build import DAY, DISABLED, HOUR, SINCE, Story, Verbs, a_catalog, a_report

from monitor.backtest import write_report
from monitor.domain import NUSD, Reason
from monitor.report.replay.page import N_GROUPS, to_html
from monitor.report.replay.values import ReplayReport
from monitor.wording import money

CAPPED = Story(key=2, opened=30.0, stops=((Verbs.CAP, 31.0, 5.0),), detail="too young")
TOLD = Story(key=3, opened=50.0, spent_usd=4.0)
GAP = ((SINCE + 3 * DAY, SINCE + 3 * DAY + 5 * HOUR),)


def full() -> ReplayReport:
    rows = [(9, 1, 0, NUSD), (10, 1, 1, 9 * NUSD), (30, 2, 2, 4 * NUSD), (50, 3, 3, NUSD)]
    return a_report([DISABLED, CAPPED, TOLD], rows, gaps=GAP)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(to_html(full()))


def test_the_figures_are_those_of_the_summary(page: Page) -> None:
    report = full()
    summary = report.summary

    tiles = re.search(r"Incidents a week .* people or teams", page.words)

    assert tiles
    assert f"Incidents a week {summary.alerts_per_week:.1f} 3 incidents in 7 d" in tiles[0]
    assert f"Keys alerted on {summary.n_alerted_keys} of 300 keys" in tiles[0]
    assert f"Keys disabled {summary.n_disabled_keys} {summary.n_capped_keys} capped" in tiles[0]
    assert f"Would have been stopped {money(summary.stopped_nusd)} of {money(summary.spent_nusd)} above" in tiles[0]
    assert f"Owners disturbed {len(summary.owners)} people" in tiles[0]


def test_every_incident_is_told_with_what_would_have_been_done_or_why_not(page: Page) -> None:
    for said in (
        "10 Jun 10:00 began 10 Jun 08:00 until 10 Jun 16:00 key-1 000000000000 owner user-1 critical once in 500,000",
        "p = 0.000002, score 0.81 by forest alerted 10 Jun 10:00 disabled 10 Jun 11:00 , 3 h after onset",
        "$39.00 on acme/opus-9, never used by this key $30.00 since onset $20.00 of it stopped $1,337 at risk",
        "capped 11 Jun 07:00 , 3 h after onset no more: the evidence is below the threshold for disabling (too young)",
        "alerted 12 Jun 02:00 not disabled: the evidence is below the threshold for disabling",
    ):
        assert said in page.words


def test_it_says_what_is_not_known_and_what_a_replay_cannot_see(page: Page) -> None:
    assert "13 Jun 00:00 UTC to 13 Jun 05:00 UTC (5 h)" in page.words
    assert "What this replay cannot see Which incidents were thefts" in page.words
    assert "below_threshold the evidence is below the threshold for disabling 2" in page.words


def test_it_needs_nothing_and_runs_nothing(page: Page) -> None:
    assert_needs_nothing(page)
    html = to_html(full())
    assert "http://" not in html and "https://" not in html and "@import" not in html
    assert set(re.findall(r"url\((.*?)\)", html)) <= {"#stripes", "#dots"}
    assert "default-src 'none'" in page.values("content")[0]


def test_every_name_inside_the_page_is_unique_and_every_reference_leads_to_one(page: Page) -> None:
    ids = page.values("id")
    referred = [href.removeprefix("#") for href in page.values("href")]
    referred += [name for value in page.values("aria-labelledby") for name in value.split()]
    assert len(ids) == len(set(ids))
    assert set(referred) <= set(ids)


def test_headings_descend_one_by_one_and_the_page_says_its_language_and_title(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert max(np.diff(levels)) == 1
    assert page.elements[0] == ("html", {"lang": "en"})
    assert "Replay of Recording june" in page.words


def test_every_table_has_a_caption_and_every_header_a_scope(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") > 4
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.elements if tag == "th")


def test_every_drawing_has_a_name_or_is_hidden_from_those_who_listen(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(drawings) >= 5
    assert all(
        attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-labelledby"])
        for attributes in drawings
    )


def test_light_dark_narrow_and_paper_each_have_their_style() -> None:
    html = to_html(a_report([]))
    for query in ("prefers-color-scheme: dark", "max-width: 56rem", "max-width: 34rem", "@media print"):
        assert query in html


def test_a_quiet_replay_is_a_page_too() -> None:
    page = Page(to_html(a_report([], [])))

    assert "None: nothing was unusual enough to tell anybody." in page.words
    assert "No incident was left without its key being disabled." in page.words
    assert "Key by key" not in page.words


def test_long_tables_end_with_what_is_left_out() -> None:
    stories = [replace(TOLD, key=number, opened=5 + number / 10) for number in range(N_GROUPS + 5)]
    report = a_report(stories, keys=[a_key(number, creator_user_id=f"u{number}") for number in range(40)])

    page = Page(to_html(report))

    assert page.words.count("5 others 5 5") == 2
    assert "5 further keys with an incident, the least dear, have no picture." in page.words


def test_a_broken_rule_has_no_p_value_and_a_tiny_one_is_not_written_out() -> None:
    rule = replace(TOLD, key=1, changes=(("p_value", None), ("score", 3.0)))
    tiny = replace(TOLD, key=2, changes=(("p_value", 3e-14),))

    words = Page(to_html(a_report([rule, tiny]))).words

    assert "a hard rule, score 3.00" in words
    assert "p = 3e-14, score 0.81" in words


# -- text from outside ----------------------------------------------------------------------------------------------------

ATTACKS = (
    "<script>alert(1)</script>",
    "</title></style></svg><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- --> ]]> <![CDATA[",
    "&lt;b&gt; &amp;",
    "$\\frac{1}{0}$ and $100 and $200",
    "javascript:alert(1)",
    "\u202eevil\u2066 \u200b name",
    "5,000 letters " + "x" * 5_000,
    "\ud800 lone",
    "\x00\x1b[31m\x85\u2028",
    "漢字 and العربية and 😀",
)


def hostile(text: str) -> ReplayReport:
    """A report in which every text from outside is this one."""
    cause = a_cause(text, sentence=text)
    stories = [
        replace(story, detail=text, changes=(("causes", (cause,) * 4), ("detectors", (text,))))
        for story in (DISABLED, CAPPED, TOLD)
    ]
    keys = [a_key(number, key_name=text, creator_user_id=text or "nobody") for number in range(4)]
    rows = [(hour, number, model, NUSD) for hour in (10, 30, 50) for number in (1, 2, 3) for model in range(6)]
    models = [text + "\u200b" * number for number in range(7)]
    report = a_report(stories, rows, keys=keys, catalog=a_catalog(4, models), title=text, gaps=GAP)
    return replace(
        report, policy=(("Mode", text),), detector=((text, text),), summary=replace(report.summary, detector=text)
    )


@pytest.fixture(scope="module")
def harmless() -> Page:
    return Page(to_html(hostile("a name")))


@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_text_from_outside_stays_text(text: str, harmless: Page) -> None:
    html = to_html(hostile(text))

    page = Page(html)
    assert page.shape == harmless.shape
    visible = " ".join(text.encode("utf-8", "ignore").decode().split())[:20]
    assert not visible.isascii() or not visible.isprintable() or visible in page.words
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00-\x08\x1b]", html)
    html.encode("utf-8")


@settings(max_examples=12)
@given(TEXT)
def test_no_text_changes_what_a_browser_builds(harmless: Page, text: str) -> None:
    assert Page(to_html(hostile(text))).shape == harmless.shape


@pytest.mark.parametrize("text", VECTORS, ids=range(len(VECTORS)))
def test_no_known_vector_changes_it_either(text: str, harmless: Page) -> None:
    assert Page(to_html(hostile(text))).shape == harmless.shape


def test_a_name_of_five_thousand_letters_costs_no_more_than_its_first_part() -> None:
    assert len(to_html(hostile("x" * 5_000))) == len(to_html(hostile("x" * 500)))


def test_whatever_is_in_a_hash_only_its_first_twelve_visible_characters_are_shown() -> None:
    odd = "<b>\u202e" + "h" * 60
    story = replace(DISABLED, changes=(("key_hash", odd),))

    page = Page(to_html(a_report([story], keys=[a_key(odd, key_name="odd")])))

    assert "<b>hhhhhhhhh owner" in page.words


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(tmp_path) -> None:
    place = tmp_path / "gone" / "replay.html"

    with pytest.raises(FileNotFoundError, match=r"replay\.html"):
        write_report(full(), place)


# -- weight ---------------------------------------------------------------------------------------------------------------


def test_the_largest_page_of_three_hundred_keys_and_two_weeks_stays_below_three_megabytes() -> None:
    """A few busy keys in full; the rest of the largest page is counted as that many more of them."""
    rng = np.random.default_rng(2)
    rows = [
        (hour, number, model, int(cost))
        for number in range(4)
        for hour in range(14 * 24)
        for model, cost in enumerate(rng.uniform(1, 9, size=7) * NUSD)
    ]
    stories = [
        replace(DISABLED, key=number, opened=10.0 + 48 * no, changes=(("causes", (a_cause("lab/a"),) * 6),))
        for number in range(4)
        for no in range(3)
    ]

    four = len(to_html(a_report(stories, rows, days=14.0)).encode())
    none = len(to_html(a_report([], [], days=14.0)).encode())

    assert none + (four - none) / 4 * 100 < 3_000_000


def test_the_service_does_not_pay_for_drawing() -> None:
    probe = "import sys, monitor.daemon, monitor.backtest; print({'matplotlib', 'jinja2'} & set(sys.modules))"

    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "set()"


def test_a_reason_without_words_is_shown_as_it_is() -> None:
    report = a_report([replace(TOLD, reason=Reason.FUSE_DAY)])
    odd = replace(report, summary=replace(report.summary, not_acted={"<new> reason": 1}))

    assert "<new> reason <new> reason 1" in Page(to_html(odd)).words


# -- colors ---------------------------------------------------------------------------------------------------------------

AREAS = ("m0", "m1", "m2", "m3", "m4", "usual", "bad", "warn", "calm", "unknown", "expected")


def palettes() -> dict[str, dict[str, str]]:
    css = to_html(a_report([], []))
    found = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    return {
        side: dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block))
        for side, block in zip(("light", "dark", "paper"), found, strict=True)
    }


@pytest.mark.parametrize("side", ["light", "dark", "paper"])
def test_areas_and_text_stand_out_from_their_ground(side: str) -> None:
    colors = palettes()[side]

    for area in AREAS:
        assert min(contrast(colors[area], colors[ground]) for ground in ("card", "shade")) >= 3, area
    for text in ("ink", "soft", "link", "good"):
        assert min(contrast(colors[text], colors[ground]) for ground in ("card", "page")) >= 4.5, text
    for badge in ("bad", "warn", "calm"):
        assert contrast(colors[badge], colors[f"{badge}-ground"]) >= 4.5, badge
    for lower, upper in (("m0", "m1"), ("m1", "m2"), ("m2", "m3"), ("m3", "m4"), ("usual", "bad")):
        assert contrast(colors[lower], colors[upper]) >= 1.4, (lower, upper)
