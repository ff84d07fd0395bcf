"""Whatever a message holds, its blocks are within Slack's limits and its text is inert."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from build import NOW
from hostile import TEXT, VECTORS
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.demo import blockkit
from monitor.domain import Ask, Choice, Message, MessageKind, Picture, Severity
from monitor.notify import slack_blocks
from monitor.notify.slack_blocks import fit, mrkdwn, render

MESSAGES = st.builds(
    Message,
    message_id=st.just("INC-1:1:alert"),
    kind=st.sampled_from(MessageKind),
    channel=st.just("C0TEAM01"),
    severity=st.sampled_from(Severity),
    title=TEXT,
    summary=TEXT,
    facts=st.lists(st.tuples(TEXT, TEXT), max_size=25).map(tuple),
    evidence=st.lists(TEXT, max_size=30).map(tuple),
    sections=st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=30).map(tuple)), max_size=25).map(tuple),
    undo=TEXT,
    footer=TEXT,
)


def a_message(**changes: Any) -> Message:
    message = Message("INC-1:1:alert", MessageKind.ALERT, "C0TEAM01", Severity.CRITICAL, "Title", "Summary")
    return replace(message, **changes)


def texts(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        text
        for block in blocks
        for text in (
            *([block["text"]] if "text" in block else []),
            *block.get("fields", []),
            *block.get("elements", []),
        )
    ]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@settings(max_examples=30, deadline=None)
@given(MESSAGES)
def test_any_message_is_within_every_limit_of_block_kit(message: Message) -> None:
    text, blocks, _ = render(message)

    assert 0 < units(text) <= 3_000
    assert 1 <= len(blocks) <= 50
    assert sum(len(each["text"].encode()) for each in texts(blocks)) < 13_000
    assert len(json.dumps(blocks)) < 13_000
    for block in blocks:
        if block["type"] == "header":
            assert block["text"]["type"] == "plain_text"
            assert 1 <= units(block["text"]["text"]) <= 150
        if block["type"] == "section" and "text" in block:
            assert 1 <= units(block["text"]["text"]) <= 3_000
        if "fields" in block:
            assert 1 <= len(block["fields"]) <= 10
            assert all(1 <= units(each["text"]) <= 2_000 for each in block["fields"])
        if block["type"] == "context":
            assert 1 <= len(block["elements"]) <= 10
            assert all(1 <= units(each["text"]) <= 2_000 for each in block["elements"])


ASK = Ask("INC-0123456789", 12, "ab" * 32, tuple(Choice))


@settings(max_examples=30, deadline=None)
@given(MESSAGES, TEXT, st.lists(st.sampled_from(list(Choice)), min_size=1, unique=True).map(tuple))
def test_buttons_and_picture_are_never_what_is_cut_and_all_limits_hold_as_slack_checks_them(
    message: Message, alt_text: str, choices: tuple[Choice, ...]
) -> None:
    asking = replace(message, ask=replace(ASK, choices=choices), picture=Picture("F0PICTURE1", alt_text))

    _, blocks, _ = render(asking, has_buttons=True)

    assert blockkit.problems(blocks) == []
    assert blockkit.length(blocks) <= blockkit.MAX_SUM
    (buttons,) = [block for block in blocks if block["type"] == "actions"]
    assert [element["action_id"] for element in buttons["elements"]] == [choice.value for choice in choices]
    assert sum(block["type"] == "image" for block in blocks) == 1


def test_without_anybody_who_listens_there_are_no_buttons() -> None:
    _, blocks, _ = render(a_message(ask=ASK))

    assert "actions" not in {block["type"] for block in blocks}


@settings(max_examples=30, deadline=None)
@given(MESSAGES)
def test_no_text_from_outside_acts_in_slack(message: Message) -> None:
    text, blocks, _ = render(message)

    for each in [text, *(found["text"] for found in texts(blocks) if found["type"] == "mrkdwn")]:
        assert "<" not in each and ">" not in each
        assert re.fullmatch(r"([^&]|&(amp|lt|gt);)*", each)
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b\x00-\x09\x0b-\x1f]", each)
    assert all(found.get("verbatim") is True for found in texts(blocks) if found["type"] == "mrkdwn")
    assert all(found["emoji"] is False for found in texts(blocks) if found["type"] == "plain_text")


@given(TEXT)
def test_mrkdwn_from_outside_formats_nothing(text: str) -> None:
    inert = mrkdwn(text)

    assert not re.search(r"[*~`]", inert)
    assert not re.search(r"(?<![^\W_])_|_(?![^\W_])", inert)
    assert not re.search(r":[\w+'-]+:", inert)
    assert not inert.startswith("&gt;")
    assert "\n" not in inert


@pytest.mark.parametrize("name", ["prod_web_1", "team/search-prod", "R2.D2 (eu)", "50% batch!"])
def test_an_ordinary_name_is_shown_as_it_is(name: str) -> None:
    assert mrkdwn(name) == name


@given(TEXT, st.integers(1, 200))
def test_cut_text_fits_and_holds_no_half_entity(text: str, limit: int) -> None:
    shown = fit(text, limit)

    assert units(shown) <= limit
    assert re.fullmatch(r"([^&]|&(amp|lt|gt);)*", shown)


def test_a_digest_of_500_keys_fits_and_counts_what_it_leaves_out() -> None:
    lines = tuple(
        f"team-{number % 40}/service-{number} [{number:012x}]: $41.20 (+12%, before $36.80)" for number in range(500)
    )

    _, blocks, _ = render(a_message(kind=MessageKind.DIGEST, sections=(("Keys", lines),)))

    shown = "\n".join(each["text"] for each in texts(blocks))
    n_shown = shown.count("/service-")
    assert n_shown >= 50
    assert f"and {500 - n_shown} more" in shown


def test_a_message_that_fits_is_not_cut() -> None:
    evidence = tuple(f"cause {number}" for number in range(30))

    _, blocks, _ = render(a_message(evidence=evidence))

    shown = "\n".join(each["text"] for each in texts(blocks))
    assert all(f"• cause {number}" in shown for number in range(30))
    assert "more" not in shown


def test_a_message_of_40_sections_says_how_many_it_leaves_out() -> None:
    sections = tuple((f"Section {number}", ("line",)) for number in range(40))

    _, blocks, _ = render(a_message(sections=sections))

    assert any(each["text"] == "and 20 more sections" for each in texts(blocks))


def test_the_metadata_carries_the_message_id_for_the_look_up() -> None:
    _, _, metadata = render(a_message())

    assert metadata == {"event_type": "openrouter_monitor", "event_payload": {"message_id": "INC-1:1:alert"}}


def test_the_undo_command_can_be_copied() -> None:
    _, blocks, _ = render(a_message(undo="openrouter-monitor restore 1f0c9a2b7d3e"))

    assert blocks[-1]["text"]["text"] == "*To undo*\n`openrouter-monitor restore 1f0c9a2b7d3e`"


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_each_hostile_vector_leaves_the_alert_readable(vector: str) -> None:
    _, blocks, _ = render(a_message(title=f"Unusual spend: {vector}", facts=(("Key", vector),), footer="INC-1"))

    shown = [each["text"] for each in texts(blocks)]
    assert shown[0].startswith("\N{LARGE RED CIRCLE} Unusual spend:")
    assert shown[1] == "Summary"
    assert shown[2].startswith("*Key*\n")
    assert shown[-1] == "INC-1"


def test_messages_composed_at_another_time_look_the_same() -> None:
    assert render(a_message(created_at=NOW)) == render(a_message())


def test_the_size_is_measured_above_what_the_blocks_weigh() -> None:
    _, blocks, _ = render(a_message(summary="😀" * 3_000))

    assert slack_blocks.size(blocks) > len(json.dumps(blocks))
    assert slack_blocks.size(blocks) <= slack_blocks.MAX_SIZE
