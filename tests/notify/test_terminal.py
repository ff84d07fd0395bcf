"""Messages on a terminal: all of it readable, nothing of it active."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from build import NOW
from fake_clock import FakeClock
from hostile import TEXT, VECTORS
from hypothesis import given, settings
from rich.console import Console

from monitor.domain import Message, MessageKind, Severity
from monitor.notify.terminal import TerminalNotifier, plain_text, show

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def a_message(**changes: Any) -> Message:
    message = Message(
        "INC-1:1:alert",
        MessageKind.ALERT,
        "#team",
        Severity.CRITICAL,
        "Unusual spend: search-prod",
        "“search-prod” spent $194.96 above its usual.",
        facts=(("Key", "search-prod"), ("Owner", "team-search")),
        evidence=("$39.00: 97% on model vendor/opus",),
        sections=(("What happens now", ("Nothing automatic.",)),),
        undo="openrouter-monitor restore 1f0c9a2b7d3e",
        footer="INC-1 · step 1",
        created_at=NOW,
    )
    return replace(message, **changes)


def shown(message: Message, *, is_terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100, color_system="truecolor")
    show(message, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


PARTS = (
    "Unusual spend: search-prod",
    "$194.96",
    "team-search",
    "97% on model vendor/opus",
    "Nothing automatic.",
    "restore 1f0c9a2b7d3e",
    "INC-1 · step 1",
)


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "pipe"])
def test_every_part_of_a_message_is_shown(is_terminal: bool) -> None:
    text = ESCAPES.sub("", shown(a_message(), is_terminal=is_terminal))

    assert all(part in text for part in PARTS)


def test_a_pipe_gets_plain_text() -> None:
    assert "\x1b" not in shown(a_message(), is_terminal=False)
    assert shown(a_message(), is_terminal=False).startswith("CRITICAL: Unusual spend: search-prod\n")


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "pipe"])
def test_no_vector_reaches_the_terminal_as_a_command(vector: str, is_terminal: bool) -> None:
    text = shown(a_message(title=vector, facts=(("Key", vector),), evidence=(vector,)), is_terminal=is_terminal)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", ESCAPES.sub("", text))
    assert "\x1b[2J" not in text


def test_rich_markup_in_a_name_is_shown_not_obeyed() -> None:
    text = ESCAPES.sub("", shown(a_message(facts=(("Key", "[red]x[/red]"),)), is_terminal=True))

    assert "[red]x[/red]" in text


@settings(deadline=None, max_examples=50)
@given(TEXT)
def test_plain_text_has_one_line_a_part_whatever_the_parts_hold(text: str) -> None:
    message = a_message(title=text, summary=text, evidence=(text,), footer="end")

    assert len(plain_text(message).split("\n")) == len(plain_text(a_message()).split("\n"))


async def test_the_notifier_prints_and_remembers_what_it_printed() -> None:
    console = Console(file=io.StringIO())
    notifier = TerminalNotifier(FakeClock(), console)

    receipt = await notifier.send(a_message())

    assert await notifier.find(a_message()) == receipt
    assert await notifier.check("#team") == ()


def test_importing_the_package_loads_neither_slack_nor_an_http_library() -> None:
    code = (
        "import sys, monitor.notify.message, monitor.notify.routing, monitor.notify.delivery, monitor.notify.terminal;"
        "print([name for name in ('slack_sdk', 'aiohttp', 'rich', 'pandas') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
