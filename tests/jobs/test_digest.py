"""The digest's job: once for each week, whatever happens, and with every dollar of the account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import build
import pandas as pd
import pytest
from jobs_build import a_batch, an_app, an_inventory, settings_in

from monitor import frames
from monitor.jobs import digest, unattributed, weekly
from monitor.jobs.app import App
from monitor.report import words

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WEEK, HOUR, MINUTE = timedelta(days=7), timedelta(hours=1), timedelta(minutes=1)
MIDNIGHT = MONDAY.replace(hour=0)


def queued(app: App) -> list[str]:
    """The headlines: each has its details in its thread."""
    entries = app.store.outbox.entries()
    ids = [entry.message.message_id for entry in entries]
    assert len(ids) == len(set(ids))
    return [each for each in ids if each.endswith(":0:digest")]


async def run_until(app: App, until: datetime, *, step: timedelta) -> list[datetime]:
    """Calls `send_due` again and again; returns when it sent."""
    sent = []
    while app.clock.now() < until:
        app.clock.pass_time(step.total_seconds())
        if await digest.send_due(app):
            sent.append(app.clock.now())
    return sent


def samples(at: datetime, *spent: tuple[int, int]) -> pd.DataFrame:
    stamp = pd.Timestamp(at).as_unit("s")
    rows = [{"sampled_at": stamp, "key_no": no, "usage_nusd": nusd, "usage_daily_nusd": -1} for no, nusd in spent]
    return pd.DataFrame(rows).astype(dict(frames.COUNTERS))


async def test_the_first_start_sends_no_digest(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY + HOUR)

    assert not await digest.send_due(app)
    assert queued(app) == []


async def test_a_digest_is_sent_once_a_week(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY - 3 * HOUR)
    await digest.send_due(app)

    sent = await run_until(app, MONDAY + 3 * WEEK, step=3 * HOUR)

    assert sent == [MONDAY + n * WEEK for n in range(4)]
    assert len(queued(app)) == 4


async def test_a_restart_sends_no_digest_again(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY - HOUR)
    await digest.send_due(app)
    await run_until(app, MONDAY + MINUTE, step=MINUTE)

    again = an_app(tmp_path, now=MONDAY + 5 * MINUTE, store=app.store)

    assert not await digest.send_due(again)
    assert len(queued(app)) == 1


async def test_a_kill_between_the_queue_and_the_mark_doubles_nothing_even_days_later(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY - HOUR)
    await digest.send_due(app)
    mark = app.store.state.get("digest")
    await run_until(app, MONDAY + MINUTE, step=MINUTE)
    app.store.state.put("digest", mark or {})  # as the kill left it

    later = an_app(tmp_path, now=MONDAY + 3 * 24 * HOUR, store=app.store)

    assert await digest.send_due(later)
    assert len(queued(app)) == 1


async def test_after_a_long_downtime_one_digest_makes_up_for_all_that_were_missed(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY - HOUR)
    await digest.send_due(app)
    app.clock.at = MONDAY + 5 * WEEK + 50 * HOUR

    assert await digest.send_due(app)
    assert not await digest.send_due(app)

    last = (MONDAY + 5 * WEEK).replace(hour=0)
    assert queued(app) == [f"DIGEST-{last - WEEK:%Y%m%dT%H}-{last:%Y%m%dT%H}:0:digest"]
    assert {entry.message.created_at for entry in app.store.outbox.entries()} == {app.clock.now()}
    assert await run_until(app, MONDAY + 6 * WEEK + HOUR, step=20 * MINUTE) == [MONDAY + 6 * WEEK]


async def test_a_clock_set_back_sends_no_digest_again(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY - HOUR)
    await digest.send_due(app)
    await run_until(app, MONDAY + MINUTE, step=MINUTE)
    app.clock.at = MONDAY - 2 * 24 * HOUR

    assert await run_until(app, MONDAY + HOUR, step=20 * MINUTE) == []


@pytest.mark.parametrize(
    ("cron", "around", "due"),
    [
        ("0 9 * * mon", datetime(2026, 3, 30, tzinfo=UTC), datetime(2026, 3, 30, 7, 0, tzinfo=UTC)),
        ("0 9 * * mon", datetime(2026, 10, 26, tzinfo=UTC), datetime(2026, 10, 26, 8, 0, tzinfo=UTC)),
        ("30 2 * * sun", datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
    ids=["after clocks went forward", "after clocks went back", "an hour that comes twice"],
)
async def test_daylight_saving_neither_drops_nor_doubles_a_digest(
    tmp_path: Path, cron: str, around: datetime, due: datetime
) -> None:
    app = an_app(
        tmp_path, now=around - 3 * 24 * HOUR, schedule={"digest_cron": cron}, digest={"timezone": "Europe/Berlin"}
    )
    await digest.send_due(app)

    sent = await run_until(app, around + 3 * 24 * HOUR, step=30 * MINUTE)

    assert sent[0] == due
    assert len(queued(app)) == 1


async def test_a_time_that_clocks_jump_over_is_made_up_for_in_that_week(tmp_path: Path) -> None:
    spring = datetime(2026, 3, 29, tzinfo=UTC)  # 02:30 does not exist in Berlin
    app = an_app(
        tmp_path,
        now=spring - 3 * 24 * HOUR,
        schedule={"digest_cron": "30 2 * * sun"},
        digest={"timezone": "Europe/Berlin"},
    )
    await digest.send_due(app)

    await run_until(app, spring + 9 * 24 * HOUR, step=2 * HOUR)

    assert len(queued(app)) == len(set(queued(app))) == 2


def test_the_account_s_total_is_what_the_counters_rose_by(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY)
    app.store.keys.record(an_inventory(build.a_key(1), build.a_key(2), at=MONDAY))
    write = app.store.usage.write_counters
    write(samples(MIDNIGHT - WEEK - HOUR, (0, 1), (1, 1)))
    write(samples(MIDNIGHT - WEEK + MINUTE, (0, 100), (1, 50)))
    write(samples(MIDNIGHT - 3 * MINUTE, (0, 170), (1, 60)))
    write(samples(MIDNIGHT + MINUTE, (0, 180), (1, 60)))
    write(samples(MIDNIGHT + 9 * MINUTE, (0, 999), (1, 999)))

    made = weekly.make(app.store, app.settings, MONDAY)

    assert made.account_total_nusd == 90


def test_without_samples_near_both_ends_the_total_is_not_known(tmp_path: Path) -> None:
    app = an_app(tmp_path, now=MONDAY)
    app.store.keys.record(an_inventory(build.a_key(1), at=MONDAY))
    app.store.usage.write_counters(samples(MIDNIGHT - WEEK - HOUR, (0, 1)))
    app.store.usage.write_counters(samples(MIDNIGHT, (0, 2)))

    assert weekly.make(app.store, app.settings, MONDAY).account_total_nusd is None


def test_unattributed_dollars_of_hours_read_again_count_once(tmp_path: Path) -> None:
    app, hour = an_app(tmp_path, now=MONDAY), MIDNIGHT - 30 * HOUR
    first = a_batch({hour: 5, hour + HOUR: 7}, hour, hour + 6 * HOUR)
    second = a_batch({hour + HOUR: 9, hour + 2 * HOUR: 1}, hour + HOUR, hour + 7 * HOUR)

    for batch in (first, first, second, first, second):
        unattributed.note(app.store, batch, MONDAY)

    assert weekly.make(app.store, app.settings, MONDAY).unattributed_nusd == 5 + 9 + 1


def test_unattributed_dollars_that_were_cleared_up_count_no_more(tmp_path: Path) -> None:
    app, hour = an_app(tmp_path, now=MONDAY), MIDNIGHT - 30 * HOUR
    unattributed.note(app.store, a_batch({hour: 5}, hour, hour + HOUR), MONDAY)

    unattributed.note(app.store, a_batch({}, hour, hour + HOUR), MONDAY)

    assert weekly.make(app.store, app.settings, MONDAY).unattributed_nusd == 0


@pytest.mark.parametrize(("quality", "kept"), [(0, 5), (1, 5), (2, 0)], ids=["unknown", "partial", "known"])
def test_an_incomplete_reading_takes_no_unattributed_dollars_away(tmp_path: Path, quality: int, kept: int) -> None:
    app, hour = an_app(tmp_path, now=MONDAY), MIDNIGHT - 30 * HOUR
    unattributed.note(app.store, a_batch({hour: 5}, hour, hour + HOUR), MONDAY)

    unattributed.note(app.store, a_batch({}, hour, hour + HOUR, quality=quality), MONDAY)

    assert weekly.make(app.store, app.settings, MONDAY).unattributed_nusd == kept


def test_only_readings_in_hours_speak_of_unattributed_dollars_and_only_of_this_week(tmp_path: Path) -> None:
    app, hour = an_app(tmp_path, now=MONDAY), MIDNIGHT - 30 * HOUR
    unattributed.note(app.store, a_batch({hour: 5}, hour, hour + HOUR, bucket_s=600), MONDAY)
    unattributed.note(app.store, a_batch({MIDNIGHT: 3}, MIDNIGHT, MIDNIGHT + HOUR), MONDAY)
    unattributed.note(app.store, a_batch({hour - WEEK: 3}, hour - WEEK, hour - WEEK + HOUR), MONDAY)

    assert weekly.make(app.store, app.settings, MONDAY).unattributed_nusd == 0


def test_old_unattributed_dollars_are_forgotten(tmp_path: Path) -> None:
    app, hour = an_app(tmp_path, now=MONDAY), MIDNIGHT - 30 * HOUR
    unattributed.note(app.store, a_batch({hour: 5}, hour, hour + HOUR), MONDAY)

    later = MONDAY + 5 * WEEK
    unattributed.note(app.store, a_batch({later - HOUR: 1}, later - HOUR, later), later)

    assert app.store.state.get("unattributed") == {str(int((later - HOUR).timestamp())): 1}


def test_a_key_that_is_gone_is_named_and_its_dollars_stay_its_owner_s(tmp_path: Path) -> None:
    routes = [{"key_name": "^search", "channel": "#search", "owner": "Search"}]
    settings = settings_in(tmp_path, slack={"default_channel": "#a"}).model_copy(
        update={"routes": type(settings_in(tmp_path)).model_validate({"routes": routes}).routes}
    )
    app = an_app(tmp_path, now=MONDAY, settings=settings)
    gone, here = build.a_key(1, key_name="search-old"), build.a_key(2, key_name="billing")
    app.store.keys.record(an_inventory(gone, here, at=MIDNIGHT - WEEK))
    app.store.keys.record(an_inventory(here, at=MONDAY, vanished=(gone.key_hash,)))
    catalog = app.store.keys.catalog
    number, model = catalog.key_no(gone.key_hash), catalog.value_no(0, "vendor/a")
    usage = build.usage((MIDNIGHT - 20 * HOUR, number, 0, model, 3, 7_000_000_000), bucket_s=3600)
    app.store.usage.write(usage, build.coverage(MIDNIGHT - WEEK, MIDNIGHT, bucket_s=3600))

    made = weekly.make(app.store, settings, MONDAY)

    line = next(each for each in made.keys if each.key_hash == gone.key_hash)
    assert words.key_name(line).startswith("search-old (gone) [")
    assert line not in made.without_limit
    assert [(part.owner, part.spent_nusd) for part in made.owners if part.spent_nusd] == [("Search", 7_000_000_000)]
    assert "search-old" in "\n".join(
        text
        for message in digest.messages(app.store, settings, MONDAY)
        for _, lines in message.sections
        for text in lines
    )
