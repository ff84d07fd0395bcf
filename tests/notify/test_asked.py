"""What somebody typed after the command, and whose home was opened: nothing but what Slack really says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.notify.asked import MAX_ASKED, Question, Topic, question, read_command, read_opened

COMMAND = {
    "command": "/openrouter-monitor",
    "user_id": "U0ANN00001",
    "user_name": "ann",
    "text": "key  search-prod ",
    "response_url": "https://hooks.slack.com/commands/T0/1/x",
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Question(Topic.KEYS)),
        ("keys", Question(Topic.KEYS)),
        ("KEYS All", Question(Topic.KEYS, of_all=True)),
        ("all", Question(Topic.KEYS, of_all=True)),
        ("key all", Question(Topic.KEY, "all")),
        ("key  Search prod", Question(Topic.KEY, "Search prod")),
        ("incidents", Question(Topic.INCIDENTS)),
        ("incidents all", Question(Topic.INCIDENTS, of_all=True)),
        ("help", Question(Topic.HELP)),
        ("key", Question(Topic.HELP)),
        ("keys everything", Question(Topic.HELP)),
        ("disable search-prod", Question(Topic.HELP)),
    ],
)
def test_what_the_words_of_a_command_ask_for(text: str, wanted: Question) -> None:
    assert question(text) == wanted


def test_a_command_is_read_with_who_asked_and_where_to_answer() -> None:
    asked = read_command(COMMAND)

    assert asked is not None
    assert (asked.by, asked.text, asked.reply_to) == (
        "slack:U0ANN00001 (ann)",
        "key search-prod",
        COMMAND["response_url"],
    )


@pytest.mark.parametrize(
    "change",
    [{"command": "/other"}, {"user_id": ""}, {"user_id": 7}, {"response_url": None}, {"response_url": "x" * 3_000}],
)
def test_what_is_no_command_of_ours_is_not_answered(change: dict[str, Any]) -> None:
    assert read_command(COMMAND | change) is None


@pytest.mark.parametrize(
    "event",
    [
        {"type": "app_home_opened", "user": "U0ANN00001", "tab": "messages"},
        {"type": "app_mention", "user": "U0ANN00001", "tab": "home"},
        {"type": "app_home_opened", "tab": "home"},
        "app_home_opened",
        None,
    ],
)
def test_only_an_opened_home_is_an_event_to_answer(event: Any) -> None:
    assert read_opened({"event": event}) is None
    assert read_opened({"event": {"type": "app_home_opened", "user": "U0ANN00001", "tab": "home"}}) is not None


@given(st.text(max_size=3_000))
def test_any_text_asks_for_something_and_is_kept_short(text: str) -> None:
    asked = read_command(COMMAND | {"text": text})

    assert asked is not None and len(asked.text) <= MAX_ASKED and "\n" not in asked.text
    assert question(asked.text).topic in Topic
