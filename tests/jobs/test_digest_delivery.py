"""How the digest's messages travel: the headline, its details in the thread, and one an owner; killed anywhere, each once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import build
import pytest
from jobs_build import an_app, an_inventory, settings_in

from monitor.domain import Message, Receipt
from monitor.errors import DeliveryError
from monitor.jobs import digest, weekly
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WEEK, HOUR, MINUTE = timedelta(days=7), timedelta(hours=1), timedelta(minutes=1)
MIDNIGHT = MONDAY.replace(hour=0)


class Killed(BaseException):
    """The process was killed here."""


@dataclass
class Threads:
    """A sink that remembers what arrived and where; `dies_after` so many messages, before or after the next one `arrives`.

    It first `refuses` so many for now, each for three seconds and by itself."""

    dies_after: int | None = None
    arrives: bool = False
    refuses: int = 0
    name: str = "threads"
    sent: list[tuple[Message, Receipt | None]] = field(default_factory=list)

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        if self.refuses:
            self.refuses -= 1
            raise DeliveryError("too many", permanent=False, retry_after=3.0)
        is_last = self.dies_after is not None and len(self.sent) >= self.dies_after
        if not is_last or self.arrives:
            self.sent.append((message, thread))
        if is_last:
            raise Killed
        return Receipt(message.channel, f"r{len(self.sent)}")

    async def find(self, message: Message, *, thread: Receipt | None = None) -> Receipt | None:
        found = [no for no, (each, _) in enumerate(self.sent, start=1) if each.message_id == message.message_id]
        return Receipt(message.channel, f"r{found[0]}") if found else None


ROUTES = {
    "routes": [
        {"key_name": "^search", "channel": "#search", "owner": "Search"},
        {"key_name": "^find", "channel": "#elsewhere", "owner": "Search"},
        {"key_name": "^web", "channel": "#a", "owner": "Web"},
        {"key_name": "^idle", "channel": "#idle", "owner": "Idle"},
    ]
}


def with_teams(tmp_path: Path, *, now: datetime, **sections: dict[str, object]) -> App:
    """An account whose keys search-1, find-1 and web-1 spent a dollar each."""
    settings = settings_in(tmp_path, slack={"default_channel": "#a"}, **sections)
    settings = settings.model_copy(update={"routes": type(settings).model_validate(ROUTES).routes})
    app = an_app(tmp_path, now=now, settings=settings)
    keys = [build.a_key(no, key_name=name) for no, name in enumerate(("search-1", "find-1", "web-1", "other"))]
    app.store.keys.record(an_inventory(*keys, at=MIDNIGHT - WEEK))
    catalog = app.store.keys.catalog
    model = catalog.value_no(0, "vendor/a")
    rows = [(MIDNIGHT - 20 * HOUR, catalog.key_no(key.key_hash), 0, model, 3, 1_000_000_000) for key in keys[:3]]
    app.store.usage.write(build.usage(*rows, bucket_s=3600), build.coverage(MIDNIGHT - WEEK, MIDNIGHT, bucket_s=3600))
    return app


async def with_due_digest(tmp_path: Path, sink: Threads) -> App:
    """The digest of Monday is written, and not sent yet."""
    app = replace(with_teams(tmp_path, now=MONDAY - HOUR), notifier=sink)
    await digest.send_due(app)
    app.clock.at = MONDAY + MINUTE
    await digest.send_due(app)
    return app


def test_each_owner_with_a_channel_of_its_own_is_told_once_and_shortly(tmp_path: Path) -> None:
    app = with_teams(tmp_path, now=MONDAY)

    told = digest.messages(app.store, app.settings, MONDAY)

    assert [message.channel for message in told] == ["#a", "#a", "#search"]
    assert told[0].thread == told[1].thread is not None
    assert told[2].thread is None and told[2].title.startswith("Search, $2.00")
    assert sum(len(lines) for _, lines in told[2].sections) <= 4 * 6


def test_owners_are_told_nothing_where_that_is_turned_off(tmp_path: Path) -> None:
    app = with_teams(tmp_path, now=MONDAY, digest={"owners": False})

    assert [message.channel for message in digest.messages(app.store, app.settings, MONDAY)] == ["#a", "#a"]


def test_one_owner_s_digest_can_be_asked_for(tmp_path: Path) -> None:
    app = with_teams(tmp_path, now=MONDAY, digest={"owners": False})
    made = weekly.make(app.store, app.settings, MONDAY)

    (message,) = digest.messages_of(made, app.settings, MONDAY, owner="Search")

    assert message.channel == "#search"
    assert digest.messages_of(made, app.settings, MONDAY, owner="Nobody") == ()


async def test_details_go_into_the_thread_of_the_headline(tmp_path: Path) -> None:
    sink = Threads()
    app = await with_due_digest(tmp_path, sink)

    await deliver(app)

    assert [(each.channel, thread.reference if thread else None) for each, thread in sink.sent] == [
        ("#a", None),
        ("#a", "r1"),
        ("#search", None),
    ]


@pytest.mark.parametrize("n_before", [0, 1, 2], ids=["before the first", "before the details", "before the owner's"])
async def test_a_kill_between_writing_and_sending_loses_and_doubles_nothing(tmp_path: Path, n_before: int) -> None:
    sink = Threads(dies_after=n_before)
    app = await with_due_digest(tmp_path, sink)
    with pytest.raises(Killed):
        await deliver(app)

    again = replace(with_teams(tmp_path, now=MONDAY + 26 * HOUR), notifier=sink)
    again.store.outbox.recover(again.clock.now())
    sink.dies_after = None
    assert not await digest.send_due(again)
    await deliver(again)
    await deliver(again)

    assert sorted(each.channel for each, _ in sink.sent) == ["#a", "#a", "#search"]
    assert len({each.message_id for each, _ in sink.sent}) == 3


async def test_a_kill_after_sending_and_before_noting_it_doubles_nothing(tmp_path: Path) -> None:
    sink = Threads(dies_after=1, arrives=True)
    app = await with_due_digest(tmp_path, sink)
    with pytest.raises(Killed):
        await deliver(app)

    again = replace(with_teams(tmp_path, now=MONDAY + HOUR), notifier=sink)
    again.store.outbox.recover(again.clock.now())
    sink.dies_after = None
    await deliver(again)

    assert len({each.message_id for each, _ in sink.sent}) == len(sink.sent) == 3


async def test_details_wait_for_a_headline_that_could_not_be_sent_yet(tmp_path: Path) -> None:
    sink = Threads(refuses=1)
    app = await with_due_digest(tmp_path, sink)

    for _ in range(12):
        await deliver(app)
        app.clock.pass_time(1)

    assert [each.message_id.split(":")[1] for each, _ in sink.sent if each.channel == "#a"] == ["0", "1"]
    assert [thread.reference for _, thread in sink.sent if thread] == ["r2"]


async def test_details_go_alone_where_the_headline_was_given_up(tmp_path: Path) -> None:
    sink = Threads()
    app = await with_due_digest(tmp_path, sink)
    app.store.outbox.dead(app.store.outbox.entries()[0].message.message_id, "refused for good")

    await deliver(app)

    assert [each.message_id.split(":")[1] for each, _ in sink.sent if each.channel == "#a"] == ["1"]
