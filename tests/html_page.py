"""A page as a browser takes it in: what tests look at."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "rect", "circle", "img", "br", "hr"}


class Page(HTMLParser):
    """What a browser makes of it: elements in order, with attributes and the text within."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def values(self, attribute: str) -> list[str]:
        return [
            value or "" for _, attributes in self.elements for name, value in attributes.items() if name == attribute
        ]

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]


FETCHING = frozenset("script link img image iframe object embed base form use foreignObject".split())  # noqa: SIM905 - reads as the list it is


def assert_needs_nothing(page: Page) -> None:
    """It fetches nothing, runs nothing and leads nowhere."""
    assert not {tag for tag, _ in page.elements} & FETCHING
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [
        name for name in names if name.startswith("on") or name in {"src", "srcset", "action", "xlink:href", "style"}
    ]
    assert all(href.startswith("#") for href in page.values("href"))


def contrast(one: str, other: str) -> float:
    """Of two colors (`#rgb` or `#rrggbb`), from 1 to 21: WCAG 2.2, contrast ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = color.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
