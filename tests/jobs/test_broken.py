"""A watch that only fails by a fault in this program: people hear it once, across restarts, and once more when it works again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scripted_source import a_watch, minutes, sources, told

from monitor import daemon
from monitor.decide import muting
from monitor.domain import IncidentState
from monitor.errors import ServiceBroken
from monitor.jobs import broken, context
from monitor.jobs.watch import Watch


def a_fault(text: str = "sk-or-v1-0123456789abcdef") -> KeyError:
    """A fault raised within this program."""
    try:
        daemon.service_of(None, None)
    except AttributeError as error:
        return KeyError(text).with_traceback(error.__traceback__)
    raise AssertionError


async def restarted(watch: Watch) -> Watch:
    await watch.close()
    return Watch(watch.app)


async def test_it_is_told_once_across_restarts_and_once_more_after_a_whole_cycle(tmp_path: Path) -> None:
    watch, _, app = a_watch(tmp_path)
    await minutes(watch, 2)
    for _ in range(3):  # three processes in a row fail the same way
        app.clock.pass_time(180)
        await broken.tell(app, a_fault(), app.now())
        watch = await restarted(watch)
    assert len(told(app)) == 1
    assert sources(app) == {"source:program": IncidentState.OPEN}

    await minutes(watch, 1)
    assert sources(app) == {"source:program": IncidentState.OPEN}, "no whole cycle has ended yet"
    await minutes(watch, 1)

    assert sources(app) == {"source:program": IncidentState.RESOLVED}
    assert [("by a fault in the program" in text, "read again" in text) for text in told(app)] == [
        (True, False),
        (False, True),
    ]


async def test_what_is_told_names_the_place_and_never_the_faults_own_text(tmp_path: Path) -> None:
    _, _, app = a_watch(tmp_path)
    await broken.tell(app, a_fault(), app.now())
    (text,) = told(app)
    assert "KeyError in daemon.py:" in text and "job_fault" in text
    assert "0123456789abcdef" not in text


async def test_while_it_is_told_of_nothing_automatic_happens(tmp_path: Path) -> None:
    _, _, app = a_watch(tmp_path)
    await broken.tell(app, a_fault(), app.now())
    known = context.gather(app, app.now(), is_healthy=True, noted=())
    holding = muting.source_trouble(known.incidents)
    assert holding is not None and holding.fingerprint == "source:program"


async def test_the_daemons_watch_that_only_fails_tells_through_the_outbox_and_ends_it(tmp_path: Path) -> None:
    # given: a daemon whose watch meets a fault in each cycle
    watch, source, app = a_watch(tmp_path)
    app.clock.at = datetime.now(UTC)  # the scheduler's own
    source.recent = None  # calling it is a fault
    every = app.settings.schedule.model_copy(update={"keys_every": timedelta(milliseconds=20)})
    app.settings = app.settings.model_copy(update={"schedule": every})
    service = daemon.service_of(app, watch)

    # when
    with pytest.raises(ServiceBroken, match="TypeError"):
        await asyncio.wait_for(service.run(), timeout=60)

    # then
    (text,) = told(app)
    assert "TypeError in jobs/watch.py:" in text
    assert sources(app)["source:program"] is IncidentState.OPEN
    assert app.store.ledger.actions() == ()
