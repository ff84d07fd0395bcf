"""Block Kit limits: each at its edge, and one past it."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.demo import blockkit


def mrkdwn(n: int) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": "x" * n}


def plain(n: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": "x" * n}


def section(n: int) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(n)}


def button(**changes: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain(5), "action_id": "a"} | changes


EDGES = {
    "blocks": ([section(1)] * 50, [section(1)] * 51),
    "section text": ([section(3000)], [section(3001)]),
    "section text in UTF-16 units": (
        [{"type": "section", "text": {"type": "mrkdwn", "text": "\N{PILE OF POO}" * 1500}}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": "\N{PILE OF POO}" * 1501}}],
    ),
    "empty text": ([section(1)], [section(0)]),
    "fields": (
        [{"type": "section", "fields": [mrkdwn(1)] * 10}],
        [{"type": "section", "fields": [mrkdwn(1)] * 11}],
    ),
    "field text": ([{"type": "section", "fields": [mrkdwn(2000)]}], [{"type": "section", "fields": [mrkdwn(2001)]}]),
    "header": ([{"type": "header", "text": plain(150)}], [{"type": "header", "text": plain(151)}]),
    "header is plain": ([{"type": "header", "text": plain(1)}], [{"type": "header", "text": mrkdwn(1)}]),
    "context": (
        [{"type": "context", "elements": [mrkdwn(1)] * 10}],
        [{"type": "context", "elements": [mrkdwn(1)] * 11}],
    ),
    "actions": ([{"type": "actions", "elements": [button()] * 25}], [{"type": "actions", "elements": [button()] * 26}]),
    "button text": (
        [{"type": "actions", "elements": [button(text=plain(75))]}],
        [{"type": "actions", "elements": [button(text=plain(76))]}],
    ),
    "button value": (
        [{"type": "actions", "elements": [button(value="x" * 2000)]}],
        [{"type": "actions", "elements": [button(value="x" * 2001)]}],
    ),
    "button url": (
        [{"type": "actions", "elements": [button(url="x" * 3000)]}],
        [{"type": "actions", "elements": [button(url="x" * 3001)]}],
    ),
    "action id": (
        [{"type": "actions", "elements": [button(action_id="x" * 255)]}],
        [{"type": "actions", "elements": [button(action_id="x" * 256)]}],
    ),
    "block id": ([section(1) | {"block_id": "x" * 255}], [section(1) | {"block_id": "x" * 256}]),
    "unique block ids": (
        [section(1) | {"block_id": "a"}, section(1) | {"block_id": "b"}],
        [section(1) | {"block_id": "a"}, section(1) | {"block_id": "a"}],
    ),
    "markdown": ([{"type": "markdown", "text": "x" * 12_000}], [{"type": "markdown", "text": "x" * 12_001}]),
    "image": (
        [{"type": "image", "image_url": "https://e.example/a.png", "alt_text": "x" * 2000}],
        [{"type": "image", "image_url": "https://e.example/a.png", "alt_text": "x" * 2001}],
    ),
    "table": ([{"type": "table", "rows": [[plain(1)]] * 100}], [{"type": "table", "rows": [[plain(1)]] * 101}]),
    "known types": ([{"type": "divider"}], [{"type": "line"}]),
    "known fields": ([section(1)], [section(1) | {"color": "red"}]),
    "a list": ([], {"type": "divider"}),
}


@pytest.mark.parametrize(("fits", "too_much"), EDGES.values(), ids=EDGES.keys())
def test_each_limit_holds_to_the_character(fits: Any, too_much: Any) -> None:
    assert blockkit.problems(fits) == []
    assert blockkit.problems(too_much) != []


def test_the_sum_counts_every_text() -> None:
    blocks = [section(100), {"type": "section", "fields": [mrkdwn(20)] * 3}, {"type": "header", "text": plain(7)}]

    assert blockkit.length(blocks) == 167
    assert blockkit.length([*blocks, {"type": "divider"}]) == 167 + 125
