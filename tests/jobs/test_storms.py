"""The one message of many keys is edited as they join, move and end: the state of every key, no name ever lost, a total."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from build import NOW, a_key, an_incident, key_settings
from hostile import TEXT
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jobs_build import an_app, an_inventory
from slack_build import an_app_on_slack, later

from monitor.demo import blockkit, faults
from monitor.demo.faults import Fault
from monitor.demo.slack import FakeSlack
from monitor.domain import (
    NUSD,
    ApiKey,
    Incident,
    IncidentKind,
    IncidentState,
    Message,
    MessageKind,
    Notice,
    Plan,
    Severity,
)
from monitor.jobs import act, cards, preview
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.notify import slack_blocks, storm
from monitor.notify.storm import Member

EVENT_ID = "EVT-0001"


def keys_of(n: int) -> tuple[ApiKey, ...]:
    return tuple(a_key(f"{no + 1:012x}" + "0" * 52, key_name=f"team-key-{no}") for no in range(n))


def incident_of(key: ApiKey, **changes: object) -> Incident:
    return replace(an_incident(key.key_hash, incident_id=f"INC-{key.key_hash[:12]}", part_of=EVENT_ID), **changes)


def event_of(incidents: tuple[Incident, ...], **changes: object) -> Incident:
    fields = {
        "incident_id": EVENT_ID,
        "kind": IncidentKind.PLATFORM,
        "members": tuple(each.incident_id for each in incidents),
        "told_step": len(incidents),
    }
    return replace(an_incident(""), **(fields | changes))  # type: ignore[arg-type]


def write(app: App, incidents: tuple[Incident, ...], event: Incident) -> None:
    app.store.ledger.commit((), Plan(app.now(), incidents=(*incidents, event)), ())


async def beats(app: App, n: int = 4) -> int:
    """What the daemon does every few seconds."""
    n_edited = 0
    for _ in range(n):
        await deliver(app)
        n_edited += await cards.refresh(app)
        later(app, 0.1)
    return n_edited


@asynccontextmanager
async def a_storm(state_dir: Path, n: int) -> AsyncIterator[tuple[App, FakeSlack, tuple[Incident, ...]]]:
    """That many keys turned unusual together, which was told and delivered in one message."""
    keys = keys_of(n)
    async with an_app_on_slack(state_dir, keys=keys) as (app, slack):
        incidents = tuple(incident_of(key) for key in keys)
        write(app, incidents, event_of(incidents))
        text = f"{n} keys turned unusual together. That is rarely theft."
        notice = Notice(MessageKind.SOURCE, NOW, detail=f"{text}\na line", incidents=incidents, thread=EVENT_ID)
        app.store.outbox.add(act.compose(app, [notice], NOW), NOW)
        await beats(app)
        yield app, slack, incidents


def thread(slack: FakeSlack) -> str:
    return "\n".join(str(message.blocks) for message in slack.messages())


async def test_every_key_is_shown_with_its_state_and_what_it_began_with_stays(tmp_path: Path) -> None:
    async with a_storm(tmp_path, 3) as (_, slack, incidents):
        (message,) = slack.messages()

        text = str(message.blocks)
        assert "3 keys at once: $584.88 above usual" in text and "That is rarely theft" in text
        assert all(f": team-key-{no} {each.key_hash[:12]}, open" in text for no, each in enumerate(incidents))


async def test_the_preview_of_many_keys_is_what_stands_and_changes_nothing(tmp_path: Path) -> None:
    async with a_storm(tmp_path, 12) as (app, slack, _):
        n_calls = len(slack.requests)

        made = preview.many(app.store, app.settings, NOW)

        assert "EVT-0001, from the store; goes to: #alerts" in made.note and len(slack.requests) == n_calls
        shown = [slack_blocks.render(message)[1] for message in made.messages]
        assert shown == [message.blocks for message in slack.messages()]


async def test_the_preview_of_keys_that_wait_together_is_their_list(tmp_path: Path) -> None:
    async with a_queue(tmp_path, 12) as (app, slack, _):
        made = preview.many(app.store, app.settings, NOW)

        assert made.note.startswith("LIST-")
        assert [slack_blocks.render(message)[1] for message in made.messages] == [
            each.blocks for each in slack.messages()
        ]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT, min_size=1, max_size=6))
async def test_the_preview_of_five_hundred_keys_with_any_names_names_each_within_slacks_limits(
    names: list[str],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        keys = tuple(
            a_key(
                f"{no + 1:012x}" + "0" * 52, key_name=f"{names[no % len(names)]}{no}".encode("utf-8", "ignore").decode()
            )
            for no in range(500)
        )
        app = an_app(Path(folder))
        app.store.keys.record(an_inventory(*keys))
        incidents = tuple(incident_of(key) for key in keys)
        notice = Notice(MessageKind.SOURCE, NOW, detail="500 keys.\na line", incidents=incidents, thread=EVENT_ID)
        plan = Plan(app.now(), incidents=(*incidents, event_of(incidents)))
        app.store.ledger.commit((), plan, act.compose(app, [notice], NOW))

        made = preview.many(app.store, app.settings, NOW)

        shown = [slack_blocks.render(message)[1] for message in made.messages]
        assert all(blockkit.problems(blocks) == [] for blocks in shown)
        assert all(key.key_hash[:12] in str(shown[1:]) for key in keys)
        app.store.maintenance.close()


async def test_what_moves_is_shown_at_once_and_the_message_closes_with_a_total(tmp_path: Path) -> None:
    async with a_storm(tmp_path, 3) as (app, slack, incidents):
        first, second, third = incidents
        taken = replace(first, state=IncidentState.ACKNOWLEDGED, revision=1)
        over = replace(second, state=IncidentState.RESOLVED, resolved_at=NOW)
        write(app, (taken, over, third), event_of(incidents))
        off = replace(keys_of(3)[2], settings=replace(keys_of(3)[2].settings, is_disabled=True))
        app.store.keys.record(an_inventory(*keys_of(3)[:2], off))
        assert await beats(app) == 1

        text = str(slack.messages()[0].blocks)
        for no, state in enumerate(("looked after", "over", "key disabled")):
            assert f"team-key-{no} {keys_of(3)[no].key_hash[:12]}, {state}" in text
        assert "3 keys at once, none left open: " in text and ": 1 disabled, 1 looked after, 1 over." in text

        gone = tuple(replace(each, state=IncidentState.RESOLVED, resolved_at=NOW, revision=2) for each in incidents)
        ended = event_of(incidents, state=IncidentState.RESOLVED, resolved_at=NOW, resolution="every incident is over")
        write(app, gone, ended)
        await beats(app)

        text = str(slack.messages()[0].blocks)
        assert "Over: 3 keys at once, $584.88 above usual in all" in text
        assert (
            "team-key-2 000000000003, key disabled" in text and ", over" not in text and "Total damage $584.88" in text
        )
        assert len(slack.messages()) == 1


async def test_keys_that_join_are_added_and_none_is_lost_where_the_thread_must_hold_them(tmp_path: Path) -> None:
    async with a_storm(tmp_path, 3) as (app, slack, _):
        keys = keys_of(300)
        incidents = tuple(incident_of(key) for key in keys)
        app.store.keys.record(an_inventory(*keys))
        write(app, incidents, event_of(incidents))

        await beats(app, 8)

        first, *rest = slack.messages()
        assert rest and all(message.thread_ts == first.ts and not message.is_broadcast for message in rest)
        assert all(key.key_hash[:12] in thread(slack) for key in keys)
        assert "300 keys at once: $58.5k above usual" in str(first.blocks)
        n_messages = len(slack.messages())
        assert await beats(app) == 0 and len(slack.messages()) == n_messages


def test_of_many_keys_the_message_itself_is_short_dollars_first_and_says_whose_the_dearest_are() -> None:
    keys = keys_of(300)
    incidents = tuple(incident_of(key, spent_nusd=(no + 1) * NUSD) for no, key in enumerate(keys))
    members = [Member(incident, key, "Ann Lee") for incident, key in zip(incidents, keys, strict=True)]

    first, *rest = storm.pages(ROOT, event_of(incidents), members)

    assert first.title == "300 keys at once: $45.2k above usual"
    assert first.summary == "$167.11/h now, $1,337 at risk, since 23 Nov 10:50 UTC: 300 open."
    heading, lines = first.sections[0]
    assert heading == "The 5 dearest" and len(lines) == 6
    assert lines[0] == "$300.00, $167.11/h now: team-key-299 00000000012c, Ann Lee, open"
    assert lines[-1] == "All 300 keys by state: in this thread."
    text, blocks, _ = slack_blocks.render(first)
    assert blockkit.length(blocks) < 1_500 and text.startswith(
        "\N{LARGE RED CIRCLE} 300 keys at once: $45.2k above usual"
    )
    assert [each.title for each in rest[:1]] == [f"All 300 keys (1 of {len(rest)})"]


def test_what_still_needs_somebody_is_listed_before_what_is_dealt_with() -> None:
    keys = keys_of(12)
    incidents = [incident_of(key, spent_nusd=(no + 1) * NUSD) for no, key in enumerate(keys)]
    incidents[11] = replace(incidents[11], state=IncidentState.ACKNOWLEDGED)
    members = [Member(incident, key) for incident, key in zip(incidents, keys, strict=True)]

    first, rest = storm.pages(ROOT, event_of(tuple(incidents)), members)

    assert "team-key-10" in first.sections[0][1][0] and "12 keys at once, 11 still open" in first.title
    assert [(heading, len(lines)) for heading, lines in rest.sections] == [("Open: 11", 11), ("Looked after: 1", 1)]
    assert "team-key-10" in rest.sections[0][1][0] and "team-key-11" in rest.sections[1][1][0]


@asynccontextmanager
async def a_queue(state_dir: Path, n: int) -> AsyncIterator[tuple[App, FakeSlack, tuple[Incident, ...]]]:
    """That many keys wait behind a blown fuse, which was told in one message of no event."""
    keys = keys_of(n)
    async with an_app_on_slack(state_dir, keys=keys) as (app, slack):
        incidents = tuple(incident_of(key, part_of=None) for key in keys)
        text = f"{n} more would have been disabled, but a fuse allows no further automatic action now."
        notice = Notice(MessageKind.SOURCE, NOW, detail=f"{text}\na line", incidents=incidents)
        app.store.ledger.commit((), Plan(app.now(), incidents=incidents), act.compose(app, [notice], NOW))
        await beats(app)
        yield app, slack, incidents


async def test_keys_that_wait_behind_a_fuse_are_one_message_that_is_edited_as_they_are_dealt_with(
    tmp_path: Path,
) -> None:
    async with a_queue(tmp_path, 12) as (app, slack, incidents):
        root, listed = slack.messages()
        assert "12 keys at once: $2,340 above usual" in str(root.blocks) and "a fuse allows no further" in str(
            root.blocks
        )
        assert listed.thread_ts == root.ts and all(each.key_hash[:12] in str(listed.blocks) for each in incidents)
        assert await beats(app) == 0

        first = incidents[0]
        app.store.ledger.commit((), Plan(app.now(), incidents=(replace(first, state=IncidentState.ACKNOWLEDGED),)), ())
        keys = keys_of(12)
        app.store.keys.record(an_inventory(*keys[:-1], replace(keys[-1], settings=key_settings(is_disabled=True))))
        assert await beats(app) == 2

        text = str(slack.messages()[0].blocks)
        assert "12 keys at once, 10 still open" in text and ": 10 open, 1 disabled, 1 looked after." in text
        assert "a fuse allows no further" in text and "Looked after: 1" in str(slack.messages()[1].blocks)

        over = tuple(replace(each, state=IncidentState.RESOLVED, resolved_at=NOW) for each in incidents)
        app.store.ledger.commit((), Plan(app.now(), incidents=over), ())
        await beats(app)
        assert "Over: 12 keys at once, $2,340 above usual in all" in str(slack.messages()[0].blocks)
        assert len(slack.messages()) == 2


async def test_the_end_of_what_was_told_in_a_list_is_an_edit_of_it_and_no_message_each(tmp_path: Path) -> None:
    async with a_queue(tmp_path, 12) as (app, slack, incidents):
        alone = incident_of(keys_of(13)[12], part_of=None)
        alerted = incidents[0]  # grew a step since, and has a message of its own
        alerts = [Notice(MessageKind.ALERT, NOW, incident=each) for each in (alone, alerted)]
        app.store.outbox.add(act.compose(app, alerts, NOW), NOW)

        over = [replace(each, state=IncidentState.RESOLVED, resolved_at=NOW) for each in (*incidents, alone)]
        told = act.compose(app, [Notice(MessageKind.RESOLVED, NOW, incident=each) for each in over], NOW)

        assert {each.thread for each in told} == {alone.incident_id, alerted.incident_id}
        app.store.ledger.commit((), Plan(app.now(), incidents=tuple(over)), ())
        await beats(app)
        assert "Over: 12 keys at once" in str(slack.messages()[0].blocks)


async def test_a_list_is_left_as_it_is_two_weeks_later(tmp_path: Path) -> None:
    async with a_queue(tmp_path, 3) as (app, slack, incidents):
        before = str(slack.messages()[0].blocks)
        later(app, 15 * 24 * 60)
        taken = tuple(replace(each, state=IncidentState.ACKNOWLEDGED) for each in incidents)
        app.store.ledger.commit((), Plan(app.now(), incidents=taken), ())

        assert await beats(app) == 0 and str(slack.messages()[0].blocks) == before


async def test_a_list_told_before_a_restart_is_still_edited_after_it(tmp_path: Path) -> None:
    async with a_queue(tmp_path, 3) as (app, slack, incidents):
        app.store.outbox.recover(app.now())
        stored = app.store.outbox.entries(thread_prefix="LIST-")
        assert [each.message.about for each in stored] == [tuple(each.incident_id for each in incidents)]

        app.store.ledger.commit(
            (), Plan(app.now(), incidents=(replace(incidents[0], state=IncidentState.ACKNOWLEDGED),)), ()
        )
        assert await beats(app) == 1
        assert "2 still open" in str(slack.messages()[0].blocks)


async def test_the_first_page_is_left_alone_until_the_others_stand(tmp_path: Path) -> None:
    async with a_storm(tmp_path, 40) as (app, slack, _):
        before = str(slack.messages()[0].blocks)
        keys = keys_of(300)
        incidents = tuple(incident_of(key) for key in keys)
        app.store.keys.record(an_inventory(*keys))
        write(app, incidents, event_of(incidents))
        slack.faults.append(Fault(faults.slack_error("internal_error"), path="chat.postMessage", times=2))

        await beats(app, 2)

        assert str(slack.messages()[0].blocks) == before


async def test_nothing_is_edited_while_nothing_moves_and_mere_dollars_wait(tmp_path: Path) -> None:
    async with a_storm(tmp_path, 3) as (app, _, incidents):
        assert await beats(app) == 0
        dearer = tuple(replace(each, spent_nusd=each.spent_nusd + NUSD) for each in incidents)
        write(app, dearer, event_of(incidents))

        assert await beats(app) == 0
        later(app, 6)
        assert await beats(app) == 1


async def test_a_sink_that_is_down_is_asked_again_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with a_storm(tmp_path, 3) as (app, slack, incidents):
        over = tuple(replace(each, state=IncidentState.RESOLVED, resolved_at=NOW) for each in incidents)
        write(app, over, event_of(incidents, state=IncidentState.RESOLVED, resolved_at=NOW))
        slack.faults.append(Fault(faults.status(503), path="chat.update"))

        assert await beats(app, 1) == 0
        assert "storm_not_edited" in caplog.text
        later(app, 2)
        assert await beats(app, 1) == 1
        assert "Over: 3 keys" in str(slack.messages()[0].blocks)


ROOT = Message("MSG-1:0:source", MessageKind.SOURCE, "C0TEAM01", Severity.CRITICAL, "Title", "Head.", thread=EVENT_ID)


@settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.integers(1, 500), st.lists(TEXT, min_size=1, max_size=4), st.integers(0, 10**6))
def test_any_storm_is_told_whole_within_every_limit(n: int, names: list[str], seed: int) -> None:
    keys = [replace(key, key_name=names[no % len(names)]) for no, key in enumerate(keys_of(n))]
    states = list(IncidentState)
    incidents = tuple(incident_of(key, state=states[(no * seed) % 4]) for no, key in enumerate(keys))
    members = [Member(incident, key) for incident, key in zip(incidents, keys, strict=True)]

    pages = storm.pages(ROOT, event_of(incidents), members)

    rendered = [slack_blocks.render(page)[1] for page in pages]
    assert all(blockkit.problems(blocks) == [] for blocks in rendered)
    assert all(blockkit.length(blocks) <= blockkit.MAX_SUM for blocks in rendered)
    assert all(key.key_hash[:12] in str(rendered) for key in keys)
    assert len(pages) <= 9
