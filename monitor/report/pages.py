"""What every HTML page is made with. Pure.

Text from outside is hostile. Two of the things that stand between it and a reader are here: every expression of a template is
escaped, and before that each text is made one line of visible characters of bounded length. The third is the page's own policy.
"""

from __future__ import annotations

from typing import Any, Final

from jinja2 import BaseLoader, Environment, StrictUndefined
from markupsafe import Markup

from monitor.wording import SEVERITIES, count, duration, moment, money, name, one_line, shorten

MAX_TEXT: Final = 400
"""Longest text of one expression: sentences may be longer than names."""

SHORT_HASH: Final = 12


def environment(loader: BaseLoader) -> Environment:
    """Templates of `loader`, with the filters that all pages share; a page adds its own."""
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "money": money,
        "moment": moment,
        "duration": duration,
        "number": "{:,}".format,
        "counted": count,
        "short_hash": short,
        "key_name": name,
        "severity": SEVERITIES.__getitem__,
        "clock": lambda at: moment(at).removesuffix(" UTC"),
    }
    return made


def short(key_hash: str) -> str:
    """What a reader sees of a hash."""
    return one_line(key_hash)[:SHORT_HASH]


def _visible(value: Any) -> Any:
    """What an expression says, before it is escaped: never more than a line of visible characters."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return shorten(one_line(value), MAX_TEXT)
    return value
