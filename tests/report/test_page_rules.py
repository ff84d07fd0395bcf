"""Rules of accessible pages that need no browser: landmarks, headings, tables, pictures, and contrast in light and dark."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from build import NOW, settings_with
from digest_build import a_digest, a_full_digest, a_usage
from html_page import Page, contrast
from replay_build import DISABLED, a_report

from monitor.domain import NUSD
from monitor.jobs import preview
from monitor.notify import blockkit_html, slack_blocks
from monitor.report.page import to_html
from monitor.report.replay.page import to_html as replay_to_html

MADE = preview.alert(None, settings_with(slack={"default_channel": "#alerts"}), NOW)
PAGES = {
    "digest": to_html(a_full_digest()),
    "empty digest": to_html(a_digest(a_usage([]))),
    "replay": replay_to_html(a_report([DISABLED], [(9, 1, 0, NUSD)])),
    "preview": blockkit_html.page([slack_blocks.render(each)[:2] for each in MADE.messages], picture=MADE.picture),
}
every_page = pytest.mark.parametrize("html", PAGES.values(), ids=PAGES.keys())
REPORTS = [PAGES["digest"], PAGES["replay"]]


@every_page
def test_a_page_says_its_language_and_has_one_title_and_one_main_part(html: str) -> None:
    page = Page(html)

    assert page.elements[0] == ("html", {"lang": "en"})
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("h1", "main")] == [1, 1]
    assert "title" in tags[: tags.index("body")]


@every_page
def test_no_level_of_headings_is_left_out(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(html).elements if re.fullmatch("h[1-6]", tag)]

    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@every_page
def test_each_head_of_a_table_says_what_it_heads_and_each_table_what_it_shows(html: str) -> None:
    elements = Page(html).elements

    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in elements if tag == "th")
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption")


@every_page
def test_each_picture_is_told_in_words_or_left_out_of_what_is_read(html: str) -> None:
    pictures = [(tag, attributes) for tag, attributes in Page(html).elements if tag in {"svg", "img"}]

    named = ("alt", "aria-label", "aria-labelledby")
    assert all(each.get("aria-hidden") == "true" or any(each.get(name) for name in named) for _, each in pictures)
    assert all(each.get("role") == "img" for tag, each in pictures if tag == "svg" and not each.get("aria-hidden"))


@every_page
def test_no_id_stands_twice_and_nothing_changes_the_order_of_the_keyboard(html: str) -> None:
    page = Page(html)

    assert len(page.values("id")) == len(set(page.values("id")))
    assert set(page.values("tabindex")) <= {"0"}


READ = ("ink", "soft", "link", "good", "bad", "warn", "calm")
DRAWN = ("usual", "expected", "unknown", "bad", "warn", "calm", "m0", "m1", "m2", "m3", "m4")
PAIRS = [
    *((name, ground, 4.5) for name in READ for ground in ("page", "card")),
    *((name, f"{name}-ground", 4.5) for name in ("good", "bad", "warn", "calm")),
    *((name, "card", 3.0) for name in DRAWN),
]


@pytest.mark.parametrize("html", REPORTS, ids=["digest", "replay"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_drawings_stand_out_from_their_ground(html: str, scheme: str) -> None:
    colors = variables(html, scheme)

    weak = [(name, ground) for name, ground, least in PAIRS if contrast(colors[name], colors[ground]) < least]

    assert weak == []


def test_the_ratio_is_the_one_of_wcag() -> None:
    assert contrast("#000000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def variables(html: str, scheme: str) -> dict[str, str]:
    """The colors in force: those of light, under those that the media query of dark sets."""
    sheet = "".join(re.findall(r"<style>(.*?)</style>", html, re.S))
    sheet, *_ = sheet.split("@media print")
    dark = "".join(re.findall(r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", sheet, re.S))
    light = "".join(re.findall(r"^:root \{(.*?)\}", sheet, re.S | re.M))
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", light))
    return found | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", dark)) if scheme == "dark" else {})
