"""The preview page shows what Slack would, and nothing from outside does anything in it."""

from __future__ import annotations

import html.parser
import re
from dataclasses import replace

import pytest
from hostile import TEXT, VECTORS
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.demo import blockkit
from monitor.domain import Ask, Choice, Message, MessageKind, Picture, Severity
from monitor.notify.blockkit_html import page
from monitor.notify.slack_blocks import render

ASK = Ask("INC-1", 2, "ab" * 32, tuple(Choice))
PNG = b"\x89PNG\r\n\x1a\n"
MESSAGE = Message(
    "INC-1:2:alert",
    MessageKind.ALERT,
    "#alerts",
    Severity.CRITICAL,
    "Unusual spend: search-prod",
    "“search-prod” spent $46.70 above its usual.",
    facts=(("Key", "search-prod"),),
    evidence=("$46.70: 96% on model vendor/opus",),
    sections=(("What happens now", ("Nothing automatic.",)),),
    undo="openrouter-monitor restore abababababab",
    footer="INC-1 · step 2",
    ask=ASK,
    picture=Picture("F0PREVIEW1", "Hourly spend of the last seven days."),
)


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    return tags


def the_page(message: Message = MESSAGE) -> str:
    text, blocks, _ = render(message, has_buttons=True)
    assert blockkit.problems(blocks) == []
    return page([(text, blocks)], picture=PNG)


def test_phone_and_desktop_light_and_dark_show_everything_with_the_picture() -> None:
    tags = read(the_page())

    panes = [attrs["class"] for tag, attrs in tags.found if tag == "section"]
    assert panes == ["pane phone light", "pane phone dark", "pane desktop light", "pane desktop dark"]
    images = [attrs for tag, attrs in tags.found if tag == "img"]
    assert [str(each["src"]).startswith("data:image/png;base64,") for each in images] == [True] * 4
    assert {each["alt"] for each in images} == {"Hourly spend of the last seven days."}
    said = " ".join(tags.texts)
    for text in ("search-prod", "Disable now", "Planned until… ▾", "openrouter-monitor restore abababababab", "INC-1"):
        assert said.count(text) >= 4


@settings(max_examples=25, deadline=None)
@given(TEXT, st.lists(TEXT, max_size=4).map(tuple))
def test_no_text_from_outside_becomes_markup_or_an_address(text: str, lines: tuple[str, ...]) -> None:
    hostile = replace(MESSAGE, title=text, summary=text, facts=((text, text),), evidence=lines, footer=text)

    tags = read(the_page(hostile))

    known = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "div",
        "section",
        "main",
        "h1",
        "h2",
        "p",
        "b",
        "br",
        "img",
        "span",
    }
    assert {tag for tag, _ in tags.found} <= known | {"small", "code", "hr"}
    assert not any(name.startswith("on") or name == "href" for _, attrs in tags.found for name in attrs)


@pytest.mark.parametrize("vector", [*VECTORS, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_each_vector_leaves_the_page_whole(vector: str) -> None:
    made = the_page(replace(MESSAGE, summary=vector or "-", picture=Picture("F0PREVIEW1", vector)))

    tags = read(made).found
    assert "script" not in {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert made.count("<section") == made.count("</section>") == 4


def test_the_page_loads_nothing_from_anywhere() -> None:
    made = the_page()

    assert "default-src 'none'" in made
    assert not re.search(r"https?://", made)
