"""The digest in words: short in a channel, whole as Markdown, and hostile names in neither of them active."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from build import a_hash, a_key
from digest_build import MONDAY, a_catalog, a_digest, a_full_digest, a_usage
from hostile import TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import NUSD, Message
from monitor.notify.slack_blocks import MAX_SIZE, render, size
from monitor.report.digest import Digest
from monitor.report.markdown import escape, to_markdown
from monitor.report.render import to_messages
from monitor.wording import name, one_line

UNESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def messages_of(digest: Digest, top: int = 10) -> tuple[Message, ...]:
    channels = {part.owner: f"#{number}" for number, part in enumerate(digest.owners)}
    return to_messages(digest, channel="C0TEAM01", now=MONDAY, top=top, owner_channels=channels)


def details_of(digest: Digest) -> Message:
    return messages_of(digest)[1]


def read_back(markdown: str) -> str:
    """What a reader of the rendered Markdown sees, as far as escapes go."""
    return re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), UNESCAPE.sub(r"\1", markdown))


def named(names: Sequence[str]) -> Digest:
    keys = [a_key(number, key_name=each) for number, each in enumerate(names)]
    return a_digest(a_usage([(number, 0, 300, NUSD) for number in range(len(names))]), keys)


@given(TEXT)
def test_escaped_text_reads_back_as_it_was(text: str) -> None:
    assert read_back(escape(text)) == one_line(text)


@given(TEXT)
def test_escaped_text_neither_formats_nor_links_nor_breaks_a_row(text: str) -> None:
    active = re.sub(r"\\[!-/:-@\[-`{-~]", "·", escape(text))  # what stood beside it does not move together

    assert not re.search(r"[\\`*_{}\[\]<>|~@\n]", active)
    assert not re.search(r"(?i)\b(https?|ftp|mailto|xmpp):|\bwww\.", active)
    assert not re.match(r"[-+=]|\d+[.)]|#", active)


@settings(deadline=None, max_examples=15)
@given(st.lists(TEXT, min_size=1, max_size=15))
def test_no_key_is_lost_or_broken_by_its_name(names: list[str]) -> None:
    digest = named(names)

    markdown = to_markdown(digest, top=1)

    seen = read_back(markdown)
    rows = [line for line in markdown.split("\n") if line.startswith("| ") and "[" in line]
    for number, each in enumerate(names):
        assert f"{name(each)} [{a_hash(number)[:12]}]" in seen
    assert len(rows) >= len(names)
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


@settings(deadline=None, max_examples=10)
@given(st.lists(TEXT, max_size=15), st.integers(1, 100))
def test_a_digest_fits_slack_whatever_keys_are_called(names: list[str], top: int) -> None:
    for message in messages_of(named(names), top):
        _, blocks, _ = render(message)

        assert len(blocks) <= 50
        assert size(blocks) <= MAX_SIZE


def test_a_digest_of_500_keys_is_short_in_slack_and_whole_as_markdown() -> None:
    keys = [a_key(number, key_name=f"service-{number}") for number in range(500)]
    owners = {key.key_hash: f"team-{number % 40}" for number, key in enumerate(keys)}
    usage = a_usage([(number, number % 3, 300, NUSD * (number + 1)) for number in range(500)])
    catalog = a_catalog(500, ["vendor/a", "vendor/b", "vendor/c"])

    digest = a_digest(usage, keys, owners=owners, catalog=catalog)

    _, blocks, _ = render(details_of(digest))
    shown = "\n".join(block["text"]["text"] for block in blocks if "text" in block)
    assert "and 491 more" in shown and "and 31 more" in shown
    markdown = to_markdown(digest, top=10)
    assert all(f"service-{number} " in markdown for number in range(500))


def test_the_same_weeks_are_the_same_message() -> None:
    digest = a_digest(a_usage([]))

    assert [each.message_id for each in messages_of(digest)] == [
        "DIGEST-20261116T00-20261123T00:0:digest",
        "DIGEST-20261116T00-20261123T00:1:digest",
    ]


def test_a_digest_looks_as_agreed(golden: Callable[[str, object], None]) -> None:
    digest = a_full_digest()

    for name_of, message in zip(
        ("slack_digest", "slack_digest_details", "slack_digest_owner"), messages_of(digest), strict=False
    ):
        text, blocks, metadata = render(message)
        golden(f"{name_of}.json", {"text": text, "blocks": blocks, "metadata": metadata})
    golden("digest.md", to_markdown(digest, top=10))


def test_a_notification_says_the_dollars_of_the_week_once() -> None:
    digest = a_digest(a_usage([(1, 0, 200, 1_817 * NUSD), (1, 0, 20, 949 * NUSD)]), [a_key(1)])

    for message in to_messages(digest, channel="#a", now=MONDAY, top=5, owner_channels={"team-a": "#b"}):
        text = render(message)[0]
        assert text.count("$1,817") <= 1 and text.count("$949") <= 1
    head = render(to_messages(digest, channel="#a", now=MONDAY, top=5)[0])[0]
    assert "$1,817 (+91%, before $949.00): Spent by 1 of 1 key" in head
