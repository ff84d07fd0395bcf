"""Told to stop while a reading waits: it ends at once, and nothing of what it would have read is lost."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from scripted_source import a_watch

from monitor.collect.base import UsageBatch
from monitor.jobs.watch import Watch


async def test_l7_a_stop_during_a_reading_that_waits_is_immediate_and_the_next_start_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: the source asks to wait, for longer than anybody gives a service to stop
    watch, source, app = a_watch(tmp_path, schedule={"keys_every": "10s"})
    wanted: list[datetime] = []

    async def waits(since: datetime, until: datetime) -> UsageBatch:
        wanted.append(since)
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")

    with monkeypatch.context() as patch:
        patch.setattr(source, "recent", waits)
        patch.setattr(watch, "_patience_s", 0.01)
        report = await watch.cycle()
        assert "usage" not in report.worked and len(wanted) == 1

        # when
        stopped_at = app.now()
        async with asyncio.timeout(2):
            await watch.close()

    # then
    assert "usage" not in (app.store.state.get("lanes") or {})  # it does not claim to have read it
    app.clock.pass_time(1800)
    await Watch(app).cycle()
    recent = [(since, until) for name, since, until in source.asked if name == "recent"]
    assert [until for _, until in recent] == [app.now()]
    assert recent[0][0] < stopped_at
