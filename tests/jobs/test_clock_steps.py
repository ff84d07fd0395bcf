"""Clocks that step around restarts: no cycle ends by an error, nothing is done while nobody knows how late it is, and in the end the
state is of now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from build import a_finding
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs_build import an_app
from scripted_source import KEYS, ScriptedSource, sources, told

from monitor.decide import Context, decide
from monitor.domain import IncidentState, Inventory, Rung
from monitor.jobs import checkpoint, startup
from monitor.jobs.watch import CycleReport, Watch
from monitor.pipeline import Judgement, Pipeline, new_state

judge = Pipeline.judge


def judge_and_find(pipeline: Pipeline, now: datetime, context: Context) -> Judgement:
    """As ever, but that one key is stolen at every moment."""
    judge(pipeline, now, context)
    found = (a_finding(KEYS[0].key_hash, at=now, rung=Rung.DISABLE, usd_per_hour=2_400.0),)
    return Judgement(now, found, decide(found, context, pipeline.settings, now), len(context.keys))


@pytest.fixture(autouse=True, scope="module")
def thief() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "judge", judge_and_find)
        yield


@dataclass
class TellingSource(ScriptedSource):
    """A source whose answers say how late it is: from the first one of a process on, our clock is corrected by it."""

    true_minus_ours: timedelta = timedelta(0)
    is_telling: bool = True

    async def inventory(self, known: Any) -> Inventory:
        if self.is_telling:
            self.skew = self.true_minus_ours
        return await super().inventory(known)


class Household:
    """A service in a state directory that is restarted, and a clock that is set."""

    def __init__(self, state_dir: Path, *, is_telling: bool = True) -> None:
        self.source = TellingSource(is_telling=is_telling)
        self.app = an_app(state_dir, source=self.source, response={"mode": "dry-run"})
        self.source.app = self.app
        self.reports: list[CycleReport] = []
        self._begin()

    def _begin(self) -> None:
        app = self.app
        app.pipeline = Pipeline(app.settings, app.store.keys.catalog, new_state(app.settings))
        startup.bring_up(app, app.now())
        self.watch = Watch(app)

    async def restart(self, step: timedelta = timedelta(0), *, has_checkpoint: bool = True) -> None:
        """Ends, the clock is set by this much, and begins again: nothing corrects the clock yet."""
        if has_checkpoint:
            checkpoint.save(self.app)
        await self.watch.close()
        self.set_clock(step)
        self.source.skew = timedelta(0)
        self._begin()

    def set_clock(self, step: timedelta) -> None:
        self.app.clock.at += step
        self.source.true_minus_ours -= step

    async def live(self, n_cycles: int) -> list[CycleReport]:
        for _ in range(n_cycles):
            self.app.clock.pass_time(60)
            self.reports.append(await self.watch.cycle())
        return self.reports[-n_cycles:] if n_cycles else []

    def true_time(self) -> datetime:
        return self.app.clock.now() + self.source.true_minus_ours


STEPS = st.integers(-5 * 60, 5 * 60).map(lambda minutes: timedelta(minutes=minutes))
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("restart"), STEPS, st.booleans()),
        st.tuples(st.just("step"), STEPS, st.booleans()),
        st.tuples(st.just("live"), st.integers(0, 5), st.booleans()),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(events=EVENTS, is_telling=st.booleans())
async def test_over_any_clock_steps_around_restarts_nothing_fails_and_nothing_is_done_in_doubt(
    events: list[Any], is_telling: bool
) -> None:
    with TemporaryDirectory() as folder:
        home = Household(Path(folder), is_telling=is_telling)
        await home.live(3)
        for kind, how, has_checkpoint in events:
            if kind == "restart":
                await home.restart(how, has_checkpoint=has_checkpoint)
            elif kind == "step":
                home.set_clock(how)
            else:
                await home.live(how)
        last = (await home.live(8))[-1]

        app = home.app
        assert [report.n_findings for report in home.reports if report.time.doubt] == [
            0 for report in home.reports if report.time.doubt
        ]
        assert not last.time.doubt and last.n_findings == 1
        assert app.pipeline.state.head_hour == -(-int(app.now().timestamp()) // 3600) - 1
        if is_telling:
            assert abs(last.at - home.true_time()) <= timedelta(minutes=1)
        app.store.maintenance.close()


@pytest.mark.parametrize("hours", [1, 2, 3, 4])
async def test_a_clock_that_falls_back_after_a_restart_is_told_of_and_nothing_is_judged_until_it_is_clear(
    tmp_path: Path, hours: int
) -> None:
    home = Household(tmp_path, is_telling=False)
    await home.live(3)
    await home.restart()

    home.set_clock(-timedelta(hours=hours))
    in_doubt = await home.live(3)

    assert [(report.n_findings, report.actions) for report in in_doubt] == [(0, ())] * 3
    assert sources(home.app)["source:time"] is IncidentState.OPEN
    (after,) = await home.live(1)
    assert after.n_findings == 1 and not after.time.doubt
    assert [("nobody knows how late it is" in text, "read again" in text) for text in told(home.app)] == [
        (True, False),
        (False, True),
    ]


async def test_a_clock_that_was_set_back_while_the_monitor_was_down_is_in_doubt_by_what_was_written_down(
    tmp_path: Path,
) -> None:
    home = Household(tmp_path, is_telling=False)
    await home.live(3)
    await home.restart(-timedelta(hours=2))
    assert [bool(report.time.doubt) for report in await home.live(4)] == [True, True, True, False]


@pytest.mark.parametrize("hours", [-30, -3, 3, 30])
async def test_the_sources_first_answers_put_a_wrong_clock_right_at_once(tmp_path: Path, hours: int) -> None:
    home = Household(tmp_path)
    await home.live(3)
    await home.restart(timedelta(hours=hours))

    (first,) = await home.live(1)

    assert not first.time.doubt and first.n_findings == 1
    assert abs(first.at - home.true_time()) <= timedelta(minutes=1)
    assert home.app.pipeline.state.head_hour == int(first.at.timestamp()) // 3600


async def test_a_second_back_at_the_turn_of_an_hour_is_judged_as_ever(tmp_path: Path) -> None:
    home = Household(tmp_path, is_telling=False)
    home.app.clock.at = home.app.clock.at.replace(minute=59, second=1)
    await home.live(1)
    await home.restart()
    home.set_clock(-timedelta(seconds=62))
    (report,) = await home.live(1)
    assert report.at.minute == 59 and not report.time.doubt and report.n_findings == 1
