"""A drawing of matplotlib's as SVG that stands inside a page: geometry only, looks by class. Pure.

matplotlib scales, places and writes down; what it writes is then taken apart and only paths and texts are kept. Colors, dashes and
fonts come from the page's style sheet by the class an artist carries as its `gid`, so that one drawing serves light, dark
and paper. Nothing has an id, a link or a style of its own, and all text is escaped when it is written.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

_NAMESPACE: Final = "{http://www.w3.org/2000/svg}"
_CLASS: Final = re.compile(r"[a-z][a-z0-9-]*")
_POINT: Final = re.compile(r"([MLz])(?: (-?[\d.]+) (-?[\d.]+))?")
_SILENT: Final = {"Date": None, "Creator": None, "Format": None, "Type": None}


@contextmanager
def plain_settings() -> Iterator[None]:
    """matplotlib's own defaults for the time of drawing, whatever the machine's configuration says; text stays text.

    They are global: one thread draws at a time."""
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    with mpl.rc_context({**defaults, "svg.fonttype": "none", "path.simplify": False, "text.parse_math": False}):
        yield


def written(figure: Figure, *, name: str, title: str, description: str) -> str:
    """The SVG element of a figure. `name` is a word no other drawing of the page has; `title` and `description` are what
    somebody hears who does not see it."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata=_SILENT)
    drawn = ET.fromstring(out.getvalue())  # noqa: S314 - made here, a line above
    svg = ET.Element("svg", {"viewBox": drawn.attrib["viewBox"], "role": "img", "class": "chart"})
    svg.set("aria-labelledby", f"{name}-title {name}-text")
    for tag, what, text in (("title", "title", title), ("desc", "text", description)):
        ET.SubElement(svg, tag, {"id": f"{name}-{what}"}).text = text
    svg.extend(list(_kept(drawn, "plain")))
    return ET.tostring(svg, encoding="unicode")


def _kept(drawn: ET.Element, css_class: str) -> Iterator[ET.Element]:
    """Paths and texts in the order they are painted, with the class of the innermost artist that carries one."""
    for each in drawn:
        tag = each.tag.removeprefix(_NAMESPACE)
        if tag == "g":
            gid = each.attrib.get("id", "")
            yield from _kept(each, gid if _CLASS.fullmatch(gid) else css_class)
        elif tag == "path":
            yield ET.Element("path", {"class": css_class, "d": _short(each.attrib["d"])})
        elif tag == "text":
            yield _text(each, css_class)
        elif tag not in {"defs", "metadata"}:
            raise ValueError(f"a drawing holds <{tag}>, which no page shows")


def _text(each: ET.Element, css_class: str) -> ET.Element:
    anchor = re.search(r"text-anchor: (\w+)", each.attrib.get("style", ""))
    place = {axis: f"{float(each.attrib[axis]):.1f}" for axis in ("x", "y")}
    text = ET.Element("text", {"class": css_class, **place, "text-anchor": anchor[1] if anchor else "start"})
    text.text = each.text
    return text


def _short(d: str) -> str:
    """A path with a tenth of a unit as its finest step, and one letter where a line is level or upright."""
    said: list[str] = []
    at = ("", "")
    for letter, x, y in _POINT.findall(d):
        if letter == "z":
            said.append("z")
            continue
        point = (_tenth(x), _tenth(y))
        if letter == "M":
            said.append(f"M{point[0]} {point[1]}")
        elif point[1] == at[1]:
            said.append(f"H{point[0]}" if point[0] != at[0] else "")
        else:
            said.append(f"V{point[1]}" if point[0] == at[0] else f"L{point[0]} {point[1]}")
        at = point
    return "".join(said)


def _tenth(number: str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")
