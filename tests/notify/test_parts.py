"""In a storm of keys no name is lost, whatever the names are: one message, continued in its thread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from build import NOW
from hostile import TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.demo import blockkit
from monitor.domain import Message, MessageKind, Severity
from monitor.notify.parts import parts
from monitor.notify.slack_blocks import render
from monitor.wording import name


def a_listing(lines: tuple[str, ...], **changes: Any) -> Message:
    message = Message(
        "MSG-1:0:source",
        MessageKind.SOURCE,
        "C0TEAM01",
        Severity.CRITICAL,
        f"{len(lines)} incidents in one message",
        "Many keys turned unusual together.",
        sections=(("Keys", lines),),
        created_at=NOW,
    )
    return replace(message, **changes)


def shown(message: Message) -> str:
    _, blocks, _ = render(message)
    assert blockkit.problems(blocks) == []
    assert blockkit.length(blocks) <= blockkit.MAX_SUM
    return str(blocks)


@settings(max_examples=15, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=25), st.integers(1, 500))
def test_each_of_up_to_500_keys_with_hostile_names_is_named_within_all_limits(names: list[str], n_keys: int) -> None:
    hashes = [f"{number:012x}" for number in range(1, n_keys + 1)]
    lines = tuple(f"{each} {name(names[no % len(names)])}: 1.00 USD/h" for no, each in enumerate(hashes))

    made = parts(a_listing(lines))

    texts = [shown(part) for part in made]
    assert all(any(each in text for text in texts) for each in hashes)
    assert not any(" more sections" in text or "and 1 more" in text for text in texts)
    assert len({part.message_id for part in made}) == len(made)
    assert len(made) == 1 or {part.thread for part in made} == {"MSG-1:0:source"}


def test_the_rest_follows_in_the_thread_of_the_event_and_the_first_part_says_so() -> None:
    lines = tuple(f"{number:012x} key: 1.00 USD/h" for number in range(100))

    first, *rest = parts(a_listing(lines, thread="EVT-1"))

    assert first.sections[0][1][-1] == "60 more lines in this thread"
    assert [part.message_id for part in rest] == ["MSG-1:0:source~2", "MSG-1:0:source~3"]
    assert {part.thread for part in (first, *rest)} == {"EVT-1"}
    assert rest[0].title.endswith("continued (2 of 3)")


def test_made_again_after_a_crash_the_parts_are_the_same() -> None:
    lines = tuple(f"{number:012x} key" for number in range(90))

    assert parts(a_listing(lines)) == parts(a_listing(lines))


def test_a_message_that_fits_is_left_as_it_is() -> None:
    message = a_listing(("a", "b"))

    assert parts(message) == (message,)
